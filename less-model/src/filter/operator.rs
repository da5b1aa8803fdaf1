//! What a value may be asked.

use std::net::IpAddr;

use super::candidate::Leaf;
use super::number::Fixed;

/// A question to one value.
#[derive(Debug, Clone)]
pub(super) enum Operator {
    Is(Literal),
    Prefix(String),
    Suffix(String),
    Wildcard(Wildcard),
    /// In lower case.
    EqualsIgnoreCase(String),
    Numeric(Vec<(Comparison, Fixed)>),
    Cidr(Cidr),
    AnythingBut(Except),
}

/// A value that is written out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(Fixed),
    Bool(bool),
    Null,
}

/// What `anything-but` excepts.
#[derive(Debug, Clone)]
pub(super) enum Except {
    Literals(Vec<Literal>),
    Prefix(String),
    Wildcard(Wildcard),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    pub(super) const ALL: [Self; 5] = [Self::Equal, Self::Less, Self::AtMost, Self::Greater, Self::AtLeast];

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    fn holds(self, value: Fixed, bound: Fixed) -> bool {
        match self {
            Self::Equal => value == bound,
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::Greater => value > bound,
            Self::AtLeast => value >= bound,
        }
    }
}

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cidr {
    pub(super) network: IpAddr,
    pub(super) bits: u32,
}

impl Cidr {
    /// The bits of an address that count, of these two families only where they are of the same.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                network.to_bits() == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                network.to_bits() == address.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// A pattern with `*`: the texts between them.
#[derive(Debug, Clone)]
pub(super) struct Wildcard(pub(super) Vec<String>);

impl Wildcard {
    fn matches(&self, text: &str) -> bool {
        let [first, between @ .., last] = self.0.as_slice() else {
            return self.0.first().is_none_or(|whole| whole == text);
        };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        // The leftmost place is always as good as any later one.
        for part in between {
            let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
            rest = after;
        }
        true
    }
}

impl Operator {
    pub(super) fn passes(&self, value: &Leaf) -> bool {
        let text = |test: &dyn Fn(&str) -> bool| match value {
            Leaf::Text(text) => test(text),
            Leaf::Number(_) | Leaf::Bool(_) | Leaf::Null => false,
        };
        match self {
            Self::Is(literal) => literal.is(value),
            Self::Prefix(prefix) => text(&|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text(&|text| text.ends_with(suffix)),
            Self::Wildcard(pattern) => text(&|text| pattern.matches(text)),
            Self::EqualsIgnoreCase(wanted) => text(&|text| text.to_lowercase() == *wanted),
            Self::Numeric(bounds) => match value {
                Leaf::Number(Some(number)) => bounds.iter().all(|(sign, bound)| sign.holds(*number, *bound)),
                Leaf::Number(None) | Leaf::Text(_) | Leaf::Bool(_) | Leaf::Null => false,
            },
            Self::Cidr(network) => text(&|text| text.parse().is_ok_and(|address| network.contains(address))),
            Self::AnythingBut(_) if matches!(value, Leaf::Null) => false,
            Self::AnythingBut(except) => match except {
                Except::Literals(literals) => !literals.iter().any(|literal| literal.is(value)),
                Except::Prefix(prefix) => !text(&|text| text.starts_with(prefix)),
                Except::Wildcard(pattern) => !text(&|text| pattern.matches(text)),
            },
        }
    }
}

impl Literal {
    fn is(&self, value: &Leaf) -> bool {
        match (self, value) {
            (Self::Text(wanted), Leaf::Text(text)) => wanted == text,
            (Self::Number(wanted), Leaf::Number(number)) => Some(*wanted) == *number,
            (Self::Bool(wanted), Leaf::Bool(truth)) => wanted == truth,
            (Self::Null, Leaf::Null) => true,
            (Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Null, _) => false,
        }
    }
}
