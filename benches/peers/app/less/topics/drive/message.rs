/// What to publish. Exactly one of `in_flight` and `per_second` is not zero.
#[less::message]
pub struct Drive {
    pub topic: String,
    pub subscribers: usize,
    /// Size of a body.
    pub bytes: usize,
    pub millis: u64,
    /// Closed loop: this many publishes at the same time.
    pub in_flight: usize,
    /// Open loop: this many publishes a second.
    pub per_second: u32,
    /// The file that gets the result.
    pub result: String,
}
