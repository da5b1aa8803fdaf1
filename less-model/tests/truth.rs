//! What is read off a `message.rs` is true: whatever serde writes for its type fits.
#![cfg(feature = "parse")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use less_model::scan::scan;
use less_model::shape::{Kind, Shape};
use less_model::source::SourceTree;
use serde::Serialize;
use serde_json::Value;

/// The shape of type `A` in a source.
fn shape(source: &str) -> Shape {
    let tree = SourceTree::fixture(&format!("//- less/topics/a/message.rs\n{source}\n"));
    scan(&tree, "shop").0.topics[0].message.shape().unwrap().clone()
}

/// Checks that all values fit, that what is missing or wrong does not, and that the shape is one that JSON Schema can say.
fn check<T: Serialize>(source: &str, values: &[T]) {
    let shape = shape(source);
    assert_ne!(shape.root().node.kind, Kind::Any, "nothing was read off\n{source}");
    for value in values {
        let value = serde_json::to_value(value).unwrap();
        assert_eq!(shape.check(&value), Ok(()), "{value}\n{source}");
    }
    assert!(shape.check(&Value::Array(vec![Value::Bool(true); 77])).is_err(), "{source}");
    let printed = shape.to_schema();
    if matches!(shape.root().node.kind, Kind::Object(_) | Kind::Union(_) | Kind::External(_)) {
        let again =
            Shape::read(&printed, "A").unwrap_or_else(|problems| panic!("{printed:#}\n{problems:#?}"));
        assert_eq!(again.to_schema(), printed);
    }
}

/// A test of the types in braces, whose `A` has these values.
macro_rules! truth {
    ($(#[$doc:meta])* $name:ident { $($item:item)* } [$($value:expr),* $(,)?]) => {
        mod $name {
            #![allow(dead_code, nonstandard_style, private_interfaces, unreachable_pub, unused_imports, clippy::all, clippy::pedantic, reason = "as strange as a user's")]
            use std::borrow::Cow;
            use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
            use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
            use std::num::NonZeroU8;
            use std::time::Duration;

            use serde::{Deserialize, Serialize};

            $($item)*

            #[test]
            fn what_serde_writes_fits() {
                let imports = "use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque}; use std::borrow::Cow;
                    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr}; use std::num::NonZeroU8; use std::time::Duration;";
                let source = [imports, $(stringify!($item)),*].join("\n");
                super::check::<A>(&source, &[$($value),*]);
            }
        }
    };
}

truth!(plain {
    #[derive(Serialize, Deserialize)]
    pub struct A {
        a: u8,
        b: i64,
        c: u64,
        d: f64,
        e: String,
        f: char,
        g: bool,
        h: (),
        i: (u8, String),
        j: [u8; 3],
        k: Option<u8>,
        l: Vec<Option<String>>,
        m: HashMap<String, Vec<u8>>,
        n: BTreeMap<u32, bool>,
        o: BTreeSet<i8>,
        p: Box<str>,
        q: Cow<'static, str>,
        r: IpAddr,
        s: Ipv4Addr,
        t: Ipv6Addr,
        u: NonZeroU8,
        v: Duration,
        w: serde_json::Value,
        x: serde_json::Map<String, serde_json::Value>,
        y: std::path::PathBuf,
        z: Result<u8, String>,
        aa: u128,
        bb: std::num::Wrapping<i16>,
        cc: VecDeque<(u8,)>,
        r#type: usize,
    }
} [A {
    a: 255, b: i64::MIN, c: u64::MAX, d: -1e300, e: "\u{0}".into(), f: 'é', g: false, h: (), i: (1, "x".into()), j: [1, 2, 3], k: None,
    l: vec![None, Some(String::new())], m: HashMap::from([(String::new(), vec![1])]), n: BTreeMap::from([(7, true)]), o: BTreeSet::from([-128]),
    p: "x".into(), q: "y".into(), r: "::1".parse().unwrap(), s: Ipv4Addr::LOCALHOST, t: Ipv6Addr::UNSPECIFIED, u: NonZeroU8::MAX,
    v: Duration::from_millis(1), w: serde_json::json!([null]), x: serde_json::Map::new(), y: "/x".into(), z: Err("x".into()), aa: 7,
    bb: std::num::Wrapping(-1), cc: VecDeque::from([(1,)]), r#type: 0,
}]);

truth!(renamed {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "SCREAMING-KEBAB-CASE", deny_unknown_fields)]
    pub struct A {
        user_id: u8,
        #[serde(rename = "the name")]
        name: Inner,
        #[serde(skip)]
        hidden: u8,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        gone: Option<u8>,
        #[serde(skip_serializing)]
        unwritten: u8,
        #[serde(serialize_with = "as_text")]
        odd: u8,
    }
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inner { first_name: String, a__b: u8, __c: u8, x1_y: u8 }
    fn as_text<S: serde::Serializer>(value: &u8, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.to_string())
    }
} [A { user_id: 1, name: Inner { first_name: "x".into(), a__b: 1, __c: 2, x1_y: 3 }, hidden: 1, gone: None, unwritten: 1, odd: 2 }]);

truth!(camel {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct A { user_id: u8, _x: u8, a__b: u8, x1_y: u8, ab: u8, e: E }
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum E { HTTPServer, X1Y, Plain }
} [
    A { user_id: 1, _x: 1, a__b: 1, x1_y: 1, ab: 1, e: E::HTTPServer },
    A { user_id: 1, _x: 1, a__b: 1, x1_y: 1, ab: 1, e: E::X1Y },
]);

truth!(external {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
    pub enum A {
        Unit,
        NewType(B),
        Tuple(u8, bool),
        AStruct { some_field: Option<Box<A>> },
        #[serde(rename = "other", rename_all = "UPPERCASE")]
        Renamed { some_field: u8 },
        Nothing(),
        Empty {},
        Maybe(Option<u8>),
    }
    #[derive(Serialize, Deserialize)]
    struct B(Vec<B>);
} [
    A::Unit, A::NewType(B(vec![B(vec![])])), A::Tuple(1, true), A::AStruct { some_field: Some(Box::new(A::Unit)) }, A::Renamed { some_field: 1 },
    A::Nothing(), A::Empty {}, A::Maybe(None),
]);

truth!(internal {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    pub enum A {
        Unit,
        Known(B),
        Map(HashMap<String, u8>),
        AStruct { a: u8, next: Option<Box<A>> },
        Other(Box<A2>),
    }
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct B { b: u8 }
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "second")]
    enum A2 { X, Y { y: u8 } }
} [
    A::Unit, A::Known(B { b: 1 }), A::Map(HashMap::from([("x".into(), 1)])), A::AStruct { a: 1, next: Some(Box::new(A::Unit)) },
    A::Other(Box::new(A2::Y { y: 1 })),
]);

truth!(adjacent {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    pub enum A { Unit, NewType(u8), Tuple(u8, u8), AStruct { a: u8 }, Maybe(Option<u8>) }
} [A::Unit, A::NewType(1), A::Tuple(1, 2), A::AStruct { a: 1 }, A::Maybe(None), A::Maybe(Some(1))]);

truth!(flattened {
    #[derive(Serialize, Deserialize)]
    pub struct A {
        #[serde(flatten)]
        b: B,
        #[serde(flatten)]
        c: Option<C>,
        #[serde(flatten)]
        e: E,
        #[serde(flatten)]
        rest: HashMap<String, serde_json::Value>,
    }
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct B { b: u8, #[serde(flatten)] deeper: D }
    #[derive(Serialize, Deserialize)]
    struct C { c: u8 }
    #[derive(Serialize, Deserialize)]
    struct D { d: u8 }
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "e")]
    enum E { X { x: u8 } }
} [
    A { b: B { b: 1, deeper: D { d: 1 } }, c: None, e: E::X { x: 1 }, rest: HashMap::new() },
    A { b: B { b: 1, deeper: D { d: 1 } }, c: Some(C { c: 1 }), e: E::X { x: 1 }, rest: HashMap::from([("z".into(), serde_json::json!(1))]) },
]);

truth!(odd {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "type")]
    pub struct A { any: Untagged, wrapped: Wrapped, text: ByHand, generic: Generic<u8>, unit: Unit, pair: Pair, alias: Alias, skipped: Skipped }
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged { A(u8), B { b: u8 } }
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Wrapped { only: String, #[serde(skip)] more: u8 }
    struct ByHand;
    impl Serialize for ByHand {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str("by hand")
        }
    }
    impl<'de> Deserialize<'de> for ByHand {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }
    #[derive(Serialize, Deserialize)]
    struct Generic<T> { t: T }
    #[derive(Serialize, Deserialize)]
    struct Unit;
    #[derive(Serialize, Deserialize)]
    struct Pair(u8, String);
    type Alias = Vec<Pair>;
    #[derive(Serialize, Deserialize)]
    struct Skipped(u8, #[serde(skip)] u8);
} [A {
    any: Untagged::B { b: 1 }, wrapped: Wrapped { only: "x".into(), more: 1 }, text: ByHand, generic: Generic { t: 1 }, unit: Unit,
    pair: Pair(1, "x".into()), alias: vec![Pair(1, "x".into())], skipped: Skipped(1, 2),
}]);
