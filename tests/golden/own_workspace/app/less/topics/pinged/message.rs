#[less::message]
pub struct Pinged {
    pub at: u64,
}
