//! What becomes of a task that somebody wants stopped, cancelled, started, run once more, or published again.

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
        TaskState::Blocked(BlockReason::AwaitingApproval | BlockReason::AwaitingStart) => {
            PublishVerdict::TooEarly
        }
        TaskState::Running if publishing => PublishVerdict::Publishing,
        TaskState::Queued | TaskState::Running => PublishVerdict::TooEarly,
        TaskState::Done | TaskState::Failed | TaskState::Cancelled => PublishVerdict::Over,
    }
}

/// What cancelling a task comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelVerdict {
    /// It does not run, and never will.
    Cancel,
    /// It has a run, which only a stop ends.
    Runs,
    /// It has ended.
    Over,
}

/// What running a task once more comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryVerdict {
    /// It gets another run of the same text.
    Retry,
    /// It waits for its run already.
    Waits,
    /// It waits for somebody to start or approve it.
    WaitsForSomebody,
    /// It has a run that has not ended.
    Runs,
    /// Its work is done, and only its publishing is not.
    Unpublished,
    /// It ended with everything that was asked for.
    Done,
}

/// What starting a task comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartVerdict {
    /// It waits to be started.
    Start,
    /// It waits for its run already.
    Waits,
    /// It waits for an approval, which is another command's.
    Unapproved,
    /// It has a run that has not ended.
    Runs,
    /// It has had its run: what follows is a retry's, or a publishing's.
    Over,
}

/// Decides what cancelling a task comes to.
pub fn cancel_verdict(state: TaskState) -> CancelVerdict {
    match state {
        TaskState::Queued | TaskState::Blocked(_) => CancelVerdict::Cancel,
        TaskState::Running => CancelVerdict::Runs,
        TaskState::Done | TaskState::Failed | TaskState::Cancelled => CancelVerdict::Over,
    }
}

/// Decides what running a task once more comes to.
pub fn retry_verdict(state: TaskState) -> RetryVerdict {
    match state {
        TaskState::Failed | TaskState::Cancelled | TaskState::Blocked(BlockReason::Quarantined) => {
            RetryVerdict::Retry
        }
        TaskState::Queued => RetryVerdict::Waits,
        TaskState::Blocked(BlockReason::AwaitingApproval | BlockReason::AwaitingStart) => {
            RetryVerdict::WaitsForSomebody
        }
        TaskState::Blocked(BlockReason::Publishing) => RetryVerdict::Unpublished,
        TaskState::Running => RetryVerdict::Runs,
        TaskState::Done => RetryVerdict::Done,
    }
}

/// Decides what starting a task comes to.
pub fn start_verdict(state: TaskState) -> StartVerdict {
    match state {
        TaskState::Blocked(BlockReason::AwaitingStart) => StartVerdict::Start,
        TaskState::Blocked(BlockReason::AwaitingApproval) => StartVerdict::Unapproved,
        TaskState::Queued => StartVerdict::Waits,
        TaskState::Running => StartVerdict::Runs,
        TaskState::Blocked(BlockReason::Publishing | BlockReason::Quarantined)
        | TaskState::Done
        | TaskState::Failed
        | TaskState::Cancelled => StartVerdict::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::task::Event;

    #[test]
    fn what_is_retried_started_or_cancelled_is_what_the_states_allow() {
        for state in TaskState::ALL {
            let retried = retry_verdict(state) == RetryVerdict::Retry;
            assert_eq!(retried, state.after(Event::Retried).is_some(), "{state:?}");
            let started = start_verdict(state) == StartVerdict::Start;
            assert_eq!(started, state.after(Event::Started).is_some(), "{state:?}");
            let cancelled = cancel_verdict(state) == CancelVerdict::Cancel;
            let stopped = state.after(Event::Stopped) == Some(TaskState::Cancelled);
            assert_eq!(cancelled, stopped && state != TaskState::Running, "{state:?}");
        }
    }

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
