//! placeholder
pub(crate) struct Settings {
    pub(crate) every: u32,
    pub(crate) segment_size: u64,
}
pub(crate) fn unavailable() -> Option<String> {
    None
}
pub(crate) fn run(_: Settings) -> anyhow::Result<bool> {
    Ok(true)
}
