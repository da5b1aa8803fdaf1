/// An order was placed.
#[less::message]
#[derive(Debug, Clone)]
pub struct OrderPlaced {
    pub order_id: u64,
    pub lines: Vec<Line>,
    pub details: serde_json::Value,
}

/// One line of an order.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Line {
    pub sku: String,
    pub count: u32,
}
