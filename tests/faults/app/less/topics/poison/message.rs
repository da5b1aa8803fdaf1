#[less::message]
pub struct Poison {
    pub n: u64,
}
