//! The answer to `/work plan`: what a brief would do, before it does it.

use std::fmt::Write as _;

use crate::brief::Brief;
use crate::config::LaneConfig;
use crate::store::models::TaskView;

use super::format::{code_within, short};
use super::outputs::outline;

/// Bounds the list of files, in entries.
const MAX_FILES: usize = 50;

/// Tells what a brief would do; `commands` is the table of its steps' commands, Markdown.
pub fn plan_part(
    task: &TaskView,
    brief: Option<&Brief>,
    lane: Option<&LaneConfig>,
    commands: Option<&str>,
) -> String {
    let mut out = format!("### Plan of brief `{}`\n\n", short(&task.brief.id.to_string()));
    let Some(brief) = brief else {
        out.push_str(
            "The server's present rules refuse it. Post it again; the answer tells what to write instead.\n",
        );
        return out;
    };
    let _ = write!(out, "- **State:** {}\n- **Lane:** {}", task.state.as_str(), code_within(&task.lane, 100));
    match lane {
        Some(lane) => {
            let network = code_within(&lane.network.to_string(), 500);
            let _ = writeln!(out, ", network {network}, at most {} s a step", lane.limits.wall_seconds);
        }
        None => out.push_str(", which is not there any more\n"),
    }
    let _ = writeln!(out, "- **Base:** the branch {}", code_within(&brief.branch, 255));
    if let Some(output) = brief.pull_request() {
        let files = output.files.iter().take(MAX_FILES).map(|file| code_within(file, 200));
        let _ = write!(out, "- **Files:** {}", files.collect::<Vec<_>>().join(", "));
        match output.files.len().checked_sub(MAX_FILES) {
            Some(more @ 1..) => drop(writeln!(out, ", and {more} more")),
            _ => out.push('\n'),
        }
    }
    out.push_str(&outline(brief));
    if let Some(commands) = commands {
        let _ = write!(out, "\n{commands}");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::approval::tests::task;
    use super::super::comment::tests::assert_sound;
    use super::super::inert::tests::hostile;
    use super::*;
    use crate::brief::parse_document;
    use crate::queue::task::TaskState;

    #[test]
    fn a_plan_names_lane_bounds_and_files() {
        let brief = parse_document(include_str!("../../fixtures/briefs/good/flow-style.yaml")).unwrap();
        let lane = LaneConfig::named("devbox-codex");
        let told = plan_part(&task(TaskState::Queued), Some(&brief), Some(&lane), Some("| table |\n"));
        for part in ["`devbox-codex`, network `none`, at most 1800 s", "**Base:** the branch", "| table |"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(plan_part(&task(TaskState::Queued), None, None, None).contains("refuse it"));
    }

    proptest! {
        #[test]
        fn a_plan_is_sound_whatever_stands_in_the_brief(text in hostile(), files in prop::collection::vec(hostile(), 0..80)) {
            let mut brief = parse_document(include_str!("../../fixtures/briefs/good/flow-style.yaml")).unwrap();
            brief.branch.clone_from(&text);
            for output in &mut brief.outputs {
                let crate::brief::Output::Pr(output) = output else { continue };
                output.files.clone_from(&files);
                output.body = Some(text.clone());
            }
            let mut task = task(TaskState::Queued);
            task.lane = text;
            assert_sound(&plan_part(&task, Some(&brief), None, None), &[], &[]);
        }
    }
}
