//! The listening side: connections that can be dropped, the request log, faults, rate-limit headers.

mod moved;

use crate::core::Shared;
use crate::fault::FaultKind;
use crate::log::RequestRecord;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use chrono::Utc;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Requests an hour that the rate-limit headers tell of; GitHub's figure for a small installation.
const HOURLY: u64 = 5_000;

/// Serves until the sender of `stop` is dropped.
pub(crate) async fn serve(core: Shared, listener: TcpListener, stop: oneshot::Receiver<()>) {
    let known = Router::new()
        .merge(crate::api::routes())
        .merge(crate::git_http::routes())
        .merge(crate::control::routes())
        .merge(crate::pages::routes())
        .fallback(async || crate::refusal::Refusal::not_found())
        .with_state(core.clone());
    // Below a fallback, so that an address can be written anew before it is looked up.
    let app: Router = Router::new().fallback_service(known).layer(from_fn_with_state(core, watch));
    let service = app.into_make_service_with_connect_info::<Switch>();
    let served = axum::serve(Droppable(listener), service)
        .with_graceful_shutdown(async move { drop(stop.await) })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the simulator stopped serving");
    }
}

/// Logs a request, lets a fault take hold of it, and adds the headers that every answer has.
async fn watch(
    State(core): State<Shared>,
    ConnectInfo(switch): ConnectInfo<Switch>,
    request: Request,
    next: Next,
) -> Response {
    let (request, enterprise) = moved::from_enterprise(request);
    let path = request.uri().path().to_owned();
    if !is_logged(&path) {
        return next.run(request).await;
    }
    let credentials = request.headers().get(header::AUTHORIZATION).map(|value| format!("{value:?}"));
    let (index, fault) = arrive(&core, &request);
    let limited = matches!(fault, Some(FaultKind::RateLimit { .. }));
    let mut response = match fault {
        None => moved::serve(&core, request, next).await,
        Some(FaultKind::Delay(time)) => {
            tokio::time::sleep(time).await;
            moved::serve(&core, request, next).await
        }
        Some(FaultKind::RateLimit { status, retry_after, reset_in }) => {
            limit(&core, status, retry_after, reset_in)
        }
        Some(FaultKind::Answer { status, body, headers }) => faulty(status, body, &headers),
        Some(FaultKind::Drop) => return switch.off(),
        Some(FaultKind::AnswerAfterEffect(status)) => {
            to_the_end(moved::serve(&core, request, next).await).await;
            faulty(status, serde_json::json!({"message": "Server Error"}), &Default::default())
        }
        Some(FaultKind::DropAfterEffect) => {
            to_the_end(moved::serve(&core, request, next).await).await;
            return switch.off();
        }
    };
    rate_limit(&core, credentials.unwrap_or_default(), &mut response);
    if enterprise {
        moved::links_to_enterprise(&core.read().base, &mut response);
    }
    let mut world = core.write();
    let date = world.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = date.parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    let status = response.status().as_u16();
    let record = world.requests.get_mut(index);
    let asker = record.and_then(|record| {
        record.status = Some(status);
        record.installation
    });
    world.note_silence(asker, (status, limited), response.headers());
    drop(world);
    response
}

/// The pages and the control interface are for people; they are neither logged nor made to fail.
fn is_logged(path: &str) -> bool {
    let api = [
        "/app/",
        "/app-manifests/",
        "/installation",
        "/orgs/",
        "/repos/",
        "/repositories/",
        "/users/",
        "/rate_limit",
        "/graphql",
    ];
    let git = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];
    path == "/app"
        || api.iter().any(|start| path.starts_with(start))
        || git.iter().any(|end| path.ends_with(end))
}

fn arrive(core: &Shared, request: &Request) -> (usize, Option<FaultKind>) {
    let (method, uri) = (request.method().as_str(), request.uri());
    let whole = uri.path_and_query().map_or(uri.path(), |whole| whole.as_str());
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let of_installation = token.is_some_and(|token| token.contains(" ghs_"));
    let mut world = core.write();
    let installation = of_installation.then_some(world.app.installation_id);
    let fault = world.faults.iter_mut().find_map(|fault| fault.take(method, whole));
    world.faults.retain(|fault| !fault.is_spent());
    world.requests.push(RequestRecord {
        method: method.to_owned(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        status: None,
        installation,
        faulted: fault.is_some(),
        at: Utc::now(),
    });
    (world.requests.len() - 1, fault)
}

/// Answers as a limit of GitHub's does.
fn limit(core: &Shared, status: u16, retry_after: Option<u64>, reset_in: Option<u64>) -> Response {
    let now = core.read().now().timestamp();
    let mut headers = std::collections::BTreeMap::new();
    if let Some(seconds) = retry_after {
        headers.insert("retry-after".to_owned(), seconds.to_string());
    }
    if let Some(seconds) = reset_in {
        headers.insert("x-ratelimit-remaining".to_owned(), "0".to_owned());
        headers.insert("x-ratelimit-reset".to_owned(), (now + seconds.cast_signed()).to_string());
    }
    let message = match reset_in {
        Some(_) => "API rate limit exceeded for installation.",
        None => "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
    };
    faulty(status, serde_json::json!({"message": message}), &headers)
}

fn faulty(
    status: u16,
    body: serde_json::Value,
    headers: &std::collections::BTreeMap<String, String>,
) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = (status, axum::Json(body)).into_response();
    for (name, value) in headers {
        let name = header::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Reads an answer to its end, so that what it does (a push) is done.
async fn to_the_end(response: Response) {
    if let Err(error) = to_bytes(response.into_body(), usize::MAX).await {
        tracing::warn!(%error, "an answer that was to be thrown away broke off");
    }
}

fn rate_limit(core: &Shared, credentials: String, response: &mut Response) {
    let (reset, used) = core.read_rate(credentials);
    let values = [
        ("x-ratelimit-limit", HOURLY.to_string()),
        ("x-ratelimit-remaining", HOURLY.saturating_sub(used).to_string()),
        ("x-ratelimit-used", used.to_string()),
        ("x-ratelimit-reset", reset.to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
        ("x-github-request-id", uuid::Uuid::now_v7().simple().to_string()),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
    ];
    for (name, value) in values {
        // A header that a fault or a handler set stays.
        if let (false, Ok(value)) = (response.headers().contains_key(name), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
}

impl crate::core::Core {
    /// Counts a request of a credential; gives when its window resets (Unix seconds) and its count.
    fn read_rate(&self, credentials: String) -> (i64, u64) {
        let mut world = self.read();
        let now = world.now().timestamp();
        let window = world.rate.entry(credentials).or_insert((now + 3_600, 0));
        if window.0 <= now {
            *window = (now + 3_600, 0);
        }
        window.1 += 1;
        *window
    }
}

/// Gives the `rate_limit` answer for a fresh credential.
pub(crate) fn rate_limit_json() -> serde_json::Value {
    let reset = Utc::now().timestamp() + 3_600;
    let core = serde_json::json!({"limit": HOURLY, "remaining": HOURLY, "used": 0, "reset": reset});
    let search = serde_json::json!({"limit": 30, "remaining": 30, "used": 0, "reset": reset});
    serde_json::json!({"resources": {"core": core, "search": search}, "rate": core})
}

/// Cuts one connection: from then on every write to it fails, so that no answer leaves.
#[derive(Clone)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn off(&self) -> Response {
        self.0.store(true, Ordering::SeqCst);
        Response::new(Body::empty())
    }
}

impl Connected<IncomingStream<'_, Droppable>> for Switch {
    fn connect_info(stream: IncomingStream<'_, Droppable>) -> Self {
        Self(stream.io().cut.clone())
    }
}

struct Droppable(TcpListener);

impl Listener for Droppable {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => return (Line { stream, cut: Arc::default() }, address),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection with its cut-off switch.
struct Line {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        let cut = self.cut.load(Ordering::SeqCst);
        if cut { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
