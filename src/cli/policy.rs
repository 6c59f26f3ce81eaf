//! `codex-brief policy explain`: who may run what, decided as the server decides, with the rule that says so.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::authorize::lanes;
use crate::authorize::permission::Permission;
use crate::authorize::policy::{Account, Decision, Facts, Visibility};
use crate::brief::RepoName;
use crate::config::{Budget, Config, RepositoryFile, Team, TextSource, invalid};
use crate::error::UserError;
use crate::github::installation::Place;
use crate::github::{GitHub, GitHubError};
use crate::server::access::{Scene, accounts, look, repository_name};

/// The version of what `--json` prints; it changes when a field is renamed or removed.
const FORMAT: u32 = 1;

/// Tells who may run what, and which rule says so.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Decides about a brief as the server would, and names the rule and where it is written.
    #[command(
        after_help = "Exits with 0 when the brief may run and with 1 when it may not. GitHub is asked for \
the repository, its .github/codex-brief.toml and the user; with --permission nobody is asked, and a file is \
tried before it is pushed:\n\n  codex-brief policy explain --repo octo/app --user maria --lane devbox-codex \
--permission write --file .github/codex-brief.toml"
    )]
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The repository, as owner/name.
    #[arg(long, value_name = "OWNER/NAME")]
    repo: String,
    /// The account that would post the brief.
    #[arg(long, value_name = "LOGIN")]
    user: String,
    /// The lane that the brief would name as `executor`.
    #[arg(long, value_name = "NAME")]
    lane: String,
    /// Where the brief would stand.
    #[arg(long, default_value = "issue", value_name = "SOURCE")]
    source: Source,
    /// Supposes that the brief would stand at a pull request from a fork.
    #[arg(long)]
    fork: bool,
    /// A local file instead of the repository's own .github/codex-brief.toml.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the user may do on the repository; then GitHub is not asked.
    #[arg(long, value_name = "PERMISSION")]
    permission: Option<Given>,
    /// Who sees the repository, with --permission.
    #[arg(long, default_value = "private", value_name = "VISIBILITY", requires = "permission")]
    visibility: Seen,
    /// The user's id, with --permission.
    #[arg(long, default_value_t = 0, value_name = "ID", requires = "permission")]
    user_id: u64,
    /// A team that the user is in, as organization/slug, with --permission; can be given several times.
    #[arg(long, value_name = "TEAM", requires = "permission")]
    team: Vec<String>,
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Source {
    Issue,
    IssueComment,
    PullRequest,
    PullRequestComment,
    Review,
    ReviewComment,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Given {
    None,
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Seen {
    Private,
    Internal,
    Public,
}

/// Explains; 0 when the brief may run, 1 when not.
pub async fn run(args: PolicyArgs) -> Result<u8, UserError> {
    let PolicyCommand::Explain(args) = args.command;
    let config = super::load_config(&args.config)?;
    let repository = repository_name(&args.repo).ok_or_else(|| {
        unexplained(
            format!("`{}` is no repository of the form owner/name.", args.repo),
            "Write it as octo/app.",
        )
    })?;
    let lane = lanes::choose(&args.lane, &repository, &config.lanes)?;
    let mut scene = match args.permission {
        Some(permission) => supposed(&args, permission)?,
        None => live(&args, &config).await?,
    };
    if let Some(file) = &args.file {
        scene.file = Some(read(file)?);
    }
    let policy = scene.policy(&config, &repository, Some(lane));
    let decision = policy.decide(&scene.facts);
    let explained = Explained { args: &args, repository: &repository, scene: &scene, decision: &decision };
    match args.json {
        true => super::print(&format!("{:#}", explained.json(&policy.widened))),
        false => super::print(explained.text(&policy.widened).trim_end()),
    }
    Ok(u8::from(decision.verdict.is_err()))
}

fn unexplained(message: String, help: &str) -> UserError {
    UserError::new("policy-unexplained", message, help)
}

fn read(file: &Path) -> Result<Result<RepositoryFile, UserError>, UserError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        unexplained(format!("{} cannot be read: {error}.", file.display()), "Give a file of text by --file.")
    })?;
    Ok(RepositoryFile::parse(&text))
}

fn source(args: &ExplainArgs) -> TextSource {
    match args.source {
        Source::Issue => TextSource::Issue,
        Source::IssueComment => TextSource::IssueComment,
        Source::PullRequest => TextSource::PullRequest,
        Source::PullRequestComment => TextSource::PullRequestComment,
        Source::Review => TextSource::Review,
        Source::ReviewComment => TextSource::ReviewComment,
    }
}

/// Returns what the arguments suppose.
fn supposed(args: &ExplainArgs, permission: Given) -> Result<Scene, UserError> {
    let teams: Result<Vec<Team>, String> = args.team.iter().cloned().map(Team::try_from).collect();
    let teams = teams.map_err(|error| {
        unexplained(format!("--team: {error}."), "Write teams as they stand in the policy.")
    })?;
    let account = match args.user.ends_with("[bot]") {
        true => Account::Bot { login: args.user.clone(), id: args.user_id, own: false },
        false => Account::Person {
            login: args.user.clone(),
            id: args.user_id,
            permission: match permission {
                Given::None => Permission::None,
                Given::Read => Permission::Read,
                Given::Triage => Permission::Triage,
                Given::Write => Permission::Write,
                Given::Maintain => Permission::Maintain,
                Given::Admin => Permission::Admin,
            },
            teams,
        },
    };
    let visibility = match args.visibility {
        Seen::Private => Visibility::Private,
        Seen::Internal => Visibility::Internal,
        Seen::Public => Visibility::Public,
    };
    let facts = Facts {
        visibility,
        source: source(args),
        from_fork: args.fork,
        accounts: vec![account],
        bots: vec![(args.user.clone(), args.user_id)],
    };
    Ok(Scene { facts, file: None })
}

/// Looks up at GitHub what the server would.
async fn live(args: &ExplainArgs, config: &Config) -> Result<Scene, UserError> {
    let key = config.github.private_key.read();
    let key = key.map_err(|error| invalid(format!("github.private_key cannot be read: {error}.")))?;
    let github = GitHub::new(&config.github, &key)
        .map_err(|error| invalid(format!("github.private_key: {error}.")))?;
    let help = "Look at the address, the App's id and key and its installation; with --permission, GitHub is not asked.";
    let failed = |error: GitHubError| unexplained(format!("GitHub cannot be asked: {error}."), help);
    let installation = github.installation_of(&args.repo).await.map_err(failed)?;
    let installation = installation
        .ok_or_else(|| unexplained(format!("The App is not installed on `{}`.", args.repo), help))?;
    let place = Place { installation, repository: &args.repo };
    let id = github.repository_id(place).await.map_err(failed)?;
    let id = id.ok_or_else(|| unexplained(format!("The App does not reach `{}`.", args.repo), help))?;
    let user = github.account(installation, &args.user).await.map_err(failed)?;
    let user = user.ok_or_else(|| {
        unexplained(format!("GitHub knows no account `{}`.", args.user), "Look at the name's spelling.")
    })?;
    let who = (user.login.as_str(), user.id);
    let found = accounts(&github, place, [who, who]).await.map_err(failed)?;
    look(&github, config, place, id, (source(args), args.fork), found).await.map_err(failed)
}

struct Explained<'a> {
    args: &'a ExplainArgs,
    repository: &'a RepoName,
    scene: &'a Scene,
    decision: &'a Decision,
}

impl Explained<'_> {
    fn json(&self, widened: &[String]) -> Value {
        let Decision { verdict, rule, bounds, policy_version } = self.decision;
        let refused = verdict.as_ref().err();
        json!({
            "format": FORMAT,
            "repository": self.repository.to_string(),
            "user": self.args.user,
            "lane": self.args.lane,
            "source": self.scene.facts.source,
            "visibility": self.scene.facts.visibility.as_str(),
            "allowed": refused.is_none(),
            "code": refused.map(|error| error.code),
            "message": refused.map(|error| &error.message),
            "help": refused.map(|error| &error.help),
            "rule": rule,
            "server_file": self.args.config,
            "repository_file": self.scene.file.as_ref().map(|_| RepositoryFile::PATH),
            "bounds": bounds,
            "ignored": widened,
            "policy_version": policy_version,
        })
    }

    fn text(&self, widened: &[String]) -> String {
        let Decision { verdict, rule, bounds, policy_version } = self.decision;
        let mut out = String::new();
        let mut line = |key: &str, value: String| {
            let _ = writeln!(out, "{key:10} {value}");
        };
        match verdict {
            Ok(()) => line("allowed", format!("`{}` may run briefs in {}", self.args.user, self.repository)),
            Err(error) => {
                line("refused", format!("{} [{}]", error.message, error.code));
                line("", error.help.clone());
            }
        }
        line("rule", rule.clone());
        let limits = &bounds.limits;
        if !bounds.gate_rule.is_empty() {
            line("gate", format!("{} ({})", word(bounds.gate), bounds.gate_rule));
        }
        line("approval", format!("{} ({})", word(bounds.approval), bounds.approval_rule));
        line("network", format!("{} ({})", word(&bounds.network), bounds.network_rule));
        line("commit", format!("{} ({})", word(bounds.commit), bounds.commit_rule));
        line("limits", format!("{} s a step, {} s without output", limits.wall_seconds, limits.idle_seconds));
        line("budget", budget(&bounds.budget));
        for path in &bounds.protected_paths {
            line("protected", crate::publish::terminal::line(path));
        }
        for key in widened {
            line("ignored", format!("{key}: a repository can only narrow"));
        }
        line("server", self.args.config.display().to_string());
        line("policy", policy_version.clone());
        out
    }
}

fn word(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn budget(budget: &Budget) -> String {
    let bounds = [
        (budget.user_per_day, "a day for the user"),
        (budget.repository_per_day, "a day in the repository"),
        (budget.user_at_a_time, "at a time for the user"),
        (budget.repository_at_a_time, "at a time in the repository"),
    ];
    let told: Vec<String> =
        bounds.iter().filter_map(|(most, what)| most.map(|most| format!("{most} {what}"))).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}
