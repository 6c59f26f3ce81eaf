//! The label that a thread carries for its briefs (row P13).

use super::task::{BlockReason, TaskState};

/// One of the four labels; a thread has at most one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateLabel {
    /// Everything that ran ended with what was asked for.
    Done,
    /// Something ended without, or waits until its reason is gone.
    Failed,
    /// Something waits for its lane, or for somebody to approve or start it.
    New,
    /// Something runs.
    Running,
}

impl StateLabel {
    /// All labels.
    pub const ALL: [Self; 4] = [Self::New, Self::Running, Self::Done, Self::Failed];

    /// Returns the label of a thread whose briefs stand so: what goes on comes before what waits, and
    /// that before what ended. `None` when nothing is left but what was cancelled.
    pub fn of(states: impl Iterator<Item = TaskState>) -> Option<Self> {
        let label = |state| match state {
            TaskState::Queued
            | TaskState::Blocked(BlockReason::AwaitingApproval | BlockReason::AwaitingStart) => {
                Some(Self::New)
            }
            TaskState::Running => Some(Self::Running),
            TaskState::Done => Some(Self::Done),
            TaskState::Failed | TaskState::Blocked(_) => Some(Self::Failed),
            TaskState::Cancelled => None,
        };
        states.filter_map(label).max()
    }

    /// Returns its name on GitHub.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "codex:new",
            Self::Running => "codex:running",
            Self::Done => "codex:done",
            Self::Failed => "codex:failed",
        }
    }

    /// Returns its colour, six hex digits.
    pub fn color(self) -> &'static str {
        match self {
            Self::New => "c5def5",
            Self::Running => "fbca04",
            Self::Done => "0e8a16",
            Self::Failed => "d73a4a",
        }
    }

    /// Returns what GitHub shows beside its name.
    pub fn description(self) -> &'static str {
        match self {
            Self::New => "A brief waits for its lane or for somebody",
            Self::Running => "A brief runs",
            Self::Done => "Every brief ended with what it asked for",
            Self::Failed => "A brief failed or is blocked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_comes_first_and_a_failure_is_not_hidden_by_a_success() {
        let of = |states: &[TaskState]| StateLabel::of(states.iter().copied());
        assert_eq!(of(&[TaskState::Done, TaskState::Queued, TaskState::Running]), Some(StateLabel::Running));
        assert_eq!(of(&[TaskState::Failed, TaskState::Queued]), Some(StateLabel::New));
        assert_eq!(of(&[TaskState::Failed, TaskState::Done]), Some(StateLabel::Failed));
        let blocked = TaskState::Blocked(BlockReason::Publishing);
        assert_eq!(of(&[TaskState::Done, blocked]), Some(StateLabel::Failed));
        let awaiting = TaskState::Blocked(BlockReason::AwaitingApproval);
        assert_eq!(of(&[TaskState::Failed, awaiting]), Some(StateLabel::New));
        assert_eq!(of(&[TaskState::Done, TaskState::Cancelled]), Some(StateLabel::Done));
        assert_eq!(of(&[TaskState::Cancelled]), None);
    }
}
