//! What has changed between two message types, and whom it breaks.
//!
//! Two questions, for every change. Do old messages (stored, in flight, published by a program that was not built anew) fit the new type? And do
//! those who know the old type (other apps, programs that still run) get along with new messages? A field that a type does not name is nobody's.

use std::collections::HashSet;

use super::{Message, Written};
use crate::name::TopicName;
use crate::shape::{Kind, Node, Shape};

mod alternatives;
mod describe;
mod object;
mod value;

/// A change at one place of a message type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: At,
    pub(super) what: What,
    pub(super) effect: Effect,
}

/// Where: as readers know it, and in both schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct At {
    /// A pointer into messages; `*` is any element of a list or value of a map, `[kind=circle]` one alternative.
    pub(super) shown: String,
    /// A pointer into the lock's schema.
    pub(super) old: String,
    /// A pointer into the new schema; a topic's own file is mostly built alike.
    pub(super) new: String,
    /// The name of the new type that it is in.
    pub(super) owner: String,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A field is gone.
    Removed { required: bool },
    /// A field is new.
    Added { required: bool },
    /// A field that could be missing no longer can.
    Required,
    /// A field that was always there can be missing.
    Optional,
    /// `null` no longer fits.
    NotNull,
    /// `null` fits.
    Nullable,
    /// Other values fit than before.
    Values { before: String, after: String },
    /// One of several alternatives is gone.
    AlternativeRemoved(String),
    /// One of several alternatives is new.
    AlternativeAdded(String),
    /// Fields that the type does not name are refused.
    Closed,
    /// Fields that the type does not name are no longer refused.
    Opened,
}

/// Whom a change breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effect {
    /// An old message may not fit the new type.
    pub(super) stored: bool,
    /// What happens to those who know the old type.
    pub(super) readers: Readers,
}

/// How those who know the old type fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Readers {
    /// They notice nothing.
    Fine,
    /// There are new messages that they can't read, as soon as somebody publishes them.
    New,
    /// What they rely on is no longer promised.
    Broken,
}

/// The changes from one type to another; without a type any JSON fits.
pub(super) fn messages(old: Option<&Message>, new: Option<&Message>, topic: &TopicName) -> Vec<Change> {
    let exact = old.is_some_and(|message| match message.written {
        Written::Rust => true,
        Written::Schema => false,
    });
    walk(old, new, topic, exact, Additions::OfConcern)
}

/// The changes for those who read another app's topic by the old type; what is new is among them, whoever it concerns.
pub(super) fn received(old: Option<&Message>, new: Option<&Message>, topic: &TopicName) -> Vec<Change> {
    walk(old, new, topic, false, Additions::All)
}

fn walk(
    old: Option<&Message>,
    new: Option<&Message>,
    topic: &TopicName,
    exact: bool,
    additions: Additions,
) -> Vec<Change> {
    if let (Some(old), Some(new)) = (old, new)
        && old.schema == new.schema
    {
        return Vec::new();
    }
    let any = Shape::any(&topic.type_name());
    let shape = |message: Option<&'_ Message>| message.map(|message| message.shape.clone());
    let (old, new) = (shape(old).unwrap_or_else(|| any.clone()), shape(new).unwrap_or(any));
    let seen = HashSet::from([(0, 0)]);
    let mut walk = Walk { old: &old, new: &new, exact, additions, seen, out: Vec::new() };
    let at = At { owner: new.root().name.clone(), ..At::default() };
    walk.nodes(&old.root().node, &new.root().node, &at, Null::Compared);
    walk.out
}

/// Which new fields are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Additions {
    /// Those that old messages lack, or that old types refuse.
    OfConcern,
    /// Every one.
    All,
}

struct Walk<'a> {
    old: &'a Shape,
    new: &'a Shape,
    /// Whether a reader's types hold no more than the old bounds.
    exact: bool,
    additions: Additions,
    /// Pairs of types that were compared: types may hold themselves.
    seen: HashSet<(usize, usize)>,
    out: Vec<Change>,
}

/// Whether it matters that `null` fits on one side alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Compared,
    /// Something that says the same has been told.
    Told,
}

impl<'a> Walk<'a> {
    fn tell(&mut self, at: &At, what: What, stored: bool, readers: Readers) {
        self.out.push(Change { at: at.clone(), what, effect: Effect { stored, readers } });
    }

    fn nodes(&mut self, old: &'a Node, new: &'a Node, at: &At, null: Null) {
        let mut at = at.clone();
        let (before, old_type) = followed(self.old, old);
        let (after, new_type) = followed(self.new, new);
        if let Some(index) = old_type {
            at.old = definition(self.old, index);
        }
        if let Some(index) = new_type {
            at.new = definition(self.new, index);
            at.owner.clone_from(&self.new.types[index].name);
        }
        // Any JSON and `null` alone say for themselves whether `null` fits.
        let says = |kind: &Kind| !matches!(kind, Kind::Any | Kind::Null);
        if null == Null::Compared && says(before.kind) && says(after.kind) {
            match (before.nullable, after.nullable) {
                (true, false) => self.tell(&at, What::NotNull, true, Readers::Fine),
                (false, true) => self.tell(&at, What::Nullable, false, Readers::Broken),
                (true, true) | (false, false) => {}
            }
        }
        if let (Some(old), Some(new)) = (old_type, new_type)
            && !self.seen.insert((old, new))
        {
            return;
        }
        self.kinds(before, after, &at);
    }

    fn kinds(&mut self, old: Resolved<'a>, new: Resolved<'a>, at: &At) {
        let shown = |walk: &Self| (walk.old.describe(old.kind), walk.new.describe(new.kind));
        let (stored, readers) = match (old.kind, new.kind) {
            (Kind::Any, Kind::Any) | (Kind::Null, Kind::Null) | (Kind::Boolean, Kind::Boolean) => return,
            (Kind::Array(before), Kind::Array(after)) => {
                let items = at.item("items");
                self.nodes(&before.items, &after.items, &items, Null::Compared);
                value::arrays(before, after, self.exact)
            }
            (Kind::Map(before), Kind::Map(after)) => {
                let values = at.item("additionalProperties");
                return self.nodes(before, after, &values, Null::Compared);
            }
            (Kind::Object(before), Kind::Object(after)) => return self.objects(before, after, at),
            (Kind::Integer(before), Kind::Integer(after)) => value::integers(*before, *after, self.exact),
            (Kind::Integer(before), Kind::Number(after)) => value::loosened(*before, after),
            (Kind::Number(before), Kind::Number(after)) => value::numbers(before, after),
            (Kind::Text(before), Kind::Text(after)) => value::texts(*before, *after, self.exact),
            (Kind::Choice(before), Kind::Text(after)) => value::spelled(before, *after),
            (Kind::Text(before), Kind::Choice(after)) => value::listed(*before, after, self.exact),
            // Whole numbers are numbers; not the other way round.
            (Kind::Number(_), Kind::Integer(_)) => (true, Readers::Fine),
            (before, after) => {
                if self.alternatives(before, after, at) {
                    return;
                }
                match (before, after) {
                    (Kind::Any, _) => (true, Readers::Fine),
                    (_, Kind::Any) => (false, Readers::Broken),
                    (Kind::Null, _) => (!new.nullable, Readers::Broken),
                    (_, Kind::Null) => (true, if old.nullable { Readers::Fine } else { Readers::Broken }),
                    _ => (true, Readers::Broken),
                }
            }
        };
        if stored || readers != Readers::Fine {
            let (before, after) = shown(self);
            self.tell(at, What::Values { before, after }, stored, readers);
        }
    }
}

/// A node, with references followed.
#[derive(Clone, Copy)]
struct Resolved<'a> {
    kind: &'a Kind,
    nullable: bool,
}

/// What a node is, and the last of the named types on the way.
fn followed<'a>(shape: &'a Shape, node: &'a Node) -> (Resolved<'a>, Option<usize>) {
    let (mut node, mut nullable, mut last) = (node, node.nullable, None);
    // No chain of references is longer, see `shape::sound`.
    for _ in 0..=shape.types.len() {
        let Kind::Ref(next) = node.kind else { break };
        node = &shape.types[next].node;
        nullable |= node.nullable;
        last = Some(next);
    }
    (Resolved { kind: &node.kind, nullable }, last)
}

fn definition(shape: &Shape, index: usize) -> String {
    match index {
        0 => String::new(),
        index => format!("/$defs{}", crate::shape::pointer::segment(&shape.types[index].name)),
    }
}

impl At {
    /// The elements of a list, or the values of a map.
    fn item(&self, keyword: &str) -> Self {
        Self {
            shown: format!("{}/*", self.shown),
            old: format!("{}/{keyword}", self.old),
            new: format!("{}/{keyword}", self.new),
            owner: self.owner.clone(),
        }
    }

    /// A field.
    fn field(&self, name: &str) -> Self {
        let segment = crate::shape::pointer::segment(name);
        Self {
            shown: format!("{}{segment}", self.shown),
            old: format!("{}/properties{segment}", self.old),
            new: format!("{}/properties{segment}", self.new),
            owner: self.owner.clone(),
        }
    }

    /// One of several alternatives, at these places of both lists.
    fn alternative(&self, shown: &str, old: usize, new: usize) -> Self {
        Self {
            shown: format!("{}[{shown}]", self.shown),
            old: format!("{}/oneOf/{old}", self.old),
            new: format!("{}/oneOf/{new}", self.new),
            owner: self.owner.clone(),
        }
    }
}
