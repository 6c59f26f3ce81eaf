//! Commits, folders and files.

use super::{ago, diff, escape, missing, page};
use crate::core::Shared;
use crate::model::Repository;
use crate::repo_git::{self, CommitInfo, Contents};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

pub(super) async fn commit(
    State(core): State<Shared>,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Response {
    let world = core.read();
    let Ok(repo) = world.repository(&format!("{owner}/{name}")) else { return missing(&world) };
    let Ok(commit) = repo_git::commit(&repo.path, &sha) else { return missing(&world) };
    let files = repo_git::commit_diff(&repo.path, &commit.sha).unwrap_or_default();
    let content = format!("<h2>Commit</h2>{}{}", message(repo, &commit), diff::files(&files));
    page(&world, &commit.sha, Some(repo), &content)
}

/// Renders a commit with its whole message, author and id.
pub(super) fn message(repo: &Repository, commit: &CommitInfo) -> String {
    let (subject, rest) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    let rest = match rest.trim().is_empty() {
        true => String::new(),
        false => format!("<pre>{}</pre>", escape(rest.trim_matches('\n'))),
    };
    format!(
        "<div class=\"box file\"><div class=\"top\"><a class=\"more\" href=\"/{}/commit/{}\"><code>{}</code></a> \
         <b>{}</b></div><div class=\"body\">{rest}<span class=\"muted\">{} &lt;{}&gt; committed {}</span></div></div>",
        escape(&repo.full_name()),
        commit.sha,
        &commit.sha[..7],
        escape(subject),
        escape(&commit.author.0),
        escape(&commit.author.1),
        ago(commit.committed_at),
    )
}

pub(super) async fn tree(
    State(core): State<Shared>,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Response {
    let world = core.read();
    let Ok(repo) = world.repository(&format!("{owner}/{name}")) else { return missing(&world) };
    let Some(Contents::Folder(mut entries)) = repo_git::contents(&repo.path, &branch, "") else {
        return missing(&world);
    };
    let Ok(tip) = repo_git::commit(&repo.path, &branch) else { return missing(&world) };
    let mut rows = String::new();
    while !entries.is_empty() {
        let entry = entries.remove(0);
        if entry.kind == "dir" {
            if let Some(Contents::Folder(inner)) = repo_git::contents(&repo.path, &branch, &entry.path) {
                entries.splice(0..0, inner);
            }
            continue;
        }
        let (full, path) = (escape(&repo.full_name()), escape(&entry.path));
        rows.push_str(&format!(
            "<div class=\"row\"><a href=\"/{full}/blob/{}/{path}\">{path}</a>\
             <span class=\"more muted\">{} bytes</span></div>",
            tip.sha, entry.size
        ));
    }
    let content = format!(
        "<h2>Files on <span class=\"branch\">{}</span></h2>{}<div class=\"box\">{rows}</div>",
        escape(&branch),
        message(repo, &tip)
    );
    page(&world, &branch, Some(repo), &content)
}

pub(super) async fn blob(
    State(core): State<Shared>,
    Path((owner, name, at, path)): Path<(String, String, String, String)>,
) -> Response {
    let world = core.read();
    let Ok(repo) = world.repository(&format!("{owner}/{name}")) else { return missing(&world) };
    let Some(bytes) = repo_git::file_at(&repo.path, &at, &path) else { return missing(&world) };
    let text = escape(&String::from_utf8_lossy(&bytes));
    let content = format!("<h2>{}</h2><pre>{text}</pre>", escape(&path));
    page(&world, &path, Some(repo), &content)
}

/// Serves a file's bytes as plain text, whatever they are, so that nothing in them runs.
pub(super) async fn raw(
    State(core): State<Shared>,
    Path((owner, name, at, path)): Path<(String, String, String, String)>,
) -> Response {
    let world = core.read();
    let repo = world.repository(&format!("{owner}/{name}"));
    let bytes = repo.ok().and_then(|repo| repo_git::file_at(&repo.path, &at, &path));
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    match bytes {
        Some(bytes) => (headers, bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
