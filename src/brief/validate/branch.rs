//! The rule for branch names: what git's check-ref-format allows below `refs/heads/`, and GitHub takes.

use super::{Problem, misleading, shown};
use crate::brief::codes;

/// GitHub's limit for a whole reference is 255 bytes; `refs/heads/` takes 11 of them.
pub const MAX_BRANCH_BYTES: usize = 244;

/// Checks the name of a branch.
///
/// # Errors
/// Tells which rule it breaks, and the short name where one was written as `refs/heads/…`.
pub fn branch(name: &str) -> Result<(), Problem> {
    let Some(reason) = broken_rule(name) else { return Ok(()) };
    let help = match name.strip_prefix("refs/heads/") {
        Some(short) if broken_rule(short).is_none() => format!("Write `{short}`."),
        _ => "Write the name of a branch of the repository, such as `main`.".to_owned(),
    };
    Err(Problem::new(codes::BRANCH, format!("{} is not a branch's name: {reason}.", shown(name)), help))
}

fn broken_rule(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".to_owned());
    }
    if name.len() > MAX_BRANCH_BYTES {
        return Some(format!("it has {} bytes, and {MAX_BRANCH_BYTES} are the most", name.len()));
    }
    if let Some(c) = name.chars().find(|c| *c == ' ' || "~^:?*[\\".contains(*c)) {
        let what = if c == ' ' { "a space".to_owned() } else { format!("`{c}`") };
        return Some(format!("it holds {what}"));
    }
    if let Some(c) = misleading(name) {
        return Some(format!("it holds {c}"));
    }
    let rules = [
        (name.starts_with("refs/"), "it begins with `refs/`"),
        (name.starts_with('-'), "it begins with `-`"),
        (name.starts_with('/') || name.ends_with('/'), "it begins or ends with `/`"),
        (name.contains("//"), "it holds `//`"),
        (name.contains(".."), "it holds `..`"),
        (name.contains("@{"), "it holds `@{`"),
        (name.ends_with('.'), "it ends with `.`"),
        (name == "@" || name == "HEAD", "git uses it for something else"),
        (name.split('/').any(|part| part.starts_with('.')), "a part of it begins with `.`"),
        (name.split('/').any(|part| part.ends_with(".lock")), "a part of it ends with `.lock`"),
        (is_object_name(name), "it looks like a commit's id"),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, reason)| reason.to_owned())
}

/// GitHub refuses branches that look like a SHA-1 or SHA-256 object name, and so do we: a base that
/// could be read as a commit would be a way around the branch's rules.
fn is_object_name(name: &str) -> bool {
    matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_takes_is_taken() {
        for name in
            ["main", "chore/a-b", "release/1.0", "a@b", "日本", "v1.lockx", "x#1", "{a}", &"a".repeat(244)]
        {
            assert_eq!(branch(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_git_refuses_is_refused() {
        let wrong = [
            "",
            "-x",
            "/x",
            "x/",
            "a//b",
            "a..b",
            "a@{1}",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "a.",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "@",
            "HEAD",
            "refs/tags/x",
            "a\u{7F}",
            "a\tb",
            "a\u{A0}b",
            "0123456789012345678901234567890123456789",
        ];
        for name in wrong {
            assert_eq!(branch(name).unwrap_err().code, codes::BRANCH, "{name}");
        }
        assert!(branch(&"a".repeat(245)).is_err());
    }

    #[test]
    fn a_full_reference_is_told_its_short_name() {
        assert_eq!(branch("refs/heads/main").unwrap_err().help, "Write `main`.");
    }
}
