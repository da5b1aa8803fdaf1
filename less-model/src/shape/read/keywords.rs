//! Which keywords mean something where, and what to do instead of the others.

use super::near;

/// The names that `type` can hold.
pub(super) const TYPES: [&str; 7] = ["object", "array", "string", "integer", "number", "boolean", "null"];

/// Whether a keyword constrains nothing.
pub(super) fn is_annotation(keyword: &str) -> bool {
    const ANNOTATIONS: [&str; 16] = [
        "$anchor",
        "$comment",
        "$defs",
        "$id",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "default",
        "definitions",
        "deprecated",
        "description",
        "example",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    ];
    ANNOTATIONS.binary_search(&keyword).is_ok() || keyword.starts_with("x-")
}

/// What is understood beside `type`; nothing for what is no type.
pub(super) fn of_type(name: &str) -> &'static [&'static str] {
    match name {
        "object" => &["type", "properties", "required", "additionalProperties"],
        "array" => &["type", "items", "minItems", "maxItems"],
        "string" => &["type", "minLength", "maxLength", "format", "enum", "const"],
        "integer" | "number" => {
            &["type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"]
        }
        "boolean" | "null" => &["type"],
        _ => &[],
    }
}

/// The type that a keyword is for.
pub(super) fn type_of(keyword: &str) -> Option<&'static str> {
    match keyword {
        "properties" | "required" | "additionalProperties" => Some("object"),
        "items" | "minItems" | "maxItems" => Some("array"),
        "minLength" | "maxLength" | "format" => Some("string"),
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => Some("number"),
        _ => None,
    }
}

/// Why a keyword is refused, and what to do instead.
pub(super) fn refusal(keyword: &str, known: &[&str], place: &str) -> (String, String) {
    let hint = match keyword {
        "allOf" => "write the properties of all parts into one object",
        "not" | "if" | "then" | "else" | "dependentSchemas" | "dependentRequired" | "dependencies" => {
            "leave it out, and check it in the handler; or use `oneOf` with objects that a property tells apart"
        }
        "patternProperties" | "propertyNames" | "unevaluatedProperties" => {
            "use `additionalProperties`: a schema for a map with any keys, or `false`"
        }
        "minProperties" | "maxProperties" | "uniqueItems" | "contains" | "minContains" | "maxContains"
        | "multipleOf" => "leave it out, and check it in the handler",
        "pattern" => "leave it out, or use `format`, `enum`, `minLength` and `maxLength`",
        "prefixItems" | "additionalItems" | "unevaluatedItems" => {
            return (
                "lists with a type for each place are not understood".to_owned(),
                "use an object with a property for each place".to_owned(),
            );
        }
        "nullable" => "write `\"type\": [\"string\", \"null\"]`, or `anyOf` with `{ \"type\": \"null\" }`",
        "$dynamicRef" | "$recursiveRef" => "write `$ref` with `#/$defs/Name`",
        _ => {
            return match near(keyword, known.iter().copied()) {
                Some(meant) if meant != keyword => {
                    (format!("there is no keyword `{keyword}`"), format!("did you mean `{meant}`?"))
                }
                _ if place.is_empty() || !is_known(keyword) => (
                    format!("the keyword `{keyword}` is not understood"),
                    "leave it out; keywords that begin with `x-` are for others".to_owned(),
                ),
                _ => (format!("`{keyword}` means nothing {place}"), "leave it out".to_owned()),
            };
        }
    };
    (format!("the keyword `{keyword}` is not understood"), hint.to_owned())
}

fn is_known(keyword: &str) -> bool {
    ["$ref", "oneOf", "anyOf", "enum", "const"].contains(&keyword)
        || TYPES.iter().any(|name| of_type(name).contains(&keyword))
}
