//! `/healthz`, `/readyz` and the health page: whether the server is up, and whether it can work.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use serde::Serialize;

use crate::server::Server;
use crate::store::StoreError;

/// What the server can tell about itself without telling anything about briefs.
#[derive(Debug, Serialize)]
pub struct Health {
    /// Tells whether briefs are stored and at least one lane takes work.
    pub ready: bool,
    /// Holds the version of the program.
    pub version: &'static str,
    /// Tells whether the store can be read.
    pub store: bool,
    /// Tells whether the store takes writes; it does not when its disk is full or it is locked.
    pub store_writable: bool,
    /// Tells each lane's state.
    pub lanes: BTreeMap<String, LaneHealth>,
    /// Counts the tasks in each state.
    pub tasks: BTreeMap<String, u64>,
    /// Counts the GitHub writes that are owed.
    pub owed_writes: u64,
    /// Tells what the operator should look at though briefs run.
    pub warnings: Vec<String>,
}

/// One lane's state.
#[derive(Debug, Serialize)]
pub struct LaneHealth {
    /// Tells whether it takes work.
    pub available: bool,
    /// Counts the runs that it has now.
    pub running: usize,
    /// Bounds the runs that it has at a time.
    pub parallel: usize,
}

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

async fn look(server: &Server) -> Health {
    let lanes: BTreeMap<String, LaneHealth> = server
        .lanes
        .iter()
        .map(|entry| {
            let parallel = entry.lane.config().parallel;
            let running = parallel.saturating_sub(entry.lane.free_slots());
            let health = LaneHealth { available: entry.unavailable().is_none(), running, parallel };
            (entry.name().to_owned(), health)
        })
        .collect();
    let counts = counts(server).await;
    let store = counts.is_ok();
    let (tasks, owed_writes) = counts.unwrap_or_default();
    let store_writable = store && server.store.takes_writes().await;
    let ready = store_writable && lanes.values().any(|lane| lane.available);
    let (version, warnings) = (env!("CARGO_PKG_VERSION"), server.warnings());
    Health { ready, version, store, store_writable, lanes, tasks, owed_writes, warnings }
}

async fn counts(server: &Server) -> Result<(BTreeMap<String, u64>, u64), StoreError> {
    Ok((server.store.task_counts().await?, server.store.owed_effects().await?))
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
