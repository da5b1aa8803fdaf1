//! Types of fields: the language's, the standard library's, and a few well-known ones.

use syn::{GenericArgument, PathArguments, Type};

use super::super::{Array, Bounds, Format, Integer, Kind, Node, Text};
use super::{MAX_DEPTH, Reader};

impl Reader<'_> {
    pub(super) fn node(&mut self, ty: &Type, depth: usize) -> Node {
        if depth > MAX_DEPTH {
            return Node::any();
        }
        match ty {
            Type::Path(path) if path.qself.is_none() => self.path(&path.path, ty, depth),
            Type::Paren(inner) => self.node(&inner.elem, depth + 1),
            Type::Group(inner) => self.node(&inner.elem, depth + 1),
            Type::Reference(inner) => self.node(&inner.elem, depth + 1),
            Type::Slice(inner) => list(self.node(&inner.elem, depth + 1), None),
            Type::Array(inner) => list(self.node(&inner.elem, depth + 1), length(&inner.len)),
            Type::Tuple(tuple) if tuple.elems.is_empty() => Node::new(Kind::Null),
            Type::Tuple(tuple) => list(Node::any(), Some(tuple.elems.len() as u64)),
            _ => Node::any(),
        }
    }

    fn path(&mut self, path: &syn::Path, ty: &Type, depth: usize) -> Node {
        if let Some(name) = self.imports.local(ty)
            && self.items.contains_key(&name)
        {
            return self.named(&name);
        }
        let full = self.imports.full(path);
        let Some((name, before)) = full.split_last() else { return Node::any() };
        let arguments = arguments(path);
        let root = before.first().map_or("", String::as_str);
        let kind = match (root, name.as_str()) {
            ("" | "std" | "core" | "alloc", name) => {
                return self.standard(name, before.is_empty(), &arguments, depth);
            }
            ("chrono", "DateTime") => formatted(Format::DateTime),
            ("chrono", "NaiveDate") => formatted(Format::Date),
            ("uuid", "Uuid") => formatted(Format::Uuid),
            ("chrono", "NaiveTime" | "NaiveDateTime")
            | ("url", "Url")
            | ("rust_decimal" | "bigdecimal", "Decimal" | "BigDecimal") => Kind::Text(Text::default()),
            ("indexmap", "IndexMap") => return self.map(&arguments, depth),
            ("indexmap", "IndexSet") => return self.list_of(&arguments, depth),
            ("serde_json", "Map") => Kind::Map(Box::new(Node::any())),
            _ => Kind::Any,
        };
        Node::new(kind)
    }

    fn standard(&mut self, name: &str, prelude: bool, arguments: &[&Type], depth: usize) -> Node {
        let kind = match name {
            "Option" => return self.first(arguments, depth).or_null(),
            "Box" | "Rc" | "Arc" | "Cell" | "RefCell" | "Mutex" | "RwLock" | "Wrapping" | "Reverse"
            | "Cow" => {
                return self.first(arguments, depth);
            }
            "Vec" | "VecDeque" | "LinkedList" | "HashSet" | "BTreeSet" | "BinaryHeap" => {
                return self.list_of(arguments, depth);
            }
            "HashMap" | "BTreeMap" => return self.map(arguments, depth),
            "String" | "str" => Kind::Text(Text::default()),
            "char" => Kind::Text(Text { min_length: 1, max_length: Some(1), format: None }),
            "bool" => Kind::Boolean,
            "f32" | "f64" | "u128" | "i128" => Kind::Number(Bounds::default()),
            "IpAddr" | "SocketAddr" | "SocketAddrV4" | "SocketAddrV6" | "PathBuf" if !prelude => {
                Kind::Text(Text::default())
            }
            "Ipv4Addr" if !prelude => formatted(Format::Ipv4),
            "Ipv6Addr" if !prelude => formatted(Format::Ipv6),
            name => integer(name).map_or(Kind::Any, |(min, max)| Kind::Integer(Integer { min, max })),
        };
        Node::new(kind)
    }

    fn first(&mut self, arguments: &[&Type], depth: usize) -> Node {
        arguments.first().map_or_else(Node::any, |ty| self.node(ty, depth + 1))
    }

    fn list_of(&mut self, arguments: &[&Type], depth: usize) -> Node {
        list(self.first(arguments, depth), None)
    }

    /// Keys are written as strings, whatever they are.
    fn map(&mut self, arguments: &[&Type], depth: usize) -> Node {
        let values = arguments.get(1).map_or_else(Node::any, |ty| self.node(ty, depth + 1));
        Node::new(Kind::Map(Box::new(values)))
    }
}

/// What a well-known module for `serde(with = "…")` writes.
pub(super) fn of_module(path: &str, ty: &Type) -> Node {
    let (_, optional) = unwrapped(ty);
    let path = path.strip_prefix("::").unwrap_or(path);
    let kind = match path.strip_suffix("::option").unwrap_or(path) {
        "time::serde::rfc3339" => formatted(Format::DateTime),
        "chrono::serde::ts_seconds" | "chrono::serde::ts_milliseconds" | "time::serde::timestamp" => {
            Kind::Integer(Integer::ALL)
        }
        _ => return Node::any(),
    };
    if optional || path.ends_with("_option") || path.ends_with("::option") {
        Node::new(kind).or_null()
    } else {
        Node::new(kind)
    }
}

/// The type without `Box` and `Option` around it, and whether there was an `Option`.
pub(super) fn unwrapped(mut ty: &Type) -> (&Type, bool) {
    let mut optional = false;
    for _ in 0..MAX_DEPTH {
        let Type::Path(path) = ty else { break };
        let Some(last) = path.path.segments.last() else { break };
        if last.ident != "Box" && last.ident != "Option" {
            break;
        }
        let Some(inner) = arguments(&path.path).first().copied() else { break };
        optional |= last.ident == "Option";
        ty = inner;
    }
    (ty, optional)
}

fn arguments(path: &syn::Path) -> Vec<&Type> {
    let Some(PathArguments::AngleBracketed(arguments)) = path.segments.last().map(|last| &last.arguments)
    else {
        return Vec::new();
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

fn formatted(format: Format) -> Kind {
    Kind::Text(Text { format: Some(format), ..Text::default() })
}

fn list(items: Node, count: Option<u64>) -> Node {
    let min_items = count.unwrap_or(0);
    Node::new(Kind::Array(Array { items: Box::new(items), min_items, max_items: count }))
}

fn length(expression: &syn::Expr) -> Option<u64> {
    match expression {
        syn::Expr::Lit(literal) => match &literal.lit {
            syn::Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn integer(name: &str) -> Option<(i128, i128)> {
    Some(match name {
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, u64::MAX.into()),
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => (i64::MIN.into(), i64::MAX.into()),
        "NonZeroU8" => (1, u8::MAX.into()),
        "NonZeroU16" => (1, u16::MAX.into()),
        "NonZeroU32" => (1, u32::MAX.into()),
        "NonZeroU64" | "NonZeroUsize" => (1, u64::MAX.into()),
        _ => return None,
    })
}
