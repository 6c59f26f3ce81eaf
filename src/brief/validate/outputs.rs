//! The rules for what outputs name: labels, people, branches, reports and texts, by GitHub's limits.

use super::{Problem, branch, file_path, shown};
use crate::brief::codes;

/// GitHub's limit for a label's name, in characters.
pub const MAX_LABEL_CHARS: usize = 50;

/// GitHub's limit for an account's name, in characters.
pub const MAX_LOGIN_CHARS: usize = 39;

/// How long `body` may be, in characters: GitHub takes 65,536 for the whole, and the server adds its own words.
pub const MAX_BODY_CHARS: usize = 60_000;

/// Begins the name of each branch that the server pushes.
pub const BRANCH_PREFIX: &str = "codex-brief/";

/// Begins the path of each report.
pub const REPORTS: &str = "reports/";

/// Begins the labels by which the server itself tells and is told.
const OWN_LABELS: &str = "codex:";

/// Checks a label's name: one line of 1 to [`MAX_LABEL_CHARS`] characters, without a comma, and none of the
/// server's own (`codex:…`).
///
/// # Errors
/// Tells which rule it breaks.
pub fn label(name: &str) -> Result<(), Problem> {
    let help =
        "Write the name of a label, 1 to 50 characters, as it stands in the repository's list of labels.";
    let count = name.chars().count();
    let reason = if name.trim().is_empty() {
        "it is empty".to_owned()
    } else if count > MAX_LABEL_CHARS {
        format!("it has {count} characters, and {MAX_LABEL_CHARS} are the most")
    } else if name.contains([',', '\n']) {
        "it holds a comma or a line break".to_owned()
    } else if name != name.trim() {
        "it begins or ends with a space".to_owned()
    } else if name.to_ascii_lowercase().starts_with(OWN_LABELS) {
        return Err(Problem::new(
            codes::LABEL,
            format!(
                "{} is not a label that a brief may set: those that begin with `codex:` are the server's.",
                shown(name)
            ),
            "Choose another label.",
        ));
    } else if name.chars().any(|c| c.is_control() || (c != ' ' && c.is_whitespace())) {
        "it holds a space that is none, or a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(Problem::new(codes::LABEL, format!("{} is not a label's name: {reason}.", shown(name)), help))
}

/// Checks the name of a person's account: letters, digits, `-` and `_`, [`MAX_LOGIN_CHARS`] at most.
///
/// # Errors
/// Tells the shape, and the name without its `@` where that is all.
pub fn login(name: &str) -> Result<(), Problem> {
    if is_login(name) {
        return Ok(());
    }
    let help = match name.strip_prefix('@').filter(|rest| is_login(rest)) {
        Some(rest) => format!("Write `{rest}`."),
        None => "Write the name of a person's account, such as `octocat`; teams and bots are not served."
            .to_owned(),
    };
    Err(Problem::new(codes::LOGIN, format!("{} is not the name of an account.", shown(name)), help))
}

fn is_login(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= MAX_LOGIN_CHARS
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Checks the name of a pull request's own branch: that of a branch, below [`BRANCH_PREFIX`].
///
/// # Errors
/// Tells the name with the prefix where that is all that lacks.
pub fn branch_name(name: &str) -> Result<(), Problem> {
    branch(name)?;
    // So end the names that the server gives by itself; one of another brief would be taken from it.
    let is_given = |end: &str| end.len() == 12 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    if name.rsplit_once('-').is_some_and(|(_, end)| is_given(end)) {
        return Err(Problem::new(
            codes::BRANCH_NAME,
            format!("{} ends as the names do that the server gives to other briefs.", shown(name)),
            "Choose another end than 12 hex digits behind a `-`.".to_owned(),
        ));
    }
    if name.starts_with(BRANCH_PREFIX) {
        return Ok(());
    }
    let whole = format!("{BRANCH_PREFIX}{name}");
    let help = match branch(&whole) {
        Ok(()) => format!("Write `branch_name: {whole}`."),
        Err(_) => format!("Write a shorter name that begins with `{BRANCH_PREFIX}`."),
    };
    Err(Problem::new(
        codes::BRANCH_NAME,
        format!(
            "{} does not begin with `{BRANCH_PREFIX}`; the server pushes to no other branches.",
            shown(name)
        ),
        help,
    ))
}

/// Checks a report's path: that of a Markdown file below [`REPORTS`].
///
/// # Errors
/// Tells which rule it breaks.
pub fn report_path(path: &str) -> Result<(), Problem> {
    file_path(path)?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let markdown = name.len() > 3 && name.to_ascii_lowercase().ends_with(".md");
    if path.starts_with(REPORTS) && markdown {
        return Ok(());
    }
    Err(Problem::new(
        codes::REPORT_PATH,
        format!("{} is not the path of a report: a Markdown file (`.md`) below `{REPORTS}`.", shown(path)),
        "Write a path such as `reports/status.md`; other files go into a `pr` output.",
    ))
}

/// Checks a text for GitHub: not blank, at most [`MAX_BODY_CHARS`] characters.
///
/// # Errors
/// Tells which of both it is.
pub fn body(text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new(codes::EMPTY_VALUE, "`body` is empty.", "Write what shall stand there."));
    }
    let count = text.chars().count();
    if count > MAX_BODY_CHARS {
        return Err(Problem::new(
            codes::TOO_LONG,
            format!("`body` has {count} characters; {MAX_BODY_CHARS} are the most."),
            "Shorten it.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_githubs_and_never_the_servers() {
        for name in ["bug", "good first issue", "area/ci", "LG-Verified ✅", "⚠️ risk", &"é".repeat(50)]
        {
            assert_eq!(label(name), Ok(()), "{name}");
        }
        for name in
            ["", " ", "a,b", "a\nb", " a", "a ", "codex:done", "Codex:auto", "a\u{A0}b", &"é".repeat(51)]
        {
            assert_eq!(label(name).unwrap_err().code, codes::LABEL, "{name}");
        }
    }

    #[test]
    fn logins_are_those_of_people() {
        for name in ["maria", "o-c-t-o", "a1", "jdoe_acme", &"a".repeat(39)] {
            assert_eq!(login(name), Ok(()), "{name}");
        }
        for name in ["", "@", "-a", "a b", "renovate[bot]", "octo/release", "ä", &"a".repeat(40)] {
            assert_eq!(login(name).unwrap_err().code, codes::LOGIN, "{name}");
        }
        assert_eq!(login("@maria").unwrap_err().help, "Write `maria`.");
    }

    #[test]
    fn branches_lie_below_the_servers_own() {
        assert_eq!(branch_name("codex-brief/weekly"), Ok(()));
        assert_eq!(branch_name("weekly").unwrap_err().help, "Write `branch_name: codex-brief/weekly`.");
        assert_eq!(branch_name("main").unwrap_err().code, codes::BRANCH_NAME);
        for given in ["codex-brief/7-add-x-0123456789ab", "codex-brief/x-ABCDEF012345"] {
            assert_eq!(branch_name(given).unwrap_err().code, codes::BRANCH_NAME, "{given}");
        }
        assert_eq!(branch_name("codex-brief/x-0123456789abc"), Ok(()));
        for wrong in ["codex-brief/", "codex-brief/a..b", "", "codex-brief/x.lock"] {
            assert_eq!(branch_name(wrong).unwrap_err().code, codes::BRANCH, "{wrong}");
        }
    }

    #[test]
    fn reports_are_markdown_below_their_folder() {
        for path in ["reports/a.md", "reports/2026/b.MD"] {
            assert_eq!(report_path(path), Ok(()), "{path}");
        }
        for path in ["reports/a.txt", "reports/.md", "report/a.md", "Reports/a.md", "a/reports/b.md"] {
            assert_eq!(report_path(path).unwrap_err().code, codes::REPORT_PATH, "{path}");
        }
        assert_eq!(report_path("reports/../a.md").unwrap_err().code, codes::FILE_PATH);
    }

    #[test]
    fn texts_have_bounds() {
        assert_eq!(body(&"é".repeat(MAX_BODY_CHARS)), Ok(()));
        assert_eq!(body(&"é".repeat(MAX_BODY_CHARS + 1)).unwrap_err().code, codes::TOO_LONG);
        assert_eq!(body(" \n").unwrap_err().code, codes::EMPTY_VALUE);
    }
}
