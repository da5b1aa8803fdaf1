//! What the handlers of this app do: they tell what they see, and some fail at first.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::time::Duration;

/// The history that all processes of the app append to: a line is one write, so that lines never mix.
fn tell(event: &str) {
    static FILE: OnceLock<File> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = std::env::var("HISTORY").expect("HISTORY names the file");
        OpenOptions::new().create(true).append(true).open(path).expect("the history can be opened")
    });
    let mut file: &File = file;
    file.write_all(event.as_bytes()).expect("the history can be written");
}

/// Handles message `n`: `> n` when it begins, `< n` when it is done.
pub async fn handle(n: u64, attempt: u32) -> Result<(), std::io::Error> {
    tell(&format!("> {n}\n"));
    match n % 97 {
        1 if attempt == 1 => return Err(std::io::Error::other("not yet")),
        2 => tokio::time::sleep(Duration::from_millis(20)).await,
        3..20 => tokio::time::sleep(Duration::from_millis(1)).await,
        _ => {}
    }
    tell(&format!("< {n}\n"));
    Ok(())
}
