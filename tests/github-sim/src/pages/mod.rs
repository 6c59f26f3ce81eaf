//! The pages that a person looks at.
use crate::core::Shared;
use axum::Router;
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
}
