//! One of several: words, objects with a tag, words and objects with one key.

use std::borrow::Cow;

use super::object::find;
use super::{At, Null, Readers, Walk, What};
use crate::shape::{Kind, Node, Object, Property, Union, Variant};

impl<'a> Walk<'a> {
    /// Compares what are both one of several alternatives of the same sort; `false` where they are not.
    pub(super) fn alternatives(&mut self, old: &'a Kind, new: &'a Kind, at: &At) -> bool {
        if let (Some(before), Some(after)) = (words(old), words(new)) {
            self.external(&before, &after, at);
            return true;
        }
        let (before, after) = match (old, new) {
            (Kind::Union(before), Kind::Union(after)) => (before.clone(), after.clone()),
            // A union of one is printed, and read, as the object that it is.
            (Kind::Union(before), Kind::Object(after)) => match union_of(after, &before.tag) {
                Some(after) => (before.clone(), after),
                None => return false,
            },
            (Kind::Object(before), Kind::Union(after)) => match union_of(before, &after.tag) {
                Some(before) => (before, after.clone()),
                None => return false,
            },
            _ => return false,
        };
        if before.tag != after.tag {
            return false;
        }
        self.unions(&before, &after, at);
        true
    }

    fn external(&mut self, old: &[Word<'a>], new: &[Word<'a>], at: &At) {
        for (index, (value, before)) in old.iter().enumerate() {
            match new.iter().position(|(other, _)| other == value) {
                None => self.tell(at, What::AlternativeRemoved(value.to_string()), true, Readers::Fine),
                Some(place) => match (before, new[place].1) {
                    (None, None) => {}
                    (Some(before), Some(after)) => {
                        let inner = at.alternative(value, index, place).field(value);
                        let inner = At {
                            shown: format!("{}{}", at.shown, crate::shape::pointer::segment(value)),
                            ..inner
                        };
                        self.nodes(before, after, &inner, Null::Compared);
                    }
                    (Some(_), None) | (None, Some(_)) => {
                        self.tell(at, What::AlternativeRemoved(value.to_string()), true, Readers::Broken);
                    }
                },
            }
        }
        for (value, _) in new.iter().filter(|(value, _)| old.iter().all(|(other, _)| other != value)) {
            self.tell(at, What::AlternativeAdded(value.to_string()), false, Readers::New);
        }
    }

    fn unions(&mut self, old: &Union, new: &Union, at: &At) {
        let shown = |value: &str| format!("{}={value}", old.tag);
        for (index, before) in old.variants.iter().enumerate() {
            let place = new.variants.iter().position(|after| after.value == before.value);
            let Some(place) = place else {
                self.tell(at, What::AlternativeRemoved(before.value.clone()), true, Readers::Fine);
                continue;
            };
            let at = at.alternative(&shown(&before.value), index, place);
            // Compared with the shapes of this walk, though the objects may have been made here.
            let (before, after) = (before.object.clone(), new.variants[place].object.clone());
            let mut inner = Walk {
                old: self.old,
                new: self.new,
                exact: self.exact,
                additions: self.additions,
                seen: std::mem::take(&mut self.seen),
                out: Vec::new(),
            };
            inner.objects(&before, &after, &at);
            let (seen, out) = (inner.seen, inner.out);
            self.seen = seen;
            self.out.extend(out);
        }
        for after in &new.variants {
            if old.variants.iter().all(|before| before.value != after.value) {
                self.tell(at, What::AlternativeAdded(after.value.clone()), false, Readers::New);
            }
        }
    }
}

/// An alternative's word, and what stands behind it as key.
type Word<'a> = (Cow<'a, str>, Option<&'a Node>);

fn words(kind: &Kind) -> Option<Vec<Word<'_>>> {
    match kind {
        Kind::Choice(all) => Some(all.iter().map(|word| (Cow::from(word), None)).collect()),
        Kind::External(all) => {
            Some(all.iter().map(|one| (Cow::from(&one.value), one.content.as_ref())).collect())
        }
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Integer(_)
        | Kind::Number(_)
        | Kind::Text(_)
        | Kind::Array(_)
        | Kind::Map(_)
        | Kind::Object(_)
        | Kind::Union(_)
        | Kind::Ref(_) => None,
    }
}

/// The object as a union of one, where it has such a tag.
fn union_of(object: &Object, tag: &str) -> Option<Union> {
    let Property { required: true, node: Node { kind: Kind::Choice(values), nullable: false, .. }, .. } =
        find(object, tag)?
    else {
        return None;
    };
    let [value] = &values[..] else { return None };
    let mut rest = object.clone();
    rest.properties.retain(|property| property.name != tag);
    let variant = Variant { value: value.clone(), name: None, docs: None, object: rest };
    Some(Union { tag: tag.to_owned(), variants: vec![variant] })
}
