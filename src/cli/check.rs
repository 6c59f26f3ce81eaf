//! `codex-brief check`: reads the briefs of files and tells what is wrong with them; runs nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{annotations, commands};
use crate::authorize::guard::{self, VerdictTable};
use crate::brief::{self, Brief, Diagnostic, Digest, Extraction, MAX_TEXT_BYTES, Output};
use crate::config::{Config, GuardConfig};
use crate::error::UserError;
use crate::publish::inert::is_hidden;
use crate::publish::terminal;

/// Every brief is fine.
const FINE: u8 = 0;
/// A brief is not fine.
const NOT_FINE: u8 = 1;
/// There is no brief, or a file cannot be read.
const NOTHING: u8 = 2;

/// Reads the briefs of files and tells everything that is wrong with them. Runs nothing.
///
/// A file is read as Markdown, as GitHub reads a comment: only closed `codex-brief` fences outside of
/// quotes, lists and other blocks count. A file that ends in .yaml or .yml is read as one bare brief;
/// so is standard input, or a file without a Markdown ending, that has no such fence but a line that
/// begins with `executor:`.
///
/// Exit code: 0 when every brief is fine, 1 when one is not, 2 when there is none or a file cannot be
/// read. Fences that look like briefs but do not count are warnings and change no exit code.
///
/// Examples:
///   codex-brief check issue.md
///   codex-brief check --json briefs/*.yaml
///   gh issue view 774 --json body --jq .body | codex-brief check -
///   codex-brief check --commands --config codex-brief.toml issue.md
///   codex-brief check --allow-none --annotations $(git ls-files '*.md')
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct CheckArgs {
    /// Files to read; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print one JSON document instead of text.
    #[arg(long)]
    pub json: bool,
    /// List the commands of each brief's steps, with what the allow lists say to each: allowed, denied,
    /// or undecided, which means that only the run shows what it does. Changes no exit code.
    #[arg(long)]
    pub commands: bool,
    /// Files without a brief are fine, as in a hook that is handed every file.
    #[arg(long)]
    pub allow_none: bool,
    /// Print also what GitHub Actions shows as annotations on the lines of files.
    #[arg(long, conflicts_with = "json")]
    pub annotations: bool,
    /// The server's configuration, whose [guard] section has the allow lists; without it, what holds
    /// without a section.
    #[arg(long, value_name = "FILE", requires = "commands")]
    pub config: Option<PathBuf>,
}

/// Checks the files and prints the result on standard output. Returns the exit code.
///
/// Fails when the configuration cannot be used.
pub fn run(args: &CheckArgs) -> Result<u8, UserError> {
    let guard = match &args.config {
        Some(path) => Config::load(path)?.guard,
        None => GuardConfig::without_file()?,
    };
    Ok(run_with(args, &guard, &mut io::stdin().lock(), &mut io::stdout().lock()))
}

/// Checks the files with the given allow lists, standard input and output. Returns the exit code.
pub fn run_with(args: &CheckArgs, guard: &GuardConfig, input: &mut impl Read, out: &mut impl Write) -> u8 {
    let mut files: Vec<CheckedFile> = args.files.iter().map(|path| check_path(path, input)).collect();
    if args.commands {
        for checked in files.iter_mut().flat_map(|file| &mut file.briefs) {
            checked.commands = checked.brief.as_ref().map(|brief| guard::table(brief, guard));
        }
    }
    let result = Checked { exit_code: exit_code(&files, args.allow_none), files };
    let written = if args.json { write_json(&result, out) } else { write_text(&result, args, out) };
    match written.and_then(|()| out.flush()) {
        Ok(()) => result.exit_code,
        Err(error) => {
            eprintln!("error: the result could not be written: {error}");
            NOTHING
        }
    }
}

/// The whole result; its JSON is the output of `--json`.
#[derive(Debug, Serialize)]
struct Checked {
    exit_code: u8,
    files: Vec<CheckedFile>,
}

#[derive(Debug, Serialize)]
struct CheckedFile {
    file: String,
    /// Tells why the file could not be read.
    error: Option<String>,
    briefs: Vec<CheckedBrief>,
    /// Fences that do not count, and what is wrong with the file as a whole.
    diagnostics: Vec<Diagnostic>,
    /// Tells that the text looks like a brief without a fence.
    #[serde(skip)]
    looks_bare: bool,
}

#[derive(Debug, Serialize)]
struct CheckedBrief {
    index: usize,
    line: usize,
    text_digest: Digest,
    ok: bool,
    brief: Option<Brief>,
    diagnostics: Vec<Diagnostic>,
    /// Holds what `--commands` asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    commands: Option<VerdictTable>,
}

fn check_path(path: &Path, input: &mut impl Read) -> CheckedFile {
    let stdin = path.as_os_str() == "-";
    let file = if stdin { "<stdin>".to_owned() } else { visible_name(path) };
    let text =
        if stdin { read_text(input) } else { File::open(path).and_then(|mut file| read_text(&mut file)) };
    match text {
        Ok(text) => check_text(file, path, &text),
        Err(error) => CheckedFile {
            file,
            error: Some(error.to_string()),
            briefs: Vec::new(),
            diagnostics: Vec::new(),
            looks_bare: false,
        },
    }
}

/// Reads at most one byte more than is looked through, so that a device or a huge file ends.
fn read_text(input: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    input.take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_TEXT_BYTES {
        let reason = format!("it has more than {MAX_TEXT_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Names a file so that its name cannot act on a terminal.
fn visible_name(path: &Path) -> String {
    let name = path.display().to_string();
    name.chars()
        .flat_map(|c| if c.is_control() || is_hidden(c) { c.escape_unicode().collect() } else { vec![c] })
        .collect()
}

/// Tells whether a file is one brief as a whole, rather than Markdown that may hold some.
pub(super) fn is_bare(path: &Path, text: &str, found: &Extraction) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("yaml" | "yml") => true,
        Some("md" | "markdown" | "mdown" | "mkd") => false,
        _ => is_empty(found) && has_executor(text),
    }
}

fn is_empty(found: &Extraction) -> bool {
    found.fences.is_empty() && found.misplaced.is_empty() && found.refused.is_none()
}

fn has_executor(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("executor:"))
}

fn check_text(file: String, path: &Path, text: &str) -> CheckedFile {
    let found = brief::extract(text);
    if is_bare(path, text, &found) {
        return check_document(file, text);
    }
    let looks_bare = has_executor(text);
    let briefs = found
        .fences
        .iter()
        .map(|fence| {
            let result = brief::parse(&fence.text, &fence.origin());
            checked(fence.index, fence.fence_line, &fence.text, result)
        })
        .collect();
    let misplaced = found.misplaced.into_iter().map(|misplaced| misplaced.diagnostic);
    let diagnostics = found.refused.into_iter().chain(misplaced).collect();
    CheckedFile { file, error: None, briefs, diagnostics, looks_bare }
}

fn check_document(file: String, text: &str) -> CheckedFile {
    let text = brief::extract::normalize(text);
    let briefs = vec![checked(0, 1, &text, brief::parse_document(&text))];
    CheckedFile { file, error: None, briefs, diagnostics: Vec::new(), looks_bare: false }
}

fn checked(index: usize, line: usize, text: &str, result: Result<Brief, Vec<Diagnostic>>) -> CheckedBrief {
    let text_digest = brief::text_digest(text);
    let (brief, diagnostics) = match result {
        Ok(brief) => (Some(brief), Vec::new()),
        Err(diagnostics) => (None, diagnostics),
    };
    CheckedBrief { index, line, text_digest, ok: brief.is_some(), brief, diagnostics, commands: None }
}

fn exit_code(files: &[CheckedFile], allow_none: bool) -> u8 {
    let refused = |file: &CheckedFile| {
        file.diagnostics.iter().any(|diagnostic| diagnostic.severity == brief::Severity::Error)
    };
    if files.iter().any(|file| file.error.is_some()) {
        NOTHING
    } else if files.iter().any(|file| refused(file) || file.briefs.iter().any(|brief| !brief.ok)) {
        NOT_FINE
    } else if !allow_none && files.iter().all(|file| file.briefs.is_empty()) {
        NOTHING
    } else {
        FINE
    }
}

fn write_json(result: &Checked, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", terminal::json(&serde_json::to_string_pretty(result)?))
}

fn write_text(result: &Checked, args: &CheckArgs, out: &mut impl Write) -> io::Result<()> {
    let (mut good, mut bad) = (0, 0);
    for file in &result.files {
        let name = &file.file;
        let problems = file.diagnostics.iter().chain(file.briefs.iter().flat_map(|brief| &brief.diagnostics));
        for problem in problems.filter(|_| args.annotations) {
            writeln!(out, "{}", annotations::command(name, problem))?;
        }
        if let Some(error) = &file.error {
            writeln!(out, "error: {name} cannot be read: {error}")?;
        }
        for diagnostic in &file.diagnostics {
            writeln!(out, "{}", diagnostic.render_text_in(name))?;
        }
        for brief in &file.briefs {
            match &brief.brief {
                Some(content) => {
                    good += 1;
                    writeln!(
                        out,
                        "{name}:{}: brief {} ok — {}",
                        brief.line,
                        brief.text_digest.short(),
                        summary(content)
                    )?;
                    if let Some(table) = &brief.commands {
                        out.write_all(commands::text(table).as_bytes())?;
                    }
                }
                None => {
                    bad += 1;
                    for diagnostic in &brief.diagnostics {
                        writeln!(out, "{}", diagnostic.render_text_in(name))?;
                    }
                    let count = counted(brief.diagnostics.len(), "problem");
                    writeln!(out, "{name}:{}: brief {} has {count}", brief.line, brief.text_digest.short())?;
                }
            }
        }
        if file.error.is_none() && file.briefs.is_empty() && (!args.allow_none || file.looks_bare) {
            writeln!(out, "{name}: no brief{}", if file.looks_bare { BARE } else { "" })?;
        }
    }
    if good + bad > 1 {
        writeln!(out, "{}, {good} fine, {bad} not", counted(good + bad, "brief"))?;
    }
    Ok(())
}

/// What is said about a Markdown text that holds a brief without a fence.
const BARE: &str =
    "; it has a line `executor:`, but a brief counts only between ```codex-brief and ``` lines";

fn summary(brief: &Brief) -> String {
    let outputs: Vec<String> = brief
        .outputs
        .iter()
        .map(|output| match output {
            Output::Pr(pr) => format!("pr with {}", counted(pr.files.len(), "file")),
            Output::Comment(_) => "comment".to_owned(),
            Output::Report(report) => format!("report {}", terminal::line(&report.path)),
        })
        .collect();
    format!(
        "{} at {}, lane {}, {}, {}",
        brief.repo,
        brief.branch,
        brief.executor,
        counted(brief.steps.len(), "step"),
        outputs.join(", ")
    )
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    #[test]
    fn the_help_tells_kinds_of_files_and_exit_codes() {
        let mut command = CheckArgs::augment_args(Command::new("check"));
        command.clone().debug_assert();
        let help = command.render_long_help().to_string();
        assert!(help.contains(".yaml or .yml") && help.contains("Exit code: 0 when every"), "{help}");
        assert!(command.clone().try_get_matches_from(["check"]).is_err(), "a file is required");
        let matches = command.get_matches_from(["check", "--json", "a.md", "-"]);
        let args = CheckArgs::from_arg_matches(&matches).unwrap();
        assert_eq!((args.files.len(), args.json), (2, true));
    }

    #[test]
    fn commands_and_their_verdicts_are_shown_and_change_no_exit_code() {
        let brief = "```codex-brief\nexecutor: lane\nrepo: o/r\nbranch: main\nworkdir: ~/work/r\nsteps:\n  - name: a\n    \
                     shell: |\n      codex exec ./a.md\n      kubectl get x; \"$EVIL\" 'two\n\n      words'\noutputs:\n  - type: pr\n    title: t\n    \
                     commit_message: m\n    files: [a.md]\n```\n";
        let mut args = CheckArgs { files: vec!["-".into()], commands: true, ..CheckArgs::default() };
        let check = |args: &CheckArgs| {
            let mut out = Vec::new();
            assert_eq!(run_with(args, &GuardConfig::default(), &mut brief.as_bytes(), &mut out), FINE);
            String::from_utf8(out).unwrap()
        };
        let text = check(&args);
        for wanted in [
            "allowed    step 1, line 1: codex exec — paths ./a.md — the allow lists let it pass",
            "denied     step 1, line 2: kubectl get — the binary is not in allowed_binaries",
            "undecided  step 1, line 2: ? — the command is a variable",
            "3 commands: denied",
            "the sandbox is the boundary",
        ] {
            assert!(text.contains(wanted), "{wanted}\n{text}");
        }
        args.json = true;
        let json: serde_json::Value = serde_json::from_str(&check(&args)).unwrap();
        let table = &json["files"][0]["briefs"][0]["commands"];
        assert_eq!(
            (table["summary"].as_str(), table["rows"].as_array().map(Vec::len)),
            (Some("denied"), Some(3))
        );
        assert_eq!(table["rows"][1]["binary"], "kubectl");
        args.commands = false;
        assert!(!check(&args).contains("summary"), "only on demand");
    }

    #[test]
    fn a_hook_is_not_stopped_by_files_without_a_brief_and_problems_are_annotated() {
        let mut args = CheckArgs { files: vec!["-".into()], ..CheckArgs::default() };
        let check = |args: &CheckArgs, text: &str| {
            let mut out = Vec::new();
            let code = run_with(args, &GuardConfig::default(), &mut text.as_bytes(), &mut out);
            (code, String::from_utf8(out).unwrap())
        };
        assert_eq!(check(&args, "# Notes\n").0, NOTHING);
        args.allow_none = true;
        assert_eq!(check(&args, "# Notes\n"), (FINE, String::new()));
        let wrong = "```codex-brief\nexecuter: a\n```\n";
        assert!(!check(&args, wrong).1.contains("::error"));
        args.annotations = true;
        let (code, told) = check(&args, wrong);
        assert_eq!(code, NOT_FINE);
        assert!(
            told.contains("::error file=<stdin>,line=2,col=1,title=brief-unknown-field::`executer`"),
            "{told}"
        );
        let (code, told) = check(&args, "> ```codex-brief\n> executor: a\n> ```\n");
        assert!(code == FINE && told.contains("::warning file=<stdin>,line=1"), "{told}");
    }

    #[test]
    fn a_files_name_cannot_act_on_a_terminal() {
        assert_eq!(visible_name(Path::new("a\u{1b}[2J\n.md")), "a\\u{1b}[2J\\u{a}.md");
    }
}
