//! Holds one command against the operator's allow lists (row G1).

use regex::Regex;

use super::builtin::{self, is_builtin, is_reserved, is_sensitive};
use super::call::{Call, Folder};
use super::place::{home, lies_in_any, looks_like_path, resolve};
use super::subcommand::{self, Subcommand};
use super::word::{Value, Word};
use super::{Row, Verdict};
use crate::config::GuardConfig;

/// Options of Codex whose value is a path.
const PATH_OPTIONS: [&str; 8] =
    ["-C", "--cd", "--add-dir", "-i", "--image", "-o", "--output-last-message", "--output-schema"];

/// Files of the kernel that are no files.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr"];

/// How many reasons of a row are told.
const MAX_REASONS: usize = 3;

/// A verdict with its reason.
type Finding = (Verdict, String);

/// The allow lists, ready for the workdir of one brief.
pub(super) struct Rules<'c> {
    config: &'c GuardConfig,
    patterns: Vec<Regex>,
    workdirs: Vec<String>,
    paths: Vec<String>,
    /// Holds the folder in which steps begin: where the repository's root is mounted.
    pub root: String,
}

/// What a name means besides a builtin or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A function that the script has defined by then.
    Function,
    /// A function or a program, as the run goes.
    Either,
    /// Neither is defined in the script.
    Program,
}

impl<'c> Rules<'c> {
    pub(super) fn new(config: &'c GuardConfig, workdir: &str) -> Self {
        let root = resolve("/", &home(workdir));
        let folders = |list: &[String]| list.iter().map(|entry| resolve(&root, &home(entry))).collect();
        let workdirs: Vec<String> = folders(&config.allowed_workdirs);
        let paths = config.allowed_paths.as_deref().map_or_else(|| workdirs.clone(), folders);
        Self { config, patterns: config.path_patterns(), workdirs, paths, root }
    }

    /// Judges a command; `None` when it is an assignment of which nothing is to be told.
    pub(super) fn judge(&self, step: usize, call: &Call, folder: &Folder, meaning: Meaning) -> Option<Row> {
        let mut findings: Vec<Finding> = Vec::new();
        let undecided = |reason: String| (Verdict::Undecided, reason);
        findings.extend(call.odd.map(|odd| undecided(odd.to_owned())));
        let sensitive = call.assigned.iter().filter(|name| is_sensitive(name));
        findings.extend(sensitive.map(|name| undecided(builtin::sets(name))));
        let mut row = Row {
            step,
            line: call.line,
            binary: call.name().map(str::to_owned),
            subcommand: None,
            flags: Vec::new(),
            paths: Vec::new(),
            redirections: call.redirects.iter().map(|redirect| redirect.shown.clone()).collect(),
            verdict: Verdict::Allowed,
            reason: String::new(),
        };
        let mut good = "the allow lists let it pass";
        match call.words.first() {
            None if findings.is_empty() && call.redirects.is_empty() => return None,
            None => good = "an assignment or redirection alone",
            Some(word) => match &word.value {
                Value::Unknown(what) => findings.push(undecided(format!("the command is {what}"))),
                Value::Pattern(_) => {
                    findings.push(undecided("the command is a pattern of file names".to_owned()))
                }
                Value::Literal(name) => {
                    if meaning != Meaning::Program {
                        good = "a function of the script; its commands have rows of their own";
                        findings.extend(self.function(word, name, meaning).map(undecided));
                    } else if !call.external && is_reserved(word) {
                        findings.push(undecided(format!("`{name}` stands where a command begins")));
                    } else if !call.external && is_builtin(word) {
                        good = "a builtin of bash";
                        let listed = |file: &str| self.is_listed(file, folder);
                        findings.extend(builtin::doubts(call, listed).into_iter().map(undecided));
                        self.builtin_paths(name, call, folder, &mut row, &mut findings);
                    } else {
                        self.program(name, call, folder, &mut row, &mut findings);
                    }
                }
            },
        }
        for file in call.redirects.iter().filter_map(|redirect| redirect.file.as_ref()) {
            findings.extend(self.file(file, folder));
        }
        (row.verdict, row.reason) = sum_up(findings, good);
        Some(row)
    }

    fn function(&self, word: &Word, name: &str, meaning: Meaning) -> Option<String> {
        let hides = is_builtin(word) || self.config.allowed_binaries.iter().any(|binary| binary == name);
        if hides {
            Some(format!("the script defines a function `{name}`, which hides what else has that name"))
        } else if meaning == Meaning::Either {
            Some(format!("`{name}` is a function or a program, as the run goes"))
        } else {
            None
        }
    }

    fn program(&self, name: &str, call: &Call, folder: &Folder, row: &mut Row, findings: &mut Vec<Finding>) {
        if name.is_empty() {
            findings.push((Verdict::Undecided, "the command is empty".to_owned()));
        } else if !self.is_listed(name, folder) {
            let lookalike = if name.is_ascii() { "" } else { "; not all of its letters are ASCII" };
            findings.push((Verdict::Denied, format!("the binary is not in allowed_binaries{lookalike}")));
        }
        match folder {
            Folder::Unknown => {
                findings.push((Verdict::Undecided, "its folder is only known in the run".to_owned()));
            }
            Folder::Known(folder) if !lies_in_any(folder, &self.workdirs) => {
                findings.push((Verdict::Denied, format!("the folder `{folder}` is not in allowed_workdirs")));
            }
            Folder::Known(_) => {}
        }
        if call.more {
            let reason = "further arguments come from its standard input".to_owned();
            findings.push((Verdict::Undecided, reason));
        }
        self.subcommand(name, call.args(), row, findings);
        self.arguments(call.args(), folder, row, findings);
    }

    fn subcommand(&self, name: &str, args: &[Word], row: &mut Row, findings: &mut Vec<Finding>) {
        let base = base(name);
        let entries: Vec<&str> = self
            .config
            .allowed_subcommands
            .iter()
            .filter_map(|entry| match entry.trim().split_once(' ') {
                Some((binary, rest)) => (binary == base).then_some(rest.trim()),
                None => (base == "codex").then_some(entry.trim()),
            })
            .collect();
        match subcommand::find(name, args, !entries.is_empty()) {
            Subcommand::Untold => {}
            Subcommand::Unknown(word) => {
                findings.push((
                    Verdict::Undecided,
                    format!("which subcommand stands behind `{word}` cannot be told"),
                ));
            }
            Subcommand::Named(found) => {
                if !entries.iter().any(|entry| *entry == found || *entry == "*") {
                    let shown = if found.is_empty() { "none".to_owned() } else { format!("`{found}`") };
                    findings.push((
                        Verdict::Denied,
                        format!("the subcommand {shown} is not in allowed_subcommands"),
                    ));
                }
                row.subcommand = Some(found).filter(|found| !found.is_empty());
            }
        }
    }

    fn arguments(&self, args: &[Word], folder: &Folder, row: &mut Row, findings: &mut Vec<Finding>) {
        let mut options = true;
        let mut path_next = false;
        for (at, arg) in args.iter().enumerate() {
            let is_value = std::mem::take(&mut path_next);
            let text = match &arg.value {
                Value::Unknown(what) => {
                    findings.push((Verdict::Undecided, format!("the argument `{}` is {what}", arg.shown)));
                    continue;
                }
                Value::Pattern(text) => {
                    if text.starts_with(['*', '?', '[', '-'])
                        || text.contains("/.*")
                        || text.starts_with(".*")
                    {
                        let reason = format!("the pattern `{}` may fit a flag or `..`", arg.shown);
                        findings.push((Verdict::Undecided, reason));
                    }
                    text
                }
                Value::Literal(text) => text,
            };
            if options && !is_value && text.starts_with('-') && text.len() > 1 {
                options = text != "--";
                let (flag, value) =
                    text.split_once('=').map_or((&**text, None), |(flag, value)| (flag, Some(value)));
                row.flags.push(flag.to_owned());
                findings.extend(self.flag(text, args.get(at + 1).and_then(Word::text)));
                let names_path = self.is_path_option(flag);
                path_next = names_path && value.is_none();
                let glued = if text.starts_with("--") { None } else { text.get(2..) };
                if let Some(value) = value.or(glued).filter(|value| names_path || looks_like_path(value)) {
                    row.paths.push(value.to_owned());
                    findings.extend(self.path(value, folder));
                }
            } else if is_value || looks_like_path(text) {
                row.paths.push(arg.shown.clone());
                findings.extend(self.path(text, folder));
            }
        }
    }

    fn builtin_paths(
        &self,
        name: &str,
        call: &Call,
        folder: &Folder,
        row: &mut Row,
        findings: &mut Vec<Finding>,
    ) {
        let flag = |word: &&Word| word.text().is_some_and(|text| text.starts_with('-') && text.len() > 1);
        match name {
            "cd" | "pushd" | "popd" => match self.moved(call, folder) {
                Folder::Known(to) => {
                    row.paths.push(to.clone());
                    if !lies_in_any(&to, &self.workdirs) {
                        findings
                            .push((Verdict::Denied, format!("the folder `{to}` is not in allowed_workdirs")));
                    }
                }
                Folder::Unknown => {
                    findings.push((Verdict::Undecided, "the folder is only known in the run".to_owned()));
                }
            },
            "test" | "[" | "[[" => {
                for file in builtin::tested_files(call.args()) {
                    row.paths.push(file.shown.clone());
                    findings.extend(file.text().and_then(|text| self.path(text, folder)));
                }
            }
            _ => row.flags = call.args().iter().take_while(flag).map(|word| word.shown.clone()).collect(),
        }
    }

    /// Returns the folder that `cd`, `pushd` or `popd` leads to.
    pub(super) fn moved(&self, call: &Call, folder: &Folder) -> Folder {
        let option = |word: &&Word| matches!(word.text(), Some("-P" | "-L" | "-e" | "-@" | "--"));
        let args: Vec<&Word> = call.args().iter().skip_while(option).collect();
        match (call.name(), args.as_slice()) {
            (Some("cd"), []) => Folder::Known(home("~")),
            (Some("cd" | "pushd"), [to]) => match to.text() {
                None | Some("-" | "") => Folder::Unknown,
                Some(to) if to.starts_with(['+', '-']) => Folder::Unknown,
                Some(to) if to.starts_with('/') => Folder::Known(resolve("/", to)),
                Some(to) => match folder {
                    Folder::Known(folder) => Folder::Known(resolve(folder, to)),
                    Folder::Unknown => Folder::Unknown,
                },
            },
            _ => Folder::Unknown,
        }
    }

    /// Tells whether a program or script is in the list: a name as it is, a path as the file it names.
    fn is_listed(&self, name: &str, folder: &Folder) -> bool {
        self.config.allowed_binaries.iter().any(|entry| {
            if !entry.contains('/') || !name.contains('/') {
                return entry == name;
            }
            let entry = resolve(&self.root, &home(entry));
            match folder {
                _ if name.starts_with('/') => entry == resolve("/", name),
                Folder::Known(folder) => entry == resolve(folder, name),
                Folder::Unknown => false,
            }
        })
    }

    fn flag(&self, text: &str, next: Option<&str>) -> Option<Finding> {
        let (flag, value) = text.split_once('=').map_or((text, None), |(flag, value)| (flag, Some(value)));
        let mut short = None;
        for blocked in &self.config.blocked_flags {
            let parts = blocked.split_once(['=', ' ']);
            let hit = match parts {
                Some((name, wanted)) => flag == name && value.or(next) == Some(wanted),
                None if blocked.len() == 2 && !text.starts_with("--") => {
                    // One letter of several: `-rf` holds `-f`.
                    let letters = &flag[1..];
                    letters.bytes().all(|byte| byte.is_ascii_alphabetic()) && letters.contains(&blocked[1..])
                }
                None => flag == blocked,
            };
            if hit {
                return Some((Verdict::Denied, format!("the flag `{blocked}` is in blocked_flags")));
            }
            let name = parts.map_or(&**blocked, |(name, _)| name);
            if flag.len() > 3 && flag.starts_with("--") && flag.len() < name.len() && name.starts_with(flag) {
                short = Some((Verdict::Undecided, format!("`{flag}` may be short for `{name}`")));
            }
        }
        short
    }

    fn is_path_option(&self, flag: &str) -> bool {
        PATH_OPTIONS.contains(&flag)
            || self.config.path_option_names.iter().any(|name| name == flag)
            || self.patterns.iter().any(|pattern| pattern.is_match(flag))
    }

    fn file(&self, word: &Word, folder: &Folder) -> Option<Finding> {
        match &word.value {
            Value::Literal(text) => self.path(text, folder),
            _ => Some((Verdict::Undecided, format!("the file `{}` is only known in the run", word.shown))),
        }
    }

    /// Returns what is wrong with the paths that a text may name: itself, and its parts behind `=`, `:`, `,`.
    fn path(&self, text: &str, folder: &Folder) -> Option<Finding> {
        if text.contains("://") {
            return None;
        }
        let parts = text.split(['=', ':', ',']).map(|part| part.trim_start_matches('@'));
        let findings = std::iter::once(text).chain(parts.filter(|part| looks_like_path(part)));
        findings.filter_map(|path| self.one_path(&home(path), folder)).max_by_key(|(verdict, _)| *verdict)
    }

    fn one_path(&self, path: &str, folder: &Folder) -> Option<Finding> {
        let full = match folder {
            _ if path.starts_with('/') => resolve("/", path),
            Folder::Known(folder) => resolve(folder, path),
            Folder::Unknown => {
                return Some((
                    Verdict::Undecided,
                    format!("the folder of `{path}` is only known in the run"),
                ));
            }
        };
        let fine = lies_in_any(&full, &self.paths) || DEVICES.contains(&full.as_str());
        (!fine).then(|| (Verdict::Denied, format!("the path `{path}` is not in allowed_paths")))
    }
}

/// Sums findings up: the worst verdict, with its reasons.
fn sum_up(findings: Vec<Finding>, good: &str) -> (Verdict, String) {
    let Some(worst) = findings.iter().map(|(verdict, _)| *verdict).max() else {
        return (Verdict::Allowed, good.to_owned());
    };
    let mut reasons: Vec<String> = Vec::new();
    for (_, reason) in findings.into_iter().filter(|(verdict, _)| *verdict == worst) {
        if !reasons.contains(&reason) && reasons.len() < MAX_REASONS {
            reasons.push(reason);
        }
    }
    (worst, reasons.join("; "))
}

/// Returns the last part of a program's path.
pub(super) fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
