//! Diagnostics with an excerpt of the source, for terminals.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use less_model::diagnostic::{Diagnostic, Place, Severity, printable};
use less_model::source::SourceTree;

/// The diagnostics in colours, a blank line between two.
pub(super) fn styled(diagnostics: &[Diagnostic], tree: &SourceTree) -> String {
    excerpts(diagnostics, tree, &Renderer::styled())
}

fn excerpts(diagnostics: &[Diagnostic], tree: &SourceTree, renderer: &Renderer) -> String {
    let all: Vec<String> = diagnostics.iter().map(|one| renderer.render(&groups(one, tree)) + "\n").collect();
    all.join("\n")
}

/// The problem with its place, each note that has a place of its own, and the rest below the last of these.
fn groups<'a>(diagnostic: &'a Diagnostic, tree: &'a SourceTree) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(printable(&diagnostic.message)).id(diagnostic.code);
    let mut last = placed(Group::with_title(title), diagnostic.place.as_ref(), tree);
    let mut groups = Vec::new();
    for (text, place) in &diagnostic.notes {
        if place.is_some() {
            let note = Group::with_title(Level::NOTE.secondary_title(printable(text)));
            groups.push(std::mem::replace(&mut last, placed(note, place.as_ref(), tree)));
        } else {
            last = last.element(Level::NOTE.message(printable(text)));
        }
    }
    for hint in &diagnostic.hints {
        last = last.element(Level::HELP.with_name("hint").message(printable(hint)));
    }
    groups.push(last);
    groups
}

fn placed<'a>(group: Group<'a>, place: Option<&'a Place>, tree: &'a SourceTree) -> Group<'a> {
    let Some(place) = place else { return group };
    let path = printable(&place.path);
    let marked = place
        .span
        .clone()
        .zip(tree.text(&place.path))
        .filter(|(span, text)| text.get(span.clone()).is_some());
    match marked {
        Some((span, text)) => {
            group.element(Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(span)))
        }
        None => group.element(Origin::path(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fixture: &str) -> String {
        let tree = SourceTree::fixture(fixture);
        let (_, diagnostics) = less_model::scan::scan(&tree, "shop");
        excerpts(&diagnostics, &tree, &Renderer::plain())
    }

    #[test]
    fn a_place_in_a_file_shows_its_line_and_a_folder_its_path() {
        let text = shown(
            "//- less/topics/a/b/mod.rs\n\npub fn process(message: less::Value) -> less::Result<()> { Ok(()) }\n//- less/topics/lonely/topic.toml\n",
        );
        let expected = "\
error[process-not-async]: `process` is not `async`
 --> less/topics/a/b/mod.rs:2:8
  |
2 | pub fn process(message: less::Value) -> less::Result<()> { Ok(()) }
  |        ^^^^^^^
  |
  = hint: its signature is `pub async fn process(message: less::Value) -> less::Result<()>`

warning[no-subscribers]: topic `lonely` has no subscribers; its messages are kept for 7d and then discarded
--> less/topics/lonely
 = hint: make one with `less add subscriber lonely/NAME`
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_note_with_a_place_of_its_own_follows_the_problem_and_hints_come_last() {
        let text = shown(
            "//- less/topics/a/b/mod.rs\npub async fn process(_: less::Value) -> less::Result<()> { Ok(()) }\n//- less/topics/a/b/index.js\n",
        );
        let expected = "\
error[duplicate-handler]: topic `a` has two subscribers named `b`
--> less/topics/a/b/mod.rs
 |
note: first one is here
--> less/topics/a/b/index.js
 = hint: rename one folder; a subscriber's name is its folder's name
";
        assert_eq!(text, expected);
    }
}
