//! Serves bare repositories over HTTP by `git http-backend`, for whoever shows the right token.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use tokio::io::AsyncWriteExt;

pub(super) struct GitHttp {
    address: SocketAddr,
    served: Arc<Served>,
}

struct Served {
    root: PathBuf,
    authorization: String,
    canary: String,
    /// Holds each command line that showed the canary while a request was served.
    seen: Mutex<Vec<String>>,
    requests: Mutex<usize>,
    before_push: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    lose_answer: AtomicBool,
}

impl GitHttp {
    /// Serves the folder's repositories to those who show the token.
    pub(super) async fn serve(root: &Path, token: &str) -> Self {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
        let served = Arc::new(Served {
            root: root.to_owned(),
            authorization: format!("Basic {basic}"),
            canary: token.to_owned(),
            seen: Mutex::default(),
            requests: Mutex::default(),
            before_push: Mutex::default(),
            lose_answer: AtomicBool::new(false),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(served.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, served }
    }

    pub(super) fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// Does something once, between a client's look at the branches and its push.
    pub(super) fn before_push(&self, action: impl FnOnce() + Send + 'static) {
        *self.served.before_push.lock().unwrap() = Some(Box::new(action));
    }

    /// Does what the next push asks, and answers that it failed.
    pub(super) fn lose_answer(&self) {
        self.served.lose_answer.store(true, Ordering::Relaxed);
    }

    /// Returns how many authorised requests were served, and the command lines that gave the token away.
    pub(super) fn report(&self) -> (usize, Vec<String>) {
        (*self.served.requests.lock().unwrap(), self.served.seen.lock().unwrap().clone())
    }
}

async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let shown = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if shown != Some(served.authorization.as_str()) {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, ask, "no").into_response();
    }
    *served.requests.lock().unwrap() += 1;
    let found = command_lines().into_iter().filter(|line| line.contains(&served.canary));
    served.seen.lock().unwrap().extend(found);
    if parts.uri.query() == Some("service=git-receive-pack")
        && let Some(action) = served.before_push.lock().unwrap().take()
    {
        action();
    }
    let body = to_bytes(body, 64 << 20).await.unwrap();
    let response = backend(&served, &parts.headers, parts.method.as_str(), &parts.uri, body).await;
    let is_push = parts.uri.path().ends_with("/git-receive-pack");
    if is_push && served.lose_answer.swap(false, Ordering::Relaxed) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    response
}

async fn backend(
    served: &Served,
    headers: &HeaderMap,
    method: &str,
    uri: &axum::http::Uri,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("GIT_PROJECT_ROOT", &served.root)
        .envs([("GIT_HTTP_EXPORT_ALL", "1"), ("REMOTE_USER", "app"), ("REQUEST_METHOD", method)])
        .envs([
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", "*"),
        ])
        .envs([("PATH_INFO", uri.path()), ("QUERY_STRING", uri.query().unwrap_or_default())])
        .envs([("CONTENT_TYPE", text("content-type")), ("GIT_PROTOCOL", text("git-protocol"))])
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (_, output) = tokio::join!(
        async move {
            // The backend may have answered before it read everything.
            let _ = stdin.write_all(&body).await;
        },
        child.wait_with_output()
    );
    let output = output.unwrap().stdout;
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut response = Response::builder().status(StatusCode::OK);
    for line in String::from_utf8_lossy(&output[..split]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            response = response.status(value[..3].parse::<u16>().unwrap());
        } else {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(output[split + 4..].to_vec())).unwrap()
}

fn command_lines() -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}
