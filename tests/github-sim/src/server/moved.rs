//! Addresses that lead elsewhere, and repositories that nobody may write to.

use crate::auth::bearer;
use crate::core::Shared;
use crate::model::Repository;
use crate::refusal::Refusal;
use crate::world::World;
use axum::Json;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Serves a request: `/repositories/ID/REST` as the repository's own address, an old name by a redirect,
/// and a write to an archived repository not at all.
pub(super) async fn serve(core: &Shared, mut request: Request, next: Next) -> Response {
    let decided = decide(&core.read(), &request);
    match decided {
        Decision::Refuse(answer) => return *answer,
        Decision::Rewrite(uri) => *request.uri_mut() = uri,
        Decision::AsItIs => {}
    }
    next.run(request).await
}

enum Decision {
    AsItIs,
    Rewrite(Uri),
    Refuse(Box<Response>),
}

fn decide(world: &World, request: &Request) -> Decision {
    let path = request.uri().path();
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    if let Some((repo, rest)) = by_id(world, path) {
        if is_archived_for(repo, world, request) {
            return refuse(archived());
        }
        let uri = format!("/repos/{}{rest}{query}", repo.full_name()).parse();
        return uri.map_or(Decision::AsItIs, Decision::Rewrite);
    }
    if let Some((owner, repo, rest)) = named(path) {
        let full = format!("{owner}/{repo}");
        if let Some(repo) = world.moved_to(&full) {
            return redirect(
                request.method(),
                &world.base,
                &format!("/repositories/{}{rest}{query}", repo.id),
            );
        }
        if world.repository(&full).is_ok_and(|repo| is_archived_for(repo, world, request)) {
            return refuse(archived());
        }
    }
    let git = path.strip_prefix('/').and_then(|path| path.split_once("/info/refs"));
    if let Some((full, _)) = git
        && let Some(repo) = world.moved_to(full.trim_end_matches(".git"))
    {
        let to = format!("{}/{}.git/info/refs{query}", world.base, repo.full_name());
        return refuse((StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response());
    }
    Decision::AsItIs
}

fn by_id<'w, 'p>(world: &'w World, path: &'p str) -> Option<(&'w Repository, &'p str)> {
    let tail = path.strip_prefix("/repositories/")?;
    let (id, rest) = tail.split_at(tail.find('/').unwrap_or(tail.len()));
    let id: u64 = id.parse().ok()?;
    Some((world.repositories.iter().find(|repo| repo.id == id)?, rest))
}

/// Splits `/repos/OWNER/NAME/REST`; the rest begins with a slash or is empty.
fn named(path: &str) -> Option<(&str, &str, &str)> {
    let (owner, tail) = path.strip_prefix("/repos/")?.split_once('/')?;
    let (name, rest) = tail.split_at(tail.find('/').unwrap_or(tail.len()));
    Some((owner, name, rest))
}

fn redirect(method: &Method, base: &str, to: &str) -> Decision {
    let (status, message) = match *method {
        Method::GET | Method::HEAD => (StatusCode::MOVED_PERMANENTLY, "Moved Permanently"),
        _ => (StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect"),
    };
    let url = format!("{base}{to}");
    let body = json!({"message": message, "url": url, "documentation_url": "https://docs.github.com/rest"});
    refuse((status, [(header::LOCATION, url)], Json(body)).into_response())
}

fn refuse(answer: Response) -> Decision {
    Decision::Refuse(Box::new(answer))
}

/// Tells whether a write comes to an archived repository from one who could write otherwise.
fn is_archived_for(repo: &Repository, world: &World, request: &Request) -> bool {
    let token = request.headers().get(header::AUTHORIZATION).and_then(bearer);
    let reaches = token.is_some_and(|token| world.grant(token).is_ok_and(|grant| grant.reaches(repo)));
    repo.archived && reaches && !matches!(*request.method(), Method::GET | Method::HEAD)
}

fn archived() -> Response {
    Refusal::new(403, "Repository was archived so is read-only.").into_response()
}

/// Where an Enterprise Server has its interface; this GitHub answers there too.
const ENTERPRISE: &str = "/api/v3";

/// Turns a request to an Enterprise Server's interface into one to GitHub's own; tells whether it was one.
pub(super) fn from_enterprise(mut request: Request) -> (Request, bool) {
    let whole = request.uri().path_and_query().map(|whole| whole.as_str().to_owned()).unwrap_or_default();
    let inner = match whole.strip_prefix(ENTERPRISE) {
        Some(rest) if rest.starts_with('/') => rest,
        _ if whole == "/api/graphql" => "/graphql",
        _ => return (request, false),
    };
    match inner.parse() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return (request, false),
    }
    (request, true)
}

/// Makes the links to other pages of a list lead to the Enterprise Server's interface.
pub(super) fn links_to_enterprise(base: &str, response: &mut Response) {
    let link = response.headers().get(header::LINK).and_then(|value| value.to_str().ok());
    let there = link.map(|link| link.replace(&format!("<{base}/"), &format!("<{base}{ENTERPRISE}/")));
    if let Some(Ok(link)) = there.map(|link| link.parse()) {
        response.headers_mut().insert(header::LINK, link);
    }
}
