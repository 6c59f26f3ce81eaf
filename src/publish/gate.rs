//! The one comment of a thread about its gate: what its briefs wait for, and who opened it.

use super::comment::marker;
use super::format::{code_within, inline_within};
use crate::authorize::gate::{AUTO, ENABLED, Passage};

/// How a gate stands.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    /// Briefs of the thread wait.
    Shut(Passage),
    /// Somebody let them go on: who, and by what.
    Opened(&'a str, &'a str),
}

/// Returns the comment; `needed` is GitHub's name of the permission that whoever opens the gate needs.
pub fn gate_comment(standing: Standing<'_>, needed: &str, key: &str) -> String {
    let marker = marker("notice", key);
    let needed = code_within(needed, 60);
    match standing {
        Standing::Shut(Passage::Label(label)) => format!(
            "{marker}\n### ⏸️ Waits for the label `{label}`\n\nBriefs of this thread do not run yet: the policy asks for \
             the label. Somebody who may run briefs (permission {needed}) adds it; then they go on by themselves. \
             `/work status` shows what waits, `/work cancel` cancels it.{}\n",
            if label == AUTO {
                format!(" With `{ENABLED}` instead, each brief waits for `/work start`.")
            } else {
                String::new()
            }
        ),
        Standing::Shut(_) => format!(
            "{marker}\n### ⏸️ Waits for `/work start`\n\nThe thread carries `{ENABLED}`, and the policy asks for `{AUTO}` \
             before briefs run by themselves. Somebody who may run briefs (permission {needed}) writes `/work start` to \
             start what waits, or adds the label `{AUTO}`. `/work cancel` cancels it.\n"
        ),
        Standing::Opened(who, by) => format!(
            "{marker}\n### ▶️ Goes on\n\n{} let the briefs go on that waited here, by {}.\n",
            inline_within(who, 100),
            code_within(by, 60)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_tells_what_to_do_in_each_standing() {
        let told = |standing| gate_comment(standing, "write", "gate:7:12");
        let all = [
            told(Standing::Shut(Passage::Label(ENABLED))),
            told(Standing::Shut(Passage::Label(AUTO))),
            told(Standing::Shut(Passage::Start)),
            told(Standing::Opened("maria", ENABLED)),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }
}
