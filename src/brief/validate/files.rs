//! The rules for `files`: paths inside the repository that every system reads the same way.

use std::collections::HashMap;

use super::{Problem, misleading, shown};
use crate::brief::codes;

/// Linux's limit for a path, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// Linux's limit for one part of a path, in bytes.
pub const MAX_PART_BYTES: usize = 255;

/// Checks one declared path.
///
/// `*` and `?` are refused because patterns are not served; `[` and `]` are taken as they are, since
/// web frameworks use them in file names.
///
/// # Errors
/// Tells which rule it breaks.
pub fn file_path(path: &str) -> Result<(), Problem> {
    if path.contains(['*', '?']) {
        return Err(Problem::new(
            codes::FILE_PATTERN,
            format!("{} is a pattern; patterns are not served.", shown(path)),
            "List each file on a line of its own.",
        ));
    }
    if path.split('/').any(is_git_folder) {
        return Err(Problem::new(
            codes::FILE_IN_GIT,
            format!("{} leads into git's own folder.", shown(path)),
            "Name files of the repository's tree only.",
        ));
    }
    let Some(reason) = broken_rule(path) else { return Ok(()) };
    Err(Problem::new(
        codes::FILE_PATH,
        format!("{} is not a file's path in the repository: {reason}.", shown(path)),
        help(path),
    ))
}

fn help(path: &str) -> String {
    let rest = path.trim_start_matches("./");
    if rest != path && broken_rule(rest).is_none() {
        return format!("Write {}.", shown(rest));
    }
    "Write the path from the repository's root, such as `reports/status.md`.".to_owned()
}

fn broken_rule(path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("it is empty".to_owned());
    }
    if path.len() > MAX_PATH_BYTES {
        return Some(format!("it has {} bytes, and {MAX_PATH_BYTES} are the most", path.len()));
    }
    if let Some(c) = misleading(path) {
        return Some(format!("it holds {c}"));
    }
    let parts = || path.split('/');
    let rules = [
        (path.starts_with('/'), "it begins with `/`"),
        (path == "~" || path.starts_with("~/"), "it begins with `~/`"),
        (path.ends_with('/'), "it ends with `/`, so it is a folder"),
        (path.contains('\\'), "it holds `\\`; parts are parted by `/`"),
        (parts().any(str::is_empty), "it holds `//`"),
        (parts().any(|part| part == ".."), "it holds `..`"),
        (parts().any(|part| part == "."), "it holds a `.` part"),
        (path.starts_with(' ') || path.ends_with(' '), "it begins or ends with a space"),
        (parts().any(|part| part.len() > MAX_PART_BYTES), "a part of it has more than 255 bytes"),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, reason)| reason.to_owned())
}

/// Tells whether some system takes `part` for `.git`: in any case, as NTFS's short name `git~1`, with
/// the trailing dots and spaces or the stream name that NTFS drops, or with the characters that
/// HFS+ ignores. These are the rules of git's own `core.protectNTFS` and `core.protectHFS`.
fn is_git_folder(part: &str) -> bool {
    let seen: String = part.chars().filter(|c| !ignored_by_hfs(*c)).collect();
    seen.split(['\\', ':']).any(|piece| {
        let name = piece.trim_start_matches(' ').trim_end_matches(['.', ' ']);
        name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
    })
}

fn ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200C}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{206A}'..='\u{206F}' | '\u{FEFF}')
}

/// Finds the paths that are given twice or lie inside another one. Returns pairs of indices into
/// `paths`: the later, wrong one and the one that it clashes with.
pub fn overlap(paths: &[&str]) -> Vec<(usize, usize)> {
    let mut first = HashMap::new();
    let mut clashes = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        if let Some(earlier) = first.get(path) {
            clashes.push((index, *earlier));
        } else {
            first.insert(*path, index);
        }
    }
    for (index, path) in paths.iter().enumerate() {
        let folders = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
        if let Some(folder) = folders.into_iter().find_map(|folder| first.get(folder)) {
            clashes.push((index, *folder));
        }
    }
    clashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_are_taken() {
        for path in [
            "a",
            "reports/a b.md",
            "日本/語.md",
            "app/[slug]/page.tsx",
            ".github/workflows/x.yml",
            ".gitignore",
            ".gitattributes",
            "a/.gitkeep",
            "git/x",
            "x.git",
            "a-b_c@1+2,{3}.txt",
            "-x",
        ] {
            assert_eq!(file_path(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn paths_that_leave_or_mislead_are_refused() {
        for path in [
            "",
            "/a",
            "~/a",
            "a/",
            "a//b",
            "./a",
            "a/./b",
            "../a",
            "a/../b",
            "..",
            ".",
            "a\\b",
            "a\nb",
            "a\tb",
            "a\0",
            " a",
            "a ",
            "a\u{A0}b",
            "a\u{FE0F}",
            "a\u{3000}",
        ] {
            assert_eq!(file_path(path).unwrap_err().code, codes::FILE_PATH, "{path:?}");
        }
        assert!(file_path(&"a/".repeat(2048)).is_err());
        assert!(file_path(&"a".repeat(256)).is_err());
        assert!(file_path(&format!("{}a", "a/".repeat(2048))).is_err());
        assert_eq!(file_path("./a").unwrap_err().help, "Write `a`.");
        for path in ["*.md", "a/**", "a?"] {
            assert_eq!(file_path(path).unwrap_err().code, codes::FILE_PATTERN, "{path:?}");
        }
    }

    #[test]
    fn every_spelling_of_gits_folder_is_refused() {
        for path in [
            ".git",
            ".git/config",
            "a/.git/hooks/x",
            ".GIT/x",
            ".Git",
            ".git ",
            ".git.",
            ".git. . ",
            "GIT~1",
            "git~1/x",
            ".git::$INDEX_ALLOCATION/x",
            ".git:x",
            "a\\.git\\x",
            ".g\u{200C}it",
            "\u{FEFF}.git",
        ] {
            assert_eq!(file_path(path).unwrap_err().code, codes::FILE_IN_GIT, "{path:?}");
        }
    }

    #[test]
    fn clashes_name_both_paths() {
        assert_eq!(overlap(&["a/b", "c", "a", "c", "a.b/d", "a/b"]), vec![(3, 1), (5, 0), (0, 2), (5, 2)]);
        assert_eq!(overlap(&["a", "ab", "b/a"]), vec![]);
    }
}
