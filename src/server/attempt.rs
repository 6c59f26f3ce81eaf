//! One attempt, from a base commit to a judged report: checkout, steps, changes, contract.
//!
//! The server and `codex-brief run` share it; neither GitHub nor the store's ledger is known here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{texts, watch};
use crate::authorize::steps;
use crate::brief::{Brief, BriefId, Timeout, Work, text_digest};
use crate::config::{Network, SandboxKind};
use crate::crash;
use crate::error::{UserError, log_internal};
use crate::judge::{honeytoken, output_contract};
use crate::lane::{HOME, LaneError, ProcessLane, Slot};
use crate::publish::diff::{Shown, summarize};
use crate::run::changeset::{Changeset, CommitId};
use crate::run::checkout::{SANDBOX_OBJECTS, checkout};
use crate::run::collect::{CollectRequest, collect};
use crate::run::contract::Contract;
use crate::run::mirror::Mirror;
use crate::run::network::NetworkLog;
use crate::run::output::{OutputReport, comment_files};
use crate::run::problem_lines::{ProblemLine, problem_lines};
use crate::run::redact::Redactor;
use crate::run::report::{LogSummary, Problem, RunReport, RunStatus, StepReport, StepStatus};
use crate::run::steps::{StepEvent, StepsOrder};
use crate::run::workspace::RunDirs;
use crate::store::Ask;
use crate::store::blobs::Blobs;

/// The most bytes of the diff that a report holds; a comment has 65,536 characters for everything.
const MOST_DIFF_BYTES: usize = 40_000;

/// Signals of programs that meet a limit: a file over its size, a forbidden system call.
const SIGXFSZ: i32 = 25;
const SIGSYS: i32 = 31;

/// How long a run's changes wait for room on a full disk, and how often it is looked for.
const LONGEST_FULL: Duration = Duration::from_secs(3_600);
const FULL_AGAIN: Duration = Duration::from_secs(5);

/// What an attempt works on and with.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Names the run.
    pub run_id: &'a str,
    /// Names the brief.
    pub brief_id: &'a BriefId,
    /// Holds the brief.
    pub brief: &'a Brief,
    /// Holds the brief's text.
    pub text: &'a str,
    /// Holds the commits.
    pub mirror: &'a Mirror,
    /// Holds the commit that it starts from; without one, it is what the mirror's branch has.
    pub base: Option<CommitId>,
    /// Runs the steps.
    pub lane: &'a ProcessLane,
    /// Holds the run's place in the lane.
    pub slot: &'a Slot,
    /// Holds the folder in which each run has its own.
    pub runs_root: &'a Path,
    /// Takes the contents of changed files.
    pub blobs: &'a Blobs,
    /// Holds what is masked in logs.
    pub secrets: &'a [SecretString],
    /// Ends the run.
    pub stop: &'a CancellationToken,
}

/// What an attempt came to.
#[derive(Debug)]
pub struct Judged {
    /// Holds what is told.
    pub report: RunReport,
    /// Holds what was changed; `None` when the steps did not run.
    pub changeset: Option<Changeset>,
    /// Tells that the lane failed, rather than what ran on it.
    pub lane_lost: bool,
    /// Holds the approval without which it may not run; then nothing ran.
    pub ask: Option<Box<Ask>>,
}

/// Why an attempt came to nothing.
struct Broken {
    problem: Problem,
    lane_lost: bool,
}

impl From<Problem> for Broken {
    fn from(problem: Problem) -> Self {
        Self { problem, lane_lost: false }
    }
}

/// Makes the report of a run that has not begun; without a brief when its text cannot be read any more.
pub fn blank_report(run_id: &str, brief_id: &BriefId, brief: Option<&Brief>, text: &str) -> RunReport {
    let now = now_ms();
    let skipped = |name: &str| StepReport {
        name: name.to_owned(),
        status: StepStatus::Skipped,
        tolerated: false,
        exit_code: None,
        signal: None,
        duration_ms: 0,
        log: LogSummary::default(),
    };
    RunReport {
        run: run_id.to_owned(),
        brief: brief_id.to_string(),
        text_digest: text_digest(text).to_string(),
        executor: brief.map(|brief| brief.executor.clone()).unwrap_or_default(),
        repo: brief.map(|brief| brief.repo.to_string()).unwrap_or_default(),
        branch: brief.map(|brief| brief.branch.clone()).unwrap_or_default(),
        status: RunStatus::Failure,
        problem: None,
        base_commit: None,
        started_at_ms: now,
        ended_at_ms: now,
        steps: brief.iter().flat_map(|brief| &brief.steps).map(|step| skipped(&step.name)).collect(),
        changes: Vec::new(),
        diff: String::new(),
        diff_cut: false,
        head_branch: None,
        head_commit: None,
        pull_request: None,
        pull_request_url: None,
        earlier: Vec::new(),
        processes_left: None,
        bare: false,
        network: None,
        outputs: Vec::new(),
        approved: None,
        problem_lines: Vec::new(),
        thread_head: None,
    }
}

/// Runs a brief on its branch as the mirror has it, and judges what came out.
///
/// Whatever goes wrong stands in the report; afterwards the run's folders are gone but for its logs.
pub async fn attempt(order: Order<'_>, progress: impl Fn(StepEvent) + Send + Sync) -> Judged {
    let mut report = blank_report(order.run_id, order.brief_id, Some(order.brief), order.text);
    let (changeset, problem, lane_lost) = match work(order, &mut report, progress).await {
        Ok((changeset, problem)) => (Some(changeset), problem, false),
        Err(broken) => (None, Some(broken.problem), broken.lane_lost),
    };
    report.status = if problem.is_none() { RunStatus::Success } else { RunStatus::Failure };
    report.problem = problem;
    report.ended_at_ms = now_ms();
    Judged { report, changeset, lane_lost, ask: None }
}

async fn work(
    order: Order<'_>,
    report: &mut RunReport,
    progress: impl Fn(StepEvent) + Send + Sync,
) -> Result<(Changeset, Option<Problem>), Broken> {
    let contract = Contract::of(order.lane.config())
        .map_err(|error| internal("the lane's contract cannot be read", &error))?;
    if let Some(problem) = output_contract::refuse_declared(&order.brief.declared(), &contract.protected) {
        return Err(problem.into());
    }
    if let Err(UserError { code, message, help }) = steps::decide(order.brief, order.lane.config()) {
        return Err(problem(code, message, &help).into());
    }
    let base = base_commit(order)?;
    report.base_commit = Some(base.to_string());
    crash::point("checked-out.before-commit");
    let dirs = RunDirs::create(order.runs_root, order.run_id)
        .map_err(|error| internal("a run's folders cannot be made", &error))?;
    let result = in_workspace((order, &contract), report, progress, &dirs, base).await;
    let leftovers = dirs.clone();
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || leftovers.remove_all_but_logs()).await {
        log_internal("a run's folders cannot be removed", &error);
    }
    result
}

fn base_commit(order: Order<'_>) -> Result<CommitId, Problem> {
    if let Some(base) = order.base {
        return Ok(base);
    }
    let branch = &order.brief.branch;
    let found =
        order.mirror.resolve_branch(branch).map_err(|error| internal("the mirror cannot be read", &error))?;
    found.ok_or_else(|| branch_missing(branch))
}

/// Makes the problem of a brief whose branch is not there.
pub(super) fn branch_missing(branch: &str) -> Problem {
    problem(
        "branch-not-found",
        format!("The repository has no branch `{branch}`."),
        "Correct `branch`, or push the branch, and post the brief again.",
    )
}

async fn in_workspace(
    (order, contract): (Order<'_>, &Contract),
    report: &mut RunReport,
    progress: impl Fn(StepEvent) + Send + Sync,
    dirs: &RunDirs,
    base: CommitId,
) -> Result<(Changeset, Option<Problem>), Broken> {
    crash::point("checked-out.before-effect");
    checkout(order.mirror, base, &order.brief.branch, dirs)
        .await
        .map_err(|error| internal("a checkout cannot be made", &error))?;
    crash::point("checked-out.before-record");
    let secrets = order.lane.read_secrets().await;
    let secrets = secrets.map_err(|error| lane_problem(&order.brief.executor, &error.into()))?;
    let kubeconfig = if order.brief.steps.iter().any(|step| matches!(step.work, Work::Kubectl { .. })) {
        let read = order.lane.read_kubeconfig().await;
        read.map_err(|error| lane_problem(&order.brief.executor, &error.into()))?
    } else {
        None
    };
    let of_cluster = kubeconfig.iter().flat_map(|kubeconfig| &kubeconfig.secrets);
    let masked_values = secrets.iter().map(|(_, value)| value).chain(of_cluster);
    let redactor = watch::prepare(order, dirs, masked_values)?;
    let ordered = StepsOrder {
        run: order.run_id,
        steps: &order.brief.steps,
        workdir: &order.brief.workdir,
        dirs,
        read_only: vec![(order.mirror.objects_path(), PathBuf::from(SANDBOX_OBJECTS))],
        secrets: &secrets,
        kubeconfig: kubeconfig.as_ref().map(|kubeconfig| &kubeconfig.text),
        redactor: redactor.clone(),
        network: NetworkLog::watched(Arc::new(redactor.watch())),
    };
    let (ran, watch) = (watch::run_steps(order, &ordered, progress).await, redactor.watch());
    if matches!(order.lane.config().network, Network::Listed(_)) {
        let mut network = ordered.network.report();
        network.mask(|host| masked(&redactor, host));
        report.network = Some(network);
    }
    let lane_lost = ran.is_err();
    let ran = ran.map(|steps| report.steps = steps);
    if let Some(place) = honeytoken::while_running(&watch, &watch::last_step(&report.steps)) {
        return Err(Broken { problem: watch::alarm(order, &[place]), lane_lost });
    }
    ran.map_err(|error| lane_problem(&order.brief.executor, &error))?;
    report.problem_lines = problems(order, dirs, base, &report.steps);
    crash::point("collected.before-commit");
    let changeset = look((order, contract), report, dirs, base, &redactor).await?;
    crash::point("collected.before-record");
    let problem = step_problem(&report.steps, order)
        // Where no pull request is asked for, no change is taken, so none is judged.
        .or_else(|| {
            order.brief.pull_request().and_then(|pr| output_contract::judge(&pr.files, &changeset).problem())
        });
    Ok((changeset, problem))
}

/// Finds the places in files of the checked-out commit that the steps told of.
fn problems(order: Order<'_>, dirs: &RunDirs, base: CommitId, steps: &[StepReport]) -> Vec<ProblemLine> {
    let bare = order.lane.config().sandbox == SandboxKind::None;
    let root = match order.brief.workdir.strip_prefix("~/") {
        _ if bare => dirs.checkout.to_string_lossy().into_owned(),
        Some(below) => format!("{HOME}/{below}"),
        None => order.brief.workdir.clone(),
    };
    let Ok(repository) = order.mirror.repository() else { return Vec::new() };
    let Ok(tree) = repository.find_commit(base.oid()).and_then(|commit| commit.tree()) else {
        return Vec::new();
    };
    let is_file = |path: &str| {
        tree.get_path(Path::new(path)).is_ok_and(|entry| entry.kind() == Some(git2::ObjectType::Blob))
    };
    problem_lines(steps, root.trim_end_matches('/'), is_file)
}

/// Collects the changes and shows them; both read whole files, so it happens off the async threads.
async fn look(
    (order, contract): (Order<'_>, &Contract),
    report: &mut RunReport,
    dirs: &RunDirs,
    base: CommitId,
    redactor: &Redactor,
) -> Result<Changeset, Problem> {
    let began = std::time::Instant::now();
    let fine = step_problem(&report.steps, order).is_none();
    let (changeset, shown) = loop {
        match look_once((order, contract), dirs, base, redactor, fine).await {
            Ok(Looked::Whole(changeset, shown, outputs)) => {
                report.outputs = outputs;
                break (changeset, shown);
            }
            Ok(Looked::Honeytoken(places)) => return Err(watch::alarm(order, &places)),
            // What the run made is only here; room may be made for it.
            Err(error) if is_full(&error) && !order.stop.is_cancelled() && began.elapsed() < LONGEST_FULL => {
                tracing::error!(run = order.run_id, "the disk is full; the run's changes wait for room");
                tokio::time::sleep(FULL_AGAIN).await;
            }
            Err(error) => {
                return Err(internal("the changes of a run cannot be collected", &format!("{error:#}")));
            }
        }
    };
    report.changes = shown.changes;
    for change in &mut report.changes {
        change.path = masked(redactor, &change.path);
        change.link = change.link.take().map(|link| masked(redactor, &link));
    }
    report.diff = String::from_utf8_lossy(&redactor.redact(shown.diff.as_bytes())).into_owned();
    report.diff_cut = shown.cut;
    Ok(changeset)
}

fn masked(redactor: &Redactor, text: &str) -> String {
    String::from_utf8_lossy(&redactor.redact(text.as_bytes())).into_owned()
}

fn is_full(error: &anyhow::Error) -> bool {
    let full =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(full))
}

/// What a run changed.
enum Looked {
    /// It may be judged; with what is asked for, where all steps have succeeded.
    Whole(Changeset, Shown, Vec<OutputReport>),
    /// Honeytokens stand in these places of it.
    Honeytoken(Vec<String>),
}

async fn look_once(
    (order, contract): (Order<'_>, &Contract),
    dirs: &RunDirs,
    base: CommitId,
    redactor: &Redactor,
    fine: bool,
) -> anyhow::Result<Looked> {
    let (mirror, blobs, redactor) = (order.mirror.path().to_owned(), order.blobs.clone(), redactor.clone());
    let (checkout, declared) = (dirs.checkout.clone(), order.brief.declared());
    let aside = comment_files(order.brief);
    let mut outputs = if fine { OutputReport::planned(order.brief) } else { Vec::new() };
    let (limits, contract) = ((&order.lane.config().limits).into(), contract.clone());
    let looked = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
        let repository = git2::Repository::open_bare(mirror)?;
        let request = CollectRequest {
            checkout: &checkout,
            repository: &repository,
            base,
            declared: &declared,
            aside: &aside,
            limits,
            contract: &contract,
            blobs: &blobs,
        };
        let changeset = collect(&request)?;
        let mut seen = honeytoken::in_changes(&changeset, &blobs, &redactor)?;
        seen.extend(texts::take(&mut outputs, &checkout, &redactor)?);
        if !seen.is_empty() {
            return Ok(Looked::Honeytoken(seen));
        }
        let shown = summarize(&repository, &blobs, &changeset, &declared, MOST_DIFF_BYTES)?;
        Ok(Looked::Whole(changeset, shown, outputs))
    });
    looked.await?
}

/// Tells why a run failed by the first step that did.
fn step_problem(steps: &[StepReport], order: Order<'_>) -> Option<Problem> {
    let (at, step) = steps.iter().enumerate().find(|(_, step)| step.failed())?;
    let own_time = order.brief.steps.get(at).and_then(|step| step.timeout.as_ref()).map(Timeout::seconds);
    let by_own_time = own_time.is_some_and(|own| own < order.lane.config().limits.wall_seconds);
    let named = format!("Step {} (`{}`)", at + 1, step.name);
    let seconds = step.duration_ms / 1000;
    Some(match (step.status, step.exit_code, step.signal) {
        (StepStatus::WallTimeout, ..) if by_own_time => problem(
            "step-timeout",
            format!("{named} was ended after {seconds} s, by its own `timeout`."),
            "Make the step shorter or split it, or give it a longer `timeout`.",
        ),
        (StepStatus::WallTimeout, ..) => problem(
            "step-timeout",
            format!("{named} was ended after {seconds} s, the lane's limit for one step."),
            "Make the step shorter or split it, or ask the operator for a higher `wall_seconds`.",
        ),
        (StepStatus::IdleTimeout, ..) => problem(
            "step-idle",
            format!("{named} was ended because it printed nothing for too long."),
            "Let the step print its progress, or ask the operator for a higher `idle_seconds`.",
        ),
        (StepStatus::OverMemory, ..) => problem(
            "step-memory",
            format!("{named} was ended because its processes used more memory than the lane gives."),
            "Let the step use less memory, or ask the operator for a higher `memory_bytes`.",
        ),
        (StepStatus::OverDisk, ..) => problem(
            "step-disk",
            format!("{named} was ended because the run's folders held more than the lane gives."),
            "Let the step write less or remove what it needs no more, or ask the operator for a higher `disk_bytes`.",
        ),
        (StepStatus::Stopped, ..) => problem(
            "run-stopped",
            format!("{named} was ended because the run was stopped."),
            "Post the brief again to run it anew.",
        ),
        (_, _, Some(SIGXFSZ)) => problem(
            "step-failed",
            format!(
                "{named} was ended by signal 25, as a program is whose file grows larger than the lane allows."
            ),
            "Let it write smaller files, or ask the operator for a higher `file_bytes`.",
        ),
        (_, _, Some(SIGSYS)) => problem(
            "step-failed",
            format!(
                "{named} was ended by signal 31, as a program is that makes system calls which the sandbox forbids."
            ),
            "Programs for another architecture (32 bits) do not run in a sandbox; use one for this machine's.",
        ),
        (_, Some(code), _) => problem(
            "step-failed",
            format!("{named} ended with exit code {code}."),
            "Look at the end of its log below, mend the script, and edit the brief or post it again.",
        ),
        (_, None, signal) => problem(
            "step-failed",
            format!("{named} was ended by signal {}.", signal.unwrap_or_default()),
            "Look at the end of its log below; signal 9 often means a limit of the machine.",
        ),
    })
}

fn lane_problem(lane: &str, error: &LaneError) -> Broken {
    if let LaneError::Workdir { workdir, reason } = error {
        return Broken::from(problem(
            "workdir-unusable",
            format!("The checkout cannot be mounted at `{workdir}`: {reason}."),
            "Write another `workdir`, such as `~/work/` and the repository's name.",
        ));
    }
    let id = log_internal("a lane could not run steps", error);
    let problem = problem(
        "lane-unavailable",
        format!("The lane `{lane}` could not run the steps (error {id})."),
        "Ask the operator to look the error up in the server's log, then post the brief again.",
    );
    Broken { problem, lane_lost: true }
}

/// Makes the problem of an internal error, logged once.
pub fn internal(what: &str, error: &dyn std::fmt::Display) -> Problem {
    let id = log_internal(what, error);
    problem(
        "internal-error",
        format!("The server failed: {what} (error {id})."),
        "Ask the operator to look the error up in the server's log, then post the brief again.",
    )
}

/// Makes a problem from its code, what happened and what to do.
pub fn problem(code: &str, message: impl Into<String>, help: &str) -> Problem {
    Problem { code: code.to_owned(), message: message.into(), help: help.to_owned() }
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
