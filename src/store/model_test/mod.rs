//! Holds the store against a model: whatever deliveries, edits, claims, leases, stops, crashes and late
//! writers do, and in whatever order, tasks, runs and effects are as the model has them after each step.

mod model;
mod rows;

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use self::model::{Answer, End, Model, Task};
use self::rows::{brief, comment, lane_name};
use super::models::{ClaimedTask, Effect, EffectPayload};
use super::sqlite::now_ms;
use super::{Act, Intake, Next, Store, StoreError, Stored, TaskChange, publish_key};
use crate::queue::label::StateLabel;
use crate::queue::task::{Event, TaskState};

/// How long a task is held back, in milliseconds: longer than a test.
const HELD_MS: i64 = 3_600_000;

/// One step of a case. Runs are picked among all that were ever handed out, so that many are late.
#[derive(Debug, Clone)]
enum Step {
    Deliver {
        guid: u8,
        source: u8,
        text: u8,
        lane: bool,
        edit: bool,
    },
    Claim {
        lane: bool,
    },
    Renew(Index),
    EndWork(Index, End, bool),
    EndPublishing(Index, Answer),
    /// Its lease ran out, its lane failed or its server is gone.
    Lose(Index, bool),
    HandBack(Index),
    Cancel(Index),
    Republish(Index),
    Retry(Index),
    /// The outbox confirms an effect that is no publishing, perhaps an older version of it.
    Confirm(Index, bool),
    /// Whatever is held back may run.
    TimePasses,
    /// The process dies, perhaps within a transaction; the next one may take up what ran.
    Crash {
        recover: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let pick = any::<Index>;
    let end = prop_oneof![
        4 => Just(End::Publish),
        1 => Just(End::Fail),
        1 => Just(End::Stop),
        1 => Just(End::Exhaust),
        2 => any::<bool>().prop_map(|held| End::Retry { held }),
    ];
    let answer = prop_oneof![
        2 => Just(Answer::Taken),
        3 => Just(Answer::Refused),
        1 => Just(Answer::Outdated),
    ];
    prop_oneof![
        5 => (0..40_u8, 0..4_u8, 0..3_u8, any::<bool>(), any::<bool>())
            .prop_map(|(guid, source, text, lane, edit)| Step::Deliver { guid, source, text, lane, edit }),
        7 => any::<bool>().prop_map(|lane| Step::Claim { lane }),
        2 => pick().prop_map(Step::Renew),
        6 => (pick(), end, any::<bool>()).prop_map(|(run, end, changes)| Step::EndWork(run, end, changes)),
        5 => (pick(), answer).prop_map(|(run, answer)| Step::EndPublishing(run, answer)),
        2 => (pick(), any::<bool>()).prop_map(|(run, held)| Step::Lose(run, held)),
        1 => pick().prop_map(Step::HandBack),
        1 => pick().prop_map(Step::Cancel),
        2 => pick().prop_map(Step::Republish),
        2 => pick().prop_map(Step::Retry),
        1 => (pick(), any::<bool>()).prop_map(|(effect, older)| Step::Confirm(effect, older)),
        1 => Just(Step::TimePasses),
        1 => any::<bool>().prop_map(|recover| Step::Crash { recover }),
    ]
}

/// The store, the model, and every run that was ever handed out.
struct World {
    folder: TempDir,
    store: Store,
    model: Model,
    handed: Vec<ClaimedTask>,
    /// Holds the rows of tasks that have ended.
    ended: BTreeMap<i64, String>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        Self { folder, store, model: Model::default(), handed: Vec::new(), ended: BTreeMap::new() }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Deliver { guid, source, text, lane, edit } => {
                self.deliver(*guid, *source, *text, *lane, *edit).await;
            }
            Step::Claim { lane } => self.claim(lane_name(*lane)).await,
            Step::Cancel(index) => self.cancel(index).await,
            Step::Republish(index) => self.republish(index).await,
            Step::Retry(index) => self.retry(index).await,
            Step::Confirm(index, older) => self.confirm(index, *older).await,
            Step::TimePasses => self.time_passes().await,
            Step::Crash { recover } => self.crash(*recover).await,
            Step::Renew(index)
            | Step::EndWork(index, ..)
            | Step::EndPublishing(index, _)
            | Step::Lose(index, _)
            | Step::HandBack(index) => {
                if !self.handed.is_empty() {
                    let run = index.get(&self.handed).clone();
                    self.write(&run, step).await;
                }
            }
        }
    }

    async fn deliver(&mut self, guid: u8, source: u8, text: u8, lane: bool, edit: bool) {
        let guid = format!("guid-{guid}");
        let row = brief(source, &format!("text {text}"), &guid);
        let task = Task {
            brief: row.id.to_string(),
            source: row.source.id,
            digest: row.text_digest.clone(),
            lane: lane_name(lane).to_owned(),
            state: TaskState::Queued,
            reason: None,
            epoch: 0,
            retries: 0,
            losses: 0,
            held: false,
        };
        let known = self.model.guids.contains(&guid);
        let stored = self.store.insert_delivery(&guid, "issues", b"{}").await.unwrap();
        assert_eq!(stored, if known { Stored::Known } else { Stored::New });
        let queued = self.model.deliver(&guid, task, edit);
        if let Some(delivery) = self.store.next_delivery().await.unwrap() {
            let intake = Intake {
                seen: Some((row.source, 0)),
                edited_to: edit.then(|| vec![row.text_digest.clone()]),
                accepted: vec![(row, lane_name(lane).to_owned())],
                ..Intake::default()
            };
            assert_eq!(self.store.finish_delivery(delivery.id, &intake).await.unwrap(), queued);
        }
    }

    async fn claim(&mut self, lane: &str) {
        let (run, lease) = (format!("run-{:04}", self.handed.len()), 1_000);
        let claimed = self.store.claim_task(lane, &run, lease).await.unwrap();
        let expected = self.model.claim(lane, &run, lease);
        assert_eq!(claimed.as_ref().map(|task| (task.id, task.epoch)), expected);
        let Some(claimed) = claimed else { return };
        let mut reasons: Vec<(i64, String)> = Vec::new();
        for run in self.model.runs.values().filter(|run| run.task == claimed.id) {
            reasons.extend(run.reason.clone().map(|reason| (run.epoch, reason)));
        }
        reasons.sort();
        let earlier = self.store.earlier_runs(&claimed).await.unwrap();
        let told: Vec<&String> = earlier.iter().map(|run| &run.reason).collect();
        assert_eq!(told, reasons.iter().map(|(_, reason)| reason).collect::<Vec<_>>());
        self.handed.push(claimed);
    }

    /// Lets a run write, which may be late; then it is refused, and nothing at all changes.
    async fn write(&mut self, run: &ClaimedTask, step: &Step) {
        let publishing = matches!(step, Step::EndPublishing(..));
        let may = if publishing { self.model.waits(run) } else { self.model.works(run) };
        let before = self.dump().await;
        let (owed, store) = (comment(run, &format!("{step:?}")), self.store.clone());
        let written = match step {
            Step::Renew(_) => store.renew_lease(run, 2_000).await,
            Step::EndWork(_, end, changes) => {
                let changes = *changes || matches!(end, End::Publish);
                let changeset = changes.then(|| format!("changes of {}", run.run_id));
                return self.end_work(run, *end, changeset.as_deref(), &owed, may).await;
            }
            Step::EndPublishing(_, answer) => {
                let effect = self.effect(&publish_key(&run.run_id)).await;
                let event = match answer {
                    Answer::Taken => Event::Succeeded,
                    Answer::Refused => Event::PublishingRefused,
                    Answer::Outdated => Event::Failed,
                };
                store
                    .end_publishing(run, &effect, event, "{}", Some("answered"), std::slice::from_ref(&owed))
                    .await
            }
            Step::Lose(_, held) => {
                let not_before = if *held { now_ms() + HELD_MS } else { 0 };
                store.lose_run(run, "lost", not_before, "{}", std::slice::from_ref(&owed)).await.map(drop)
            }
            _ => store.hand_back(run).await,
        };
        self.judge(&written, may, &before).await;
        if !may {
            return;
        }
        match step {
            Step::Renew(_) => self.model.renew(run, 2_000),
            Step::EndPublishing(_, answer) => {
                self.model.end_publishing(run, &publish_key(&run.run_id), *answer, &owed);
            }
            Step::Lose(_, held) => self.model.lose(run, *held, &owed),
            _ => self.model.hand_back(run),
        }
    }

    async fn end_work(
        &mut self,
        run: &ClaimedTask,
        end: End,
        changeset: Option<&str>,
        told: &Effect,
        may: bool,
    ) {
        let payload = EffectPayload::Publish { run: run.run_id.clone() };
        let publish = Effect::for_brief(&run.brief, publish_key(&run.run_id), payload);
        let owed = [told.clone()];
        let ended = |event| Next::End { event, reason: Some("ended"), owed: &owed, honeytoken: None };
        let (next, owed) = match end {
            End::Publish => (Next::Publish(&publish), vec![&publish]),
            End::Fail => (ended(Event::Failed), vec![told]),
            End::Stop => (ended(Event::Stopped), vec![told]),
            End::Exhaust => (ended(Event::Interrupted { retries: 1, most: 1 }), vec![told]),
            End::Retry { held } => {
                let not_before_ms = if held { now_ms() + HELD_MS } else { 0 };
                (Next::Retry { reason: "time-out", not_before_ms }, vec![])
            }
        };
        let before = self.dump().await;
        let written = self.store.end_work(run, "{}", changeset, &next).await;
        self.judge(&written, may, &before).await;
        if may {
            self.model.end_work(run, end, changeset, &owed);
        }
    }

    async fn judge(&self, written: &Result<(), StoreError>, may: bool, before: &[String]) {
        match written {
            Ok(()) => assert!(may, "a late write was taken"),
            Err(StoreError::StaleEpoch(_)) => {
                assert!(!may, "a run's own write was refused");
                assert_eq!(self.dump().await, before, "a refused write changed something");
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn cancel(&mut self, index: &Index) {
        let Some(task) = self.pick_task(index) else { return };
        let row = &self.model.tasks[&task];
        let payload = EffectPayload::Comment { marker: String::new(), body: "stopped".to_owned() };
        let owed = Effect::for_brief(&brief(0, "any", "guid"), format!("result:{}", row.brief), payload);
        let done = self.change(task, Act::Cancel, std::slice::from_ref(&owed)).await;
        assert_eq!(done, self.model.cancel(task, &owed));
    }

    /// Returns whether the store took a change.
    async fn change(&self, task: i64, act: Act, owed: &[Effect]) -> bool {
        let (actor, why) = ("maria".to_owned(), "stopped".to_owned());
        let change = TaskChange { task, act, actor, actor_id: Some(9), why };
        match self.store.change_tasks(&[change], owed).await {
            Ok(()) => true,
            Err(StoreError::Changed(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn retry(&mut self, index: &Index) {
        let Some(task) = self.pick_task(index) else { return };
        let done = self.change(task, Act::Retry, &[]).await;
        assert_eq!(done, self.model.retry(task));
        if done {
            self.ended.remove(&task);
        }
    }

    async fn republish(&mut self, index: &Index) {
        let Some(task) = self.pick_task(index) else { return };
        let done = self.store.republish_task(task, "maria").await.unwrap();
        assert_eq!(done, self.model.republish(task));
    }

    async fn confirm(&mut self, index: &Index, older: bool) {
        let keys: Vec<String> =
            self.model.effects.keys().filter(|key| !key.starts_with("publish:")).cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = index.get(&keys);
        let mut effect = self.effect(key).await;
        effect.version -= i64::from(older);
        self.store.confirm_effect(&effect, Some(7), false).await.unwrap();
        self.model.confirm(key, effect.version);
    }

    async fn time_passes(&mut self) {
        sqlx::query("UPDATE tasks SET not_before = 0 WHERE state = 'queued'")
            .execute(&self.store.writer)
            .await
            .unwrap();
        for task in self.model.tasks.values_mut().filter(|task| task.state == TaskState::Queued) {
            task.held = false;
        }
    }

    async fn crash(&mut self, recover: bool) {
        let mut cut_off = self.store.begin().await.unwrap();
        sqlx::query("UPDATE tasks SET state = 'failed', epoch = epoch + 1")
            .execute(&mut *cut_off)
            .await
            .unwrap();
        drop(cut_off);
        self.store = Store::open(&self.folder.path().join("store.sqlite")).await.unwrap();
        let leases = self.store.leases().await.unwrap();
        for lease in leases.iter().filter(|_| recover) {
            let owed = comment(&lease.task, "lost with the server");
            self.store.lose_run(&lease.task, "lost", 0, "{}", std::slice::from_ref(&owed)).await.unwrap();
            self.model.lose(&lease.task, false, &owed);
        }
    }

    fn pick_task(&self, index: &Index) -> Option<i64> {
        let ids: Vec<i64> = self.model.tasks.keys().copied().collect();
        (!ids.is_empty()).then(|| *index.get(&ids))
    }

    async fn check(&mut self) {
        let seen = self.seen().await;
        assert_eq!(seen, self.model);
        seen.check();
        let label = StateLabel::of(seen.tasks.values().map(|task| task.state));
        assert_eq!(self.label().await.as_deref(), label.map(StateLabel::as_str));
        let leases = self.store.leases().await.unwrap();
        let working: Vec<String> = leases.into_iter().map(|lease| lease.task.run_id).collect();
        let works = self.handed.iter().filter(|run| seen.works(run));
        assert_eq!(sorted(working), sorted(works.map(|run| run.run_id.clone()).collect()));
        let blocked =
            |task: &&Task| task.state.block_reason().is_some_and(|why| why.as_str() == "publishing");
        let blocked = seen.tasks.values().filter(blocked).count();
        assert_eq!(self.store.unpublished_tasks(0).await.unwrap().len(), blocked);
        for line in self.dump().await.into_iter().filter(|line| line.starts_with("task")) {
            let id = line.trim_start_matches("task[").split(',').next().unwrap().parse().unwrap();
            if seen.tasks[&id].state.is_final() {
                let first = self.ended.entry(id).or_insert_with(|| line.clone());
                assert_eq!(*first, line, "a task changed after its end");
            }
        }
        for run in self.handed.iter().filter(|run| seen.runs[&run.run_id].changeset.is_some()) {
            let found = self.store.find_run(&run.run_id).await.unwrap().expect("finished work can be found");
            assert_eq!(found.changeset, Some(format!("changes of {}", run.run_id)));
        }
    }
}

fn sorted<T: Ord + Debug>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 300, failure_persistence: None,
        ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_as_the_model_after_every_step(steps in prop::collection::vec(step(), 20..90)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in &steps {
                world.step(step).await;
                world.check().await;
            }
            world.store.close().await;
        });
    }
}
