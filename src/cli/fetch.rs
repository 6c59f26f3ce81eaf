//! Fetches the text in which a receipt stands: a file, standard input, a page, or a pull request on GitHub.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use crate::receipt::find::MAX_TEXT;
use crate::receipt::verify::FoundPull;

/// The time in which a page must be here.
const FETCH_TIME: Duration = Duration::from_secs(30);

/// Bounds what is read of a page: GitHub's answer about a pull request holds its body and a lot around it.
const MAX_PAGE: usize = 4 << 20;

/// What was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Holds the text.
    pub(super) text: String,
    /// Holds the pull request whose body it is, if it is one.
    pub(super) pull: Option<FoundPull>,
}

/// A pull request, as far as it is looked at.
#[derive(Deserialize)]
struct Pull {
    body: Option<String>,
    head: Head,
    base: Side,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct Side {
    repo: Repository,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

/// Reads a file of bounded size, `-` for standard input; fails with why, for people.
pub(super) fn file(path: &Path) -> Result<String, String> {
    let open = || -> io::Result<Box<dyn Read>> {
        Ok(if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) })
    };
    let (mut text, most) = (String::new(), MAX_TEXT as u64 + 1);
    let read = open().and_then(|file| file.take(most).read_to_string(&mut text));
    match read {
        Ok(length) if length > MAX_TEXT => Err(format!("it has more than {MAX_TEXT} bytes")),
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// Fetches an address: of a pull request its body by GitHub's API, of anything else what is there.
///
/// Fails with why, for people. `token` is sent to the API alone, and never over plain HTTP.
pub(super) async fn address(
    url: &str,
    api_url: Option<&str>,
    token: Option<&str>,
) -> Result<Fetched, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    let Some(api) = pull_request_api(&uri, api_url) else {
        return Ok(Fetched { text: get(&uri, None).await?, pull: None });
    };
    let api: Uri = api.parse().map_err(|error| format!("{error}"))?;
    let token = token.filter(|_| takes_token(&api, api_url));
    let pull: Pull = serde_json::from_str(&get(&api, token).await?)
        .map_err(|error| format!("{api} does not answer as GitHub does: {error}"))?;
    let found = FoundPull { head: pull.head.sha, repository: pull.base.repo.id };
    Ok(Fetched { text: pull.body.unwrap_or_default(), pull: Some(found) })
}

/// Returns the API's address of a pull request whose page is at `uri`; `api_url` is the API's own, where it is
/// neither GitHub's nor that of an Enterprise Server.
fn pull_request_api(uri: &Uri, api_url: Option<&str>) -> Option<String> {
    let parts: Vec<&str> = uri.path().split('/').collect();
    let ["", owner, repository, "pull", number, ..] = parts[..] else { return None };
    let number: u64 = number.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let api = match api_url {
        Some(api) => api.trim_end_matches('/').to_owned(),
        None if authority == "github.com" => "https://api.github.com".to_owned(),
        None => format!("{}://{authority}/api/v3", uri.scheme_str()?),
    };
    Some(format!("{api}/repos/{owner}/{repository}/pulls/{number}"))
}

/// Tells whether a token may be sent there: where nobody reads along, to GitHub or to the API that was named. An
/// address that somebody gives to verify names any host.
fn takes_token(api: &Uri, api_url: Option<&str>) -> bool {
    api.scheme_str() == Some("https") && (api_url.is_some() || api.host() == Some("api.github.com"))
}

async fn get(uri: &Uri, token: Option<&str>) -> Result<String, String> {
    let late = || format!("{uri} does not answer within {} s", FETCH_TIME.as_secs());
    tokio::time::timeout(FETCH_TIME, exchange(uri, token)).await.unwrap_or_else(|_| Err(late()))
}

async fn exchange(uri: &Uri, token: Option<&str>) -> Result<String, String> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
        .map_err(|error| format!("this machine has no certificates to know a server by: {error}"))?
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let mut request = Request::get(uri)
        .header(header::ACCEPT, "application/vnd.github+json, text/plain, */*")
        .header(header::USER_AGENT, concat!("codex-brief/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| "the token cannot stand in a header".to_owned())?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    let response =
        client.request(request).await.map_err(|error| format!("{uri} cannot be reached: {error}"))?;
    let (parts, body) = response.into_parts();
    if let Some(location) = parts.headers.get(header::LOCATION).filter(|_| parts.status.is_redirection()) {
        let to = String::from_utf8_lossy(location.as_bytes());
        return Err(format!("{uri} leads on to {to}; give that address, if you trust it"));
    }
    if !parts.status.is_success() {
        return Err(format!(
            "{uri} answers {}; a private repository needs a token in GITHUB_TOKEN",
            parts.status.as_u16()
        ));
    }
    let body = Limited::new(body, MAX_PAGE).collect().await.map_err(|error| format!("{uri}: {error}"))?;
    String::from_utf8(body.to_bytes().into()).map_err(|_| format!("{uri} is no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_to_github_or_the_named_api_and_never_over_plain_http() {
        let takes = |url: &str, own| takes_token(&url.parse().unwrap(), own);
        assert!(takes("https://api.github.com/repos/o/r/pulls/7", None));
        assert!(!takes("http://api.github.com/repos/o/r/pulls/7", None) && !takes("/repos", None));
        assert!(!takes("https://lookalike.example/api/v3/repos/o/r/pulls/7", None));
        let own = "https://ghe.example.com/api/v3";
        assert!(takes(&format!("{own}/repos/o/r/pulls/7"), Some(own)));
        assert!(!takes("http://ghe.example.com/api/v3/repos", Some("http://ghe.example.com/api/v3")));
    }

    #[test]
    fn the_page_of_a_pull_request_leads_to_the_api() {
        let api = |url: &str, own| pull_request_api(&url.parse().unwrap(), own);
        let of = |url| api(url, None).unwrap_or_default();
        assert_eq!(of("https://github.com/o/r/pull/7"), "https://api.github.com/repos/o/r/pulls/7");
        assert_eq!(of("https://github.com/o/r/pull/7/files?x=1"), "https://api.github.com/repos/o/r/pulls/7");
        assert_eq!(of("https://example.org/o/r/pull/7"), "https://example.org/api/v3/repos/o/r/pulls/7");
        let own = api("http://localhost:1/o/r/pull/7", Some("http://localhost:1/"));
        assert_eq!(own.as_deref(), Some("http://localhost:1/repos/o/r/pulls/7"));
        for page in
            ["https://github.com/o/r/issues/7", "https://github.com/o/r/pull/x", "https://github.com/"]
        {
            assert_eq!(api(page, None), None, "{page}");
        }
    }
}
