#[less::message]
pub struct Sixteen {
    /// When it was published, in nanoseconds since the Unix epoch.
    pub sent: u64,
    pub pad: String,
}
