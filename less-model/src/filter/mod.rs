//! Filters: which of a topic's messages a subscriber gets. The language is that of SNS's filter policies.
//!
//! A policy is read once, by [`Filter::matcher`], with everything in it that SNS would refuse; the [`Matcher`] then judges messages as SNS does.
//! Where AWS's documentation is silent, the table of cases (`tests/filters/cases.json`) says what is done here.

mod candidate;
#[cfg(feature = "cases")]
pub mod cases;
mod limits;
mod number;
mod operator;
mod problem;
mod read;
mod rule;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::candidate::Candidate;
pub use self::problem::{Cause, Problem, Step};
use self::rule::Rule;

/// A subscriber's filter: a policy that SNS takes as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// What the policy looks at.
    pub scope: Scope,
    /// The policy.
    pub policy: Map<String, Value>,
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The message's attributes.
    Attributes,
    /// The message's body.
    Body,
}

impl Scope {
    /// What SNS calls it: the value of a subscription's `FilterPolicyScope`.
    pub fn sns(self) -> &'static str {
        match self {
            Self::Attributes => "MessageAttributes",
            Self::Body => "MessageBody",
        }
    }
}

impl Filter {
    /// The filter, unless something in its policy is wrong: then all of that.
    pub fn read(scope: Scope, policy: Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let filter = Self { scope, policy };
        filter.validate()?;
        Ok(filter)
    }

    /// Everything that SNS would refuse in the policy, and what could never pass.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        self.matcher().map(drop)
    }

    /// What judges messages; `Err` with everything that is wrong with the policy.
    pub fn matcher(&self) -> Result<Matcher, Vec<Problem>> {
        let branches = read::read(self.scope, &self.policy)?;
        Ok(Matcher { scope: self.scope, branches })
    }

    /// Whether a message passes. Nothing passes a policy that [`Filter::validate`] refuses. Who judges many messages keeps a [`Matcher`].
    pub fn matches(&self, body: &[u8], attributes: &BTreeMap<String, String>) -> bool {
        self.matcher().is_ok_and(|matcher| matcher.passes(&Candidate::new(body, attributes)))
    }
}

/// A filter that is ready to judge messages.
#[derive(Debug, Clone)]
pub struct Matcher {
    scope: Scope,
    /// A message passes that passes one of them.
    branches: Vec<Branch>,
}

/// Keys and the rules of each, all of which hold: of a key's rules one has to.
type Branch = Vec<(String, Vec<Rule>)>;

impl Matcher {
    /// Whether a message passes.
    pub fn passes(&self, candidate: &Candidate) -> bool {
        let keys = self.branches.iter().flatten().map(|(key, _)| key.as_str());
        let Some(values) = candidate.values(self.scope, keys) else { return false };
        self.branches.iter().any(|branch| {
            branch.iter().all(|(key, rules)| {
                let found = values.found(key);
                rules.iter().any(|rule| match rule {
                    Rule::Exists(true) => found.iter().any(|value| !value.is_empty()),
                    // SNS misses nothing in a message without any attributes, but ours have Less's own.
                    Rule::Exists(false) => found.is_empty(),
                    Rule::Operator(operator) => found.iter().any(|value| operator.passes(value)),
                })
            })
        })
    }
}
