//! The answers that say no, in the shapes that GitHub gives them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::fmt;

/// Says why the simulated GitHub refused something, as an HTTP status and GitHub's JSON shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status that an API caller gets.
    pub status: u16,
    /// The `message` field.
    pub message: String,
    /// The entries of the `errors` field; empty where GitHub gives none.
    pub errors: Vec<Value>,
    /// The value of `x-accepted-github-permissions`, for a refusal by permission.
    pub accepted_permissions: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: Vec::new(), accepted_permissions: None }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(404, "Not Found")
    }

    pub(crate) fn bad_credentials() -> Self {
        Self::new(401, "Bad credentials")
    }

    /// Gives the 422 with one entry in `errors`.
    pub(crate) fn invalid(error: Value) -> Self {
        Self { errors: vec![error], ..Self::new(422, "Validation Failed") }
    }

    /// Gives the 422 whose entry names a field and a code such as `missing_field` or `invalid`.
    pub(crate) fn field(resource: &str, field: &str, code: &str) -> Self {
        Self::invalid(json!({"resource": resource, "field": field, "code": code}))
    }

    /// Gives the 422 whose entry tells the reason in words.
    pub(crate) fn custom(resource: &str, message: impl Into<String>) -> Self {
        Self::invalid(json!({"resource": resource, "code": "custom", "message": message.into()}))
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.to_string(),
        });
        if !self.errors.is_empty() {
            body["errors"] = Value::Array(self.errors.clone());
        }
        body
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.status, self.message)?;
        for error in &self.errors {
            write!(out, "; {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl From<git2::Error> for Refusal {
    fn from(error: git2::Error) -> Self {
        Self::new(500, format!("the simulator's git failed: {}", error.message()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body())).into_response();
        let accepted = self.accepted_permissions.as_deref().and_then(|value| value.parse().ok());
        if let Some(value) = accepted {
            response.headers_mut().insert("x-accepted-github-permissions", value);
        }
        response
    }
}
