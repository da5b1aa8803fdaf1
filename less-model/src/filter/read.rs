//! Reads a policy. Total: whatever is in it, it yields rules or everything that is wrong.

use std::net::IpAddr;

use serde_json::{Map, Number, Value};

use super::number::Fixed;
use super::operator::{Cidr, Comparison, Except, Literal, Operator, Wildcard};
use super::problem::{Cause, Problem, Step};
use super::{Branch, Rule, Scope, limits};
use crate::name::is_reserved_attribute;

/// SNS's operators.
pub(super) const OPERATORS: [&str; 8] =
    ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];

/// The policy's branches: a message passes that passes all of one.
pub(super) fn read(scope: Scope, policy: &Map<String, Value>) -> Result<Vec<Branch>, Vec<Problem>> {
    let mut problems: Vec<Problem> =
        limits::check(policy).into_iter().map(|cause| Problem { path: Vec::new(), cause }).collect();
    // What is too much is not multiplied out.
    let fits = problems.is_empty();
    let mut reader = Reader { scope, path: Vec::new(), problems: Vec::new() };
    if policy.is_empty() {
        reader.problem(Cause::Empty);
    }
    let branches = reader.branches(policy, "", fits);
    problems.append(&mut reader.problems);
    if problems.is_empty() { Ok(branches) } else { Err(problems) }
}

struct Reader {
    scope: Scope,
    path: Vec<Step>,
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, cause: Cause) {
        self.problems.push(Problem { path: self.path.clone(), cause });
    }

    fn at<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let out = read(self);
        self.path.pop();
        out
    }

    fn branches(&mut self, policy: &Map<String, Value>, prefix: &str, fits: bool) -> Vec<Branch> {
        let mut out = vec![Branch::new()];
        for (key, value) in policy {
            let more = self.at(Step::Key(key.clone()), |reader| reader.key(key, value, prefix, fits));
            if !fits {
                continue;
            }
            // Whoever passes both passes the two put together.
            let both = |branch: &Branch| {
                more.iter().map(|more| branch.iter().chain(more).cloned().collect()).collect::<Vec<Branch>>()
            };
            out = out.iter().flat_map(both).collect();
        }
        out
    }

    fn key(&mut self, key: &str, value: &Value, prefix: &str, fits: bool) -> Vec<Branch> {
        if key == "$or" {
            return self.or(value, prefix, fits);
        }
        if key.is_empty() {
            self.problem(Cause::NoName);
        }
        if self.scope == Scope::Attributes && is_reserved_attribute(key) {
            self.problem(Cause::Reserved);
        }
        let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(_) if self.scope == Scope::Attributes => {
                self.problem(Cause::Nested);
                Vec::new()
            }
            Value::Object(inner) if inner.is_empty() => {
                self.problem(Cause::Empty);
                Vec::new()
            }
            Value::Object(inner) => self.branches(inner, &path, fits),
            Value::Array(items) => {
                if items.is_empty() {
                    self.problem(Cause::EmptyList);
                }
                let rules = (0..)
                    .zip(items)
                    .filter_map(|(index, item)| self.at(Step::Index(index), |reader| reader.rule(item)));
                let rules = rules.collect();
                vec![vec![(path, rules)]]
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.problem(Cause::NotAList(kind(value)));
                Vec::new()
            }
        }
    }

    /// SNS takes what is no operator for a key called `$or`; who writes that means the operator.
    fn or(&mut self, value: &Value, prefix: &str, fits: bool) -> Vec<Branch> {
        let items = value.as_array().map_or(&[][..], Vec::as_slice);
        if items.len() < 2 || !items.iter().all(Value::is_object) {
            self.problem(Cause::Or);
            return Vec::new();
        }
        let mut out = Vec::new();
        for (index, object) in (0..).zip(items.iter().filter_map(Value::as_object)) {
            self.at(Step::Index(index), |reader| {
                if object.is_empty() {
                    reader.problem(Cause::Empty);
                }
                if let Some(operator) = object.keys().find(|key| OPERATORS.contains(&key.as_str())) {
                    reader.problem(Cause::OrOperator(operator.clone()));
                } else {
                    out.append(&mut reader.branches(object, prefix, fits));
                }
            });
        }
        out
    }

    fn rule(&mut self, value: &Value) -> Option<Rule> {
        match value {
            Value::Array(_) => {
                self.problem(Cause::ListInList);
                None
            }
            Value::Object(operators) => {
                let mut entries = operators.iter();
                let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
                    self.problem(Cause::NotOneOperator(operators.len()));
                    return None;
                };
                self.at(Step::Key(name.clone()), |reader| reader.operator(name, operand))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Some(Rule::Operator(Operator::Is(self.literal(value)?)))
            }
        }
    }

    fn operator(&mut self, name: &str, operand: &Value) -> Option<Rule> {
        let operator = match name {
            "exists" => match operand {
                Value::Bool(truth) => return Some(Rule::Exists(*truth)),
                other => return self.operand("exists", "`true` or `false`", other),
            },
            "prefix" => Operator::Prefix(self.text("prefix", operand)?),
            "suffix" => Operator::Suffix(self.text("suffix", operand)?),
            "wildcard" => Operator::Wildcard(self.wildcard(operand)?),
            "equals-ignore-case" => {
                Operator::EqualsIgnoreCase(self.text("equals-ignore-case", operand)?.to_lowercase())
            }
            "numeric" => self.numeric(operand)?,
            "cidr" => Operator::Cidr(self.cidr(operand)?),
            "anything-but" => Operator::AnythingBut(self.except(operand)?),
            other => {
                self.problem(Cause::UnknownOperator(other.to_owned()));
                return None;
            }
        };
        Some(Rule::Operator(operator))
    }

    fn operand<T>(&mut self, operator: &'static str, expected: &'static str, found: &Value) -> Option<T> {
        self.problem(Cause::Operand { operator, expected, found: kind(found) });
        None
    }

    fn text(&mut self, operator: &'static str, operand: &Value) -> Option<String> {
        let Value::String(text) = operand else { return self.operand(operator, "a text", operand) };
        if text.is_empty() {
            self.problem(Cause::EmptyText(operator));
            return None;
        }
        self.plain(text)
    }

    /// The text, unless it is one that SNS does not find in attributes.
    fn plain(&mut self, text: &str) -> Option<String> {
        if self.scope == Scope::Attributes && text.contains(['"', '\\']) {
            self.problem(Cause::Escape);
            return None;
        }
        Some(text.to_owned())
    }

    fn literal(&mut self, value: &Value) -> Option<Literal> {
        let never = match value {
            Value::String(text) => return self.plain(text).map(Literal::Text),
            Value::Number(_) => "a number",
            Value::Bool(_) => "a truth value",
            Value::Null => "`null`",
            Value::Array(_) | Value::Object(_) => return None,
        };
        if self.scope == Scope::Attributes {
            self.problem(Cause::NotAnAttribute(never));
            return None;
        }
        match value {
            Value::Number(number) => self.number(number).map(Literal::Number),
            Value::Bool(truth) => Some(Literal::Bool(*truth)),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => Some(Literal::Null),
        }
    }

    fn number(&mut self, number: &Number) -> Option<Fixed> {
        let Some(fixed) = Fixed::of(number) else {
            self.problem(Cause::NumberRange(number.to_string()));
            return None;
        };
        if Fixed::cuts(number) {
            self.problem(Cause::NumberDigits(number.to_string()));
            return None;
        }
        Some(fixed)
    }

    fn wildcard(&mut self, operand: &Value) -> Option<Wildcard> {
        let text = self.text("wildcard", operand)?;
        let stars = text.matches('*').count();
        let cause = if stars > limits::STARS {
            Cause::Stars(stars)
        } else if text.contains("**") {
            Cause::StarStar
        } else if text.contains('\\') {
            Cause::PatternBackslash
        } else {
            return Some(Wildcard(text.split('*').map(str::to_owned).collect()));
        };
        self.problem(cause);
        None
    }

    fn numeric(&mut self, operand: &Value) -> Option<Operator> {
        if self.scope == Scope::Attributes {
            self.problem(Cause::NotAnAttribute("`numeric`"));
            return None;
        }
        let Value::Array(items) = operand else { return self.operand("numeric", "a list", operand) };
        let mut bounds = Vec::new();
        for pair in items.chunks(2) {
            let [Value::String(sign), Value::Number(number)] = pair else {
                self.problem(Cause::NumericForm);
                return None;
            };
            let Some(sign) = Comparison::ALL.into_iter().find(|known| known.sign() == sign) else {
                self.problem(Cause::NumericForm);
                return None;
            };
            bounds.push((sign, self.number(number)?));
        }
        match bounds.as_slice() {
            [_] => {}
            [
                (Comparison::Greater | Comparison::AtLeast, from),
                (Comparison::Less | Comparison::AtMost, to),
            ] => {
                if from >= to {
                    self.problem(Cause::NumericEmpty);
                    return None;
                }
            }
            _ => {
                self.problem(Cause::NumericForm);
                return None;
            }
        }
        Some(Operator::Numeric(bounds))
    }

    fn cidr(&mut self, operand: &Value) -> Option<Cidr> {
        let text = self.text("cidr", operand)?;
        let read = || {
            let (address, bits) = text.split_once('/')?;
            let network: IpAddr = address.parse().ok()?;
            let most = if network.is_ipv4() { 32 } else { 128 };
            // `parse` takes a sign.
            let digits = bits.bytes().all(|byte| byte.is_ascii_digit());
            let bits = bits.parse().ok().filter(|bits| digits && *bits <= most)?;
            Some(Cidr { network, bits })
        };
        let Some(cidr) = read() else {
            self.problem(Cause::Cidr(text));
            return None;
        };
        if !cidr.contains(cidr.network) {
            self.problem(Cause::CidrBits(text));
            return None;
        }
        Some(cidr)
    }

    fn except(&mut self, operand: &Value) -> Option<Except> {
        match operand {
            Value::Object(operators) => {
                let mut entries = operators.iter();
                let (Some((name, operand)), None) = (entries.next(), entries.next()) else {
                    self.problem(Cause::NotOneOperator(operators.len()));
                    return None;
                };
                self.at(Step::Key(name.clone()), |reader| match name.as_str() {
                    "prefix" => reader.text("prefix", operand).map(Except::Prefix),
                    "wildcard" => reader.wildcard(operand).map(Except::Wildcard),
                    other => {
                        reader.problem(Cause::Except(other.to_owned()));
                        None
                    }
                })
            }
            Value::Array(items) => {
                if items.is_empty() {
                    self.problem(Cause::EmptyList);
                    return None;
                }
                if items.iter().any(Value::is_string) && items.iter().any(Value::is_number) {
                    self.problem(Cause::MixedExcept);
                    return None;
                }
                let literals = (0..)
                    .zip(items)
                    .map(|(index, item)| self.at(Step::Index(index), |reader| reader.excepted(item)));
                let literals: Vec<Option<Literal>> = literals.collect();
                literals.into_iter().collect::<Option<_>>().map(Except::Literals)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Some(Except::Literals(vec![self.excepted(operand)?]))
            }
        }
    }

    /// SNS excepts texts and numbers.
    fn excepted(&mut self, value: &Value) -> Option<Literal> {
        match value {
            Value::String(_) | Value::Number(_) => self.literal(value),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                self.operand("anything-but", "texts or numbers", value)
            }
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "`null`",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
