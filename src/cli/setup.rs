//! `codex-brief setup`: makes the GitHub App, and goes on from where an interrupted set-up was.

#![allow(rustdoc::bare_urls, reason = "the same texts are the help on the command line")]

mod done;
mod flow;
mod wait;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::error::UserError;
use crate::setup::folder::{self, Folder};
use crate::setup::progress::Wish;

/// Makes the GitHub App of a new server, with one click, and writes the server's configuration.
///
/// A page on this machine hands GitHub what the App shall be (its permissions and events are those of app.yml).
/// You press one button there and one on GitHub. GitHub sends the browser back, the App's key comes to this
/// machine, and the configuration is written. Then you install the App on repositories, and are told what to do next.
///
/// It may be interrupted anywhere: the same command goes on from where it was, and says so. Nothing that is
/// there already is written over.
///
/// Without --webhook-url the server will ask GitHub every minute what people wrote (`mode = "polling"`): then
/// nothing has to reach it from outside. With it, GitHub calls the server at once.
///
/// On a machine without a browser, open the page from yours by the `ssh -L` that is shown.
///
/// Examples:
///   codex-brief setup
///   codex-brief setup --organization octo --webhook-url https://briefs.example.com
///   codex-brief setup --github-url https://ghe.example.com --config /etc/codex-brief/codex-brief.toml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct SetupArgs {
    /// The configuration file that is written.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// The folder for the App's key and secret, 0700; `codex-brief-app` beside the configuration unless given.
    #[arg(long, value_name = "FOLDER")]
    credentials: Option<PathBuf>,
    /// The start page of your GitHub, such as that of an Enterprise Server; https://github.com unless given.
    #[arg(long, value_name = "URL")]
    github_url: Option<String>,
    /// The organization that shall own the App; unless given, whoever clicks.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// The App's name, of at most 34 characters, which nobody on that GitHub has; it can be changed on GitHub's page.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where GitHub shall send webhooks: your proxy's address, without a path that of the server is taken. For an App that
    /// is there it changes the address.
    #[arg(long, value_name = "URL", conflicts_with = "polling")]
    webhook_url: Option<String>,
    /// Lets the server ask GitHub instead; no webhook. So it is unless --webhook-url is given.
    #[arg(long)]
    polling: bool,
    /// The port of the local page; a free one unless given.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// How long to wait for the click, and then for the installation.
    #[arg(long, default_value_t = 30, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=1_440))]
    wait_minutes: u64,
    /// Begins anew; credentials and configuration that are there are kept under another name.
    #[arg(long)]
    replace: bool,
    /// Prints at the end what came of it as JSON; what is told meanwhile goes to standard error.
    #[arg(long)]
    json: bool,
}

impl SetupArgs {
    fn wish(&self) -> Wish {
        Wish {
            github_url: self.github_url.clone(),
            organization: self.organization.clone(),
            name: self.name.clone(),
            webhook_url: self.webhook_url.clone(),
            polling: self.polling,
        }
    }

    fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_minutes * 60)
    }
}

/// Sets the App up, or goes on; 0 once it is installed somewhere.
pub async fn run(args: SetupArgs) -> Result<u8, UserError> {
    let beside = || args.config.with_file_name("codex-brief-app");
    let credentials = args.credentials.clone().unwrap_or_else(beside);
    if args.replace {
        let now = chrono::Utc::now().timestamp();
        for path in [&credentials, &args.config] {
            if let Some(aside) = folder::put_aside(path, now)? {
                say(&format!("{} is {} now.", path.display(), aside.display()));
            }
        }
    }
    folder::try_beside(&args.config)?;
    let folder = Folder::open(&credentials)?;
    let done = flow::Flow::begin(&args, folder, credentials)?.carry_on().await?;
    match args.json {
        true => super::print_json(&done),
        false => super::print(done.text().trim_end()),
    }
    Ok(0)
}

/// Tells how it goes.
fn say(text: &str) {
    eprintln!("{}", crate::publish::terminal::text(text));
}
