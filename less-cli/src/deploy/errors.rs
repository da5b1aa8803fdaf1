//! What went wrong with AWS, all of it, and each thing once.

use std::collections::BTreeMap;

use less_model::name::StageName;
use less_runtime::transport::aws::provision::{ProvisionError, SUBSCRIBE_ELSEWHERE};

use crate::ui;

/// Prints them; calls that failed for the same cause are one error.
pub fn print(errors: &[ProvisionError], stage: &StageName) {
    for text in texts(errors, stage) {
        ui::error(&text);
    }
}

fn texts(errors: &[ProvisionError], stage: &StageName) -> Vec<String> {
    let mut calls: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut texts = Vec::new();
    for error in errors {
        match error {
            ProvisionError::Call { action, target, cause } => {
                // Behind its code an answer may name the target.
                let code = cause.split(':').next().unwrap_or(cause);
                calls.entry((action, code)).or_default().push(target);
            }
            other => texts.push(other.to_string()),
        }
    }
    for ((action, _), mut targets) in calls {
        targets.sort_unstable();
        let first = targets[0];
        let cause = errors.iter().find_map(|error| match error {
            ProvisionError::Call { action: other, target, cause } if *other == action && target == first => {
                Some(cause)
            }
            _ => None,
        });
        let cause = cause.map_or("", String::as_str);
        let more = match targets.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more like this)"),
        };
        let denied = ["AccessDenied", "AuthorizationError", "AccessDeniedException"];
        let hint = if denied.iter().any(|code| cause.starts_with(code)) {
            let both = if action == SUBSCRIBE_ELSEWHERE {
                format!(
                    "\nhint: the topic's account has to allow it: `less iam external --stage {stage}` prints what its topic's policy needs"
                )
            } else {
                String::new()
            };
            format!("{both}\nhint: `less iam --stage {stage}` prints the policy that deploying needs")
        } else {
            String::new()
        };
        texts.push(format!("can't {action} `{first}`{more}: {cause}{hint}"));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_failed_alike_are_one_error() {
        let call = |target: &str, cause: &str| ProvisionError::Call {
            action: "create queue",
            target: target.to_owned(),
            cause: cause.to_owned(),
        };
        let errors = [
            call("a", "AccessDenied: may not create a"),
            call("b", "AccessDenied: may not create b"),
            call("c", "OverLimit"),
        ];
        let stage = "prod".parse().unwrap();
        assert_eq!(
            texts(&errors, &stage),
            [
                "can't create queue `a` (and 1 more like this): AccessDenied: may not create a\nhint: `less iam --stage prod` prints the policy that deploying needs",
                "can't create queue `c`: OverLimit",
            ]
        );
    }
}
