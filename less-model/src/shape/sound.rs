//! What no single place of a schema shows: types that hold nothing but themselves.

use super::read::Problem;
use super::{Kind, Node, Shape};

impl Shape {
    /// The types that no value, or no finite one, can have. `places` says where each type is written.
    pub(super) fn unsound(&self, places: &[String]) -> Vec<Problem> {
        let ranks = self.ranks();
        let problem = |at: usize, message: String| Problem {
            pointer: places.get(at).cloned().unwrap_or_default(),
            message,
            hint: "make what leads back to it optional, nullable or a list".to_owned(),
        };
        (0..self.types.len())
            .filter_map(|at| {
                let name = &self.types[at].name;
                if self.is_circle(at) {
                    Some(problem(at, format!("`{name}` is nothing but a reference to itself")))
                } else if ranks[at].is_none() {
                    Some(problem(at, format!("a value of `{name}` would never end")))
                } else {
                    None
                }
            })
            .collect()
    }

    /// Whether following references from here comes back.
    fn is_circle(&self, start: usize) -> bool {
        let mut at = start;
        for _ in 0..=self.types.len() {
            let Kind::Ref(next) = self.types[at].node.kind else { return false };
            at = next;
        }
        true
    }

    /// For each type when a value of it can be finished, counted from those that need no other; `None` for what never ends.
    pub(super) fn ranks(&self) -> Vec<Option<usize>> {
        let mut ranks: Vec<Option<usize>> = vec![None; self.types.len()];
        let mut known = 0;
        loop {
            let before = known;
            // What is referred to mostly comes later.
            for at in (0..self.types.len()).rev() {
                if ranks[at].is_none() && ends(&self.types[at].node, &ranks) {
                    ranks[at] = Some(known);
                    known += 1;
                }
            }
            if known == before {
                return ranks;
            }
        }
    }
}

/// Whether a value can be finished with what can be finished so far.
pub(super) fn ends(node: &Node, ranks: &[Option<usize>]) -> bool {
    if node.nullable {
        return true;
    }
    let object = |object: &super::Object| {
        object.properties.iter().all(|property| !property.required || ends(&property.node, ranks))
    };
    match &node.kind {
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Integer(_)
        | Kind::Number(_)
        | Kind::Text(_)
        | Kind::Choice(_)
        | Kind::Map(_) => true,
        Kind::Array(array) => array.min_items == 0 || ends(&array.items, ranks),
        Kind::Object(inner) => object(inner),
        Kind::Union(union) => union.variants.iter().any(|variant| object(&variant.object)),
        Kind::External(all) => {
            all.iter().any(|one| one.content.as_ref().is_none_or(|node| ends(node, ranks)))
        }
        Kind::Ref(at) => ranks[*at].is_some(),
    }
}
