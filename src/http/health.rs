//! `/healthz`, `/readyz` and the health page: whether the server is up, and whether it can work.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;

use crate::server::Server;
use crate::server::health::{Health, look};

/// Answers that the process serves.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// Answers 200 when the server can take and run briefs, else 503, each with the details.
pub async fn ready(State(server): State<Arc<Server>>) -> (StatusCode, Json<Health>) {
    let health = look(&server).await;
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

/// Shows the same to people.
pub async fn page(State(server): State<Arc<Server>>) -> Html<String> {
    Html(render(&look(&server).await))
}

fn render(health: &Health) -> String {
    let mut rows = String::new();
    for (name, lane) in &health.lanes {
        let state = if lane.available { "takes work" } else { "takes no work; the server's log tells why" };
        let class = if lane.available { "good" } else { "bad" };
        // Writing to a String cannot fail.
        let _ = write!(
            rows,
            "<tr><td><code>{name}</code></td><td class={class}>{state}</td><td>{} of {}</td></tr>",
            lane.running, lane.parallel
        );
    }
    let tasks: Vec<String> = health.tasks.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let tasks = if tasks.is_empty() { "none yet".to_owned() } else { tasks.join(", ") };
    let (class, headline) = if health.ready { ("good", "Ready for briefs") } else { ("bad", "Not ready") };
    let store = match (health.store, health.store_writable) {
        (true, true) => "readable and writable",
        (true, false) => "readable, but takes no writes: full, or locked by another process",
        (false, _) => "not readable; the server's log tells why",
    };
    let warnings: String = health
        .warnings
        .iter()
        .map(|warning| {
            format!("<p class=bad>Warning: {}</p>", warning.replace('&', "&amp;").replace('<', "&lt;"))
        })
        .collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <meta http-equiv=refresh content=5><title>codex-brief: {headline}</title><style>{STYLE}</style>\
         <h1 class={class}>{headline}</h1>\
         <table><tr><th>Lane</th><th>State</th><th>Runs now</th></tr>{rows}</table>\
         <p>Tasks: {tasks}. GitHub writes owed: {}. Store: {store}.</p>{warnings}\
         <footer>codex-brief {} · the same as JSON: <a href=/readyz>/readyz</a></footer></html>",
        health.owed_writes, health.version
    )
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;\
    color:#1f2328}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;\
    border-bottom:1px solid #d1d9e0}.good{color:#1a7f37}.bad{color:#cf222e}footer{color:#59636e;margin-top:2rem}";
