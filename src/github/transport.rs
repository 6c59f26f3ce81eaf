//! One exchange with GitHub over HTTP: sent once, a redirect followed once, the answer read in bounds.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error::GitHubError;

/// The time in which a call must be answered; GitHub itself ends a request after ten seconds.
const CALL_TIME: Duration = Duration::from_secs(30);

/// The most bytes of an answer that are read: a page of 100 comments of 65,536 characters fits.
const MOST_ANSWER_BYTES: usize = 64 << 20;

/// What is asked of GitHub.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Holds the path and query below the API's address.
    pub(super) route: &'a str,
    pub(super) body: Option<&'a Value>,
}

impl Ask<'_> {
    /// Names the call for people.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

/// What GitHub answered, whatever it was.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The connections to GitHub.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    api_url: String,
}

impl Transport {
    /// Makes the client; fails when the machine has no certificates to know GitHub by.
    pub(super) fn new(api_url: &str) -> Result<Self, GitHubError> {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(Duration::from_secs(10)));
        http.enforce_http(false);
        http.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| GitHubError::Certificates(error.to_string()))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https);
        Ok(Self { client, api_url: api_url.trim_end_matches('/').to_owned() })
    }

    /// Sends a request, with a bearer token where there is one, and reads the answer, in [`CALL_TIME`] together.
    pub(super) async fn send(
        &self,
        ask: &Ask<'_>,
        bearer: Option<&SecretString>,
    ) -> Result<Answer, GitHubError> {
        let no_answer = |why: String| GitHubError::NoAnswer(ask.name(), why);
        let exchange = async {
            let uri = format!("{}{}", self.address(ask.route), ask.route).parse::<Uri>();
            let uri = uri.map_err(|error| no_answer(error.to_string()))?;
            let answer = self.exchange(&uri, ask, bearer).await?;
            let Some(location) = redirection(&answer) else { return Ok(answer) };
            let there = same_origin(&uri, location).ok_or_else(|| {
                GitHubError::Unreadable(ask.name(), "it redirects to another place, or to none".to_owned())
            })?;
            self.exchange(&there, ask, bearer).await
        };
        let late = no_answer(format!("within {} s", CALL_TIME.as_secs()));
        tokio::time::timeout(CALL_TIME, exchange).await.unwrap_or(Err(late))
    }

    /// Returns the address that a route is below; GraphQL on an Enterprise Server is not below `/v3`.
    fn address(&self, route: &str) -> &str {
        if route == "/graphql" { self.api_url.trim_end_matches("/v3") } else { &self.api_url }
    }

    /// Turns an address that GitHub gave, such as that of a next page, into a route.
    pub(super) fn route_of(&self, address: &str) -> Option<String> {
        let uri: Uri = address.parse().ok()?;
        let below: Uri = self.api_url.parse().ok()?;
        let whole = uri.path_and_query()?.as_str();
        whole.strip_prefix(below.path().trim_end_matches('/')).map(str::to_owned)
    }

    async fn exchange(
        &self,
        uri: &Uri,
        ask: &Ask<'_>,
        bearer: Option<&SecretString>,
    ) -> Result<Answer, GitHubError> {
        let no_answer = |why: String| GitHubError::NoAnswer(ask.name(), why);
        let body = ask.body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        if let Some(bearer) = bearer {
            let mut token = HeaderValue::try_from(format!("Bearer {}", bearer.expose_secret()))
                .map_err(|_| no_answer("the token cannot stand in a header".to_owned()))?;
            token.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::USER_AGENT, concat!("codex-brief/", env!("CARGO_PKG_VERSION")))
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-github-api-version", "2022-11-28")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| no_answer(error.to_string()))?;
        let response = self.client.request(request).await.map_err(|error| no_answer(chain(&error)))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| no_answer(error.to_string()))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// Returns where a redirect leads; empty when it does not say so.
fn redirection(answer: &Answer) -> Option<&str> {
    let redirects = matches!(answer.status.as_u16(), 301 | 302 | 307 | 308);
    let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    redirects.then_some(location.unwrap_or_default())
}

/// Returns the address that a `Location` names, if it is of the same scheme, host and port.
fn same_origin(from: &Uri, location: &str) -> Option<Uri> {
    let to: Uri = location.parse().ok()?;
    let origin = |uri: &Uri| -> Option<(Scheme, Authority)> {
        Some((uri.scheme()?.clone(), uri.authority()?.clone()))
    };
    if to.authority().is_none() {
        let path: PathAndQuery = to.path_and_query().filter(|path| !path.as_str().starts_with("//"))?.clone();
        let (scheme, authority) = origin(from)?;
        return Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok();
    }
    (origin(from)? == origin(&to)?).then_some(to)
}

/// Joins an error with its causes, since the outermost text often says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_at_its_origin() {
        let from: Uri = "https://api.github.com/repos/o/r".parse().unwrap();
        let to = |location: &str| same_origin(&from, location).map(|uri| uri.to_string());
        let there = "https://api.github.com/repositories/1/issues?x=1";
        assert_eq!(to(there).as_deref(), Some(there));
        assert_eq!(to("/repositories/1/issues?x=1").as_deref(), Some(there));
        for elsewhere in [
            "https://api.github.com.example.org/repositories/1",
            "https://api.github.com:444/repositories/1",
            "https://user@api.github.com/repositories/1",
            "http://api.github.com/repositories/1",
            "//example.org/repositories/1",
            "",
        ] {
            assert_eq!(to(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn addresses_become_routes_below_the_api() {
        let enterprise = Transport::new("https://example.org/api/v3").unwrap();
        let next = "https://example.org/api/v3/repositories/1/issues?page=2";
        assert_eq!(enterprise.route_of(next).as_deref(), Some("/repositories/1/issues?page=2"));
        assert_eq!(enterprise.address("/graphql"), "https://example.org/api");
        assert_eq!(enterprise.address("/app"), "https://example.org/api/v3");
        let usual = Transport::new("https://api.github.com/").unwrap();
        assert_eq!(usual.route_of("https://api.github.com/app?cursor=x").as_deref(), Some("/app?cursor=x"));
    }
}
