//! Which address leads where.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_http::timeout::TimeoutLayer;

use super::{health, receipts};
use crate::server::Server;
use crate::webhook::inbox::{self, Inbox};

/// The time in which anything must be answered; the inbox has its own, shorter limit for bodies.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Makes the router of the server; without an inbox it takes no webhooks.
pub fn router(server: Arc<Server>, inbox: Option<Inbox>) -> Router {
    let webhooks = inbox.map_or_else(Router::new, |inbox| {
        Router::new().route("/webhooks/github", post(inbox::receive)).with_state(Arc::new(inbox))
    });
    Router::new()
        .route("/", get(health::page))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/receipt-keys", get(receipts::keys))
        .with_state(server)
        .merge(webhooks)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_TIME))
}
