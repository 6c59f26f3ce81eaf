//! Reading requests and writing answers the way GitHub does.

use crate::core::Shared;
use crate::model::Time;
use crate::refusal::Refusal;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;

/// GitHub's page size when none is asked for.
const USUAL_PAGE: usize = 30;
/// GitHub's largest page.
const LARGEST_PAGE: usize = 100;
/// Larger bodies are refused, in bytes; GitHub's own limit is not published.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

pub(super) type Answer = Result<Reply, Refusal>;

/// An answer with its status, headers and JSON.
pub(super) struct Reply {
    status: StatusCode,
    headers: Vec<(header::HeaderName, String)>,
    body: Option<Value>,
}

impl Reply {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: Some(body) }
    }

    /// Answers 201 with the new thing's own address as `Location`.
    pub(super) fn created(body: Value) -> Self {
        let address = body["url"].as_str().map(str::to_owned);
        let headers = address.map(|address| (header::LOCATION, address)).into_iter().collect();
        Self { status: StatusCode::CREATED, headers, body: Some(body) }
    }

    pub(super) fn accepted() -> Self {
        Self { status: StatusCode::ACCEPTED, ..Self::ok(serde_json::json!({})) }
    }

    pub(super) fn nothing() -> Self {
        Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: None }
    }

    /// Answers with one page of a list, and with links to the others.
    pub(super) fn page(base: &str, asked: &Asked, items: Vec<Value>) -> Self {
        Self::page_of(base, asked, items, |items, _| Value::Array(items))
    }

    /// Answers with the first page of a list that goes on by `cursor`, as the delivery log does.
    pub(super) fn page_by_cursor(base: &str, asked: &Asked, items: Vec<Value>) -> Self {
        let more = items.len() > asked.per_page;
        let shown: Vec<Value> = items.into_iter().take(asked.per_page).collect();
        let last = shown.last().map(|item| item["id"].to_string()).filter(|_| more);
        let link = last.map(|id| {
            let query = format!("per_page={}&cursor={id}", asked.per_page);
            (header::LINK, format!("<{base}{}?{query}>; rel=\"next\"", asked.path))
        });
        Self { headers: link.into_iter().collect(), ..Self::ok(Value::Array(shown)) }
    }

    /// Answers with one page, wrapped by a closure that gets the items and the total.
    pub(super) fn page_of(
        base: &str,
        asked: &Asked,
        items: Vec<Value>,
        wrap: impl FnOnce(Vec<Value>, usize) -> Value,
    ) -> Self {
        let total = items.len();
        let shown = items.into_iter().skip((asked.page - 1) * asked.per_page).take(asked.per_page).collect();
        let link = asked.links(base, total);
        let headers = link.map(|link| (header::LINK, link)).into_iter().collect();
        Self { headers, ..Self::ok(wrap(shown, total)) }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, Json(body)).into_response(),
            None => self.status.into_response(),
        };
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// The query of a request, and the page that it asks for.
pub(super) struct Asked {
    fields: HashMap<String, String>,
    path: String,
    page: usize,
    per_page: usize,
}

impl Asked {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Reads `since`; a time that cannot be read is refused.
    pub(super) fn since(&self) -> Result<Option<Time>, Refusal> {
        let read = |text: &str| chrono::DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        let since = self.get("since").map(read).transpose();
        since.map_err(|_| Refusal::field("Search", "since", "invalid"))
    }

    /// Sorts a list as `sort` and `direction` ask; without `sort` it stays as it is, oldest first.
    pub(super) fn sorted<T>(&self, list: &mut [T], newest_first: bool, times: impl Fn(&T) -> (Time, Time)) {
        match self.get("sort") {
            Some("updated") => list.sort_by_key(|item| times(item).1),
            _ => list.sort_by_key(|item| times(item).0),
        }
        let descending = match self.get("direction") {
            Some(direction) => direction == "desc",
            None => newest_first,
        };
        if descending {
            list.reverse();
        }
    }

    fn links(&self, base: &str, total: usize) -> Option<String> {
        let last = total.div_ceil(self.per_page).max(1);
        let link = |page: usize, rel: &str| {
            let mut fields: Vec<String> = self
                .fields
                .iter()
                .filter(|(name, _)| *name != "page")
                .map(|(name, value)| format!("{name}={}", crate::render::percent(value)))
                .collect();
            fields.sort();
            fields.push(format!("page={page}"));
            format!("<{base}{}?{}>; rel=\"{rel}\"", self.path, fields.join("&"))
        };
        let mut links = Vec::new();
        if self.page > 1 {
            links.push(link(self.page - 1, "prev"));
        }
        if self.page < last {
            links.push(link(self.page + 1, "next"));
            links.push(link(last, "last"));
        }
        if self.page > 1 {
            links.push(link(1, "first"));
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}

impl FromRequestParts<Shared> for Asked {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, core: &Shared) -> Result<Self, Refusal> {
        let query = axum::extract::Query::<HashMap<String, String>>::from_request_parts(parts, core).await;
        let fields = query.map_err(|_| Refusal::new(400, "Problems parsing the query"))?.0;
        let number = |name: &str| fields.get(name).and_then(|value| value.parse::<usize>().ok());
        let page = number("page").unwrap_or(1).max(1);
        let per_page = number("per_page").unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE);
        Ok(Self { path: parts.uri.path().to_owned(), fields, page, per_page })
    }
}

/// A JSON body, read the way GitHub does: whatever its content type.
pub(super) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Sent<T> {
    type Rejection = Refusal;
    async fn from_request(request: Request, _: &Shared) -> Result<Self, Refusal> {
        let bytes = axum::body::to_bytes(request.into_body(), LARGEST_BODY).await;
        let bytes = bytes.map_err(|_| Refusal::new(413, "The body is too large or broke off"))?;
        let bytes = if bytes.is_empty() { "{}".as_bytes() } else { &bytes };
        let value: Value =
            serde_json::from_slice(bytes).map_err(|_| Refusal::new(400, "Problems parsing JSON"))?;
        let wrong = |error: serde_json::Error| Refusal::new(422, format!("Invalid request.\n\n{error}"));
        serde_json::from_value(value).map(Self).map_err(wrong)
    }
}
