//! Bodies: `{"sent":<nanoseconds, 19 digits>,"pad":"xxx…"}`.

/// What a body's JSON has beside its pad, in bytes. Timestamps have 19 digits until the year 2286.
pub const PAD_OVERHEAD: usize = "{\"sent\":,\"pad\":\"\"}".len() + 19;

/// The pad that makes a body this many bytes long.
pub fn pad(bytes: usize) -> String {
    "x".repeat(bytes.saturating_sub(PAD_OVERHEAD))
}
