//! Tables in Markdown, and the numbers in them.

use crate::summary::Summary;

/// A table: the head, then rows of as many cells.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: String| format!("| {cells} |\n");
    let head = line(head.join(" | ")) + &format!("|{}\n", "---|".repeat(N));
    rows.iter().fold(head, |text, row| text + &line(row.join(" | ")))
}

/// Three digits that count: `1.23`, `12.3`, `123`, `1.23k`, `1.23M`.
pub(crate) fn number(value: f64) -> String {
    let (value, unit) = match value {
        large if large >= 999_500.0 => (large / 1e6, "M"),
        large if large >= 9_995.0 => (large / 1e3, "k"),
        small => (small, ""),
    };
    let decimals = match value {
        large if large >= 99.95 => 0,
        middle if middle >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{unit}")
}

/// The median, and the range where there is one.
pub(crate) fn spread(summary: Option<Summary>) -> String {
    match summary {
        None => "–".to_owned(),
        Some(one) if one.least >= one.most => number(one.median),
        Some(more) => format!("{} ({}–{})", number(more.median), number(more.least), number(more.most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_three_digits() {
        let shown: Vec<_> = [0.5, 9.999, 12.34, 456.7, 4_432.4, 9_999.0, 172_527.0, 999_900.0, 1_234_567.0]
            .map(number)
            .into();
        assert_eq!(shown, ["0.50", "10.0", "12.3", "457", "4432", "10.0k", "173k", "1.00M", "1.23M"]);
    }
}
