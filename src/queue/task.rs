//! The task state machine (design section 7).

/// How many runs a task may lose to a crash of lane or server, counted in all.
pub const MOST_ATTEMPTS: i64 = 2;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// Waits for its lane.
    Queued,
    /// Has a run.
    Running,
    /// Ended with everything that was asked for.
    Done,
    /// Ended without.
    Failed,
    /// Waits for somebody or something; nothing leads here before approvals exist.
    Blocked,
    /// Will never run, because it was withdrawn.
    Cancelled,
}

/// What ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// Everything that was asked for was made.
    Done,
    /// It was not.
    Failed,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A lane took it.
    Claimed,
    /// Its run ended.
    Ended(Transition),
    /// Its run was lost with the server or the lane; `attempt` counts the runs it has had.
    Lost {
        /// Counts the runs, the lost one among them.
        attempt: i64,
    },
    /// Its text was edited before it ran.
    Superseded,
}

impl TaskState {
    /// All states, for tables and tests.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Blocked, Self::Cancelled];

    /// Returns the state after an event, or `None` where the event cannot happen.
    pub fn after(self, event: Event) -> Option<Self> {
        Some(match (self, event) {
            (Self::Queued, Event::Claimed) => Self::Running,
            (Self::Queued, Event::Superseded) => Self::Cancelled,
            (Self::Running, Event::Ended(end)) => end.state(),
            (Self::Running, Event::Lost { attempt }) if attempt < MOST_ATTEMPTS => Self::Queued,
            (Self::Running, Event::Lost { .. }) => Self::Failed,
            _ => return None,
        })
    }

    /// Tells whether nothing can happen to the task any more.
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
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Transition {
    /// Returns the state that the task is in afterwards.
    pub fn state(self) -> TaskState {
        match self {
            Self::Done => TaskState::Done,
            Self::Failed => TaskState::Failed,
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
            Just(Event::Ended(Transition::Done)),
            Just(Event::Ended(Transition::Failed)),
            (1..4_i64).prop_map(|attempt| Event::Lost { attempt }),
            Just(Event::Superseded),
        ]
    }

    proptest! {
        #[test]
        fn nothing_leaves_a_final_state_and_only_queued_tasks_begin(events in prop::collection::vec(event(), 0..40)) {
            let mut state = TaskState::Queued;
            for event in events {
                let Some(next) = state.after(event) else { continue };
                prop_assert!(!state.is_final());
                if next == TaskState::Running {
                    prop_assert_eq!(state, TaskState::Queued);
                }
                state = next;
            }
        }
    }

    #[test]
    fn a_task_is_lost_once_and_tried_again_then_it_fails() {
        let running = TaskState::Running;
        assert_eq!(running.after(Event::Lost { attempt: 1 }), Some(TaskState::Queued));
        assert_eq!(running.after(Event::Lost { attempt: 2 }), Some(TaskState::Failed));
    }

    #[test]
    fn the_store_has_a_word_for_each_state_and_for_nothing_else() {
        let schema = include_str!("../../migrations/sqlite/0001_initial.sql");
        let words: Vec<String> = TaskState::ALL.iter().map(|state| format!("'{}'", state.as_str())).collect();
        assert!(schema.contains(&format!("CHECK (state IN ({}))", words.join(", "))), "{words:?}");
    }
}
