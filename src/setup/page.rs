//! The local page: one button that hands the manifest to GitHub, and the place to which GitHub sends the browser
//! back. It listens on loopback alone, and answers to no other host's name.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::progress::Asked;
use crate::error::UserError;

/// The most characters of a code; GitHub's have 40.
const LONGEST_CODE: usize = 200;

/// The time that a browser gets for its last answer.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// What the page shows and does.
#[derive(Debug)]
pub struct Shown {
    /// Tells the browser of the one who was asked from others.
    pub asked: Asked,
    /// Holds the page of GitHub that takes the manifest.
    pub action: String,
    /// Holds the address that forms may lead to.
    pub github: String,
    /// Holds the manifest, JSON.
    pub manifest: String,
    /// Tells what the App will be: each with its name.
    pub facts: Vec<(&'static str, String)>,
}

/// What happens on the page.
#[derive(Debug)]
pub enum Event {
    /// GitHub sent the browser back with a code; the browser waits for what comes of it.
    Returned(String, oneshot::Sender<Outcome>),
    /// Somebody came with another state: a page of an earlier set-up, or one of a stranger.
    WrongState,
}

/// What came of a code.
#[derive(Debug)]
pub enum Outcome {
    /// The App is there; the address is where it is installed.
    Made(String),
    /// It is not, for this reason.
    Failed(String),
}

/// The page while it is served.
#[derive(Debug)]
pub struct Page {
    /// Tells what happens on it.
    pub events: mpsc::Receiver<Event>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

struct Desk {
    shown: Shown,
    hosts: [String; 2],
    events: mpsc::Sender<Event>,
}

/// Listens on a port of 127.0.0.1, or on a free one for 0. Fails with `setup-port`.
pub async fn listen(port: u16) -> Result<TcpListener, UserError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        UserError::new(
            "setup-port",
            format!("The local page cannot listen on 127.0.0.1:{port}: {error}."),
            "Choose another port by --port, or leave it out for a free one.",
        )
    })
}

impl Page {
    /// Serves the page until it is closed.
    pub fn serve(listener: TcpListener, shown: Shown) -> Self {
        let (tell, events) = mpsc::channel(8);
        let port = shown.asked.port;
        let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        let desk = Arc::new(Desk { shown, hosts, events: tell });
        let router = Router::new()
            .route("/setup/{key}", get(ask))
            .route("/callback", get(callback))
            .fallback(|| async {
                told(
                    StatusCode::NOT_FOUND,
                    "There is nothing here",
                    "Open the address that the terminal shows.",
                )
            })
            .layer(from_fn_with_state(desk.clone(), guard))
            .with_state(desk);
        let stop = CancellationToken::new();
        let ended = stop.clone().cancelled_owned();
        let served = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(ended).await {
                tracing::error!(%error, "the local page broke off");
            }
        });
        Self { events, stop, served }
    }

    /// Ends the page once the browser has its last answer.
    pub async fn close(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(LAST_ANSWER, self.served).await;
    }
}

/// Answers only to this machine's own names, so that no other site's page gets here by a name of its own, and
/// lets nothing be kept, framed or told to others.
async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = match host.is_some_and(|host| desk.hosts.iter().any(|own| own == host)) {
        true => next.run(request).await,
        false => told(
            StatusCode::MISDIRECTED_REQUEST,
            "This page has another name",
            "Open it as 127.0.0.1 or localhost, with the port that the terminal shows.",
        ),
    };
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action {}",
        desk.shown.github
    );
    let headers = response.headers_mut();
    if let Ok(policy) = policy.parse() {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn ask(State(desk): State<Arc<Desk>>, Path(key): Path<String>) -> Response {
    let shown = &desk.shown;
    if key != shown.asked.key {
        let help = "Open the address that the terminal shows now; each set-up has its own.";
        return told(StatusCode::NOT_FOUND, "This is not the page of this set-up", help);
    }
    let facts: String = shown
        .facts
        .iter()
        .map(|(name, text)| format!("<tr><th>{name}</th><td>{}</td></tr>", escape(text)))
        .collect();
    let content = format!(
        "<h1>Create the GitHub App</h1><p>GitHub will show this once more and ask. Be signed in there as somebody who \
         may make Apps for the owner.</p><table>{facts}</table>\
         <form method=post action=\"{}\"><input type=hidden name=manifest value=\"{}\">\
         <button>Create the App on GitHub</button></form>\
         <p class=note>Then GitHub sends you back here, and the key comes to this machine. It is not shown.</p>",
        escape(&shown.action),
        escape(&shown.manifest),
    );
    page(StatusCode::OK, "Create the GitHub App", &content)
}

#[derive(Deserialize)]
struct Back {
    code: Option<String>,
    state: Option<String>,
}

async fn callback(State(desk): State<Arc<Desk>>, Query(back): Query<Back>) -> Response {
    if back.state.as_deref() != Some(desk.shown.asked.state.as_str()) {
        let _ = desk.events.send(Event::WrongState).await;
        return told(
            StatusCode::FORBIDDEN,
            "This does not belong to this set-up",
            "It comes from another page. Open the address that the terminal shows, and begin there.",
        );
    }
    let fits = |code: &String| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(plain)
    };
    let Some(code) = back.code.filter(fits) else {
        return told(
            StatusCode::BAD_REQUEST,
            "GitHub gave no code",
            "Go back and press the button once more.",
        );
    };
    let (answer, answered) = oneshot::channel();
    let over = "It goes on in the terminal.";
    if desk.events.send(Event::Returned(code, answer)).await.is_err() {
        return told(StatusCode::GONE, "This page has done its part", over);
    }
    match answered.await {
        Ok(Outcome::Made(install)) => {
            let content = format!(
                "<h1>The App is there</h1><p>Its key is on this machine. One step is left on GitHub: install it on the \
                 repositories in which briefs shall run.</p><p><a class=button href=\"{}\">Install the App</a></p>",
                escape(&install)
            );
            page(StatusCode::OK, "The App is there", &content)
        }
        Ok(Outcome::Failed(why)) => told(StatusCode::BAD_GATEWAY, "The set-up stopped here", &why),
        Err(_) => told(StatusCode::GONE, "This page has done its part", over),
    }
}

fn told(status: StatusCode, headline: &str, text: &str) -> Response {
    page(status, headline, &format!("<h1>{}</h1><p>{}</p>", escape(headline), escape(text)))
}

fn page(status: StatusCode, title: &str, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>codex-brief: {}</title><style>{STYLE}</style>{content}</html>",
        escape(title)
    );
    (status, Html(html)).into_response()
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;\
    color:#1f2328}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;\
    padding:.4rem .8rem .4rem 0;border-bottom:1px solid #d1d9e0;overflow-wrap:anywhere}th{white-space:nowrap}\
    button,.button{display:inline-block;font:inherit;font-weight:600;color:#fff;background:#1f883d;border:0;\
    border-radius:6px;padding:.6rem 1.2rem;margin:1.2rem 0 .4rem;cursor:pointer;text-decoration:none}\
    .note{color:#59636e}";

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
