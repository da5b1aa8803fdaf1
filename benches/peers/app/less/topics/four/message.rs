#[less::message]
pub struct Four {
    /// When it was published, in nanoseconds since the Unix epoch.
    pub sent: u64,
    pub pad: String,
}
