//! The public keys of receipts, for whoever checks one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::error::log_internal;
use crate::server::Server;

/// Answers with every public key that receipts were signed by, in PEM, the present one first.
pub(super) async fn keys(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "application/x-pem-file")];
    match server.store.receipt_keys().await {
        Ok(mut keys) => {
            let present = server.receipt_key.public().id();
            keys.sort_by_key(|key| key.id != present);
            (StatusCode::OK, kind, keys.into_iter().map(|key| key.pem).collect::<String>())
        }
        Err(error) => {
            log_internal("the keys of receipts cannot be read", &error);
            (StatusCode::SERVICE_UNAVAILABLE, kind, String::new())
        }
    }
}
