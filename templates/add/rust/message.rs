#[less::message]
#[derive(Debug, Clone)]
pub struct {{type}} {
    pub id: u64,
}
