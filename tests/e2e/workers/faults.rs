//! Everything that can go wrong in a handler, all of it at once: each message ends as it should, and no neighbour is charged.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::App;

/// A few attempts, soon after each other, and little patience.
const POLICY: &str =
    "concurrency = 16\ntimeout = \"3s\"\nmax_attempts = 2\nmin_backoff = \"20ms\"\nmax_backoff = \"20ms\"\n";

/// How a message ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Done, at this attempt.
    Done(u32),
    /// Dead after two attempts of this kind, with an error that holds this.
    Dead(&'static str, &'static str),
    /// Dead at once.
    Rejected,
}

use End::{Dead, Done, Rejected};

const NODE: &[(&str, End)] = &[
    ("throw", Dead("error", "TypeError: thrown")),
    ("reject", Dead("error", "Error: rejected")),
    ("text", Dead("error", "only a text")),
    ("uncaught", Dead("exit", "uncaught")),
    ("unhandled", Dead("exit", "unhandled")),
    ("exit", Dead("exit", "exit")),
    ("exit3", Dead("exit", "3")),
    ("segfault", Dead("exit", "SIGSEGV")),
    ("loop", Dead("timeout", "longer than 3s")),
    ("hang", Dead("timeout", "longer than 3s")),
    ("memory", Dead("exit", "SIGABRT")),
    ("flood", Done(1)),
    ("long_line", Done(1)),
    ("big", Done(1)),
    ("circle", Done(1)),
    ("function", Done(1)),
    ("no", Rejected),
    ("again", Done(2)),
];

const PYTHON: &[(&str, End)] = &[
    ("throw", Dead("error", "ValueError: thrown")),
    ("unprintable", Dead("error", "Unprintable")),
    ("deep", Dead("error", "RecursionError")),
    ("sys_exit", Dead("exit", "sys.exit(0)")),
    ("sys_exit3", Dead("exit", "sys.exit(3)")),
    ("exit", Dead("exit", "exit status: 0")),
    ("segfault", Dead("exit", "SIGSEGV")),
    ("kill", Dead("exit", "SIGKILL")),
    ("loop", Dead("timeout", "longer than 3s")),
    ("hang", Dead("timeout", "longer than 3s")),
    ("memory", Dead("error", "MemoryError")),
    ("flood", Done(1)),
    ("long_line", Done(1)),
    ("object", Done(1)),
    ("circle", Done(1)),
    ("no", Rejected),
    ("again", Done(2)),
];

const PYTHON_ASYNC: &[(&str, End)] = &[
    ("throw", Dead("error", "ValueError: thrown")),
    ("cancelled", Dead("error", "CancelledError")),
    ("sys_exit", Dead("exit", "sys.exit(0)")),
    ("exit", Dead("exit", "exit status: 0")),
    ("segfault", Dead("exit", "SIGSEGV")),
    ("loop", Dead("timeout", "longer than 3s")),
    ("hang", Dead("timeout", "longer than 3s")),
    ("object", Done(1)),
    ("no", Rejected),
    ("again", Done(2)),
];

const RUST: &[(&str, End)] = &[
    ("throw", Dead("error", "thrown")),
    ("panic", Dead("panic", "panicked")),
    ("loop", Dead("timeout", "longer than 3s")),
    ("hang", Dead("timeout", "longer than 3s")),
    ("flood", Done(1)),
    ("no", Rejected),
    ("again", Done(2)),
];

/// Publishes every fault three times among messages that are fine, all at once, and waits for every end.
fn check(file: &str, handler: &str, faults: &[(&str, End)]) {
    const COPIES: usize = 3;
    const FINE: usize = 10;
    let path = format!("topics/work/handle/{file}");
    let memory = [("NODE_OPTIONS", "--max-old-space-size=64")];
    let files = [(path.as_str(), handler), ("topics/work/handle/subscriber.toml", POLICY)];
    let app = App::start("dev", &files, &memory);
    let mut expected: Vec<(&str, End)> = Vec::new();
    for _ in 0..COPIES {
        for fault in faults {
            expected.push(*fault);
            expected.extend([("ok", Done(1)); FINE]);
        }
    }
    let bodies: Vec<Value> =
        expected.iter().enumerate().map(|(n, (what, _))| json!({"do": what, "n": n})).collect();
    let ids = app.publish("work", &bodies);
    let dead = expected.iter().filter(|(_, end)| !matches!(end, Done(_))).count();
    app.until("handle", "every message to end", |found| {
        found["done"] == expected.len() - dead && found["dead"] == dead
    });

    let letters: BTreeMap<String, Value> = app
        .dead_letters("work", "handle")
        .into_iter()
        .map(|letter| (letter["message_id"].as_str().unwrap_or_default().to_owned(), letter))
        .collect();
    let mut attempts: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for line in app.log().lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| fields[at].parse::<u32>().expect(line);
        attempts.entry(number(1) as usize).or_default().push(number(2));
    }
    let mut wrong = Vec::new();
    for (n, ((what, end), id)) in expected.iter().zip(&ids).enumerate() {
        let charged = attempts.get(&n).and_then(|all| all.iter().max()).copied();
        let letter = letters.get(id);
        let history = letter.map(|letter| letter["history"].as_array().cloned().unwrap_or_default());
        let right = match (end, letter) {
            (Done(attempt), None) => charged == Some(*attempt),
            (Rejected, Some(letter)) => {
                letter["reason"] == "rejected" && letter["history"][0]["message"] == "no such user"
            }
            (Dead(kind, text), Some(letter)) => {
                let history = history.clone().unwrap_or_default();
                letter["reason"] == "max_attempts"
                    && letter["attempts"] == 2
                    && history.len() == 2
                    && history.iter().all(|error| {
                        error["kind"] == *kind
                            && error["message"].as_str().is_some_and(|message| message.contains(text))
                    })
            }
            _ => false,
        };
        if !right {
            wrong.push(format!("{n} {what}: wanted {end:?}, charged {charged:?}, {letter:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), super::last(&app.process.printed()));
}

#[test]
fn every_fault_of_a_handler_in_node_ends_as_it_should_and_charges_no_neighbour() {
    check("index.js", include_str!("handlers/faults.js"), NODE);
}

#[test]
fn every_fault_of_a_handler_in_python_ends_as_it_should_and_charges_no_neighbour() {
    check("__init__.py", include_str!("handlers/faults.py"), PYTHON);
}

#[test]
fn every_fault_of_an_async_handler_in_python_ends_as_it_should_and_charges_no_neighbour() {
    check("__init__.py", include_str!("handlers/faults_async.py"), PYTHON_ASYNC);
}

#[test]
fn every_fault_of_a_handler_in_rust_ends_as_it_should_and_charges_no_neighbour() {
    check("mod.rs", include_str!("handlers/faults.rs"), RUST);
}
