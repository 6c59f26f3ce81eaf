//! The proxy that a step speaks to: CONNECT, and plain HTTP by absolute addresses (RFC 9110, 9112).
//!
//! hyper reads and writes every message, so that each request is judged by the very bytes that it is
//! sent as: what goes on is written anew from what was understood.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::gate::{Gate, Refused};
use super::meter::{Activity, Metered};
use super::tunnel::tunnel;
use crate::run::network::DeniedReason;

/// Bounds the connections at a time; further ones wait.
const MOST_CONNECTIONS: usize = 128;

/// Bounds the head of a request and of an answer, in bytes and in fields.
const MOST_HEAD_BYTES: usize = 64 << 10;
const MOST_FIELDS: usize = 100;

/// How long a request's head may take to arrive, also the next one of a connection.
const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// How long nothing may pass on a connection.
const IDLE: Duration = Duration::from_secs(300);

/// How long to wait before accepting again when the system refuses, such as for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What belongs to one connection and is not passed on (RFC 9110, 7.6.1), nor is what `Connection` names.
/// `Expect` is answered here.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Where a CONNECT leaves its tunnel, for when the answer is sent.
type Opened = Arc<Mutex<Option<(OnUpgrade, Metered, Target)>>>;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why a request is none that a proxy takes.
#[derive(Debug)]
struct Malformed {
    why: &'static str,
    /// Holds the other host that its Host field names.
    other: Option<Target>,
}

impl From<&'static str> for Malformed {
    fn from(why: &'static str) -> Self {
        Self { why, other: None }
    }
}

/// Serves a step until it is dropped.
pub(super) async fn serve(listener: TcpListener, gate: Arc<Gate>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let gate = Arc::clone(&gate);
                connections.spawn(async move {
                    connection(stream, gate).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "a lane's proxy cannot accept");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Serves one connection: requests one after the other, or one tunnel.
pub(super) async fn connection(stream: TcpStream, gate: Arc<Gate>) {
    let (activity, opened) = (Activity::new(), Opened::default());
    let service = service_fn(|request| {
        let (gate, activity, opened) = (Arc::clone(&gate), Arc::clone(&activity), Arc::clone(&opened));
        async move { Ok::<_, Infallible>(answer(request, &gate, &activity, &opened).await) }
    });
    let mut builder = server::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_FIELDS);
    let whole = async {
        // What a client does wrong was answered, or it is gone.
        if builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await.is_err() {
            return;
        }
        let tunnelled = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((inside, outside, target)) = tunnelled
            && let Ok(inside) = inside.await
        {
            tunnel(TokioIo::new(inside), outside, &target, &gate.log).await;
        }
    };
    tokio::select! {
        () = whole => {}
        () = activity.quiet_for(IDLE) => {}
    }
}

async fn answer(
    request: Request<Incoming>,
    gate: &Gate,
    activity: &Arc<Activity>,
    opened: &Opened,
) -> Response<Body> {
    activity.touch();
    if !passes(&request, gate) {
        return says(StatusCode::FORBIDDEN, "the request holds what must not leave this machine");
    }
    let connect = request.method() == Method::CONNECT;
    let target = if connect { connect_target(request.uri()) } else { plain_target(&request) };
    let target = match target {
        Ok(target) => target,
        Err(Malformed { why, other }) => {
            if let Some(other) = other {
                gate.log.denied(&other.host, other.port, DeniedReason::ServerName);
            }
            return says(StatusCode::BAD_REQUEST, why);
        }
    };
    let outside = match gate.connect(&target.host, target.port, activity).await {
        Ok(outside) => outside,
        Err(refused) => return refusal(&target, &refused),
    };
    if !connect {
        return forward(request, &target, outside).await;
    }
    *opened.lock().unwrap_or_else(PoisonError::into_inner) =
        Some((hyper::upgrade::on(request), outside, target));
    Response::new(Full::default().map_err(|never| match never {}).boxed_unsync())
}

/// Returns what a CONNECT asks for: a host and a port.
fn connect_target(uri: &Uri) -> Result<Target, Malformed> {
    match (uri.authority(), uri.scheme(), uri.path_and_query()) {
        (Some(authority), None, None) => {
            let port = authority.port_u16().ok_or("CONNECT needs a host and a port")?;
            Ok(Target { host: host_of(authority)?, port })
        }
        _ => Err("CONNECT needs a host and a port".into()),
    }
}

/// Returns what a plain request asks for, which its address and its Host field must agree on.
fn plain_target<B>(request: &Request<B>) -> Result<Target, Malformed> {
    let uri = request.uri();
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("this is a proxy: it takes CONNECT, and requests for whole http:// addresses".into());
    };
    if *scheme != Scheme::HTTP {
        return Err("the proxy takes http:// addresses; for others use CONNECT".into());
    }
    let target = target_of(authority)?;
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err("a request has exactly one Host field".into());
    };
    let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let named = host.and_then(|host| target_of(&host).ok());
    if named.as_ref() == Some(&target) {
        return Ok(target);
    }
    Err(Malformed { why: "the Host field names another host than the address", other: named })
}

fn target_of(authority: &Authority) -> Result<Target, &'static str> {
    let host = host_of(authority)?;
    // A port that is none passes for no port at all.
    let port = match authority.port_u16() {
        None if authority.as_str().len() == host.len() => 80,
        port => port.ok_or("the address has a port that is none")?,
    };
    Ok(Target { host, port })
}

/// Lets the watch look at where a request goes, as it was written: names are compared in small letters later.
fn passes(request: &Request<Incoming>, gate: &Gate) -> bool {
    let Some(mut look) = gate.log.stream() else { return true };
    let hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let target = request.uri().to_string();
    hosts.chain([target.as_bytes()]).all(|bytes| look(bytes) && look(b"\n"))
}

fn host_of(authority: &Authority) -> Result<String, &'static str> {
    if authority.as_str().contains('@') {
        return Err("an address with a user in it is not taken");
    }
    match authority.host() {
        "" => Err("the address has no host"),
        host => Ok(host.to_ascii_lowercase()),
    }
}

/// Sends a plain request on, and its answer back.
async fn forward(request: Request<Incoming>, target: &Target, outside: Metered) -> Response<Body> {
    let mut builder = client::Builder::new();
    builder.max_buf_size(MOST_HEAD_BYTES).max_headers(MOST_FIELDS);
    let Ok((mut sender, driver)) = builder.handshake(TokioIo::new(outside)).await else {
        return says(StatusCode::BAD_GATEWAY, "the connection broke");
    };
    let driver = AbortOnDropHandle::new(tokio::spawn(driver));
    let (mut head, body) = request.into_parts();
    // The body's framing is made anew from the body itself.
    strip(&mut head.headers);
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::EXPECT);
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    head.version = hyper::Version::HTTP_11;
    let port = if target.port == 80 { String::new() } else { format!(":{}", target.port) };
    match HeaderValue::from_str(&format!("{}{port}", target.host)) {
        Ok(host) => drop(head.headers.insert(header::HOST, host)),
        Err(_) => return says(StatusCode::BAD_REQUEST, "the address has no host"),
    }
    match sender.send_request(Request::from_parts(head, body)).await {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            says(StatusCode::BAD_GATEWAY, "the host changed the protocol, which nobody asked for")
        }
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            // A length beside another framing is not the body's (RFC 9112, 6.3).
            if head.headers.contains_key(header::TRANSFER_ENCODING) {
                head.headers.remove(header::CONTENT_LENGTH);
            }
            strip(&mut head.headers);
            head.version = hyper::Version::HTTP_11;
            // The connection lives as long as its body.
            let body = body.map_frame(move |frame| {
                let _held = &driver;
                frame
            });
            Response::from_parts(head, body.boxed_unsync())
        }
        Err(error) => says(StatusCode::BAD_GATEWAY, &format!("the host did not answer: {error}")),
    }
}

/// Takes away what belongs to one connection.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named).chain([&header::TRANSFER_ENCODING]) {
        headers.remove(name);
    }
}

fn refusal(target: &Target, refused: &Refused) -> Response<Body> {
    let place = format!("{}:{}", target.host, target.port);
    match refused {
        Refused::Denied(DeniedReason::Address) => says(
            StatusCode::FORBIDDEN,
            &format!("{place} leads to an address that is not public, which this lane does not allow"),
        ),
        Refused::Denied(_) => {
            says(StatusCode::FORBIDDEN, &format!("{place} is not on the network list of this lane"))
        }
        Refused::Unreachable(why) => {
            says(StatusCode::BAD_GATEWAY, &format!("{place} cannot be reached: {why}"))
        }
    }
}

fn says(status: StatusCode, what: &str) -> Response<Body> {
    let text = Full::new(Bytes::from(format!("codex-brief: {what}.\n")));
    let mut response = Response::new(text.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
