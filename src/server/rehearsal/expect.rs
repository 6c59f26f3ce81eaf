//! The words for how a task stands, and what the rules of the queue let one expect.

use crate::queue::task::TaskState;

/// Tells a task's state, why it is so, how many runs it had, and what ended those before the last.
pub(super) fn told(state: TaskState, why: Option<&str>, runs: usize, earlier: &[&str]) -> String {
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let runs = match runs {
        0 => "no run".to_owned(),
        1 => "1 run".to_owned(),
        runs => format!("{runs} runs"),
    };
    let earlier =
        if earlier.is_empty() { String::new() } else { format!("; before: {}", earlier.join(", ")) };
    format!("{}{why}, {runs}{earlier}", state.as_str())
}

/// Tells how a task ends whose runs are all interrupted alike, by how many may be retried; `alone` is
/// the code of one such run.
pub(super) fn interrupted(reason: &str, alone: &str, retries: u32) -> String {
    let why = if retries == 0 { alone } else { "retries-exhausted" };
    let times = usize::try_from(retries).unwrap_or(usize::MAX);
    told(TaskState::Failed, Some(why), times.saturating_add(1), &vec![reason; times])
}

/// Tells how a task ends whose first run is interrupted and whose second is not.
pub(super) fn interrupted_once(reason: &str, alone: &str, retries: u32) -> String {
    if retries == 0 { interrupted(reason, alone, 0) } else { told(TaskState::Done, None, 2, &[reason]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_follows_the_number_of_retries() {
        assert_eq!(interrupted("exit 137", "step-failed", 0), "failed (step-failed), 1 run");
        assert_eq!(
            interrupted("exit 137", "step-failed", 2),
            "failed (retries-exhausted), 3 runs; before: exit 137, exit 137"
        );
        assert_eq!(interrupted_once("time-out", "step-idle", 1), "done, 2 runs; before: time-out");
        assert_eq!(interrupted_once("time-out", "step-idle", 0), "failed (step-idle), 1 run");
    }
}
