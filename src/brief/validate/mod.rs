//! The rules for single values of a brief, as pure functions that other modules may ask too.

mod branch;
mod files;
mod kubectl;
mod outputs;
mod step;
mod workdir;

pub use branch::{MAX_BRANCH_BYTES, branch};
pub use files::{MAX_PART_BYTES, MAX_PATH_BYTES, file_path, overlap};
pub use kubectl::kubectl;
pub use outputs::{
    BRANCH_PREFIX, MAX_BODY_CHARS, MAX_LABEL_CHARS, MAX_LOGIN_CHARS, REPORTS, body, branch_name, label,
    login, report_path,
};
pub use step::{interpreter, make_target, make_variable, script, timeout, variable, when};
pub use workdir::{MAX_WORKDIR_BYTES, workdir};

use super::characters::{misleads_in_a_name, quote};
use super::fields::QUOTED;
use super::{MAX_LINE_CHARS, MAX_TITLE_CHARS, RepoName, codes};

/// The highest issue number that is taken; GitHub's API describes the number as a 32-bit integer.
pub const MAX_ISSUE_NUMBER: u64 = 2_147_483_647;

/// The trailers that the publisher writes; a brief may not write them itself.
pub const RESERVED_TRAILERS: [&str; 3] = ["Brief", "Run", "Requested-by"];

/// A value that breaks a rule: the parts of a diagnostic without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Names the problem; one of [`codes::ALL`].
    pub code: &'static str,
    /// Tells what is wrong, in one sentence.
    pub message: String,
    /// Tells what to write instead.
    pub help: String,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: help.into() }
    }
}

pub(crate) fn shown(value: &str) -> String {
    quote(value, QUOTED)
}

/// Checks the name of a lane: a letter or digit, then letters, digits, `.`, `_`, `-`; 64 at most.
///
/// # Errors
/// Tells which shape a name has.
pub fn executor(name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain) && name.len() <= 64;
    if fits {
        return Ok(());
    }
    Err(Problem::new(
        codes::EXECUTOR,
        format!("{} is not the name of a lane.", shown(name)),
        "Write a lane's name, such as `devbox-codex`: letters, digits, `.`, `_`, `-`; 64 characters at most.",
    ))
}

/// Reads a repository's name as `owner/name` by GitHub's rules.
///
/// Owners are not held to the rule for new accounts (no hyphen at the end or twice in a row), because
/// older accounts break it, and managed accounts hold an underscore.
///
/// # Errors
/// Tells the shape, and what an address of GitHub should be shortened to.
pub fn repo(value: &str) -> Result<RepoName, Problem> {
    if let Some(repo) = split_repo(value) {
        return Ok(repo);
    }
    let path = ["https://github.com/", "http://github.com/", "git@github.com:", "github.com/"]
        .iter()
        .find_map(|prefix| value.strip_prefix(prefix))
        .unwrap_or(value);
    let path = path.trim_end_matches('/');
    let help = match split_repo(path.strip_suffix(".git").unwrap_or(path)) {
        Some(repo) => format!("Write `{repo}`."),
        None => "Write `owner/name`, as in the repository's address on GitHub.".to_owned(),
    };
    Err(Problem::new(codes::REPO, format!("{} is not a repository's name.", shown(value)), help))
}

fn split_repo(value: &str) -> Option<RepoName> {
    let (owner, name) = value.split_once('/')?;
    let owner_fits = owner.starts_with(|c: char| c.is_ascii_alphanumeric())
        && owner.len() <= 39
        && owner.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let name_fits = (1..=100).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && !matches!(name, "." | "..")
        && !name.to_ascii_lowercase().ends_with(".git");
    (owner_fits && name_fits).then(|| RepoName { owner: owner.to_owned(), name: name.to_owned() })
}

/// Checks a text of one line: not blank, no line break, at most `limit` characters.
fn one_line(what: &str, value: &str, limit: usize) -> Result<(), Problem> {
    if value.trim().is_empty() {
        return Err(Problem::new(codes::EMPTY_VALUE, format!("{what} is empty."), "Write what it is about."));
    }
    if value.contains('\n') {
        return Err(Problem::new(
            codes::SEVERAL_LINES,
            format!("{what} has several lines; it is one line."),
            "Write it in quotes on one line; behind `|` or `>`, it ends in a line break, behind `>-` it does not.",
        ));
    }
    let count = value.chars().count();
    if count > limit {
        return Err(Problem::new(
            codes::TOO_LONG,
            format!("{what} has {count} characters; {limit} are the most."),
            "Shorten it.",
        ));
    }
    Ok(())
}

/// Checks a step's name: one line, 200 characters at most. Names need not differ; steps are numbered.
///
/// # Errors
/// Tells the limit that it breaks.
pub fn step_name(name: &str) -> Result<(), Problem> {
    one_line("`name`", name, MAX_LINE_CHARS)
}

/// Checks a pull request's title: one line, 256 characters at most (GitHub's limit).
///
/// # Errors
/// Tells the limit that it breaks.
pub fn title(title: &str) -> Result<(), Problem> {
    one_line("`title`", title, MAX_TITLE_CHARS)
}

/// Checks a commit message: a first line of 256 characters at most, and none of the trailers that
/// the publisher writes ([`RESERVED_TRAILERS`]) at the start of a later line.
///
/// # Errors
/// Tells what it breaks.
pub fn commit_message(message: &str) -> Result<(), Problem> {
    if message.trim().is_empty() {
        return Err(Problem::new(
            codes::EMPTY_VALUE,
            "`commit_message` is empty.",
            "Write what the commit does.",
        ));
    }
    let mut lines = message.split('\n');
    one_line("The first line of `commit_message`", lines.next().unwrap_or(""), MAX_TITLE_CHARS)?;
    for line in lines {
        let key = line.split_once(':').map_or("", |(key, _)| key.trim());
        if let Some(trailer) = RESERVED_TRAILERS.iter().find(|trailer| trailer.eq_ignore_ascii_case(key)) {
            return Err(Problem::new(
                codes::RESERVED_TRAILER,
                format!("`commit_message` holds a line `{trailer}:`, which only the publisher writes."),
                "Delete the line; who asked for what is added to the commit by itself.",
            ));
        }
    }
    Ok(())
}

/// Reads an issue's number, as it is written in YAML without quotes.
///
/// # Errors
/// Tells the number to write where it can be seen.
pub fn issue_number(value: &str) -> Result<u64, Problem> {
    let number = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse::<u64>().ok()).flatten();
    if let Some(number @ 1..=MAX_ISSUE_NUMBER) = number
        && !value.starts_with('0')
    {
        return Ok(number);
    }
    let digits = value.trim().trim_start_matches('#');
    let help = match digits.parse::<u64>() {
        Ok(number @ 1..=MAX_ISSUE_NUMBER) => format!("Write `link_issue: {number}`."),
        _ => "Write the number of an issue of the same repository, such as `link_issue: 774`.".to_owned(),
    };
    Err(Problem::new(codes::LINK_ISSUE, format!("{} is not an issue's number.", shown(value)), help))
}

/// Tells the first character of a name or path that makes it look like another one.
fn misleading(value: &str) -> Option<String> {
    value.chars().find(|c| misleads_in_a_name(*c)).map(|c| format!("U+{:04X}", c as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_repositories_and_numbers() {
        for name in ["devbox-codex", "vm.codex_2", "a", &"a".repeat(64)] {
            assert_eq!(executor(name), Ok(()), "{name}");
        }
        for name in ["", "-a", ".a", "a b", "a/b", "ä", "a\n", &"a".repeat(65)] {
            assert!(executor(name).is_err(), "{name}");
        }
        assert_eq!(repo("octo/example").unwrap().to_string(), "octo/example");
        for name in ["octo_acme/.github", "a-/b", "octo/a.b_c-d"] {
            assert!(repo(name).is_ok(), "{name}");
        }
        for name in ["octo", "/x", "octo/", "octo/..", "octo/a b", "-o/x", "octo/x.git", "octo/x/y", "öcto/x"]
        {
            assert!(repo(name).is_err(), "{name}");
        }
        let url = repo("https://github.com/octo/example.git").unwrap_err();
        assert_eq!(url.help, "Write `octo/example`.");
        assert_eq!(issue_number("774"), Ok(774));
        for wrong in ["0", "-1", "007", "7.0", "0x7", "", "99999999999999999999", "2147483648", "7_7", "٧"] {
            assert!(issue_number(wrong).is_err(), "{wrong}");
        }
        assert_eq!(issue_number("#774").unwrap_err().help, "Write `link_issue: 774`.");
    }

    #[test]
    fn titles_and_messages() {
        assert_eq!(title(&"é".repeat(256)), Ok(()));
        assert_eq!(title(&"é".repeat(257)).unwrap_err().code, codes::TOO_LONG);
        assert_eq!(title(" \t").unwrap_err().code, codes::EMPTY_VALUE);
        assert_eq!(title("a\n").unwrap_err().code, codes::SEVERAL_LINES);
        assert_eq!(commit_message("a\n\nb\n\nCo-authored-by: c\n"), Ok(()));
        assert_eq!(commit_message("Run: nightly job\n"), Ok(()));
        assert_eq!(commit_message("\nb").unwrap_err().code, codes::EMPTY_VALUE);
        for forged in
            ["a\n\nRequested-by: octocat", "a\n\nrequested-BY : octocat", "a\n Brief: 1", "a\nRun: 1"]
        {
            assert_eq!(commit_message(forged).unwrap_err().code, codes::RESERVED_TRAILER, "{forged}");
        }
        assert_eq!(script("shell", "\n  \n").unwrap_err().code, codes::EMPTY_VALUE);
    }
}
