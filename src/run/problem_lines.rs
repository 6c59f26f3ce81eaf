//! Lines by which a step tells of a place in a file: GitHub's `::error file=…,line=…::text`, a compiler's
//! `src/a.rs:3:5: error: text`, and rustc's `--> src/a.rs:3:5` below its message.

use serde::{Deserialize, Serialize};

use super::names::check_path;
use super::report::StepReport;

/// Bounds the problems of a run.
pub const MOST_PROBLEMS: usize = 50;

/// Bounds what a problem says, in characters.
const MOST_CHARS: usize = 1_000;

/// The greatest number of a line or column that is believed.
const MOST_LINE: u32 = 10_000_000;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something to know.
    Notice,
    /// Something that may be wrong.
    Warning,
    /// Something that is wrong.
    Failure,
}

impl Level {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "notice" | "note" | "info" => Self::Notice,
            "warning" => Self::Warning,
            "error" | "fatal error" => Self::Failure,
            _ => return None,
        })
    }
}

/// A problem at a place, as a step printed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemLine {
    /// Holds the path relative to the repository's root.
    pub path: String,
    /// Holds the line, counted from 1.
    pub line: u32,
    /// Holds the column, counted from 1.
    pub column: Option<u32>,
    /// Tells how bad it is.
    pub level: Level,
    /// Holds what is said of it; plain text of a stranger.
    pub message: String,
}

/// Finds the problems that steps printed, the worst first, each once. `root` is where the steps saw the
/// repository, and only what `exists` knows as a file of it counts.
pub fn problem_lines(steps: &[StepReport], root: &str, exists: impl Fn(&str) -> bool) -> Vec<ProblemLine> {
    let mut found: Vec<ProblemLine> = Vec::new();
    for step in steps {
        let mut said: Option<(Level, String)> = None;
        for line in step.log.tail.lines() {
            let line = without_colours(line);
            if let Some(header) = header(&line) {
                said = Some(header);
                continue;
            }
            let problem = command(&line).or_else(|| arrow(&line, said.as_ref())).or_else(|| compiler(&line));
            let Some(mut problem) = problem else { continue };
            problem.path = relative(&problem.path, root).to_owned();
            let sound = check_path(problem.path.as_bytes()).is_ok();
            if sound && !found.contains(&problem) && exists(&problem.path) {
                found.push(problem);
            }
        }
    }
    found.sort_by_key(|problem| match problem.level {
        Level::Failure => 0,
        Level::Warning => 1,
        Level::Notice => 2,
    });
    found.truncate(MOST_PROBLEMS);
    found
}

/// Takes the sequences out by which a terminal shows colours.
fn without_colours(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // `ESC [ … letter`; anything else behind ESC is one character.
            if chars.next() == Some('[') {
                chars.by_ref().find(|c| c.is_ascii_alphabetic());
            }
        } else if !c.is_control() || c == '\t' {
            out.push(c);
        }
    }
    out
}

/// Reads `::error file=a.rs,line=3,col=5::text`.
fn command(line: &str) -> Option<ProblemLine> {
    let (head, message) = line.trim_start().strip_prefix("::")?.split_once("::")?;
    let (word, parameters) = head.split_once(' ')?;
    let level = Level::read(word)?;
    let (mut path, mut at, mut column) = (None, None, None);
    for parameter in parameters.split(',') {
        match parameter.trim().split_once('=') {
            Some(("file", value)) => path = Some(unescape(value)),
            Some(("line", value)) => at = number(value),
            Some(("col", value)) => column = number(value),
            _ => {}
        }
    }
    Some(ProblemLine {
        path: path?,
        line: at.unwrap_or(1),
        column,
        level,
        message: short(&unescape(message)),
    })
}

/// Undoes the escapes of GitHub's workflow commands.
fn unescape(text: &str) -> String {
    let pairs = [("%0D", ""), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
    pairs.into_iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// Reads the beginning of a message of rustc: `error[E0308]: mismatched types`.
fn header(line: &str) -> Option<(Level, String)> {
    let (word, message) = line.split_once(": ")?;
    let word = word.split_once('[').map_or(word, |(word, _)| word);
    Some((Level::read(word)?, short(message)))
}

/// Reads the line below it: `  --> src/a.rs:3:5`.
fn arrow(line: &str, said: Option<&(Level, String)>) -> Option<ProblemLine> {
    let place = line.trim_start().strip_prefix("--> ")?;
    let (level, message) = said?;
    let (path, at, column) = place_of(place)?;
    Some(ProblemLine { path, line: at, column, level: *level, message: message.clone() })
}

/// Reads `src/a.c:3:5: error: text`, with or without a column.
fn compiler(line: &str) -> Option<ProblemLine> {
    let (place, rest) = line.split_once(": ")?;
    let (word, message) = rest.split_once(": ")?;
    let level = Level::read(word)?;
    let (path, at, column) = place_of(place)?;
    Some(ProblemLine { path, line: at, column, level, message: short(message) })
}

/// Reads `path:line` or `path:line:column`.
fn place_of(place: &str) -> Option<(String, u32, Option<u32>)> {
    let (rest, last) = place.trim().rsplit_once(':')?;
    let last = number(last)?;
    if let Some((path, line)) = rest.rsplit_once(':')
        && let Some(line) = number(line)
    {
        return Some((path.to_owned(), line, Some(last)));
    }
    Some((rest.to_owned(), last, None))
}

fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|number| (1..=MOST_LINE).contains(number))
}

fn short(text: &str) -> String {
    text.trim().chars().take(MOST_CHARS).collect()
}

/// Returns a path as it stands in the repository, where it was told from `root`.
fn relative<'a>(path: &'a str, root: &str) -> &'a str {
    let inside = path.strip_prefix(root).and_then(|path| path.strip_prefix('/'));
    inside.unwrap_or_else(|| path.strip_prefix("./").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::run::report::{LogSummary, StepStatus};

    fn step(tail: &str) -> StepReport {
        StepReport {
            name: "check".to_owned(),
            tolerated: false,
            status: StepStatus::Failed,
            exit_code: Some(1),
            signal: None,
            duration_ms: 1,
            log: LogSummary {
                total_bytes: tail.len() as u64,
                omitted_bytes: 0,
                tail: tail.to_owned(),
                ..LogSummary::default()
            },
        }
    }

    fn found(tail: &str) -> Vec<String> {
        let problems = problem_lines(&[step(tail)], "/home/codex/work/example", |path| path.ends_with(".rs"));
        let told = problems.iter().map(|it| {
            let column = it.column.map_or(String::new(), |column| format!(":{column}"));
            format!("{:?} {}:{}{column} {}", it.level, it.path, it.line, it.message)
        });
        told.collect()
    }

    #[test]
    fn each_style_is_read() {
        let cases = [
            (
                "::error file=src/a.rs,line=3,col=5,title=T::100%25 wrong%0Areally",
                "Failure src/a.rs:3:5 100% wrong\nreally",
            ),
            ("::warning file=a.rs::text", "Warning a.rs:1 text"),
            ("::notice line=7,file=a%2Cb.rs::text", "Notice a,b.rs:7 text"),
            ("src/a.rs:3:5: error: no such thing", "Failure src/a.rs:3:5 no such thing"),
            ("./src/a.rs:3: warning: odd: very", "Warning src/a.rs:3 odd: very"),
            ("/home/codex/work/example/a.rs:9:1: fatal error: x", "Failure a.rs:9:1 x"),
            (
                "\u{1b}[1m\u{1b}[31merror[E0308]\u{1b}[0m: mismatched\n  \u{1b}[34m--> \u{1b}[0msrc/a.rs:3:5",
                "Failure src/a.rs:3:5 mismatched",
            ),
            ("warning: unused\n --> a.rs:1:2", "Warning a.rs:1:2 unused"),
        ];
        for (tail, expected) in cases {
            assert_eq!(found(tail), [expected], "{tail}");
        }
    }

    #[test]
    fn what_names_no_file_of_the_repository_is_left_out() {
        for tail in [
            "::error::no file",
            "::error file=../a.rs,line=1::up",
            "::error file=/etc/passwd.rs,line=1::out",
            "::error file=.git/config.rs::git",
            "::error file=b.txt,line=1::not there",
            "::debug file=a.rs::quiet",
            "a.rs:0:1: error: no line",
            "a.rs:99999999999: error: no line",
            "a.rs:3:5: hint: no level",
            "--> a.rs:1:2",
            "12:30:01: error: a.rs",
        ] {
            assert_eq!(found(tail), [""; 0], "{tail}");
        }
    }

    #[test]
    fn the_worst_come_first_each_once_and_not_too_many() {
        let mut tail = "a.rs:1: warning: w\n".repeat(3);
        for line in 1..=60 {
            tail.push_str(&format!("a.rs:{line}: error: e\n"));
        }
        let told = found(&tail);
        assert_eq!((told.len(), told[0].as_str()), (MOST_PROBLEMS, "Failure a.rs:1 e"));
        assert_eq!(found("a.rs:1: warning: w\na.rs:1: warning: w\na.rs:2: error: e").len(), 2);
    }

    proptest! {
        #[test]
        fn nothing_that_a_step_prints_breaks_it(tail in "(?s)(::|error|warning| file=|line=|-->|: |,|a\\.rs|\u{1b}\\[|[0-9]{1,12}|.){0,40}") {
            for problem in problem_lines(&[step(&tail)], "/w", |_| true) {
                prop_assert!(check_path(problem.path.as_bytes()).is_ok());
                prop_assert!(problem.line >= 1 && problem.message.chars().count() <= MOST_CHARS);
            }
        }
    }
}
