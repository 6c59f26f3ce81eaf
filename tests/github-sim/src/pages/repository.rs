//! The list of repositories and the home of one.

use super::{ago, escape, missing, page};
use crate::core::Shared;
use crate::model::{Issue, Repository};
use crate::repo_git;
use crate::world::World;
use axum::extract::{Path, State};
use axum::response::Response;

pub(super) async fn index(State(core): State<Shared>) -> Response {
    let world = core.read();
    let rows = world.repositories.iter().map(|repo| {
        let name = escape(&repo.full_name());
        let open = repo.issues.values().filter(|issue| issue.open).count();
        format!("<div class=\"row\"><a href=\"/{name}\"><b>{name}</b></a> <span class=\"more muted\">{open} open</span></div>")
    });
    let rows: String = rows.collect();
    page(&world, "Repositories", None, &format!("<h1>Repositories</h1>{}", boxed(rows, "No repository yet.")))
}

fn boxed(rows: String, otherwise: &str) -> String {
    match rows.is_empty() {
        true => format!("<div class=\"box\"><div class=\"row muted\">{otherwise}</div></div>"),
        false => format!("<div class=\"box\">{rows}</div>"),
    }
}

pub(super) async fn home(
    State(core): State<Shared>,
    Path((owner, name)): Path<(String, String)>,
) -> Response {
    let world = core.read();
    let Ok(repo) = world.repository(&format!("{owner}/{name}")) else { return missing(&world) };
    let list = |pulls: bool| {
        let wanted = repo.issues.values().rev().filter(|issue| issue.is_pull == pulls);
        wanted.map(|issue| thread_row(&world, repo, issue)).collect::<String>()
    };
    let full = escape(&repo.full_name());
    let branches = repo_git::branches(&repo.path).unwrap_or_default().into_iter().map(|(name, sha)| {
        let name = escape(&name);
        format!(
            "<div class=\"row\"><a class=\"branch\" href=\"/{full}/tree/{name}\">{name}</a>\
             <a class=\"more muted\" href=\"/{full}/commit/{sha}\">{}</a></div>",
            &sha[..7]
        )
    });
    let content = format!(
        "<h1>{full}</h1><h2>Pull requests</h2>{}<h2>Issues</h2>{}<h2>Branches</h2>{}\
         <h2>Clone</h2><pre>git clone {}/{full}.git</pre>",
        boxed(list(true), "There are no pull requests."),
        boxed(list(false), "There are no issues."),
        boxed(branches.collect(), "There is no branch."),
        escape(&world.base),
    );
    page(&world, &repo.full_name(), Some(repo), &content)
}

fn thread_row(world: &World, repo: &Repository, issue: &Issue) -> String {
    let kind = if issue.is_pull { "pull" } else { "issues" };
    let state = if issue.open { "open" } else { "closed" };
    let comments = world.comments(&repo.full_name(), issue.number).len();
    let talk = if comments > 0 { format!("💬 {comments}") } else { String::new() };
    format!(
        "<div class=\"row\"><span class=\"more muted\">{talk}</span>\
         <a href=\"/{}/{kind}/{}\"><b>{}</b></a> {}<br>\
         <span class=\"muted\">#{} · {state} · opened {} by {}</span></div>",
        escape(&repo.full_name()),
        issue.number,
        escape(&issue.title),
        labels(repo, issue),
        issue.number,
        ago(issue.created_at),
        escape(&issue.author),
    )
}

/// Renders the labels of a thread as coloured pills.
pub(super) fn labels(repo: &Repository, issue: &Issue) -> String {
    let known = issue.labels.iter().filter_map(|name| repo.labels.get(&name.to_lowercase()));
    // The colour was checked to be six hex digits when the label was made.
    known
        .map(|label| {
            format!(
                "<span class=\"label\" style=\"background:#{}66\">{}</span>",
                label.color,
                escape(&label.name)
            )
        })
        .collect()
}
