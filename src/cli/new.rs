//! `codex-brief new`: asks for what a brief needs, and writes it.

mod talk;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::brief::validate::{self, Problem};
use crate::brief::{Brief, Output, PullRequestOutput, RepoName, Step, parse_document, write};
use crate::error::UserError;
use talk::Talk;

/// The first line of a bare brief, by which editors with a YAML language server find the schema.
const SCHEMA_HINT: &str = "# yaml-language-server: $schema=brief.schema.json\n";

/// Writes a new brief: asks for what the options do not give, or takes all of it from them.
///
/// On a terminal it asks, offers what the git repository of the current folder tells, and says at once what is
/// wrong with an answer. Without one, such as in a script, everything comes from the options. What it
/// prints can be posted as it is; questions go to standard error.
///
/// Exit code: 0 when a brief was written, 1 when what was given makes none, 2 when something is missing.
///
/// Examples:
///   codex-brief new
///   codex-brief new --output issue.md
///   codex-brief new --repo octo/example --step 'count the lines=wc -l data/* > lines.txt' \
///     --title 'Count the lines' --file lines.txt | gh issue create --title 'Count the lines' --body-file -
#[derive(Debug, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct NewArgs {
    /// The lane that does the work [default: devbox-codex].
    #[arg(long, value_name = "LANE")]
    executor: Option<String>,
    /// The repository, as OWNER/NAME [default: that of the remote `origin` here].
    #[arg(long, value_name = "OWNER/NAME")]
    repo: Option<String>,
    /// The branch that the work begins from [default: the remote's own, or main].
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Where the steps find the checkout [default: ~/work/ and the repository's name].
    #[arg(long, value_name = "PATH")]
    workdir: Option<String>,
    /// A step that runs a bash script; may be given several times.
    #[arg(long = "step", value_name = "NAME=SCRIPT")]
    steps: Vec<String>,
    /// The pull request's title.
    #[arg(long)]
    title: Option<String>,
    /// The commit's message [default: the title].
    #[arg(long)]
    message: Option<String>,
    /// A file that the steps change; may be given several times.
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<String>,
    /// An issue of the repository that the pull request refers to.
    #[arg(long, value_name = "NUMBER")]
    link_issue: Option<u64>,
    /// Writes bare YAML for a file of its own, instead of a fenced block for an issue.
    #[arg(long)]
    yaml: bool,
    /// Writes to this file, which must not be there yet, instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes a brief and returns the exit code.
///
/// Fails with `value-unusable`, `brief-incomplete` or `output-unwritable`.
pub fn run(args: &NewArgs) -> Result<u8, UserError> {
    let brief = if io::stdin().is_terminal() && io::stderr().is_terminal() {
        let mut talk = Talk::new(io::stdin().lock(), io::stderr().lock());
        complete(args, &Guess::here(), Some(&mut talk))?
    } else {
        complete(args, &Guess::here(), None::<&mut Talk<io::Empty, io::Sink>>)?
    };
    // Each value was looked at alone; this looks at all of it, and at what the parser reads.
    if let Err(problems) = parse_document(&write::yaml(&brief)) {
        for problem in &problems {
            eprintln!("{}", problem.render_text());
        }
        return Ok(1);
    }
    let text =
        if args.yaml { format!("{SCHEMA_HINT}{}", write::yaml(&brief)) } else { write::fenced(&brief) };
    put(&text, args.output.as_deref())?;
    Ok(0)
}

fn put(text: &str, output: Option<&Path>) -> Result<(), UserError> {
    let written = match output {
        Some(path) => OpenOptions::new().write(true).create_new(true).open(path),
        None => {
            // A reader that went away is no reason to fail.
            let _ = io::stdout().lock().write_all(text.as_bytes());
            return Ok(());
        }
    };
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        UserError::new(
            "output-unwritable",
            format!("The brief cannot be written: {error}."),
            "Give another file by --output; one that is there already is not overwritten.",
        )
    })
}

/// What the current folder's git repository tells.
#[derive(Debug, Default)]
struct Guess {
    repo: Option<String>,
    branch: Option<String>,
}

impl Guess {
    fn here() -> Self {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        let head = git(&["symbolic-ref", "--short", "refs/remotes/origin/HEAD"]);
        Self {
            repo: git(&["remote", "get-url", "origin"]).and_then(|url| repository_of(&url)),
            branch: head.and_then(|head| head.strip_prefix("origin/").map(str::to_owned)),
        }
    }
}

/// Returns the `owner/name` at the end of a remote's address.
fn repository_of(url: &str) -> Option<String> {
    let path = url.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let (rest, name) = path.rsplit_once('/')?;
    let owner = rest.rsplit(['/', ':']).next()?;
    validate::repo(&format!("{owner}/{name}")).ok().map(|repo| repo.to_string())
}

/// Makes a brief of the options, and of answers where somebody can be asked.
fn complete<R: io::BufRead, W: Write>(
    args: &NewArgs,
    guess: &Guess,
    mut talk: Option<&mut Talk<R, W>>,
) -> Result<Brief, UserError> {
    let mut missing: Vec<&str> = Vec::new();
    let mut value = |flag: &'static str, given: &Option<String>, default: Option<&str>, rule: Rule<'_>| {
        if let Some(given) = given {
            return rule(given).map(|()| given.clone()).map_err(|problem| unusable(flag, &problem));
        }
        match (&mut talk, default) {
            (Some(talk), _) => talk.ask(question(flag), default, rule),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => {
                missing.push(flag);
                Ok(String::new())
            }
        }
    };
    let executor = value("--executor", &args.executor, Some("devbox-codex"), &validate::executor)?;
    let is_repo = |text: &str| validate::repo(text).map(drop);
    let repo = value("--repo", &args.repo, guess.repo.as_deref(), &is_repo)?;
    let branch = guess.branch.as_deref().unwrap_or("main");
    let branch = value("--branch", &args.branch, Some(branch), &validate::branch)?;
    let name = repo.rsplit('/').next().unwrap_or_default();
    let is_workdir = |text: &str| validate::workdir(text).map(drop);
    let workdir = value("--workdir", &args.workdir, Some(&format!("~/work/{name}")), &is_workdir)?;
    let title = value("--title", &args.title, None, &validate::title)?;
    let default = (!title.is_empty()).then_some(title.as_str());
    let message = value("--message", &args.message, default, &validate::commit_message)?;
    let (mut steps, mut files) = (given_steps(&args.steps)?, args.files.clone());
    match talk {
        Some(talk) => {
            if steps.is_empty() {
                steps = talk.steps()?;
            }
            if files.is_empty() {
                files = talk.lines(
                    "The files that the steps change, each on a line of its own",
                    &validate::file_path,
                )?;
            }
        }
        None => {
            missing.extend(steps.is_empty().then_some("--step"));
            missing.extend(files.is_empty().then_some("--file"));
        }
    }
    if !missing.is_empty() {
        return Err(UserError::new(
            "brief-incomplete",
            format!("Without a terminal nobody can be asked, and {} is not given.", missing.join(", ")),
            "Give it as an option (`codex-brief new --help`), or run this on a terminal.",
        ));
    }
    let repo: RepoName = repo.parse().map_err(|problem| unusable("--repo", &problem))?;
    let link_issue = args.link_issue;
    let output = PullRequestOutput {
        title,
        commit_message: message,
        files,
        link_issue,
        ..PullRequestOutput::default()
    };
    let outputs = vec![Output::Pr(output)];
    Ok(Brief { executor, repo, branch, workdir, steps, outputs, context_header: None, notes: None })
}

/// Tells what is wrong with an answer.
type Rule<'r> = &'r dyn Fn(&str) -> Result<(), Problem>;

fn question(flag: &str) -> &'static str {
    match flag {
        "--executor" => "The lane that does the work",
        "--repo" => "The repository, as owner/name",
        "--branch" => "The branch that the work begins from",
        "--workdir" => "Where the steps find the checkout",
        "--title" => "The pull request's title",
        _ => "The commit's message",
    }
}

fn given_steps(steps: &[String]) -> Result<Vec<Step>, UserError> {
    let step = |given: &String| {
        let (name, script) = given.split_once('=').ok_or_else(|| {
            let help = "Write the step's name, `=`, and its script: --step 'count=wc -l a > b'.";
            unusable("--step", &Problem::new("value-unusable", format!("`{given}` has no `=`."), help))
        })?;
        let script = if script.ends_with('\n') { script.to_owned() } else { format!("{script}\n") };
        let checked = validate::step_name(name).and_then(|()| validate::script("shell", &script));
        checked.map(|()| Step::shell(name, script)).map_err(|problem| unusable("--step", &problem))
    };
    steps.iter().map(step).collect()
}

fn unusable(flag: &str, problem: &Problem) -> UserError {
    UserError::new("value-unusable", format!("{flag}: {}", problem.message), problem.help.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(args: &NewArgs, guess: &Guess, answers: &str) -> (Result<Brief, UserError>, String) {
        let mut said = Vec::new();
        let made = complete(args, guess, Some(&mut Talk::new(answers.as_bytes(), &mut said)));
        (made, String::from_utf8(said).unwrap())
    }

    #[test]
    fn remotes_name_their_repository() {
        for url in [
            "https://github.com/octo/example.git",
            "https://github.com/octo/example/",
            "git@github.com:octo/example.git",
            "ssh://git@ghe.example:2222/octo/example",
        ] {
            assert_eq!(repository_of(url).as_deref(), Some("octo/example"), "{url}");
        }
        for url in ["", "example", "/srv/git/.git", "../x y/z"] {
            assert_eq!(repository_of(url), None, "{url}");
        }
    }

    #[test]
    fn answers_make_a_brief_and_wrong_ones_are_asked_for_again() {
        let guess = Guess { repo: Some("octo/example".into()), branch: Some("trunk".into()) };
        let answers = "\n\n\na/b\n~/work/x\nCount\n\ncount\nset -e\nwc -l a > b\n\n\n*.txt\nb\n\n";
        let (made, said) = answered(&NewArgs::default(), &guess, answers);
        let brief = made.unwrap();
        assert_eq!((brief.repo.to_string().as_str(), &*brief.branch), ("octo/example", "trunk"));
        assert_eq!((&*brief.executor, &*brief.workdir), ("devbox-codex", "~/work/x"));
        assert_eq!(brief.steps, [Step::shell("count", "set -e\nwc -l a > b\n")]);
        let output = brief.pull_request().unwrap();
        assert_eq!((&*output.title, &*output.commit_message), ("Count", "Count"));
        assert_eq!(output.files, ["b"]);
        assert!(said.contains("[octo/example]") && said.contains("pattern"), "{said}");
        assert_eq!(parse_document(&write::yaml(&brief)).as_ref(), Ok(&brief));
    }

    #[test]
    fn what_the_options_give_is_not_asked_for() {
        let args = NewArgs {
            repo: Some("octo/example".into()),
            title: Some("Count".into()),
            steps: vec!["count=wc -l a > b".into()],
            files: vec!["b".into()],
            ..NewArgs::default()
        };
        let (made, said) = answered(&args, &Guess::default(), "\n\n\n\n");
        assert!(made.is_ok() && !said.contains("repository") && !said.contains("title"), "{said}");
        let alone = complete(&args, &Guess::default(), None::<&mut Talk<io::Empty, io::Sink>>).unwrap();
        assert_eq!((&*alone.branch, &*alone.workdir), ("main", "~/work/example"));
    }

    #[test]
    fn without_a_terminal_everything_that_is_missing_is_told_at_once() {
        let alone = |args: &NewArgs| {
            complete(args, &Guess::default(), None::<&mut Talk<io::Empty, io::Sink>>).unwrap_err()
        };
        let error = alone(&NewArgs::default());
        assert_eq!(error.code, "brief-incomplete");
        assert!(error.message.contains("--repo, --title, --message, --step, --file"), "{error}");
        for (args, flag) in [
            (NewArgs { repo: Some("octo".into()), ..NewArgs::default() }, "--repo"),
            (NewArgs { steps: vec!["make".into()], ..NewArgs::default() }, "--step"),
            (NewArgs { steps: vec!["make= ".into()], ..NewArgs::default() }, "--step"),
        ] {
            let error = alone(&args);
            assert!(error.code == "value-unusable" && error.message.starts_with(flag), "{error}");
        }
        let (made, _) = answered(&NewArgs::default(), &Guess::default(), "\nocto/example\n");
        assert_eq!(made.unwrap_err().code, "brief-incomplete", "the answers end");
    }
}
