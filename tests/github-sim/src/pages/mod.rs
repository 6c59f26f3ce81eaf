//! The pages that a person looks at: what GitHub would show, without any script.

mod apps;
mod check;
mod code;
mod diff;
mod markdown;
mod repository;
mod thread;

use crate::core::Shared;
use crate::model::{Repository, Time};
use crate::world::World;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use chrono::Utc;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(repository::index))
        .route("/settings/apps/new", post(apps::new_here))
        .route("/organizations/{owner}/settings/apps/new", post(apps::new))
        .route("/apps/{slug}", get(apps::app))
        .route("/apps/{slug}/installations/new", get(apps::install_page).post(apps::install))
        .route("/settings/installations/{id}", get(apps::installation))
        .route("/{owner}/{repo}", get(repository::home))
        .route("/{owner}/{repo}/issues/{number}", get(thread::issue))
        .route("/{owner}/{repo}/pull/{number}", get(thread::pull))
        .route("/{owner}/{repo}/runs/{id}", get(check::check_run))
        .route("/{owner}/{repo}/runs/{id}/press", post(check::press))
        .route("/{owner}/{repo}/commit/{sha}", get(code::commit))
        .route("/{owner}/{repo}/tree/{*branch}", get(code::tree))
        .route("/{owner}/{repo}/blob/{at}/{*path}", get(code::blob))
        .route("/{owner}/{repo}/raw/{at}/{*path}", get(code::raw))
}

/// No script at all, no picture or style from elsewhere: a second lock behind the escaping.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action";

/// Puts a page's content into the frame that all pages share; none of its forms leads anywhere.
fn page(world: &World, title: &str, repo: Option<&Repository>, content: &str) -> Response {
    page_with(world, title, repo, content, "'none'")
}

/// Puts a page's content into the frame, with the places that its forms may lead to.
fn page_with(world: &World, title: &str, repo: Option<&Repository>, content: &str, forms: &str) -> Response {
    let style = include_str!("style.css");
    let place = repo.map_or_else(
        || "<b>Repositories</b>".to_owned(),
        |repo| {
            let (owner, name) = (escape(&repo.owner), escape(&repo.name));
            let kind = if repo.private { "Private" } else { "Public" };
            format!(
                "{owner} / <a href=\"/{owner}/{name}\"><b>{name}</b></a> <span class=\"badge\">{kind}</span>"
            )
        },
    );
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{style}</style></head><body>\
         <header><span class=\"note\">simulated GitHub · {}</span><a href=\"/\">⌂</a> &nbsp; {place}</header>\
         <main>{content}</main></body></html>",
        escape(title),
        escape(&world.base),
    );
    ([(header::CONTENT_SECURITY_POLICY, format!("{POLICY} {forms}"))], Html(html)).into_response()
}

fn missing(world: &World) -> Response {
    let mut response = page(world, "Not found", None, "<h1>This is not the page you are looking for</h1>");
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Escapes text for HTML, in content and in quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Writes how long ago something was, with the exact time for a hover.
fn ago(time: Time) -> String {
    let seconds = (Utc::now() - time).num_seconds().max(0);
    let words = match seconds {
        0..=4 => "now".to_owned(),
        5..=59 => format!("{seconds} seconds ago"),
        60..=3_599 => format!("{} min ago", seconds / 60),
        3_600..=86_399 => format!("{} h ago", seconds / 3_600),
        _ => time.format("on %d %b %Y").to_string(),
    };
    format!("<span title=\"{}\">{words}</span>", crate::model::stamp(time))
}

impl World {
    fn markdown(&self, repo: &Repository, body: &str) -> String {
        if body.trim().is_empty() {
            return "<p class=\"muted\"><em>No description provided.</em></p>".to_owned();
        }
        let thread = |number| {
            let known = repo.issues.contains_key(&number);
            known.then(|| format!("/{}/issues/{number}", repo.full_name()))
        };
        let is_user = |name: &str| self.user(name).is_some();
        markdown::render(body, &markdown::Names { is_user: &is_user, thread: &thread })
    }
}
