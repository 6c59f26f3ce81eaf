//! The throw-away server of one scenario: a store, a lane and a repository, and no GitHub.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use git2::Signature;
use uuid::Uuid;

use super::processes;
use crate::brief::{BriefId, Source, SourceKind, text_digest};
use crate::config::{LaneConfig, QueueConfig};
use crate::queue::task::{BlockReason, Event};
use crate::run::changeset::Changeset;
use crate::run::mirror::{Mirror, Mirrors};
use crate::run::report::{Problem, RunReport, RunStatus};
use crate::run::workspace::RunDirs;
use crate::server::attempt::{internal, problem};
use crate::server::engine::Engine;
use crate::server::execute::{Ready, Start};
use crate::server::lanes::{LaneEntry, Lanes};
use crate::server::{conclude, dispatcher, execute};
use crate::store::blobs::Blobs;
use crate::store::models::{BriefRow, ClaimedTask, JudgedRun, TaskFilter, TaskView};
use crate::store::{Intake, Store};

/// Stands for the App's installation.
const INSTALLATION: u64 = 1;

/// How long what was killed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// How long a step may take to begin.
const BEGIN_WITHIN: Duration = Duration::from_secs(60);

/// How long something else may take to happen to the task.
const HAPPEN_WITHIN: Duration = Duration::from_secs(60);

/// How a publishing ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// GitHub takes it.
    Taken,
    /// GitHub refuses it for good.
    Refused,
    /// The server fails on the way.
    Broken,
}

/// One scenario's server.
pub(super) struct Bench {
    pub(super) engine: Engine,
    entry: Arc<LaneEntry>,
    mirror: Arc<Mirror>,
}

impl Bench {
    /// Opens a server on a folder, which may hold what an earlier one left there.
    pub(super) async fn open(folder: &Path, lane: &LaneConfig, queue: &QueueConfig) -> anyhow::Result<Self> {
        let store = Store::open(&folder.join("codex-brief.sqlite")).await?;
        let blobs = Blobs::open(folder.join("blobs"))?;
        let mirror = Mirrors::open(folder.join("mirrors"))?.mirror(0)?;
        let lanes = Lanes::new(std::slice::from_ref(lane));
        let entry = lanes.get(&lane.name).context("the lane is switched off")?.clone();
        let engine = Engine::new(folder, store, blobs, queue.clone(), Vec::new());
        Ok(Self { engine, entry, mirror })
    }

    /// Queues a task whose only step is this script, as a delivery would.
    pub(super) async fn queue(&self, script: &str) -> anyhow::Result<()> {
        let store = &self.engine.store;
        store.insert_delivery("rehearsal", "issues", b"{}").await?;
        let delivery = store.next_delivery().await?.context("the delivery is not there")?;
        let accepted = vec![(brief(script), self.entry.name().to_owned())];
        let queued = store.finish_delivery(delivery.id, &Intake { accepted, ..Intake::default() }).await?;
        if queued == 1 { Ok(()) } else { bail!("{queued} tasks were queued") }
    }

    /// Claims and runs tasks until none waits.
    pub(super) async fn work(&self) -> anyhow::Result<()> {
        while self.work_once().await? {}
        Ok(())
    }

    /// Claims and runs the next task, after its cool-down if it has one; returns whether there was one.
    pub(super) async fn work_once(&self) -> anyhow::Result<bool> {
        loop {
            if let Some(task) = dispatcher::claim(&self.engine, self.entry.name()).await? {
                let slot = self.entry.lane.claim_slot().await?;
                let start = |mirror| {
                    Ready::Start(Box::new(Start { mirror, base: None, bounds: None, thread_head: None }))
                };
                let fetch = async |_| self.fetch(task.epoch).map(start);
                execute::carry_out(&self.engine, &self.entry, slot, &task, fetch).await;
                return Ok(true);
            }
            let Some(at) = self.engine.store.next_task_at().await? else { return Ok(false) };
            let ms = (at - chrono::Utc::now().timestamp_millis()).max(5);
            tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())).await;
        }
    }

    /// Brings the repository, in which the file `run` holds the number of the task's run: so a script
    /// can fare otherwise the second time.
    fn fetch(&self, epoch: i64) -> Result<Arc<Mirror>, Problem> {
        let commit = || -> anyhow::Result<()> {
            let repository = self.mirror.repository()?;
            let blob = repository.blob(epoch.to_string().as_bytes())?;
            let mut tree = repository.treebuilder(None)?;
            tree.insert("run", blob, 0o100_644)?;
            let tree = repository.find_tree(tree.write()?)?;
            let author = Signature::now("codex-brief", "codex-brief@localhost")?;
            let commit = repository.commit(None, &author, &author, "rehearsal", &tree, &[])?;
            repository.reference("refs/heads/main", commit, true, "rehearsal")?;
            Ok(())
        };
        commit().map_err(|error| internal("the rehearsal's repository cannot be made", &error))?;
        Ok(self.mirror.clone())
    }

    /// Stands for GitHub and the outbox.
    pub(super) async fn publish(&self, answer: Answer) -> anyhow::Result<()> {
        while let Some(effect) = self.engine.store.next_effect(INSTALLATION, true).await? {
            let run_id = effect.key.trim_start_matches("publish:");
            let run = self.engine.store.judged_run(run_id).await?.context("no run is to be published")?;
            let mut report: RunReport = serde_json::from_str(&run.report)?;
            let event = match answer {
                Answer::Taken => Event::Succeeded,
                Answer::Refused => {
                    report.status = RunStatus::Failure;
                    report.problem = Some(problem("push-rejected", "GitHub does not take it.", "Wait."));
                    Event::PublishingRefused
                }
                Answer::Broken => {
                    conclude::give_up_broken(&self.engine, &effect, "rehearsed").await?;
                    continue;
                }
            };
            conclude::end_publishing(&self.engine, &run.task, &effect, event, &report).await?;
        }
        Ok(())
    }

    /// Returns the task.
    pub(super) async fn task(&self) -> anyhow::Result<TaskView> {
        let filter = TaskFilter { most: 2, ..TaskFilter::default() };
        let mut tasks = self.engine.store.tasks(&filter).await?;
        match (tasks.pop(), tasks.is_empty()) {
            (Some(task), true) => Ok(task),
            _ => Err(anyhow!("the store holds {} tasks", tasks.len() + 1)),
        }
    }

    /// Waits until the task is as wanted.
    pub(super) async fn until(&self, wanted: impl Fn(&TaskView) -> bool) -> anyhow::Result<()> {
        let wait = async {
            while !wanted(&self.task().await?) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        tokio::time::timeout(HAPPEN_WITHIN, wait).await.context("it did not happen in time")?
    }

    /// Returns the last run, if its work has ended.
    async fn last_run(&self) -> anyhow::Result<Option<JudgedRun>> {
        match self.task().await?.run {
            Some(run) => Ok(self.engine.store.find_run(&run).await?),
            None => Ok(None),
        }
    }

    /// Tells how the task stands, in the words that [`super::expect`] uses, too.
    pub(super) async fn seen(&self) -> anyhow::Result<String> {
        let task = self.task().await?;
        let report = match self.last_run().await? {
            Some(run) => Some(serde_json::from_str::<RunReport>(&run.report)?),
            None => None,
        };
        let problem = report.as_ref().and_then(|report| report.problem.as_ref());
        let why = task.state.block_reason().map(BlockReason::as_str);
        let why = why.or(problem.map(|problem| problem.code.as_str()));
        // The id of an error is another one each time.
        let without_id = |reason: &'_ str| reason.split(" (error ").next().unwrap_or_default().to_owned();
        let earlier = report.iter().flat_map(|report| &report.earlier).map(|run| without_id(&run.reason));
        let earlier: Vec<String> = earlier.collect();
        let earlier: Vec<&str> = earlier.iter().map(String::as_str).collect();
        let claimed = self.engine.store.audit_of_task(task.id).await?;
        let runs = claimed.iter().filter(|entry| entry.action == "claimed").count();
        Ok(super::expect::told(task.state, why, runs, &earlier))
    }

    /// Tells which files the last run's kept changes hold.
    pub(super) async fn kept(&self) -> anyhow::Result<String> {
        let changeset = self.last_run().await?.and_then(|run| run.changeset);
        let changeset: Option<Changeset> = changeset.map(|text| serde_json::from_str(&text)).transpose()?;
        let entries = changeset.map(|changeset| changeset.entries).unwrap_or_default();
        let paths: Vec<&str> = entries.iter().map(|change| change.path.as_str()).collect();
        Ok(if paths.is_empty() { "nothing kept".to_owned() } else { format!("{} kept", paths.join(", ")) })
    }

    /// Looks what is left of the task's runs: processes by `word`, and their folders.
    pub(super) async fn left(&self, word: &str) -> anyhow::Result<String> {
        let processes = processes::left(word, GONE_WITHIN).await;
        let names = match std::fs::read_dir(&self.engine.runs_root) {
            Ok(entries) => {
                entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
            }
            Err(_) => Vec::new(),
        };
        let is_left =
            |name: &&String| RunDirs::of(&self.engine.runs_root, name).is_ok_and(|dirs| dirs.has_workspace());
        let folders = names.iter().filter(is_left).count();
        Ok(match (processes, folders) {
            (0, 0) => "nothing left".to_owned(),
            (processes, 0) => format!("{} left", counted(processes, "process", "processes")),
            (0, folders) => format!("{} left", counted(folders, "folder", "folders")),
            (processes, folders) => {
                let processes = counted(processes, "process", "processes");
                format!("{processes} and {} left", counted(folders, "folder", "folders"))
            }
        })
    }

    /// Waits until a step's process is there.
    pub(super) async fn begun(&self, word: &str) -> anyhow::Result<()> {
        let begun = processes::appeared(word, BEGIN_WITHIN).await;
        if begun { Ok(()) } else { bail!("the step did not begin in time") }
    }

    /// Returns the task with its run that works now.
    pub(super) async fn claimed(&self) -> anyhow::Result<ClaimedTask> {
        let lease = self.engine.store.leases().await?.pop().context("no run works")?;
        Ok(lease.task)
    }
}

fn counted(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// Makes the row of a brief with one step.
fn brief(script: &str) -> BriefRow {
    let script: String = script.lines().map(|line| format!("      {line}\n")).collect();
    let text = format!(
        "executor: rehearsal\nrepo: octo/rehearsal\nbranch: main\nworkdir: ~/rehearsal\nsteps:\n\
         \x20 - name: rehearse\n    shell: |\n{script}\
         outputs:\n  - type: pr\n    title: A rehearsal\n    commit_message: Rehearse\n    files: [made.txt]\n"
    );
    let source = Source { repository_id: 0, kind: SourceKind::IssueBody, id: 1 };
    BriefRow {
        id: BriefId::new(&source, 0, text_digest(&text)),
        source,
        repository: "octo/rehearsal".to_owned(),
        installation_id: INSTALLATION,
        source_url: "https://github.com/octo/rehearsal/issues/1".to_owned(),
        block_index: 0,
        text_digest: text_digest(&text).to_string(),
        text,
        thread_number: 1,
        thread_title: "A rehearsal".to_owned(),
        requested_by: "operator".to_owned(),
        requested_by_id: 1,
        author: "operator".to_owned(),
        author_id: 1,
        delivery_guid: "rehearsal".to_owned(),
    }
}

/// Makes a word that no other process has among its arguments, and that `sleep` takes for a time of
/// more than an hour.
pub(super) fn marker() -> String {
    format!("4000.{:039}", Uuid::now_v7().as_u128())
}
