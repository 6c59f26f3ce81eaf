//! Which names, paths and link targets a changeset may hold; pure rules.

use unicode_normalization::UnicodeNormalization;

use crate::run::changeset::RefusalReason;

/// Bounds the folders above a file.
pub const MAX_DEPTH: usize = 100;
/// Bounds a whole path, in bytes: Linux' `PATH_MAX` less its final NUL.
pub const MAX_PATH: usize = 4095;
/// Bounds one name, in bytes: Linux' `NAME_MAX`.
pub const MAX_NAME: usize = 255;

/// Checks a changed path, given without a leading slash.
///
/// # Errors
/// Fails with the reason for which the path is refused, wherever it stands.
pub fn check_path(path: &[u8]) -> Result<&str, RefusalReason> {
    let text = std::str::from_utf8(path).map_err(|_| RefusalReason::NameNotUtf8)?;
    if text.len() > MAX_PATH || text.split('/').count() > MAX_DEPTH + 1 {
        return Err(RefusalReason::PathTooLong);
    }
    for name in text.split('/') {
        if name.len() > MAX_NAME {
            return Err(RefusalReason::PathTooLong);
        }
        if is_dot_git(name) {
            return Err(RefusalReason::GitName);
        }
        if matches!(name, "" | "." | "..") || name.chars().any(is_unfit) {
            return Err(RefusalReason::NameCharacters);
        }
    }
    Ok(text)
}

/// Checks where a changed link leads, without looking at the disk, and returns the path within the
/// repository (empty for its root). `..` counts only at the target's start: behind a name it would
/// mean another folder whenever that name is a link itself.
///
/// # Errors
/// Fails with the reason for which the link is refused.
pub fn check_link(path: &str, target: &[u8]) -> Result<String, RefusalReason> {
    let target = std::str::from_utf8(target).map_err(|_| RefusalReason::SymlinkTarget)?;
    if target.is_empty() || target.len() > MAX_PATH || target.chars().any(is_unfit) {
        return Err(RefusalReason::SymlinkTarget);
    }
    if target.starts_with('/') {
        return Err(RefusalReason::AbsoluteSymlink);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    if fold(name).starts_with(".git") || fold(name).starts_with("git") && name.contains('~') {
        return Err(RefusalReason::SymlinkAsGitFile);
    }
    let mut at: Vec<&str> = path.split('/').collect();
    at.pop();
    let mut below = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if below => return Err(RefusalReason::SymlinkTarget),
            ".." => {
                at.pop().ok_or(RefusalReason::EscapingSymlink)?;
            }
            part if is_dot_git(part) => return Err(RefusalReason::SymlinkIntoGit),
            part => {
                below = true;
                at.push(part);
            }
        }
    }
    Ok(at.join("/"))
}

/// Returns a path for people: bytes and characters that are not printable are escaped.
pub fn printable(path: &[u8]) -> String {
    let mut text = String::new();
    for chunk in path.utf8_chunks() {
        for char in chunk.valid().chars() {
            if is_unfit(char) && char != '\\' {
                text.extend(char.escape_unicode());
            } else {
                text.push(char);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Tells whether a file system that folds names (HFS+, NTFS, FAT) opens `.git` by this name. The
/// rules are those that git itself checks under `core.protectHFS` and `core.protectNTFS`, and a
/// little wider.
fn is_dot_git(name: &str) -> bool {
    let stem = as_opened(name);
    stem == ".git" || is_short_name(&stem)
}

/// Returns the name under which the most forgiving of file systems would open a file: folded, and as
/// NTFS reads it, which takes `name:stream` for a stream of the file and drops dots and spaces at the
/// end.
pub fn as_opened(name: &str) -> String {
    let folded = fold(name);
    let stem = folded.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    // A name of dots alone is told elsewhere.
    if stem.is_empty() { folded } else { stem.to_owned() }
}

/// Tells whether the name is `git~` and digits: what NTFS may give `.git` as its short name.
fn is_short_name(stem: &str) -> bool {
    stem.strip_prefix("git~").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lowers the case, drops what HFS+ ignores, and writes what looks or is spelt alike in one way (NFKC).
fn fold(name: &str) -> String {
    let shown = name.chars().filter(|char| !is_invisible(*char));
    shown.nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

fn is_unfit(char: char) -> bool {
    char.is_control() || char == '\\' || is_invisible(char)
}

/// Tells whether a character has no width or turns the direction of text: a name with one does not
/// look like what it is.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in ["a", "a/b.c", ".gitignore", "dir/.github/x", "報告/é.md", "a b", "gitx", ".gitx", "-x"]
        {
            assert_eq!(check_path(path.as_bytes()), Ok(path));
        }
    }

    #[test]
    fn names_that_some_file_system_takes_for_dot_git_are_refused() {
        for path in [
            ".git",
            ".GIT/config",
            "a/.Git",
            "a/git~1/b",
            "GIT~2",
            ".git ",
            ".git. .",
            ".git::$INDEX_ALLOCATION/x",
            ".git:x",
            ".g\u{200c}it",
            "\u{ff0e}git/config",
            ".\u{ff47}\u{ff49}\u{ff54}",
        ] {
            assert_eq!(check_path(path.as_bytes()), Err(RefusalReason::GitName), "{path:?}");
        }
    }

    #[test]
    fn names_that_do_not_look_like_what_they_are_are_refused() {
        for path in ["a\nb", "a\x1b[1m", "a\u{202e}b", "a\\b", "a/../b", "a//b", "", "./a"] {
            assert_eq!(check_path(path.as_bytes()), Err(RefusalReason::NameCharacters), "{path:?}");
        }
        assert_eq!(check_path(b"a\xff"), Err(RefusalReason::NameNotUtf8));
        assert_eq!(check_path("a/".repeat(101).as_bytes()), Err(RefusalReason::PathTooLong));
        assert_eq!(check_path("a".repeat(256).as_bytes()), Err(RefusalReason::PathTooLong));
        assert_eq!(printable(b"a\xff\n\xe2\x80\xae\\b"), "a\\xff\\u{a}\\u{202e}\\b");
    }

    #[test]
    fn links_stay_in_the_tree() {
        assert_eq!(check_link("a/b/l", b"../c/./d"), Ok("a/c/d".into()));
        assert_eq!(check_link("l", b"x"), Ok("x".into()));
        assert_eq!(check_link("a/l", b".."), Ok(String::new()));
        for (path, target, reason) in [
            ("l", "/etc/passwd", RefusalReason::AbsoluteSymlink),
            ("l", "..", RefusalReason::EscapingSymlink),
            ("a/l", "../../x", RefusalReason::EscapingSymlink),
            ("a/l", "../.git/config", RefusalReason::SymlinkIntoGit),
            ("a/l", "../.GIT", RefusalReason::SymlinkIntoGit),
            ("l", "s/../../etc", RefusalReason::SymlinkTarget),
            ("l", "a\nb", RefusalReason::SymlinkTarget),
            ("l", "", RefusalReason::SymlinkTarget),
            (".gitmodules", "x", RefusalReason::SymlinkAsGitFile),
            ("a/.GitAttributes", "x", RefusalReason::SymlinkAsGitFile),
            ("gitmod~1", "x", RefusalReason::SymlinkAsGitFile),
        ] {
            assert_eq!(check_link(path, target.as_bytes()), Err(reason), "{path} -> {target:?}");
        }
    }
}
