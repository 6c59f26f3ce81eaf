//! The control interface of the running binary: a person plays with `curl` while the demo is up.
//!
//! Everything is JSON under `/_sim/`; it is not part of GitHub, asks for no credentials, and is not logged.

mod owning;

use crate::act::NewPull;
use crate::core::Shared;
use crate::fault::FaultOrder;
use crate::model::{Permission, Subject};
use crate::refusal::Refusal;
use crate::repo_git::{self, Change};
use crate::world::World;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Path, Request, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/_sim/state", get(state))
        .route("/_sim/requests", get(requests))
        .route("/_sim/deliveries", get(deliveries))
        .route("/_sim/deliveries/{guid}/redeliver", post(redeliver))
        .route("/_sim/faults", post(fault).delete(clear_faults))
        .route("/_sim/users", post(user))
        .route("/_sim/issues", post(issue))
        .route("/_sim/issues/edit", post(edit_issue))
        .route("/_sim/issues/close", post(close_issue))
        .route("/_sim/issues/reopen", post(reopen_issue))
        .route("/_sim/issues/delete", post(delete_issue))
        .route("/_sim/labels", post(labels))
        .route("/_sim/comments", post(comment))
        .route("/_sim/comments/edit", post(edit_comment))
        .route("/_sim/comments/delete", post(delete_comment))
        .route("/_sim/commits", post(commit))
        .route("/_sim/pulls", post(pull))
        .route("/_sim/pulls/merge", post(merge))
        .route("/_sim/pulls/comments", post(review_comment))
        .route("/_sim/pulls/comments/delete", post(delete_review_comment))
        .route("/_sim/pulls/reviews", post(review))
        .route("/_sim/reactions", post(react))
        .route("/_sim/checks/press", post(press))
        .route("/_sim/webhook", post(webhook))
        .route("/_sim/ping", post(ping))
        .merge(owning::routes())
}

type Answer = Result<Json<Value>, Refusal>;

/// A JSON body whose mistakes are told in words. The content type has to be JSON, which keeps the pages
/// of other sites from posting here through a browser.
struct Order<T>(T);

impl<T: DeserializeOwned> FromRequest<Shared> for Order<T> {
    type Rejection = Refusal;
    async fn from_request(request: Request, core: &Shared) -> Result<Self, Refusal> {
        let Json(order) = Json::from_request(request, core).await?;
        Ok(Self(order))
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status().as_u16(), rejection.body_text())
    }
}

fn shown(value: impl Serialize) -> Answer {
    let value = serde_json::to_value(value);
    value.map(Json).map_err(|error| Refusal::new(500, error.to_string()))
}

async fn state(State(core): State<Shared>) -> Answer {
    let world = core.read();
    let repositories: Vec<Value> =
        world.repository_names().iter().map(|name| repository(&world, name)).collect();
    let faults: Vec<String> = world.faults.iter().map(|fault| format!("{fault:?}")).collect();
    shown(json!({
        "url": world.base,
        "app_id": world.app.id,
        "bot": world.app.bot_login(),
        "installation_id": world.app.installation_id,
        "webhook_url": world.app.webhook_url,
        "users": world.users.values().map(|user| &user.login).collect::<Vec<_>>(),
        "repositories": repositories,
        "deliveries": world.deliveries.len(),
        "requests": world.requests.len(),
        "faults": faults,
    }))
}

fn repository(world: &World, name: &str) -> Value {
    let Ok(repo) = world.repository(name) else { return Value::Null };
    let issues = repo.issues.values().filter(|issue| !issue.is_pull).map(|issue| {
        let comments = world.comments(name, issue.number);
        json!({"number": issue.number, "title": issue.title, "open": issue.open, "author": issue.author,
               "labels": issue.labels, "comments": comments, "html_url": world.issue_page(repo, issue)})
    });
    let pulls = world.pulls(name).into_iter().map(|pull| {
        let comments = world.comments(name, pull.number);
        json!({"pull": pull, "comments": comments})
    });
    json!({
        "full_name": name,
        "permissions": repo.permissions,
        "branches": world.branches(name).into_iter().collect::<BTreeMap<_, _>>(),
        "issues": issues.collect::<Vec<_>>(),
        "pulls": pulls.collect::<Vec<_>>(),
        "check_runs": world.check_runs(name),
    })
}

async fn requests(State(core): State<Shared>) -> Answer {
    shown(core.read().requests())
}

async fn deliveries(State(core): State<Shared>) -> Answer {
    shown(core.read().deliveries())
}

async fn redeliver(State(core): State<Shared>, Path(guid): Path<String>) -> Answer {
    let id = core.write().redeliver(|delivery| delivery.guid == guid)?;
    shown(json!({"id": id}))
}

async fn fault(State(core): State<Shared>, Order(order): Order<FaultOrder>) -> Answer {
    let fault = order.fault().map_err(|why| Refusal::new(422, why))?;
    let told = format!("{fault:?}");
    core.write().faults.push(fault);
    shown(json!({"fault": told}))
}

async fn clear_faults(State(core): State<Shared>) -> Answer {
    core.write().faults.clear();
    shown(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserOrder {
    login: String,
    repo: Option<String>,
    permission: Option<Permission>,
}

async fn user(State(core): State<Shared>, Order(order): Order<UserOrder>) -> Answer {
    let mut world = core.write();
    let user = world.add_user(&order.login, "User");
    if let (Some(repo), Some(permission)) = (&order.repo, order.permission) {
        world.repository_mut(repo)?.permissions.insert(order.login.to_lowercase(), permission);
    }
    shown(user)
}

/// One shape for what people do on threads; each address asks for the fields that it needs.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Deed {
    repo: String,
    user: String,
    number: u64,
    id: u64,
    title: String,
    body: String,
    labels: Vec<String>,
    content: String,
    state: String,
    head: String,
    base: Option<String>,
    branch: String,
    message: String,
    files: BTreeMap<String, String>,
    comment: Option<u64>,
}

async fn issue(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    shown(world.open_issue(&deed.repo, &actor, &deed.title, Some(&deed.body), &deed.labels)?)
}

async fn edit_issue(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let change = crate::act::IssueChange { body: Some(deed.body.clone()), ..Default::default() };
    change_issue(&core, &deed, change)
}

async fn close_issue(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let change = crate::act::IssueChange { state: Some("closed".to_owned()), ..Default::default() };
    change_issue(&core, &deed, change)
}

fn change_issue(core: &Shared, deed: &Deed, change: crate::act::IssueChange) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    world.change_issue(&deed.repo, deed.number, &actor, change)?;
    shown(world.issue_ref(&deed.repo, deed.number)?)
}

async fn reopen_issue(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let change = crate::act::IssueChange { state: Some("open".to_owned()), ..Default::default() };
    change_issue(&core, &deed, change)
}

async fn delete_issue(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    world.delete_issue(&deed.repo, deed.number, &actor)?;
    shown(json!({"number": deed.number}))
}

async fn delete_review_comment(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    world.delete_review_comment(&deed.repo, deed.id, &actor)?;
    shown(json!({"id": deed.id}))
}

async fn labels(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    world.add_labels(&deed.repo, deed.number, &actor, &deed.labels)?;
    shown(world.issue_ref(&deed.repo, deed.number)?)
}

async fn comment(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    shown(world.add_comment(&deed.repo, deed.number, &actor, &deed.body)?)
}

async fn edit_comment(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    world.edit_comment(&deed.repo, deed.id, &actor, &deed.body)?;
    shown(json!({"id": deed.id}))
}

async fn delete_comment(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    world.delete_comment(&deed.repo, deed.id, &actor)?;
    shown(json!({"id": deed.id}))
}

async fn commit(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let sha = push(&mut world, &deed, &deed.branch, &deed.message)?;
    shown(json!({"sha": sha}))
}

fn push(world: &mut World, deed: &Deed, branch: &str, message: &str) -> Result<String, Refusal> {
    let actor = world.person(&deed.user)?;
    let repo = world.repository(&deed.repo)?;
    let changes = deed.files.iter().map(|(path, content)| Change::text(path, content)).collect();
    let email = format!("{}@example.com", actor.login);
    let author = (actor.login.as_str(), email.as_str());
    let from = Some(repo.default_branch.as_str());
    let sha = repo_git::commit_changes(&repo.path, branch, from, changes, message, author)?;
    world.follow_branches(&deed.repo, &actor)?;
    Ok(sha)
}

/// Opens a pull request; with `files` it makes the head branch with a commit first.
async fn pull(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    if !deed.files.is_empty() {
        push(&mut world, &deed, &deed.head, &deed.title)?;
    }
    let base = deed.base.clone().unwrap_or(world.repository(&deed.repo)?.default_branch.clone());
    let (title, head) = (deed.title.clone(), deed.head.clone());
    let new = NewPull { title, head, base, body: Some(deed.body.clone()), draft: false, fork_of: None };
    shown(world.open_pull(&deed.repo, &actor, &new)?)
}

async fn merge(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    shown(json!({"sha": world.merge_pull(&deed.repo, deed.number, &actor)?}))
}

async fn review_comment(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    let new = crate::act::NewReviewComment { body: deed.body.clone(), ..Default::default() };
    shown(world.add_review_comment(&deed.repo, deed.number, &actor, &new)?)
}

async fn review(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    let known = ["APPROVED", "CHANGES_REQUESTED", "COMMENTED"];
    let state = if deed.state.is_empty() { "COMMENTED" } else { deed.state.as_str() };
    if !known.contains(&state) {
        return Err(Refusal::new(422, "state is APPROVED, CHANGES_REQUESTED or COMMENTED"));
    }
    shown(world.add_review(&deed.repo, deed.number, &actor, state, &deed.body)?)
}

/// Reacts on the issue, or on one of its comments when `comment` names it.
async fn react(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&deed.user)?;
    let subject = deed.comment.map_or(Subject::Issue(deed.number), Subject::Comment);
    shown(world.react(&deed.repo, subject, &actor, &deed.content)?.0)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PressOrder {
    repo: String,
    user: String,
    check_run: u64,
    identifier: String,
}

/// Presses a button that the App put on a check run.
async fn press(State(core): State<Shared>, Order(order): Order<PressOrder>) -> Answer {
    let mut world = core.write();
    let actor = world.person(&order.user)?;
    world.press_check_action(&order.repo, order.check_run, &actor, &order.identifier)?;
    shown(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookOrder {
    url: String,
}

async fn webhook(State(core): State<Shared>, Order(order): Order<WebhookOrder>) -> Answer {
    core.write().app.webhook_url = Some(order.url);
    shown(json!({}))
}

async fn ping(State(core): State<Shared>) -> Answer {
    core.write().emit_ping();
    shown(json!({}))
}
