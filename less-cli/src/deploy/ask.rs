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
            "{question}: nobody can be asked, as this is no terminal\nhint: `--yes` answers beforehand"
        )));
    }
    anstream::eprint!("[less] {question}? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
