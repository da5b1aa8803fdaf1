#[less::message]
pub struct Work {
    pub n: u64,
}
