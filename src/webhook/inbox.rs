//! `POST /webhooks/github`: check, store, answer; everything else comes later.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use secrecy::SecretString;
use tokio::sync::{Notify, Semaphore};

use super::{rescan, signature};
use crate::crash;
use crate::store::{Store, Stored};

/// Bounds how many bodies of full length fit into memory at a time: strangers can send some, too. Only
/// bytes that came count, so that nobody keeps deliveries out by sending next to nothing slowly.
const BODIES_AT_A_TIME: usize = 32;

/// The longest GUID and event name that are taken; GitHub's have 36 and fewer than 50 characters.
const LONGEST_NAME: usize = 100;

/// The time in which a delivery must be stored: GitHub waits ten seconds for an answer.
const STORE_TIME: Duration = Duration::from_secs(7);

const TOO_LARGE: (StatusCode, &str) = (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n");
const TOO_MANY: (StatusCode, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at a time; deliver it again\n");

/// What receives deliveries.
#[derive(Debug)]
pub struct Inbox {
    store: Store,
    secret: SecretString,
    body_limit: usize,
    body_time: Duration,
    /// Counts the bytes of bodies that may still come.
    room: Semaphore,
    arrived: Arc<Notify>,
}

impl Inbox {
    /// Makes an inbox that wakes `arrived` whenever a delivery is new in the store.
    pub fn new(
        store: Store,
        secret: SecretString,
        body_limit: usize,
        body_time: Duration,
        arrived: Arc<Notify>,
    ) -> Self {
        let room = body_limit.saturating_mul(BODIES_AT_A_TIME).min(Semaphore::MAX_PERMITS);
        Self { store, secret, body_limit, body_time, room: Semaphore::new(room), arrived }
    }
}

/// Answers a delivery: 202 once it is on the disk, and only then.
pub async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Body) -> Response {
    match take(&inbox, &headers, body).await {
        Ok(text) => (StatusCode::ACCEPTED, text).into_response(),
        Err((status, text)) => {
            tracing::warn!(%status, reason = text, "a delivery was not taken");
            // The rest of a refused body is not read, so the connection cannot serve another request.
            (status, [(header::CONNECTION, "close")], text).into_response()
        }
    }
}

async fn take(
    inbox: &Inbox,
    headers: &HeaderMap,
    body: Body,
) -> Result<&'static str, (StatusCode, &'static str)> {
    let signature = headers.get("x-hub-signature-256").map(|value| value.as_bytes());
    if signature.is_none() {
        return Err((StatusCode::UNAUTHORIZED, "the header X-Hub-Signature-256 is missing\n"));
    }
    let body = read(inbox, headers, body).await?;
    if !signature::is_valid(&inbox.secret, &body, signature) {
        return Err((StatusCode::UNAUTHORIZED, "the signature does not fit the body\n"));
    }
    let event =
        name(headers, "x-github-event").ok_or((StatusCode::BAD_REQUEST, "X-GitHub-Event is missing\n"))?;
    let guid = name(headers, "x-github-delivery")
        .ok_or((StatusCode::BAD_REQUEST, "X-GitHub-Delivery is missing\n"))?;
    if rescan::is_ours(event) || rescan::is_ours(guid) {
        return Err((StatusCode::BAD_REQUEST, "this name is the server's own\n"));
    }
    crash::point("received.before-commit");
    // What is stored after all, once GitHub was told to deliver it again, is known by its GUID then.
    let stored = tokio::time::timeout(STORE_TIME, inbox.store.insert_delivery(guid, event, &body)).await;
    let stored = stored.map_err(|_| format!("it takes longer than {} s", STORE_TIME.as_secs()));
    match stored.and_then(|stored| stored.map_err(|error| error.to_string())) {
        Ok(Stored::New) => {
            crash::point("received.before-effect");
            tracing::info!(guid, event, bytes = body.len(), "delivery stored");
            inbox.arrived.notify_one();
            Ok("stored\n")
        }
        Ok(Stored::Known) => Ok("known already\n"),
        Err(error) => {
            tracing::error!(guid, %error, "a delivery could not be stored");
            Err((StatusCode::SERVICE_UNAVAILABLE, "the store does not take it now; deliver it again\n"))
        }
    }
}

/// Reads a body within the bounds of time, length and memory.
async fn read(inbox: &Inbox, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, (StatusCode, &'static str)> {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > inbox.body_limit) {
        return Err(TOO_LARGE);
    }
    match tokio::time::timeout(inbox.body_time, collect(inbox, body)).await {
        Ok(collected) => collected,
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time\n")),
    }
}

async fn collect(inbox: &Inbox, body: Body) -> Result<Vec<u8>, (StatusCode, &'static str)> {
    let mut body = Limited::new(body, inbox.body_limit);
    let mut bytes = Vec::new();
    let mut taken = inbox.room.try_acquire_many(0).map_err(|_| TOO_MANY)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
            true => TOO_LARGE,
            false => (StatusCode::BAD_REQUEST, "the body broke off\n"),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let length = u32::try_from(data.len()).map_err(|_| TOO_LARGE)?;
        taken.merge(inbox.room.try_acquire_many(length).map_err(|_| TOO_MANY)?);
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn name<'a>(headers: &'a HeaderMap, header: &str) -> Option<&'a str> {
    let value = headers.get(header)?.to_str().ok()?;
    (!value.is_empty() && value.len() <= LONGEST_NAME).then_some(value)
}
