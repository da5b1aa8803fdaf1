//! Message types, whatever they were written in: a subset of JSON Schema that every language has types for.
//!
//! A [`Shape`] comes from a `message.schema.json` or from a `message.rs`. It checks messages, prints itself as JSON Schema, and is what the types
//! of other languages are printed from.

use serde_json::Number;

#[cfg(feature = "parse")]
mod bare;
mod check;
mod format;
mod lenient;
pub(crate) mod pointer;
mod read;
#[cfg(feature = "parse")]
mod rust;
mod sample;
mod schema;
mod sound;
#[cfg(feature = "parse")]
mod span;
mod strict;
#[cfg(test)]
mod tests;

pub use self::check::Misfit;
pub use self::format::Format;
pub use self::read::Problem;
#[cfg(feature = "parse")]
pub(crate) use self::span::span_of;
pub use self::strict::Refusal;

/// A message's type, with the types that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The message's own type first, then those that [`Kind::Ref`] points to. Never empty; names differ.
    pub types: Vec<Named>,
}

/// A type with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name, which can be any text.
    pub name: String,
    /// The type.
    pub node: Node,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What its author says about it.
    pub docs: Option<String>,
    /// Whether `null` fits as well.
    pub nullable: bool,
    /// What fits.
    pub kind: Kind,
}

/// What fits a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Any JSON.
    Any,
    /// Nothing but `null`.
    Null,
    /// `true` and `false`.
    Boolean,
    /// Whole numbers written without fraction and exponent.
    Integer(Integer),
    /// Numbers.
    Number(Bounds),
    /// Strings.
    Text(Text),
    /// One of these strings, each once.
    Choice(Vec<String>),
    /// A list.
    Array(Array),
    /// An object with any keys, whose values are all of one type.
    Map(Box<Node>),
    /// An object with these properties.
    Object(Object),
    /// One of several objects, told apart by the string in one property.
    Union(Union),
    /// One of several: a plain string, or an object with that string as its only key.
    External(Vec<Alternative>),
    /// The type at this place in [`Shape::types`].
    Ref(usize),
}

/// Whole numbers from `min` to `max`: within an `i64`, or within a `u64` where `min` is 0 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// The least one.
    pub min: i128,
    /// The greatest one.
    pub max: i128,
}

/// Bounds of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The lower one.
    pub min: Option<Bound>,
    /// The upper one.
    pub max: Option<Bound>,
}

/// One bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The number.
    pub value: Number,
    /// Whether the number itself does not fit.
    pub exclusive: bool,
}

/// Strings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Text {
    /// Fewest characters.
    pub min_length: u64,
    /// Most characters.
    pub max_length: Option<u64>,
    /// What it has to look like.
    pub format: Option<Format>,
}

/// Lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// What each element is.
    pub items: Box<Node>,
    /// Fewest elements.
    pub min_items: u64,
    /// Most elements.
    pub max_items: Option<u64>,
}

/// Objects with known properties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Its properties; names differ.
    pub properties: Vec<Property>,
    /// Whether other properties may be there, which no type shows.
    pub open: bool,
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name, which can be any text.
    pub name: String,
    /// Whether it has to be there.
    pub required: bool,
    /// Its type.
    pub node: Node,
}

/// Objects told apart by a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Union {
    /// The property that tells.
    pub tag: String,
    /// The objects; their values differ.
    pub variants: Vec<Variant>,
}

/// One object of a union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// What the union's tag holds.
    pub value: String,
    /// The name of the type that it was written as, where it had one.
    pub name: Option<String>,
    /// What its author says about it.
    pub docs: Option<String>,
    /// The object, without the tag.
    pub object: Object,
}

/// One of an externally tagged enum's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// The string.
    pub value: String,
    /// What its author says about it.
    pub docs: Option<String>,
    /// What stands behind the string as key; without it the string stands for itself.
    pub content: Option<Node>,
}

impl Shape {
    /// Any JSON, called `name`.
    pub fn any(name: &str) -> Self {
        Self { types: vec![Named { name: name.to_owned(), node: Node::any() }] }
    }

    /// The message's own type.
    pub fn root(&self) -> &Named {
        &self.types[0]
    }
}

impl Node {
    /// A type without a word about it.
    pub fn new(kind: Kind) -> Self {
        Self { docs: None, nullable: false, kind }
    }

    /// Any JSON.
    pub fn any() -> Self {
        Self::new(Kind::Any)
    }

    /// The same, or `null`.
    #[must_use]
    pub fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }
}

impl Integer {
    /// What fits without any bound.
    pub const ALL: Self = Self { min: i64::MIN as i128, max: i64::MAX as i128 };

    /// The greatest number that fits beside this least one.
    pub(crate) fn greatest(min: i128) -> i128 {
        if min < 0 { i64::MAX.into() } else { u64::MAX.into() }
    }
}
