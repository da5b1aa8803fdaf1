//! A shape without what its author says about it.

use super::{Kind, Node, Object, Shape};

impl Shape {
    /// The same type without documentation, and without names that no other type refers to.
    pub(crate) fn bare(mut self) -> Self {
        self.types.iter_mut().for_each(|named| node(&mut named.node));
        self
    }
}

fn node(this: &mut Node) {
    this.docs = None;
    match &mut this.kind {
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Integer(_)
        | Kind::Number(_)
        | Kind::Text(_)
        | Kind::Choice(_)
        | Kind::Ref(_) => {}
        Kind::Array(array) => node(&mut array.items),
        Kind::Map(values) => node(values),
        Kind::Object(inner) => object(inner),
        Kind::Union(union) => {
            for variant in &mut union.variants {
                (variant.docs, variant.name) = (None, None);
                object(&mut variant.object);
            }
        }
        Kind::External(all) => {
            for one in all {
                one.docs = None;
                one.content.iter_mut().for_each(node);
            }
        }
    }
}

fn object(this: &mut Object) {
    this.properties.iter_mut().for_each(|property| node(&mut property.node));
}
