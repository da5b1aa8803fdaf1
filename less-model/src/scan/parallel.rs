//! The same work for many topics, on every core.

use std::num::NonZero;
use std::thread;

use crate::rust::STACK;

/// More would only reserve stacks.
const MOST_THREADS: usize = 8;
/// Fewer items are not worth a thread of their own.
const SMALLEST_SHARE: usize = 16;

/// `work` for each item, in the items' order.
///
/// Always in threads that end: parsing Rust wants a deep stack, and `proc_macro2` keeps what it parsed for as long as the thread lives.
pub(super) fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    if items.is_empty() {
        return Vec::new();
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
    let share = items.len().div_ceil(threads).max(SMALLEST_SHARE);
    let run = |share: &[T]| share.iter().map(&work).collect::<Vec<R>>();
    let run = &run;
    thread::scope(|scope| {
        let shares: Vec<_> = items
            .chunks(share)
            .map(|share| {
                (share, thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || run(share)))
            })
            .collect();
        shares
            .into_iter()
            .flat_map(|(share, thread)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // Where the system gives no thread, this one has to do.
                Err(_) => run(share),
            })
            .collect()
    })
}
