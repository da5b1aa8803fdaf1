/// An order was placed.
#[less::message]
#[derive(Debug)]
#[serde(rename_all = "camelCase")]
pub struct OrderPlaced {
    /// Its number.
    pub id: u64,
    pub lines: Vec<Line>,
    pub state: State,
}

#[less::message]
#[derive(Debug)]
pub struct Line {
    pub sku: String,
    pub count: u32,
}

/// How far it is.
#[less::message]
#[derive(Debug)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum State {
    /// Nobody has seen it.
    New { at: Option<String> },
    Shipped { parcel_id: String },
}
