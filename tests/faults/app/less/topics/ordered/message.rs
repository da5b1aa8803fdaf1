#[less::message]
pub struct Ordered {
    pub n: u64,
}
