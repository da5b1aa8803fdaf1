//! Which dead letters are meant: ids, or beginnings of them that only one has.

use less_runtime::message::MessageId;

/// Fewest characters of an id's beginning: ids begin with the time, and shorter beginnings are those of hours.
const FEWEST: usize = 6;
/// Most ids that are listed where a beginning fits several.
const LISTED: usize = 3;

/// The ids that are meant by these texts, each once; everything that is wrong with them otherwise.
pub(super) fn chosen(texts: &[String], there: &[MessageId], of: &str) -> Result<Vec<MessageId>, Vec<String>> {
    let mut out: Vec<MessageId> = Vec::new();
    let mut problems = Vec::new();
    for text in texts {
        match one(text, there, of) {
            Ok(id) if out.contains(&id) => {}
            Ok(id) => out.push(id),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(out) } else { Err(problems) }
}

fn one(text: &str, there: &[MessageId], of: &str) -> Result<MessageId, String> {
    let begin = text.to_ascii_lowercase();
    let whole = text.parse::<MessageId>().ok();
    if whole.is_none() && !begin.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
        return Err(format!("`{text}` is no message's id"));
    }
    if begin.len() < FEWEST {
        return Err(format!("`{text}` is too short for an id: {FEWEST} characters are the fewest"));
    }
    let fits =
        |id: &&MessageId| whole.map_or_else(|| id.to_string().starts_with(&begin), |whole| whole == **id);
    let found: Vec<&MessageId> = there.iter().filter(fits).collect();
    match *found {
        [] => Err(format!("`{text}` is no dead letter of `{of}`")),
        [one] => Ok(*one),
        _ => {
            let mut some: Vec<String> = found.iter().take(LISTED).map(|id| format!("`{id}`")).collect();
            if found.len() > LISTED {
                some.push(format!("{} more", found.len() - LISTED));
            }
            Err(format!("`{text}` begins {} ids of `{of}`: {}", found.len(), some.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "01930000-0000-7000-8000-000000000000";
    const TWO: &str = "01930000-1111-7000-8000-000000000000";

    fn asked(texts: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let there = [ONE, TWO].map(|id| id.parse().unwrap());
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        chosen(&texts, &there, "t/s").map(|ids| ids.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_id_or_a_beginning_that_only_one_has_says_which_is_meant() {
        assert_eq!(asked(&[ONE]), Ok(vec![ONE.to_owned()]));
        let upper = TWO.to_uppercase();
        assert_eq!(asked(&["01930000-1", "01930000-0", &upper]), Ok(vec![TWO.to_owned(), ONE.to_owned()]));
    }

    #[test]
    fn everything_that_is_no_dead_letter_is_said_at_once() {
        let other = "01940000-0000-7000-8000-000000000000";
        assert_eq!(
            asked(&[ONE, other, "0193", "019300", "mail"]),
            Err(vec![
                format!("`{other}` is no dead letter of `t/s`"),
                "`0193` is too short for an id: 6 characters are the fewest".to_owned(),
                format!("`019300` begins 2 ids of `t/s`: `{ONE}`, `{TWO}`"),
                "`mail` is no message's id".to_owned(),
            ])
        );
    }
}
