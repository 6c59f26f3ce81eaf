//! `codex-brief run`: the briefs of a file on a local repository, by the server's own engine.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::brief::{
    self, Brief, BriefId, CommentText, Diagnostic, Fence, Origin, PullRequestOutput, Source, SourceKind,
    Work, extract, text_digest,
};
use crate::config::LaneConfig;
use crate::error::{UserError, log_internal};
use crate::lane::ProcessLane;
use crate::publish::branch::branch_name;
use crate::publish::comment::{CommentContext, result_comment};
use crate::publish::commit::{CommitRequest, Signature, build_commit};
use crate::publish::diff;
use crate::publish::message::commit_message;
use crate::publish::outputs;
use crate::publish::terminal;
use crate::run::contract::Contract;
use crate::run::mirror::{Mirror, Mirrors, Remote};
use crate::run::push::PushOutcome;
use crate::run::report::{RunReport, RunStatus, StepStatus};
use crate::run::steps::StepEvent;
use crate::server::attempt::{Judged, Order, attempt, problem};
use crate::store::blobs::Blobs;

/// Runs the briefs of a file on a local repository, without GitHub.
///
/// The steps run isolated in a fresh checkout of the brief's branch, as the server would run them.
/// Where a pull request would be opened, the repository gets a branch with the commit; its own
/// working tree is not touched. Progress goes to standard error, the result as Markdown to standard
/// output. The exit code is 0 when every brief succeeded, 1 when one did not, 2 when none could be
/// tried.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The Markdown or YAML file with the briefs; `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The local git repository to work on.
    #[arg(long, value_name = "PATH")]
    repository: PathBuf,
    /// Runs on this lane, whatever the briefs name.
    #[arg(long, value_name = "NAME")]
    lane: Option<String>,
    /// A server's configuration, for its lanes; without it, a lane has no network and the usual limits.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Tells what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A brief of the file with its text.
struct Found {
    brief: Brief,
    id: BriefId,
    text: String,
}

/// What the briefs of one call share.
struct Bench {
    state: tempfile::TempDir,
    mirror: std::sync::Arc<Mirror>,
    remote: Remote,
    blobs: Blobs,
    stop: CancellationToken,
}

/// Runs the briefs one after the other.
pub async fn run(args: RunArgs) -> Result<u8, UserError> {
    let text = read(&args.file)?;
    let found = match parse(&args, &text) {
        Ok(found) => found,
        Err(problems) => {
            for problem in &problems {
                eprintln!("{}", problem.render_text_in(&args.file.display().to_string()));
            }
            return Ok(1);
        }
    };
    if found.is_empty() {
        return Err(UserError::new(
            "brief-missing",
            format!("There is no brief in {}.", args.file.display()),
            "Put one into a closed ```codex-brief fence at the top level; docs/brief-reference.md shows how.",
        ));
    }
    let lanes = lanes(&args, &found)?;
    let bench = Bench::open(&args).await.map_err(|error| {
        UserError::new(
            "repository-unusable",
            format!("{} cannot be used: {error}.", args.repository.display()),
            "Give the path of a git repository with at least one commit by --repository.",
        )
    })?;
    let mut code = 0;
    for (found, lane) in found.iter().zip(lanes) {
        let fine = if args.dry_run {
            bench.explain(found, &lane)
        } else {
            bench.run(found, ProcessLane::new(lane)).await
        };
        code = code.max(u8::from(!fine));
    }
    Ok(code)
}

fn read(file: &std::path::Path) -> Result<String, UserError> {
    let text = if file == std::path::Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| {
        UserError::new(
            "file-unreadable",
            format!("{} cannot be read: {error}.", file.display()),
            "Give a Markdown or YAML file in UTF-8, or `-` for standard input.",
        )
    })
}

fn parse(args: &RunArgs, text: &str) -> Result<Vec<Found>, Vec<Diagnostic>> {
    let extraction = extract(text);
    if super::check::is_bare(&args.file, text, &extraction) {
        return Ok(vec![found(0, &brief::extract::normalize(text), &Origin::document())?]);
    }
    for misplaced in &extraction.misplaced {
        eprintln!("{}", misplaced.diagnostic.render_text_in(&args.file.display().to_string()));
    }
    if let Some(refused) = extraction.refused {
        return Err(vec![refused]);
    }
    let mut all = Vec::new();
    let mut problems = Vec::new();
    for Fence { index, text, .. } in &extraction.fences {
        match found(*index, text, &extraction.fences[*index].origin()) {
            Ok(found) => all.push(found),
            Err(mut more) => problems.append(&mut more),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

fn found(index: usize, text: &str, origin: &Origin) -> Result<Found, Vec<Diagnostic>> {
    let brief = brief::parse(text, origin)?;
    // Each call is its own source, so that running a file again makes a branch of its own.
    let now = chrono::Utc::now().timestamp_millis().unsigned_abs();
    let source = Source { repository_id: 0, kind: SourceKind::IssueBody, id: now };
    Ok(Found { id: BriefId::new(&source, index, text_digest(text)), brief, text: text.to_owned() })
}

fn lanes(args: &RunArgs, found: &[Found]) -> Result<Vec<LaneConfig>, UserError> {
    let config = args.config.as_deref().map(super::load_config).transpose()?;
    let lane = |found: &Found| {
        let name = args.lane.as_deref().unwrap_or(&found.brief.executor);
        let Some(config) = &config else {
            return Ok(LaneConfig::named(name));
        };
        let lane = config.lanes.iter().find(|lane| lane.name == name && lane.enabled);
        lane.cloned().ok_or_else(|| {
            let names: Vec<String> = config.lanes.iter().map(|lane| lane.name.clone()).collect();
            super::lane_unknown(name, &names)
        })
    };
    found.iter().map(lane).collect()
}

impl Bench {
    async fn open(args: &RunArgs) -> anyhow::Result<Self> {
        let state = tempfile::Builder::new().prefix("codex-brief-run-").tempdir()?;
        let mirror = Mirrors::open(state.path().join("mirrors"))?.mirror(0)?;
        let remote = Remote::local(&args.repository)?;
        eprintln!("fetching {}", args.repository.display());
        mirror.fetch(&remote, None).await?;
        let blobs = Blobs::open(state.path().join("blobs"))?;
        let stop = CancellationToken::new();
        let interrupt = stop.clone();
        tokio::spawn(async move {
            super::told_to_end().await;
            interrupt.cancel();
        });
        Ok(Self { state, mirror, remote, blobs, stop })
    }

    /// Tells what would be done; returns whether it could be.
    fn explain(&self, found: &Found, lane: &LaneConfig) -> bool {
        let brief = &found.brief;
        let base = self.mirror.resolve_branch(&brief.branch).ok().flatten();
        let mut lines = vec![format!("brief {}", found.id.short())];
        lines.push(match &base {
            Some(base) => format!("  base      {} at {base}", brief.branch),
            None => format!("  base      {}: there is no such branch", brief.branch),
        });
        let sandbox = format!("{:?}", lane.sandbox).to_lowercase();
        lines.push(format!("  lane      {} (network {}, sandbox {sandbox})", lane.name, lane.network));
        lines.push(format!("  workdir   {}", brief.workdir));
        for (at, step) in brief.steps.iter().enumerate() {
            let does = match &step.work {
                Work::Shell { shell: script } | Work::Python { python: script, .. } => {
                    format!("{}, {} lines", step.work.kind(), script.lines().count())
                }
                work => work.shown().1,
            };
            lines.push(format!("  step {:<4} {} ({does})", at + 1, step.name));
            lines.extend(step.settings().lines().map(|line| format!("              {line}")));
        }
        for comment in brief.comments() {
            let text = match &comment.text {
                CommentText::Body(text) => format!("{} characters", text.chars().count()),
                CommentText::File(path) => format!("from {path}"),
            };
            let place = comment.link_issue.map_or("its thread".to_owned(), |issue| format!("#{issue}"));
            lines.push(format!("  comment   in {place}, {text}"));
        }
        if let Some(output) = brief.pull_request() {
            let subject = output.commit_message.lines().next().unwrap_or_default();
            lines.push(format!("  commit    {subject}"));
            lines.push(format!("  branch    {}", branch_of(found, &output)));
            lines.push(format!("  files     {}", output.files.join(", ")));
            let lists = [
                ("labels", &output.labels),
                ("reviewers", &output.reviewers),
                ("assignees", &output.assignees),
            ];
            for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
                lines.push(format!("  {what:9} {}", names.join(", ")));
            }
            if output.draft {
                lines.push("  draft     yes".to_owned());
            }
        }
        super::print(&lines.join("\n"));
        base.is_some()
    }

    async fn run(&self, found: &Found, lane: ProcessLane) -> bool {
        let run_id = Uuid::now_v7().to_string();
        let runs_root = self.state.path().join("runs");
        let Ok(slot) = lane.claim_slot().await else { return false };
        let order = Order {
            run_id: &run_id,
            brief_id: &found.id,
            brief: &found.brief,
            text: &found.text,
            base: None,
            mirror: &self.mirror,
            lane: &lane,
            slot: &slot,
            runs_root: &runs_root,
            blobs: &self.blobs,
            secrets: &[],
            stop: &self.stop,
        };
        let mut judged = attempt(order, show).await;
        if judged.report.status == RunStatus::Success {
            let committed = self.commit(found, lane.config(), &mut judged).await.map_err(|error| {
                problem(
                    "branch-conflict",
                    format!("The branch cannot be made: {error:#}."),
                    "Look at the repository's branches and permissions, then run this again.",
                )
            });
            outputs::would_be_made(&mut judged.report, committed);
        }
        if judged.report.status != RunStatus::Success {
            self.keep_patch(found, &judged);
        }
        super::print(&for_terminal(&judged.report));
        for text in outputs::comments_made(&judged.report, "you", &context()) {
            super::print(&format!("\n── a comment, as it would be posted\n\n{}", without_hidden(&text)));
        }
        judged.report.status == RunStatus::Success
    }

    async fn commit(&self, found: &Found, lane: &LaneConfig, judged: &mut Judged) -> anyhow::Result<()> {
        let (Some(output), Some(changeset)) = (found.brief.pull_request(), &judged.changeset) else {
            return Ok(());
        };
        let report = &mut judged.report;
        let message =
            commit_message(&output.commit_message, &[("Brief", &report.brief), ("Run", &report.run)]);
        let contract = Contract::of(lane).map_err(anyhow::Error::msg)?;
        let request = CommitRequest {
            base: changeset.base_commit,
            onto: None,
            changes: &changeset.entries,
            declared: &output.files,
            protected: &contract.protected,
            message: &message,
            author: &Signature { name: "codex-brief".to_owned(), email: "codex-brief@localhost".to_owned() },
            time: report.ended_at_ms / 1000,
        };
        let commit = build_commit(&self.mirror.repository()?, &self.blobs, &request)?;
        let branch = branch_of(found, &output);
        match self.mirror.push(&self.remote, None, commit, &branch).await? {
            PushOutcome::Pushed | PushOutcome::AlreadyThere => {}
            PushOutcome::Conflict { found } => anyhow::bail!("{branch} is there already, at {found}"),
            PushOutcome::Rejected { reason } => anyhow::bail!("{reason}"),
        }
        eprintln!("committed {commit} on the branch {branch}");
        report.head_branch = Some(branch);
        report.head_commit = Some(commit.to_string());
        Ok(())
    }

    /// Leaves the changes of a run that did not succeed beside the caller, so that none is lost.
    fn keep_patch(&self, found: &Found, judged: &Judged) {
        let Some(changeset) = judged.changeset.as_ref().filter(|changeset| !changeset.entries.is_empty())
        else {
            return;
        };
        let name = format!("codex-brief-{}.patch", found.id.short());
        let write = || -> anyhow::Result<()> {
            let patch = diff::patch(&self.mirror.repository()?, &self.blobs, changeset)?;
            std::fs::write(&name, patch).context("the file cannot be written")
        };
        match write() {
            Ok(()) => eprintln!("the changes are kept in {name}"),
            Err(error) => {
                log_internal("the patch cannot be kept", &format!("{error:#}"));
            }
        }
    }
}

/// Shows progress while it happens.
fn show(event: StepEvent) {
    match event {
        StepEvent::Started { index, name } => eprintln!("── step {}: {}", index + 1, terminal::line(&name)),
        StepEvent::Output { bytes, .. } => {
            // A terminal that went away is no reason to end the run.
            let _ = std::io::stderr().write_all(terminal::text(&String::from_utf8_lossy(&bytes)).as_bytes());
        }
        StepEvent::Ended { report, .. } if report.status == StepStatus::Skipped => {}
        StepEvent::Ended { index, report } => {
            let (seconds, word) = (report.duration_ms as f64 / 1000.0, report.status.word());
            let went_on = if report.tolerated { ", and the run goes on" } else { "" };
            eprintln!("── step {}: {word} after {seconds:.1} s{went_on}", index + 1);
        }
    }
}

/// Names the branch that a brief's commit gets.
fn branch_of(found: &Found, output: &PullRequestOutput) -> String {
    let own = || branch_name(output.link_issue, &output.title, &found.id.short());
    output.branch_name.clone().unwrap_or_else(own)
}

fn context() -> CommentContext {
    CommentContext {
        publishable: false,
        server: "codex-brief run".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source_url: None,
    }
}

/// Returns the result comment without the lines that only programs read.
fn for_terminal(report: &RunReport) -> String {
    without_hidden(&result_comment(report, &context()))
}

fn without_hidden(comment: &str) -> String {
    let shown = comment.lines().filter(|line| !line.starts_with("<!--"));
    shown.collect::<Vec<_>>().join("\n").trim_start().to_owned()
}
