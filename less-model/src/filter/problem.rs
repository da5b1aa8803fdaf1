//! What is wrong with a policy, and where.

use std::fmt;

use super::limits;

/// Something that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: the way from the policy's top.
    pub path: Vec<Step>,
    /// What.
    pub cause: Cause,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return write!(f, "{}", self.cause);
        }
        f.write_str("`")?;
        for step in &self.path {
            match step {
                Step::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))?,
                Step::Index(index) => write!(f, "/{index}")?,
            }
        }
        write!(f, "`: {}", self.cause)
    }
}

/// The ways in which a policy is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing is asked.
    #[error("there are no keys, so everything passes")]
    Empty,
    /// A key without a name.
    #[error("a key has no name")]
    NoName,
    /// More keys than SNS takes.
    #[error("there are {0} keys, SNS takes at most {max}", max = limits::KEYS)]
    TooManyKeys(usize),
    /// More combinations than SNS takes.
    #[error("there are {0} combinations of values, SNS takes at most {max}", max = limits::COMBINATIONS)]
    TooManyCombinations(u64),
    /// Wildcards that SNS takes to be too many.
    #[error("the wildcards have {0} points, SNS takes at most {max}", max = limits::POINTS)]
    TooManyWildcards(u64),
    /// Larger than SNS takes.
    #[error("the policy has {0} bytes as JSON, SNS takes at most {max}", max = limits::BYTES)]
    TooLarge(usize),
    /// An attribute that no user's message has.
    #[error("no message of yours has such an attribute: `less`, `AWS.…` and `Amazon.…` are taken")]
    Reserved,
    /// A key's value is neither a list nor a table.
    #[error("a key has a list of what passes, not {0}")]
    NotAList(&'static str),
    /// A list without elements.
    #[error("the list is empty, so nothing passes")]
    EmptyList,
    /// A table in a filter of attributes.
    #[error("attributes have nothing inside them")]
    Nested,
    /// A list's element is a list.
    #[error("a list holds values and operators, not lists")]
    ListInList,
    /// Not one operator.
    #[error("an operator's table has one key, not {0}")]
    NotOneOperator(usize),
    /// An operator that SNS does not have.
    #[error("there is no operator `{0}`")]
    UnknownOperator(String),
    /// An operator's value has another type.
    #[error("`{operator}` takes {expected}, not {found}")]
    Operand {
        /// The operator.
        operator: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// An operator's text is empty.
    #[error("the text of `{0}` is empty")]
    EmptyText(&'static str),
    /// A form of `numeric` that SNS does not know.
    #[error(
        "`numeric` takes one comparison, or a range that begins with `>` or `>=` and ends with `<` or `<=`"
    )]
    NumericForm,
    /// A range without numbers in it.
    #[error("no number is in this range")]
    NumericEmpty,
    /// A number that SNS does not compare.
    #[error("SNS compares numbers from -1000000000 to 1000000000, not {0}")]
    NumberRange(String),
    /// A number with more digits than count.
    #[error("SNS compares five digits after the point, {0} has more")]
    NumberDigits(String),
    /// No network.
    #[error("`{0}` is no network such as `10.0.0.0/24`")]
    Cidr(String),
    /// A network whose address has bits behind its mask.
    #[error("`{0}` is no network: its address has bits behind the mask")]
    CidrBits(String),
    /// What `anything-but` excepts is of two kinds.
    #[error("`anything-but` takes texts or numbers, not both")]
    MixedExcept,
    /// Something that SNS has not for `anything-but`.
    #[error("SNS has no `anything-but` with `{0}`")]
    Except(String),
    /// Too many `*` in one pattern.
    #[error("the pattern has {0} `*`, SNS takes at most {max}", max = limits::STARS)]
    Stars(usize),
    /// Two `*` side by side.
    #[error("the pattern has two `*` side by side")]
    StarStar,
    /// A backslash in a pattern.
    #[error("the pattern has a `\\`, of which SNS does not say what it means")]
    PatternBackslash,
    /// `$or` that is none.
    #[error("`$or` takes a list of two or more tables")]
    Or,
    /// `$or` with an operator where a key should be.
    #[error("inside `$or` are keys, and `{0}` is an operator")]
    OrOperator(String),
    /// A value or an operator that no attribute passes.
    #[error("attributes are texts, so that {0} never passes")]
    NotAnAttribute(&'static str),
    /// A text that SNS does not find in attributes.
    #[error("SNS does not find a `\"` or a `\\` in attributes")]
    Escape,
}

impl Cause {
    /// The next step, where there is one to name.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty => "delete the table, or say what passes, such as `plan = [\"pro\"]`",
            Self::NotAList("a text" | "a number" | "a truth value") => "put it into `[ ]`",
            Self::TooManyKeys(_) | Self::TooManyCombinations(_) | Self::TooManyWildcards(_) => {
                "ask less, or let the handler look at the rest"
            }
            Self::Nested | Self::NotAnAttribute(_) | Self::Escape => "filter on the body: `[filter.body]`",
            Self::Reserved => {
                "filter on an attribute that `publish` is given, or on the body: `[filter.body]`"
            }
            Self::Cidr(_) => "a single address is `10.0.0.7/32`",
            Self::Except(operator) if operator == "suffix" => {
                "`{ anything-but = { wildcard = \"*.png\" } }` says the same"
            }
            Self::Except(_) => "it takes a value, a list of values, `prefix` or `wildcard`",
            Self::UnknownOperator(found) => {
                return Some(match crate::name::nearest(found, super::read::OPERATORS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are `{}`", super::read::OPERATORS.join("`, `")),
                });
            }
            Self::NumericForm => {
                "such as `{ numeric = [\">=\", 100] }` or `{ numeric = [\">\", 0, \"<=\", 150] }`"
            }
            Self::Or => "such as `\"$or\" = [{ plan = [\"pro\"] }, { seats = [{ numeric = [\">\", 10] }] }]`",
            Self::NoName
            | Self::TooLarge(_)
            | Self::NotAList(_)
            | Self::EmptyList
            | Self::ListInList
            | Self::NotOneOperator(_)
            | Self::Operand { .. }
            | Self::EmptyText(_)
            | Self::NumericEmpty
            | Self::NumberRange(_)
            | Self::NumberDigits(_)
            | Self::CidrBits(_)
            | Self::MixedExcept
            | Self::Stars(_)
            | Self::StarStar
            | Self::PatternBackslash
            | Self::OrOperator(_) => return None,
        };
        Some(hint.to_owned())
    }
}
