//! The service's own code: what its subscribers share, and what publishes.

use std::io::Write;
use std::path::PathBuf;

use less::topics::{self, user_created::UserCreated};

/// Registers a user. Returning means that every subscriber will hear of it, whatever happens to this process.
pub async fn register(email: &str, name: &str) -> less::Result<u64> {
    let user_id = next_id();
    let user = UserCreated { user_id, email: email.to_owned(), name: name.to_owned() };
    topics::user_created.publish(&user).await?;
    Ok(user_id)
}

fn next_id() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis().try_into().unwrap_or(u64::MAX))
}

/// Appends a line to a file in `OUTBOX` (default `outbox`): what a mail server or an analytics service would be in earnest.
pub fn append(file: &str, line: &str) -> std::io::Result<()> {
    let folder = std::env::var_os("OUTBOX").map_or_else(|| PathBuf::from("outbox"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(file))?;
    // One write a line, so that lines of handlers that run at the same time do not mix.
    file.write_all(format!("{line}\n").as_bytes())
}
