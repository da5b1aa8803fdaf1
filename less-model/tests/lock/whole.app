//- less/topics/Anything/log/index.js
exports.process = () => {}
//- less/topics/empty/
//- less/topics/order_placed/message.schema.json
{
  "type": "object", "description": "An order.",
  "required": ["id", "lines", "it's"],
  "properties": {
    "id": {"type": "integer", "minimum": 1, "description": "Its number."},
    "it's": {"type": "string", "format": "date-time"},
    "state": {"type": ["string", "null"], "enum": ["new", "paid", null]},
    "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "minItems": 1},
    "payment": {"oneOf": [
      {"type": "object", "title": "Card", "required": ["kind", "digits"], "properties": {"kind": {"const": "card"}, "digits": {"type": "string", "maxLength": 4}}},
      {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "cash"}}}
    ]},
    "parent": {"$ref": "#"}
  },
  "$defs": {"Line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}, "'''": {"type": "number"}}, "additionalProperties": false}}
}
//- less/topics/order_placed/bill/index.js
exports.process = () => {}
//- less/topics/order_placed/audit/index.js
exports.process = () => {}
//- less/topics/user_created/message.rs
/// Somebody came.
#[less::message]
#[serde(rename_all = "camelCase")]
pub struct UserCreated {
    pub user_id: u64,
    pub nick: Option<String>,
    pub born: chrono::NaiveDate,
    pub kind: Kind,
    pub secret: crate::Unknown,
    pub pair: (u8, String),
}

#[derive(serde::Serialize, serde::Deserialize)]
pub enum Kind {
    Plain,
    Invited { by: u32, r#while: Vec<Box<UserCreated>> },
    Shape(Shape),
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(tag = "t", content = "c")]
pub enum Shape {
    A(u8),
    B,
}
//- less/topics/user_created/welcome/mod.rs
pub async fn process(message: UserCreated) -> less::Result<()> { Ok(()) }
