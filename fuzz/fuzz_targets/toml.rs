//! The files that users write settings into: never a panic; every diagnostic has a place, and the place is there.
//!
//! The text is `less.toml`, `topic.toml`, `subscriber.toml` and `Cargo.toml`, one after the other, with a line `---` between two.
#![no_main]

use less_model::config::{Flags, resolve};
use less_model::diagnostic::{Place, plain};
use less_model::scan::scan;
use less_model::source::SourceTree;
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 4] = [
    "less.toml",
    "less/topics/user_created/topic.toml",
    "less/topics/user_created/audit/subscriber.toml",
    "Cargo.toml",
];

fuzz_target!(|text: &str| {
    let mut fixture = String::from("//- less/topics/user_created/audit/index.js\n");
    for (path, text) in FILES.iter().zip(text.split("\n---\n")) {
        fixture.extend(["//- ", path, "\n", text, "\n"]);
    }
    let tree = SourceTree::fixture(&fixture);
    let (app, diagnostics) = scan(&tree, "shop");
    assert_eq!(
        scan(&tree, "shop"),
        (app.clone(), diagnostics.clone()),
        "the same text gives the same answer"
    );
    for diagnostic in &diagnostics {
        assert!(diagnostic.place.is_some(), "no place: {diagnostic:?}");
        let places = diagnostic.notes.iter().filter_map(|(_, place)| place.as_ref());
        places.chain(&diagnostic.place).for_each(|place| check(&tree, place));
    }
    assert_eq!(plain(&diagnostics, &tree).is_empty(), diagnostics.is_empty());
    // What is wrong with a value of the settings is an error that says so.
    if let Err(errors) = resolve(&app.settings, &Flags::default(), |_| None) {
        assert!(!errors.is_empty() && errors.iter().all(|error| !error.to_string().is_empty()));
    }
});

fn check(tree: &SourceTree, place: &Place) {
    if let Some(span) = &place.span {
        let text = tree.text(&place.path).unwrap_or_else(|| panic!("{place:?} is no file"));
        assert!(text.get(span.clone()).is_some(), "{place:?} is no part of {text:?}");
    }
}
