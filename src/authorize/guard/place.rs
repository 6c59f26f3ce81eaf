//! Paths as text: there are no files yet when a brief is looked at.

use super::word::HOME;

/// Tells whether a text of a command is meant as a path.
pub(super) fn looks_like_path(text: &str) -> bool {
    text.contains('/') || text.starts_with('~') || text == "." || text == ".."
}

/// Returns a path with `~` written out.
pub(super) fn home(path: &str) -> String {
    match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{HOME}{rest}"),
        _ => path.to_owned(),
    }
}

/// Returns a path without `.` and `..`, seen from a folder; links are not followed, there are no files yet.
pub(super) fn resolve(folder: &str, path: &str) -> String {
    let start = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Tells whether a path is one of the folders, or lies below one.
pub(super) fn lies_in_any(path: &str, folders: &[String]) -> bool {
    folders.iter().any(|folder| {
        path.strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder == "/")
    })
}
