/// A message reached its reader.
#[less::message]
#[derive(Debug, Clone)]
pub struct MessageDelivered {
    pub to: String,
    pub characters: usize,
}
