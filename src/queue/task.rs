//! The task state machine (design section 7).

/// How many runs a task may lose with its lane or server; then it is quarantined.
pub const MOST_LOSSES: u32 = 2;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Waits for its lane, or for the end of a cool-down.
    Queued,
    /// Has a run, which works or whose result is being published.
    Running,
    /// Ended with everything that was asked for.
    Done,
    /// Ended without.
    Failed,
    /// Waits until its reason is gone.
    Blocked(BlockReason),
    /// Will never run (again), because somebody withdrew or stopped it.
    Cancelled,
}

/// Why a task is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockReason {
    /// The work is done and kept, and GitHub does not take it.
    Publishing,
    /// It took its lane or the server down as often as it may.
    Quarantined,
    /// Nobody has approved it yet.
    AwaitingApproval,
    /// Its thread lacks the label that its gate asks for, or nobody has started it yet.
    AwaitingStart,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A lane took it.
    Claimed,
    /// Everything that was asked for was made.
    Succeeded,
    /// It was not, and trying again would not help.
    Failed,
    /// A time-out or a signal ended its run; `retries` counts the runs that ended so before.
    Interrupted {
        /// Counts the earlier runs that ended so.
        retries: u32,
        /// Is how many may be retried.
        most: u32,
    },
    /// Its run was lost with the server or the lane; `losses` counts the runs that were lost before.
    Lost {
        /// Counts the earlier runs that were lost.
        losses: u32,
    },
    /// The server ends and hands its run back; this counts for nothing.
    HandedBack,
    /// GitHub refuses for good what its run made.
    PublishingRefused,
    /// Somebody, or the end of a cool-down, wants the publishing tried again.
    Republished,
    /// It may not run before somebody approves it, or what was approved does not hold any more.
    ApprovalNeeded,
    /// Somebody approved it.
    Approved,
    /// Somebody rejected it, or nobody approved it in time.
    Rejected,
    /// Its gate is shut.
    StartNeeded,
    /// Somebody started it, or opened its gate.
    Started,
    /// Somebody wants another run of it.
    Retried,
    /// Its text was edited or deleted, or its thread closed, before it ran.
    Withdrawn,
    /// Somebody stopped it, and no process of it is left.
    Stopped,
}

impl TaskState {
    /// All states, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Blocked(BlockReason::Publishing),
        Self::Blocked(BlockReason::Quarantined),
        Self::Blocked(BlockReason::AwaitingApproval),
        Self::Blocked(BlockReason::AwaitingStart),
        Self::Cancelled,
    ];

    /// Returns the state after an event, or `None` where the event cannot happen.
    pub fn after(self, event: Event) -> Option<Self> {
        let awaiting = Self::Blocked(BlockReason::AwaitingApproval);
        Some(match (self, event) {
            (Self::Queued, Event::Claimed) => Self::Running,
            (Self::Queued, Event::Withdrawn | Event::Stopped) => Self::Cancelled,
            (Self::Queued | Self::Running, Event::ApprovalNeeded) => awaiting,
            (Self::Queued, Event::StartNeeded) => Self::Blocked(BlockReason::AwaitingStart),
            (Self::Blocked(BlockReason::AwaitingStart), Event::Started) => Self::Queued,
            (Self::Blocked(BlockReason::AwaitingStart), Event::Withdrawn) => Self::Cancelled,
            (Self::Failed | Self::Cancelled | Self::Blocked(BlockReason::Quarantined), Event::Retried) => {
                Self::Queued
            }
            (Self::Blocked(BlockReason::AwaitingApproval), Event::Approved) => Self::Queued,
            (Self::Blocked(BlockReason::AwaitingApproval), Event::Rejected | Event::Withdrawn) => {
                Self::Cancelled
            }
            (Self::Running, Event::Succeeded) => Self::Done,
            (Self::Running, Event::Failed) => Self::Failed,
            (Self::Running, Event::Interrupted { retries, most }) if retries < most => Self::Queued,
            (Self::Running, Event::Interrupted { .. }) => Self::Failed,
            (Self::Running, Event::Lost { losses }) if losses + 1 < MOST_LOSSES => Self::Queued,
            (Self::Running, Event::Lost { .. }) => Self::Blocked(BlockReason::Quarantined),
            (Self::Running, Event::HandedBack) => Self::Queued,
            (Self::Running, Event::PublishingRefused) => Self::Blocked(BlockReason::Publishing),
            (Self::Running, Event::Stopped) => Self::Cancelled,
            (Self::Blocked(BlockReason::Publishing), Event::Republished) => Self::Running,
            (Self::Blocked(_), Event::Stopped) => Self::Cancelled,
            _ => return None,
        })
    }

    /// Tells whether nothing happens to the task any more by itself; somebody can want it run once more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// Returns the word that the store and people use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Blocked(_) => "blocked",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns why the task is blocked, if it is.
    pub fn block_reason(self) -> Option<BlockReason> {
        match self {
            Self::Blocked(reason) => Some(reason),
            _ => None,
        }
    }

    /// Reads back what [`Self::as_str`] and [`BlockReason::as_str`] wrote.
    pub fn read(state: &str, reason: Option<&str>) -> Option<Self> {
        Self::ALL.into_iter().find(|known| {
            known.as_str() == state && known.block_reason().is_none_or(|known| Some(known.as_str()) == reason)
        })
    }
}

impl BlockReason {
    /// Returns the word that the store and people use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Quarantined => "quarantined",
            Self::AwaitingApproval => "awaiting_approval",
            Self::AwaitingStart => "awaiting_start",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Claimed),
            Just(Event::Succeeded),
            Just(Event::Failed),
            (0..3_u32, 0..3_u32).prop_map(|(retries, most)| Event::Interrupted { retries, most }),
            (0..3_u32).prop_map(|losses| Event::Lost { losses }),
            Just(Event::HandedBack),
            Just(Event::PublishingRefused),
            Just(Event::Republished),
            Just(Event::ApprovalNeeded),
            Just(Event::Approved),
            Just(Event::Rejected),
            Just(Event::StartNeeded),
            Just(Event::Started),
            Just(Event::Retried),
            Just(Event::Withdrawn),
            Just(Event::Stopped),
        ]
    }

    proptest! {
        #[test]
        fn only_a_retry_leaves_a_final_state_and_only_queued_or_unpublished_tasks_run(
            events in prop::collection::vec(event(), 0..40),
        ) {
            let mut state = TaskState::Queued;
            for event in events {
                let Some(next) = state.after(event) else { continue };
                if state.is_final() {
                    prop_assert_eq!((event, next), (Event::Retried, TaskState::Queued));
                    prop_assert!(state != TaskState::Done);
                }
                if state == TaskState::Blocked(BlockReason::AwaitingStart) && !next.is_final() {
                    prop_assert_eq!((event, next), (Event::Started, TaskState::Queued));
                }
                if state == TaskState::Blocked(BlockReason::AwaitingApproval) && !next.is_final() {
                    prop_assert_eq!((event, next), (Event::Approved, TaskState::Queued));
                }
                if next == TaskState::Running {
                    let from = [TaskState::Queued, TaskState::Blocked(BlockReason::Publishing)];
                    prop_assert!(from.contains(&state));
                }
                state = next;
            }
        }
    }

    #[test]
    fn a_lost_run_is_made_again_once_and_then_its_task_is_quarantined() {
        let running = TaskState::Running;
        assert_eq!(running.after(Event::Lost { losses: 0 }), Some(TaskState::Queued));
        let quarantined = TaskState::Blocked(BlockReason::Quarantined);
        assert_eq!(running.after(Event::Lost { losses: 1 }), Some(quarantined));
    }

    #[test]
    fn an_interrupted_run_is_made_again_as_often_as_allowed() {
        let interrupted = |retries, most| TaskState::Running.after(Event::Interrupted { retries, most });
        assert_eq!(interrupted(0, 1), Some(TaskState::Queued));
        assert_eq!(interrupted(1, 1), Some(TaskState::Failed));
        assert_eq!(interrupted(0, 0), Some(TaskState::Failed));
    }

    #[test]
    fn the_store_has_a_word_for_each_state_and_for_nothing_else() {
        let schema = include_str!("../../migrations/sqlite/0001_initial.sql");
        let mut words: Vec<String> =
            TaskState::ALL.iter().map(|state| format!("'{}'", state.as_str())).collect();
        words.dedup();
        assert!(schema.contains(&format!("CHECK (state IN ({}))", words.join(", "))), "{words:?}");
        for state in TaskState::ALL {
            let reason = state.block_reason().map(BlockReason::as_str);
            assert_eq!(TaskState::read(state.as_str(), reason), Some(state));
        }
        assert_eq!(TaskState::read("blocked", Some("bad luck")), None);
    }
}
