//! The answers to `/status`, `/help` and `/ask`.

use std::fmt::Write as _;

use super::format::{code_within, inline_within};
use crate::command::Entry;
use crate::config::{Approval, LaneConfig};

/// A lane as a thread is shown it.
#[derive(Debug, Clone, Copy)]
pub struct LaneStanding<'a> {
    /// Holds its settings.
    pub config: &'a LaneConfig,
    /// Tells whether it takes work.
    pub available: bool,
    /// Counts its runs.
    pub running: usize,
    /// Counts what waits for it.
    pub queued: u64,
}

/// Tells how the server is: `problems` keep briefs from running, `warnings` do not. Nothing of the machine is in
/// it, only the lanes that serve the repository.
pub fn health_part(
    problems: &[&str],
    version: &str,
    lanes: &[LaneStanding<'_>],
    warnings: &[&str],
) -> String {
    let mut out = match problems.is_empty() {
        true => format!("### ✅ Ready for briefs\n\ncodex-brief {version}.\n"),
        false => format!("### ❌ Not ready\n\ncodex-brief {version}. {}\n", problems.join(" ")),
    };
    if lanes.is_empty() {
        out.push_str("\nNo lane serves this repository.\n");
    } else {
        out.push_str(
            "\n| Lane | State | Runs now | Waiting | Network | Approval |\n|---|---|---|---|---|---|\n",
        );
    }
    for lane in lanes {
        let state = match (lane.config.enabled, lane.available) {
            (false, _) => "switched off",
            (true, true) => "takes work",
            (true, false) => "takes no work; the server's log tells why",
        };
        let approval = match lane.config.approval {
            Approval::None => "not needed",
            Approval::Required => "needed",
            Approval::SecondPerson => "of a second person",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {} | {state} | {} of {} | {} | {} | {approval} |",
            inline_within(&lane.config.name, 100),
            lane.running,
            lane.config.parallel,
            lane.queued,
            code_within(&lane.config.network.to_string(), 300),
        );
    }
    for warning in warnings {
        let _ = write!(out, "\n⚠️ {warning}\n");
    }
    out
}

/// Tells which commands there are.
pub fn help_part(entries: &[Entry]) -> String {
    let mut out =
        String::from("### Commands\n\nEach at the start of a line of its own, outside quotes and code.\n\n");
    for entry in entries {
        let _ = writeln!(out, "- `{}{}` {}", entry.words, entry.arguments, entry.does);
    }
    out.push_str(
        "\nTASK is how the id of a brief or run begins, at least 6 digits; without it, this thread is meant. A \
         `codex-brief` block in an issue, a comment or a review is what runs.\n",
    );
    out
}

/// Tells that nothing answers questions here yet.
pub fn ask_part() -> String {
    "❓ `/ask` is not answered here: this server has no model to ask, and no setting gives it one yet. Briefs run without one. To \
     leave the word to another program, the operator writes `ask = \"off\"` under [commands]."
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TABLE;

    #[test]
    fn what_the_server_tells_of_itself() {
        let (mut off, mut open) = (LaneConfig::named("asleep"), LaneConfig::named("devbox-codex"));
        off.enabled = false;
        open.approval = Approval::SecondPerson;
        let standing = |config, available| LaneStanding { config, available, running: 1, queued: 2 };
        let lanes = [standing(&open, true), standing(&off, false)];
        let all = [
            health_part(&[], "0.1.0", &lanes, &["There is no audit sink."]),
            health_part(&["The store takes no writes."], "0.1.0", &[], &[]),
            help_part(&TABLE),
            ask_part(),
        ];
        insta::assert_snapshot!(all.join("\n---\n"));
    }
}
