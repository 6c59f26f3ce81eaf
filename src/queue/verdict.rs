//! What becomes of a task that somebody wants stopped, or published again.

use super::task::{BlockReason, TaskState};

/// What stopping a task comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopVerdict {
    /// It does not run, and never will.
    Cancel,
    /// Its run is ended.
    End,
    /// Its run is being ended already.
    Ending,
    /// Its work has ended and is being published.
    TooLate,
    /// It has ended.
    Over,
}

/// What publishing a task again comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishVerdict {
    /// Its publishing is tried again.
    Publish,
    /// It is being published already.
    Publishing,
    /// Its work has not ended yet.
    TooEarly,
    /// It is blocked, and has nothing to publish.
    Nothing,
    /// It has ended.
    Over,
}

/// Decides what stopping a task comes to. `publishing` tells that the work of its run has ended,
/// `stopping` that somebody wanted it stopped before.
pub fn stop_verdict(state: TaskState, publishing: bool, stopping: bool) -> StopVerdict {
    match state {
        TaskState::Queued | TaskState::Blocked(_) => StopVerdict::Cancel,
        TaskState::Running if publishing => StopVerdict::TooLate,
        TaskState::Running if stopping => StopVerdict::Ending,
        TaskState::Running => StopVerdict::End,
        TaskState::Done | TaskState::Failed | TaskState::Cancelled => StopVerdict::Over,
    }
}

/// Decides what publishing a task again comes to; `publishing` is as for [`stop_verdict`].
pub fn publish_verdict(state: TaskState, publishing: bool) -> PublishVerdict {
    match state {
        TaskState::Blocked(BlockReason::Publishing) => PublishVerdict::Publish,
        TaskState::Blocked(BlockReason::Quarantined) => PublishVerdict::Nothing,
        TaskState::Blocked(BlockReason::AwaitingApproval) => PublishVerdict::TooEarly,
        TaskState::Running if publishing => PublishVerdict::Publishing,
        TaskState::Queued | TaskState::Running => PublishVerdict::TooEarly,
        TaskState::Done | TaskState::Failed | TaskState::Cancelled => PublishVerdict::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::task::Event;

    #[test]
    fn a_stop_does_what_the_states_allow_and_nothing_else() {
        for state in TaskState::ALL {
            let after = state.after(Event::Stopped);
            let acts = matches!(stop_verdict(state, false, false), StopVerdict::Cancel | StopVerdict::End);
            assert_eq!(acts, after == Some(TaskState::Cancelled), "{state:?}");
            let again = publish_verdict(state, false) == PublishVerdict::Publish;
            assert_eq!(again, state.after(Event::Republished).is_some(), "{state:?}");
        }
    }

    #[test]
    fn what_is_being_published_is_not_stopped_and_what_is_being_stopped_is_not_stopped_twice() {
        assert_eq!(stop_verdict(TaskState::Running, true, false), StopVerdict::TooLate);
        assert_eq!(stop_verdict(TaskState::Running, false, true), StopVerdict::Ending);
        assert_eq!(publish_verdict(TaskState::Running, true), PublishVerdict::Publishing);
        assert_eq!(publish_verdict(TaskState::Running, false), PublishVerdict::TooEarly);
    }
}
