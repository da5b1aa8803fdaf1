use std::sync::atomic::{AtomicUsize, Ordering};

use less::topics::message_delivered::MessageDelivered;

static CHARACTERS: AtomicUsize = AtomicUsize::new(0);

pub async fn process(delivered: MessageDelivered) -> less::Result<()> {
    let total = CHARACTERS.fetch_add(delivered.characters, Ordering::Relaxed) + delivered.characters;
    println!("{} characters since the start, {} of them for {}", total, delivered.characters, delivered.to);
    Ok(())
}
