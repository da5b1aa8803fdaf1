//! What the handlers of this app do: they tell what they see, and misbehave as their messages' numbers say.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The history that all processes append to: a line is one write, so that lines never mix.
fn tell(event: &str) {
    static FILE: OnceLock<File> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let path = std::env::var("HISTORY").expect("HISTORY names the file");
        OpenOptions::new().create(true).append(true).open(path).expect("the history can be opened")
    });
    let mut file: &File = file;
    file.write_all(event.as_bytes()).expect("the history can be written");
}

/// An attempt: told when it begins, and when it ends in whatever way.
pub struct Attempt {
    place: String,
    done: bool,
}

impl Attempt {
    pub fn new(topic: &str, subscriber: &str, n: u64, attempt: u32, key: Option<&str>) -> Self {
        let place = format!(
            "\"topic\":\"{topic}\",\"subscriber\":\"{subscriber}\",\"message\":\"{n}\",\"attempt\":{attempt}"
        );
        let key = key.map(|key| format!(",\"key\":\"{key}\"")).unwrap_or_default();
        tell(&format!("{{\"at\":{},\"event\":\"started\",{place}{key}}}\n", now()));
        Self { place, done: false }
    }

    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Self { place, done } = self;
        tell(&format!("{{\"at\":{},\"event\":\"ended\",{place},\"done\":{done}}}\n", now()));
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// First attempts of some fail, panic, or hang; some messages are rejected.
pub async fn misbehave(n: u64, attempt: u32) -> std::io::Result<bool> {
    if n % 1000 == 7 {
        return Ok(false);
    }
    if attempt == 1 {
        match n % 41 {
            1 => return Err(std::io::Error::other("not yet")),
            2 => panic!("on purpose"),
            3 => tokio::time::sleep(Duration::from_secs(3600)).await,
            4 => std::thread::sleep(Duration::from_millis(20)),
            5 => tokio::time::sleep(Duration::from_millis(3)).await,
            _ => {}
        }
    }
    Ok(true)
}
