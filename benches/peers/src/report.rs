//! x
pub(crate) fn report(_: &std::path::Path) -> anyhow::Result<String> { Ok(String::new()) }
