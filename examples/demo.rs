//! `make demo`: the whole story on this machine. A simulated GitHub and a real server start on free
//! loopback ports, an issue with a brief is opened, and pull request, diff and comment are shown.

#[path = "../tests/stories/support/server.rs"]
#[allow(dead_code, reason = "the stories use more of it")]
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use github_sim::{Comment, GithubSim, IssueRef, Permission, PullRequest};
use server::ServerProcess;
use tokio::signal::unix::{SignalKind, signal};

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
    /// The server's program.
    #[arg(long, default_value = "target/debug/codex-brief", value_name = "PROGRAM")]
    server: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir()?;
    let sim = GithubSim::builder().app_slug("codex-brief").start().await?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/repositories/weather");
    sim.create_repository_from_dir(REPOSITORY, &source)?;
    sim.add_user("maria");
    sim.set_permission(REPOSITORY, "maria", Permission::Write)?;

    heading("A server and a simulated GitHub start");
    let config = server::write_config(folder.path(), &sim, LANES)?;
    let server = ServerProcess::start(&args.server, &config, &sim, &[], progress)?;
    println!("server    {}", server.url());
    println!("GitHub    {}", sim.url());

    heading("Maria opens an issue with a brief");
    let body = std::fs::read_to_string(source.join("issue.md"))?;
    println!("{body}");
    let opened = Instant::now();
    let issue = sim.open_issue(REPOSITORY, "maria", "The yearly report", &body)?;

    heading("The server works");
    let (pull, comment) = result(&sim, &issue).await?;
    println!("from the issue to the result comment: {:.1} s", opened.elapsed().as_secs_f64());
    first_step(&server);

    show(&sim, &pull, &comment)?;
    anyhow::ensure!(comment.body.contains("\"status\":\"success\""), "the run did not succeed");

    heading("Addresses");
    println!("issue         {}", issue.html_url);
    println!("pull request  {}", pull.html_url);
    println!("health        {}", server.url());
    if args.once {
        return Ok(());
    }
    invite(&sim, &issue);
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
fn first_step(server: &ServerProcess) {
    let log = server.log();
    let time = |what: &str| {
        let line = log.lines().find(|line| line.contains(what))?;
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

fn invite(sim: &GithubSim, issue: &IssueRef) {
    heading("It stays up until Ctrl-C; try");
    let url = sim.url();
    let number = issue.number;
    println!(
        "# the same brief again, as a comment (it runs: another text, another brief)\n\
         jq -n --rawfile body fixtures/repositories/weather/issue.md \\\n  \
         '{{repo: \"{REPOSITORY}\", number: {number}, user: \"maria\", body: $body}}' \\\n  \
         | curl -s {url}/_sim/comments -H 'content-type: application/json' -d @-\n\n\
         # a brief with mistakes: a comment tells each, with its line\n\
         curl -s {url}/_sim/comments -H 'content-type: application/json' -d \\\n  \
         '{{\"repo\": \"{REPOSITORY}\", \"number\": {number}, \"user\": \"maria\", \
         \"body\": \"```codex-brief\\nexecuter: devbox-codex\\n```\"}}'\n\n\
         # lint a brief, and run one without any GitHub\n\
         target/debug/codex-brief check fixtures/repositories/weather/issue.md\n"
    );
}
