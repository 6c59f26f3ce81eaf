//! The App's own addresses: itself, its installation, tokens, and the delivery log.

use super::respond::{Answer, Asked, Reply, Sent};
use crate::act::Standing;
use crate::auth::{AsApp, Caller};
use crate::core::Shared;
use crate::log::Delivery;
use crate::refusal::Refusal;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/app", get(app))
        .route("/app-manifests/{code}/conversions", post(convert))
        .route("/app/installations", get(installations))
        .route("/app/installations/{id}", get(installation))
        .route("/app/installations/{id}/access_tokens", post(access_token))
        .route("/repos/{owner}/{repo}/installation", get(installation_of))
        .route("/app/hook/config", get(hook_config).patch(change_hook_config))
        .route("/app/hook/deliveries", get(deliveries))
        .route("/app/hook/deliveries/{id}", get(delivery))
        .route("/app/hook/deliveries/{id}/attempts", post(redeliver))
        .route("/installation/repositories", get(repositories))
        .route("/installation/token", delete(revoke))
}

async fn app(State(core): State<Shared>, _: AsApp) -> Answer {
    Ok(Reply::ok(core.read().app_json()))
}

/// Exchanges a code for the credentials of the App that was made from a manifest; asks for no other.
async fn convert(State(core): State<Shared>, Path(code): Path<String>) -> Answer {
    let mut world = core.write();
    if !world.spend_code(&code) {
        return Err(Refusal::not_found());
    }
    let credentials = json!({
        "client_secret": uuid::Uuid::now_v7().simple().to_string(),
        "webhook_secret": world.app.webhook_url.is_some().then(|| world.app.webhook_secret.clone()),
        "pem": crate::auth::PRIVATE_KEY_PEM,
    });
    Ok(Reply::created(crate::render::merged(world.app_json(), credentials)))
}

async fn installations(State(core): State<Shared>, _: AsApp, asked: Asked) -> Answer {
    let world = core.read();
    let there = world.app.standing != Standing::Gone;
    let items = there.then(|| world.installation_json()).into_iter().collect();
    Ok(Reply::page(&world.base, &asked, items))
}

fn known(world: &World, id: u64) -> Result<(), Refusal> {
    let there = world.app.installation_id == id && world.app.standing != Standing::Gone;
    if there { Ok(()) } else { Err(Refusal::not_found()) }
}

async fn installation(State(core): State<Shared>, _: AsApp, Path(id): Path<u64>) -> Answer {
    let world = core.read();
    known(&world, id)?;
    Ok(Reply::ok(world.installation_json()))
}

async fn installation_of(
    State(core): State<Shared>,
    _: AsApp,
    Path((owner, repo)): Path<(String, String)>,
) -> Answer {
    let world = core.read();
    let repo = world.repository(&format!("{owner}/{repo}"))?;
    if repo.installed && world.app.standing != Standing::Gone {
        Ok(Reply::ok(world.installation_json()))
    } else {
        Err(Refusal::not_found())
    }
}

#[derive(Deserialize)]
struct TokenOrder {
    repositories: Option<Vec<String>>,
    repository_ids: Option<Vec<u64>>,
    permissions: Option<BTreeMap<String, String>>,
}

async fn access_token(
    State(core): State<Shared>,
    _: AsApp,
    Path(id): Path<u64>,
    Sent(order): Sent<TokenOrder>,
) -> Answer {
    let mut world = core.write();
    known(&world, id)?;
    world.check_installation()?;
    let permissions = narrowed(&world.app.permissions, order.permissions)?;
    let repositories = reached(&world, order.repositories, order.repository_ids)?;
    let (token, grant) = world.issue_token(permissions, repositories);
    Ok(Reply::created(world.token_json(&token, &grant)))
}

/// Narrows what the installation grants to what was asked; more than it grants is refused.
fn narrowed(
    granted: &BTreeMap<String, String>,
    asked: Option<BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let rank = |level: &str| ["read", "write", "admin"].iter().position(|known| *known == level);
    let covered = |(name, level): (&String, &String)| {
        let held = granted.get(name).and_then(|held| rank(held));
        let implied = name == "metadata" && level == "read";
        implied || rank(level).is_some_and(|wanted| held.is_some_and(|held| held >= wanted))
    };
    if !asked.iter().all(covered) {
        return Err(Refusal::new(422, "The permissions requested are not granted to this installation."));
    }
    let mut narrowed = asked;
    narrowed.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
    Ok(narrowed)
}

fn reached(
    world: &World,
    names: Option<Vec<String>>,
    ids: Option<Vec<u64>>,
) -> Result<Option<Vec<u64>>, Refusal> {
    if names.is_none() && ids.is_none() {
        return Ok(None);
    }
    let refused = || {
        Refusal::new(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    };
    let installed = || world.repositories.iter().filter(|repo| repo.installed);
    let mut reached = Vec::new();
    for name in names.unwrap_or_default() {
        let found = installed().find(|repo| repo.name.eq_ignore_ascii_case(&name));
        reached.push(found.ok_or_else(refused)?.id);
    }
    for id in ids.unwrap_or_default() {
        reached.push(installed().find(|repo| repo.id == id).ok_or_else(refused)?.id);
    }
    Ok(Some(reached))
}

async fn revoke(State(core): State<Shared>, request: axum::extract::Request) -> Answer {
    let (parts, _) = request.into_parts();
    let token = crate::auth::given(&parts).unwrap_or_default();
    core.write().tokens.remove(token).map(|_| Reply::nothing()).ok_or_else(Refusal::bad_credentials)
}

async fn repositories(State(core): State<Shared>, caller: Caller, asked: Asked) -> Answer {
    let world = core.read();
    let reached = world.repositories.iter().filter(|repo| caller.reaches(repo));
    let items = reached.map(|repo| world.repository_json(repo)).collect();
    Ok(Reply::page_of(
        &world.base,
        &asked,
        items,
        |items, total| json!({"total_count": total, "repository_selection": "selected", "repositories": items}),
    ))
}

async fn hook_config(State(core): State<Shared>, _: AsApp) -> Answer {
    Ok(Reply::ok(config_json(&core.read())))
}

#[derive(Deserialize)]
struct HookChange {
    url: Option<String>,
    secret: Option<String>,
}

async fn change_hook_config(State(core): State<Shared>, _: AsApp, Sent(change): Sent<HookChange>) -> Answer {
    let mut world = core.write();
    if let Some(url) = change.url {
        world.app.webhook_url = Some(url);
    }
    if let Some(secret) = change.secret {
        world.app.webhook_secret = secret;
    }
    Ok(Reply::ok(config_json(&world)))
}

fn config_json(world: &World) -> Value {
    let mut config = json!({"content_type": "json", "insecure_ssl": "0", "secret": "********"});
    if let Some(url) = &world.app.webhook_url {
        config["url"] = json!(url);
    }
    config
}

async fn deliveries(State(core): State<Shared>, _: AsApp, asked: Asked) -> Answer {
    let world = core.read();
    // Newest first; the cursor is the id that the next page starts below.
    let below = asked.get("cursor").and_then(|cursor| cursor.parse::<u64>().ok()).unwrap_or(u64::MAX);
    let succeeded = |delivery: &Delivery| matches!(delivery.status_code, Some(200..400));
    let wanted = |delivery: &&Delivery| match asked.get("status") {
        Some("success") => succeeded(delivery),
        Some("failure") => !succeeded(delivery),
        _ => true,
    };
    let list = world.deliveries.iter().rev().filter(|delivery| delivery.id < below).filter(wanted);
    let items = list.map(|delivery| world.delivery_item_json(delivery)).collect();
    Ok(Reply::page_by_cursor(&world.base, &asked, items))
}

async fn delivery(State(core): State<Shared>, _: AsApp, Path(id): Path<u64>) -> Answer {
    let world = core.read();
    let found = world.deliveries.iter().find(|delivery| delivery.id == id);
    Ok(Reply::ok(world.delivery_json(found.ok_or_else(Refusal::not_found)?)))
}

async fn redeliver(State(core): State<Shared>, _: AsApp, Path(id): Path<u64>) -> Answer {
    core.write().redeliver(|delivery| delivery.id == id)?;
    Ok(Reply::accepted())
}
