//! Lanes on runtimes of their own, as in an app.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};

use super::super::{Compiled, Handlers};
use super::{Bench, PATIENCE, bench_of, compiled, policy};
use crate::handler::typed;
use crate::message::Value;

/// Handlers on runtimes whose threads say which one they are of.
fn apart() -> Arc<Handlers> {
    let count = AtomicUsize::new(0);
    let make = move || {
        let name = count.fetch_add(1, Ordering::SeqCst).to_string();
        Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build()
    };
    Arc::new(Handlers::new(Box::new(make)).expect("threads"))
}

/// A worker whose handler notes what this says, from where it runs.
async fn noting<T: Send + 'static>(
    handlers: &Arc<Handlers>,
    note: impl Fn() -> T + Send + Sync + 'static,
) -> (Bench, Arc<Mutex<Vec<T>>>) {
    let notes: Arc<Mutex<Vec<T>>> = Arc::default();
    let seen = Arc::clone(&notes);
    let handler = typed(move |_: Value, _| {
        seen.lock().expect("no holder panics").push(note());
        async { Ok(()) }
    });
    let compiled = Compiled { handlers: Arc::clone(handlers), ..compiled(handler) };
    (bench_of(policy(), vec![compiled]).await, notes)
}

/// One after the other.
async fn publish(bench: &Bench, count: u64) {
    let before = bench.until(0, |ledger| ledger.pending == 0 && ledger.in_flight == 0).await.done;
    for done in before + 1..=before + count {
        bench.publish(&["1"]).await;
        bench.until(0, |ledger| ledger.done == done).await;
    }
}

async fn until_tasks(runtime: &Handle, wanted: usize) {
    let began = Instant::now();
    while runtime.metrics().num_alive_tasks() != wanted {
        let tasks = runtime.metrics().num_alive_tasks();
        assert!(began.elapsed() < PATIENCE, "waited in vain; last: {tasks} tasks");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_waits_for_the_next_message_and_ends_with_its_worker() {
    let handlers = apart();
    let (mut bench, tasks) = noting(&handlers, tokio::task::id).await;
    publish(&bench, 40).await;
    // Now and then one comes before the lane waits, and begins another one: never with each of them.
    let tasks: BTreeSet<String> =
        tasks.lock().expect("no holder panics").iter().map(ToString::to_string).collect();
    assert!(tasks.len() < 20, "{} lanes for 40 messages", tasks.len());
    until_tasks(&handlers.handle(), 1).await;
    bench.switch.stop();
    while let Some(worker) = bench.workers.join_next().await {
        worker.expect("the worker ends").expect("and ends well");
    }
    until_tasks(&handlers.handle(), 0).await;
    handlers.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_waits_on_a_runtime_that_was_replaced_ends_there() {
    let handlers = apart();
    let name = || std::thread::current().name().map(str::to_owned);
    let (bench, names) = noting(&handlers, name).await;
    let mut runtimes = Vec::new();
    for _ in 0..20 {
        publish(&bench, 1).await;
        runtimes.push(handlers.handle());
        handlers.lost_thread();
    }
    publish(&bench, 1).await;
    let names: Vec<String> = names.lock().expect("no holder panics").iter().flatten().cloned().collect();
    // Now and then a lane was about to wait when its runtime was replaced, and may have taken one more.
    let late = (0..).zip(&names).filter(|(runtime, name)| *name != &i32::to_string(runtime)).count();
    assert!(names.len() == 21 && late < 5, "{late} of {names:?}");
    for runtime in runtimes {
        until_tasks(&runtime, 0).await;
    }
    handlers.shutdown();
}
