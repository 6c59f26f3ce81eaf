//! Runs a simulated GitHub that a person can look at and play with.

use anyhow::Context as _;
use clap::Parser;
use github_sim::{GithubSim, Permission};
use std::path::PathBuf;

/// Serves a simulated GitHub on loopback: REST, signed webhooks, real git over HTTP, and pages.
///
/// Point a GitHub App at it: base URL, App id, private key and webhook secret are printed at the start.
/// Nothing is kept: when it stops, everything in it is gone.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where webhooks are sent, such as http://127.0.0.1:8080/webhooks/github; may be set later.
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// Secret that webhooks are signed with.
    #[arg(long, value_name = "TEXT", default_value = "a secret of the simulator")]
    webhook_secret: String,
    /// Slug of the App; its bot is called SLUG[bot].
    #[arg(long, default_value = "codex-brief")]
    app_slug: String,
    /// Id of the App.
    #[arg(long, value_name = "ID", default_value_t = 1234)]
    app_id: u64,
    /// Name of the repository to start with.
    #[arg(long, value_name = "OWNER/NAME", default_value = "octo/example")]
    repository: String,
    /// Folder whose files become the repository's first commit; without it there is a README only.
    #[arg(long, value_name = "DIR")]
    repository_from: Option<PathBuf>,
    /// People with write permission on the repository; may be given several times.
    #[arg(long = "user", value_name = "LOGIN", default_value = "maria")]
    users: Vec<String>,
    /// File that the App's (test-only) private key is written to.
    #[arg(long, value_name = "FILE")]
    private_key_to: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  github-sim --port 3000 --webhook-url http://127.0.0.1:8080/webhooks/github --private-key-to key.pem
  github-sim --repository octo/demo --repository-from fixtures/repositories/demo

While it runs (all bodies are JSON):
  POST /_sim/issues         {\"repo\",\"user\",\"title\",\"body\"}         also /edit, /close, /reopen, /delete with \"number\"
  POST /_sim/comments       {\"repo\",\"number\",\"user\",\"body\"}        also /edit and /delete with \"id\"
  POST /_sim/pulls          {\"repo\",\"user\",\"title\",\"body\",\"head\",\"files\":{\"path\":\"content\"}}
  POST /_sim/pulls/comments, /_sim/pulls/reviews, /_sim/pulls/merge   {\"repo\",\"number\",\"user\",…}
  POST /_sim/labels, /_sim/reactions, /_sim/commits, /_sim/users, /_sim/webhook, /_sim/ping
  POST /_sim/repositories/rename {\"repo\",\"name\"}, /transfer {\"repo\",\"owner\"}, /archive {\"repo\"}, /protect {\"repo\",\"branch\"}
  POST /_sim/installation   {\"act\":\"suspend\"}   also unsuspend, uninstall, install
  POST /_sim/checks/press   {\"repo\",\"user\",\"check_run\",\"identifier\"}   presses a button of a check run
  POST /_sim/deliveries/forget
  POST /_sim/faults         {\"method\":\"POST\",\"path\":\"/pulls\",\"times\":1,\"kind\":\"status-after-effect\",\"status\":502}
                            kinds: status, rate-limit (retry_after, reset_in), delay (milliseconds), drop, status-after-effect, drop-after-effect
  GET  /_sim/state, /_sim/requests, /_sim/deliveries";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let sim = start(&arguments).await?;
    print!("{}", told(&arguments, &sim));
    stopped().await.context("waiting for the end")
}

/// Waits for Ctrl-C or a polite kill, so that the folder of the repositories goes with the process.
async fn stopped() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
    }
}

async fn start(arguments: &Arguments) -> anyhow::Result<GithubSim> {
    let mut builder = GithubSim::builder()
        .port(arguments.port)
        .app_slug(&arguments.app_slug)
        .app_id(arguments.app_id)
        .account(arguments.repository.split('/').next().unwrap_or("octo"))
        .webhook_secret(&arguments.webhook_secret);
    if let Some(url) = &arguments.webhook_url {
        builder = builder.webhook_url(url);
    }
    let sim = builder.start().await.with_context(|| format!("listening on port {}", arguments.port))?;
    match &arguments.repository_from {
        Some(dir) => sim
            .create_repository_from_dir(&arguments.repository, dir)
            .with_context(|| format!("reading {}", dir.display()))?,
        None => sim.create_repository(&arguments.repository, &[("README.md", "# Example\n")])?,
    }
    for user in &arguments.users {
        sim.set_permission(&arguments.repository, user, Permission::Write)?;
    }
    if let Some(file) = &arguments.private_key_to {
        std::fs::write(file, sim.private_key_pem()).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(sim)
}

fn told(arguments: &Arguments, sim: &GithubSim) -> String {
    let (url, repo) = (sim.url(), &arguments.repository);
    let user = arguments.users.first().map_or("maria", String::as_str);
    let key = match &arguments.private_key_to {
        Some(file) => file.display().to_string(),
        None => "start with --private-key-to FILE to get it".to_owned(),
    };
    format!(
        "simulated GitHub\n  pages            {url}/\n  API base URL     {url}/\n  git              {}\n  \
         App id           {}\n  installation     {}\n  private key      {key}\n  webhook secret   {}\n  \
         webhooks go to   {}\n\nOpen an issue:\n  curl -s {url}/_sim/issues -H 'content-type: application/json' \\\n    \
         -d '{{\"repo\":\"{repo}\",\"user\":\"{user}\",\"title\":\"Hello\",\"body\":\"A body\"}}'\n\n\
         More: github-sim --help. Ctrl-C stops it and forgets everything.\n",
        sim.clone_url(repo),
        sim.app_id(),
        sim.installation_id(),
        sim.webhook_secret(),
        arguments.webhook_url.as_deref().unwrap_or("nowhere yet (POST /_sim/webhook {\"url\"})"),
    )
}
