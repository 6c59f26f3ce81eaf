//! What the store promises, in memory and in a few lines each: no SQL, no transactions, and the rules
//! of the queue written out once more instead of called.

use std::collections::{BTreeMap, BTreeSet};

use crate::queue::task::{BlockReason, TaskState};
use crate::store::models::{ClaimedTask, Effect, EffectPayload};
use crate::store::result_key;

const LOST: TaskState = TaskState::Blocked(BlockReason::Quarantined);
const UNPUBLISHED: TaskState = TaskState::Blocked(BlockReason::Publishing);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Task {
    pub(super) brief: String,
    pub(super) source: u64,
    pub(super) digest: String,
    pub(super) lane: String,
    pub(super) state: TaskState,
    pub(super) reason: Option<String>,
    pub(super) epoch: i64,
    pub(super) retries: u32,
    pub(super) losses: u32,
    pub(super) held: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) task: i64,
    pub(super) epoch: i64,
    pub(super) state: String,
    pub(super) lease: i64,
    pub(super) changeset: Option<String>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owed {
    pub(super) payload: String,
    pub(super) version: i64,
    pub(super) state: String,
}

/// Everything that is compared with the store after each step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    pub(super) guids: BTreeSet<String>,
    pub(super) tasks: BTreeMap<i64, Task>,
    pub(super) runs: BTreeMap<String, Run>,
    pub(super) effects: BTreeMap<String, Owed>,
}

/// How a run's work ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Publish,
    Fail,
    Stop,
    Exhaust,
    Retry { held: bool },
}

/// How a publishing ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Taken,
    Refused,
    /// The brief is refused by today's rules.
    Outdated,
}

impl Model {
    /// Tells whether a run works and is its task's.
    pub(super) fn works(&self, run: &ClaimedTask) -> bool {
        self.is(run, "running")
    }

    /// Tells whether a run is its task's and waits to be published.
    pub(super) fn waits(&self, run: &ClaimedTask) -> bool {
        self.is(run, "judged")
    }

    fn is(&self, run: &ClaimedTask, state: &str) -> bool {
        let task = &self.tasks[&run.id];
        task.state == TaskState::Running && task.epoch == run.epoch && self.runs[&run.run_id].state == state
    }

    /// A delivery with one brief, whose text is new or an edit; returns how many tasks are new.
    pub(super) fn deliver(&mut self, guid: &str, task: Task, edit: bool) -> u64 {
        if !self.guids.insert(guid.to_owned()) {
            return 0;
        }
        let mut superseded = Vec::new();
        for (id, known) in self.tasks.iter_mut().filter(|(_, known)| known.source == task.source) {
            if edit && known.state == TaskState::Queued && known.digest != task.digest {
                known.state = TaskState::Cancelled;
                known.reason = Some("its text was edited".to_owned());
                superseded.push(*id);
            }
        }
        superseded.into_iter().for_each(|id| self.live(id));
        if self.tasks.values().any(|known| known.brief == task.brief) {
            return 0;
        }
        let id = i64::try_from(self.tasks.len()).unwrap() + 1;
        self.tasks.insert(id, task);
        self.live(id);
        1
    }

    /// Returns the task that a lane gets next, with its epoch then.
    pub(super) fn claim(&mut self, lane: &str, run: &str, lease: i64) -> Option<(i64, i64)> {
        let waits = |task: &Task| task.lane == lane && task.state == TaskState::Queued && !task.held;
        let (id, task) = self.tasks.iter_mut().find(|(_, task)| waits(task))?;
        task.state = TaskState::Running;
        task.epoch += 1;
        let (task, epoch, state) = (*id, task.epoch, "running".to_owned());
        self.runs.insert(run.to_owned(), Run { task, epoch, state, lease, changeset: None, reason: None });
        self.live(task);
        Some((task, epoch))
    }

    pub(super) fn renew(&mut self, run: &ClaimedTask, lease: i64) {
        self.run(run).lease = lease;
    }

    pub(super) fn end_work(
        &mut self,
        run: &ClaimedTask,
        end: End,
        changeset: Option<&str>,
        owed: &[&Effect],
    ) {
        let publishes = matches!(end, End::Publish);
        let ended = self.run(run);
        ended.state = if publishes { "judged" } else { "finished" }.to_owned();
        ended.changeset = changeset.map(str::to_owned);
        if let End::Retry { .. } = end {
            ended.reason = Some("time-out".to_owned());
        }
        let task = self.task(run);
        match end {
            End::Publish => {}
            End::Fail | End::Exhaust => task.state = TaskState::Failed,
            End::Stop => task.state = TaskState::Cancelled,
            End::Retry { held } => {
                (task.state, task.held) = (TaskState::Queued, held);
                task.retries += 1;
            }
        }
        if let End::Fail | End::Exhaust | End::Stop = end {
            task.reason = Some("ended".to_owned());
        }
        owed.iter().for_each(|effect| self.owe(effect));
        if let End::Publish | End::Retry { .. } = end {
            self.live(run.id);
        }
    }

    pub(super) fn end_publishing(&mut self, run: &ClaimedTask, key: &str, answer: Answer, owed: &Effect) {
        let refused = matches!(answer, Answer::Refused);
        if !refused {
            self.run(run).state = "finished".to_owned();
        }
        self.effects.get_mut(key).unwrap().state = if refused { "given_up" } else { "done" }.to_owned();
        let task = self.task(run);
        task.state = match answer {
            Answer::Taken => TaskState::Done,
            Answer::Refused => UNPUBLISHED,
            Answer::Outdated => TaskState::Failed,
        };
        task.reason = Some("answered".to_owned());
        self.owe(owed);
    }

    /// Loses a run: once its task is queued again, the second time it is quarantined.
    pub(super) fn lose(&mut self, run: &ClaimedTask, held: bool, owed: &Effect) {
        self.lost(run);
        let task = self.task(run);
        task.losses += 1;
        if task.losses < 2 {
            (task.state, task.held) = (TaskState::Queued, held);
            self.live(run.id);
        } else {
            (task.state, task.reason) = (LOST, Some("lost".to_owned()));
            self.owe(owed);
        }
    }

    pub(super) fn hand_back(&mut self, run: &ClaimedTask) {
        self.lost(run);
        self.run(run).reason = Some("the server ended".to_owned());
        self.task(run).state = TaskState::Queued;
        self.live(run.id);
    }

    fn lost(&mut self, run: &ClaimedTask) {
        let lost = self.run(run);
        (lost.state, lost.reason) = ("lost".to_owned(), Some("lost".to_owned()));
    }

    /// Returns whether the task could be cancelled.
    pub(super) fn cancel(&mut self, id: i64, owed: &Effect) -> bool {
        let task = self.tasks.get_mut(&id).unwrap();
        if !matches!(task.state, TaskState::Queued | TaskState::Blocked(_)) {
            return false;
        }
        let waited = task.state == TaskState::Queued;
        (task.state, task.reason) = (TaskState::Cancelled, Some("stopped (maria)".to_owned()));
        // What was judged is not published any more.
        for run in self.runs.values_mut().filter(|run| run.task == id && run.state == "judged") {
            run.state = "finished".to_owned();
        }
        if waited {
            self.live(id);
        }
        self.owe(owed);
        true
    }

    /// Returns whether the task could be published again.
    pub(super) fn republish(&mut self, id: i64) -> bool {
        let task = self.tasks.get_mut(&id).unwrap();
        if task.state != UNPUBLISHED {
            return false;
        }
        (task.state, task.reason) = (TaskState::Running, None);
        let epoch = task.epoch;
        let run = self.runs.iter().find(|(_, run)| run.task == id && run.epoch == epoch).unwrap().0;
        self.effects.get_mut(&format!("publish:{run}")).unwrap().state = "owed".to_owned();
        true
    }

    /// Returns whether the task could be run once more.
    pub(super) fn retry(&mut self, id: i64) -> bool {
        let task = self.tasks.get_mut(&id).unwrap();
        if !matches!(task.state, TaskState::Failed | TaskState::Cancelled) && task.state != LOST {
            return false;
        }
        (task.state, task.reason, task.held) = (TaskState::Queued, None, false);
        (task.retries, task.losses) = (0, 0);
        self.live(id);
        true
    }

    /// Confirms a version of an effect.
    pub(super) fn confirm(&mut self, key: &str, version: i64) {
        let effect = self.effects.get_mut(key).unwrap();
        if effect.version == version {
            effect.state = "done".to_owned();
        }
    }

    /// Owes the comment of a task that goes on, whatever it held before.
    fn live(&mut self, id: i64) {
        let brief = self.tasks[&id].brief.clone();
        let key = result_key(&brief);
        let payload = serde_json::to_string(&EffectPayload::Living { brief }).unwrap();
        let version = self.effects.get(&key).map_or(1, |known| known.version + 1);
        self.effects.insert(key, Owed { payload, version, state: "owed".to_owned() });
    }

    fn owe(&mut self, effect: &Effect) {
        let payload = serde_json::to_string(&effect.payload).unwrap();
        let state = "owed".to_owned();
        match self.effects.get_mut(&effect.key) {
            Some(known) if known.payload == payload => {}
            Some(known) => *known = Owed { payload, version: known.version + 1, state },
            None => {
                self.effects.insert(effect.key.clone(), Owed { payload, version: 1, state });
            }
        }
    }

    fn task(&mut self, run: &ClaimedTask) -> &mut Task {
        self.tasks.get_mut(&run.id).unwrap()
    }

    fn run(&mut self, run: &ClaimedTask) -> &mut Run {
        self.runs.get_mut(&run.run_id).unwrap()
    }

    /// Holds what must be true of every store, however it came to be.
    pub(super) fn check(&self) {
        let mut epochs = BTreeSet::new();
        for run in self.runs.values() {
            assert!(epochs.insert((run.task, run.epoch)), "two runs of one epoch: {run:?}");
            assert!(run.epoch <= self.tasks[&run.task].epoch, "a run from the future: {run:?}");
        }
        let briefs: BTreeSet<&str> = self.tasks.values().map(|task| task.brief.as_str()).collect();
        assert_eq!(briefs.len(), self.tasks.len(), "a brief has two tasks");
        for (id, run) in &self.runs {
            let task = &self.tasks[&run.task];
            let is_current = task.epoch == run.epoch && task.state == TaskState::Running;
            assert!(run.state != "running" || is_current, "a run works that is not its task's: {run:?}");
            let owed =
                self.effects.get(&format!("publish:{id}")).is_some_and(|effect| effect.state == "owed");
            assert_eq!(owed, run.state == "judged" && is_current, "publishing {id}: {run:?}, {task:?}");
            assert!(run.state != "judged" || run.changeset.is_some(), "finished work is gone: {run:?}");
        }
        for (id, task) in self.tasks.iter().filter(|(_, task)| task.state == TaskState::Running) {
            let mine = |run: &&Run| run.task == *id && run.epoch == task.epoch;
            let run = self.runs.values().find(mine).expect("a running task has a run");
            assert!(
                ["running", "judged"].contains(&run.state.as_str()),
                "nothing goes on: {task:?}, {run:?}"
            );
        }
    }
}
