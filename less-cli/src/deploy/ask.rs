//! Asking before something is done that others see.

use std::io::{BufRead, IsTerminal};

use crate::ui;

/// Whether the user agrees. Without a terminal nobody can be asked, and `--yes` has to say it.
pub fn confirm(question: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(ui::user_error(format!(
            "can't ask whether to {question}: this is no terminal\nhint: `--yes` answers beforehand"
        )));
    }
    let mut letters = question.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter();
    anstream::eprint!("[less] {}? [y/N] ", first.chain(letters).collect::<String>());
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
