//! `make demo`: the whole story on this machine. A simulated GitHub and a real server start on free
//! loopback ports, an issue with a brief is opened, and pull request, diff and comment are shown. A server
//! that dies is started again, and the story goes on.

#[path = "../tests/stories/support/server.rs"]
#[allow(dead_code, reason = "the stories use more of it")]
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use github_sim::{Comment, GithubSim, IssueRef, Permission, PullRequest};
use server::ServerProcess;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

const REPOSITORY: &str = "octo/weather";

/// The time in which the story must end.
const DEADLINE: Duration = Duration::from_secs(120);

const LANES: &str = "[[lane]]\nname = \"devbox-codex\"\nparallel = 2\n";

/// Shows a brief's whole way on this machine.
#[derive(Parser)]
struct Args {
    /// Ends after the story; the exit code tells whether all of it worked.
    #[arg(long)]
    once: bool,
    /// Kills the server by SIGKILL in the middle of a step.
    #[arg(long)]
    crash: bool,
    /// The server's program.
    #[arg(long, default_value = "target/debug/codex-brief", value_name = "PROGRAM")]
    server: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let sim = Arc::new(GithubSim::builder().app_slug("codex-brief").start().await?);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/repositories/weather");
    sim.create_repository_from_dir(REPOSITORY, &source)?;
    sim.add_user("maria");
    sim.set_permission(REPOSITORY, "maria", Permission::Write)?;

    heading("A server and a simulated GitHub start");
    let keeper = Keeper::start(&args.server, folder.path(), sim.clone())?;
    let url = keeper.url();
    println!("server    {url}");
    println!("GitHub    {}", sim.url());
    println!("\nKill the server whenever you like, it is started again: kill -9 {}", keeper.pid());
    let mut log = keeper.log();
    let kept = tokio::spawn(keeper.keep());

    heading("Maria opens an issue with a brief");
    let body = std::fs::read_to_string(source.join("issue.md"))?;
    println!("{body}");
    let opened = Instant::now();
    let issue = sim.open_issue(REPOSITORY, "maria", "The yearly report", &body)?;

    heading("The server works");
    if args.crash {
        kill_in_mid_step(&mut log).await?;
    }
    let (pull, comment) = tokio::select! {
        found = result(&sim, &issue) => found?,
        ended = kept => return ended?,
    };
    println!("from the issue to the result comment: {:.1} s", opened.elapsed().as_secs_f64());
    first_step(&log.borrow());

    show(&sim, &pull, &comment)?;
    anyhow::ensure!(comment.body.contains("\"status\":\"success\""), "the run did not succeed");
    if args.crash {
        let comments = sim.comments(REPOSITORY, issue.number).iter().filter(|it| it.by_app).count();
        anyhow::ensure!(sim.pulls(REPOSITORY).len() == 1 && comments == 1, "something is there twice");
        println!("\nThe server died in the middle of a step: still one pull request, and one comment.");
    }

    heading("Addresses");
    println!("issue         {}", issue.html_url);
    println!("pull request  {}", pull.html_url);
    println!("health        {url}");
    if args.once {
        return Ok(());
    }
    invite(&sim, &issue, log.borrow().process);
    let mut told = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = told.recv() => {}
        ended = tokio::signal::ctrl_c() => ended?,
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n\u{2501}\u{2501} {text} \u{2501}\u{2501}\n");
}

/// A server that is started again whenever it dies, at the same address and on the same state.
struct Keeper {
    program: PathBuf,
    config: PathBuf,
    sim: Arc<GithubSim>,
    server: ServerProcess,
    lines: watch::Sender<Log>,
}

/// What the servers have logged so far, and which process the present one is.
#[derive(Clone, Default)]
struct Log {
    process: u32,
    lines: Vec<String>,
}

impl Keeper {
    fn start(program: &Path, folder: &Path, sim: Arc<GithubSim>) -> anyhow::Result<Self> {
        let config = server::write_config(folder, &sim, LANES)?;
        let lines = watch::Sender::new(Log::default());
        let server = start(program, &config, &sim, &lines)?;
        // The next one gets this one's port.
        let address = server.url().replace("http://", "");
        let text = std::fs::read_to_string(&config)?.replace("127.0.0.1:0", &address);
        std::fs::write(&config, text)?;
        Ok(Self { program: program.to_owned(), config, sim, server, lines })
    }

    fn url(&self) -> String {
        self.server.url()
    }

    fn pid(&self) -> u32 {
        self.server.pid()
    }

    fn log(&self) -> watch::Receiver<Log> {
        self.lines.subscribe()
    }

    /// Starts the server again whenever it has ended; returns when that fails.
    async fn keep(mut self) -> anyhow::Result<()> {
        loop {
            let ended = self.server.ended(Duration::MAX).await?;
            println!("\n  The server is dead ({ended}). It is started again on the same state.\n");
            self.server = start(&self.program, &self.config, &self.sim, &self.lines)?;
            println!("\n  It serves again, as process {}.\n", self.server.pid());
        }
    }
}

fn start(
    program: &Path,
    config: &Path,
    sim: &GithubSim,
    lines: &watch::Sender<Log>,
) -> anyhow::Result<ServerProcess> {
    let kept = lines.clone();
    let each_line = move |line: &str| {
        progress(line);
        kept.send_modify(|log| log.lines.push(line.to_owned()));
    };
    let server = ServerProcess::start(program, config, sim, &[], each_line)?;
    lines.send_modify(|log| log.process = server.pid());
    Ok(server)
}

/// Kills the server while it runs the second step.
async fn kill_in_mid_step(log: &mut watch::Receiver<Log>) -> anyhow::Result<()> {
    let begun = log
        .wait_for(|log| log.lines.iter().any(|line| line.contains("step begins") && line.contains("step=2")));
    let process = tokio::time::timeout(DEADLINE, begun).await??.process;
    println!("\n  kill -9 {process}");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(process.try_into()?),
        nix::sys::signal::Signal::SIGKILL,
    )?;
    Ok(())
}

/// Passes the server's log on, without its times.
fn progress(line: &str) {
    let message = line.split_once("  INFO ").map_or(line, |(_, message)| message);
    println!("  server: {}", message.trim_start());
}

async fn result(sim: &GithubSim, issue: &IssueRef) -> anyhow::Result<(PullRequest, Comment)> {
    let found = sim.wait_for(DEADLINE, |world| {
        let comment = world
            .comments(REPOSITORY, issue.number)
            .into_iter()
            .find(|comment| comment.by_app && comment.body.contains("codex-brief:result"))?;
        Some((world.pulls(REPOSITORY).into_iter().next(), comment))
    });
    let (pull, comment) = found.await.map_err(|error| anyhow::anyhow!("no result comment came: {error}"))?;
    let pull =
        pull.with_context(|| format!("no pull request was opened; the comment says:\n{}", comment.body))?;
    Ok((pull, comment))
}

/// Tells how long the first step took to start after the delivery was answered, from the log's times.
fn first_step(log: &Log) {
    let time = |what: &str| {
        let line = log.lines.iter().find(|line| line.contains(what))?;
        chrono::DateTime::parse_from_rfc3339(line.split_whitespace().next()?).ok()
    };
    if let (Some(stored), Some(begun)) = (time("delivery stored"), time("step begins")) {
        println!(
            "from the answer to the webhook to the first step: {} ms",
            (begun - stored).num_milliseconds()
        );
    }
}

fn show(sim: &GithubSim, pull: &PullRequest, comment: &Comment) -> anyhow::Result<()> {
    heading("The pull request");
    println!("#{} {}  ({} \u{2192} {})\n", pull.number, pull.title, pull.head, pull.base);
    println!("{}", sim.commit_message(REPOSITORY, &pull.head).context("the commit is missing")?);
    heading("Its diff");
    let files = sim.files(REPOSITORY, pull.number);
    anyhow::ensure!(files.len() == 1, "the pull request changes {} files", files.len());
    for file in &files {
        println!("{}\n{}", file.path, file.patch);
    }
    heading("The result comment");
    println!("{}", comment.body);
    Ok(())
}

fn invite(sim: &GithubSim, issue: &IssueRef, server: u32) {
    heading("It stays up until Ctrl-C; try");
    let url = sim.url();
    let number = issue.number;
    println!(
        "# the same brief again, as a comment (it runs: another text, another brief)\n\
         jq -n --rawfile body fixtures/repositories/weather/issue.md \\\n  \
         '{{repo: \"{REPOSITORY}\", number: {number}, user: \"maria\", body: $body}}' \\\n  \
         | curl -s {url}/_sim/comments -H 'content-type: application/json' -d @-\n\n\
         # the server dies while that runs, and it ends all the same\n\
         kill -9 {server}\n\n\
         # a brief with mistakes: a comment tells each, with its line\n\
         curl -s {url}/_sim/comments -H 'content-type: application/json' -d \\\n  \
         '{{\"repo\": \"{REPOSITORY}\", \"number\": {number}, \"user\": \"maria\", \
         \"body\": \"```codex-brief\\nexecuter: devbox-codex\\n```\"}}'\n\n\
         # lint a brief, and run one without any GitHub\n\
         target/debug/codex-brief check fixtures/repositories/weather/issue.md\n"
    );
}
