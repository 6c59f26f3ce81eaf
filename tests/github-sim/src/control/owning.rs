//! What owners do: repositories and the App's installation.

use super::{Answer, Order, shown};
use crate::core::Shared;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/_sim/repositories/rename", post(rename))
        .route("/_sim/repositories/transfer", post(transfer))
        .route("/_sim/repositories/archive", post(archive))
        .route("/_sim/repositories/protect", post(protect))
        .route("/_sim/installation", post(installation))
        .route("/_sim/deliveries/forget", post(forget))
}

/// One shape for what is done to a repository; each address asks for the fields that it needs.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Deed {
    repo: String,
    name: String,
    owner: String,
    archived: Option<bool>,
    branch: String,
}

async fn rename(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let owner = world.repository(&deed.repo)?.owner.clone();
    let actor = world.person(&owner)?;
    world.rename_repository(&deed.repo, &actor, &deed.name)?;
    shown(json!({"full_name": format!("{owner}/{}", deed.name)}))
}

async fn transfer(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let (owner, name) = {
        let repo = world.repository(&deed.repo)?;
        (repo.owner.clone(), repo.name.clone())
    };
    let actor = world.person(&owner)?;
    world.transfer_repository(&deed.repo, &actor, &deed.owner)?;
    shown(json!({"full_name": format!("{}/{name}", deed.owner)}))
}

/// Archives a repository, or opens it again with `"archived": false`.
async fn archive(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let archived = deed.archived.unwrap_or(true);
    core.write().repository_mut(&deed.repo)?.archived = archived;
    shown(json!({"archived": archived}))
}

async fn protect(State(core): State<Shared>, Order(deed): Order<Deed>) -> Answer {
    let mut world = core.write();
    let protected = &mut world.repository_mut(&deed.repo)?.protected;
    protected.push(deed.branch);
    shown(json!({"protected": protected}))
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Suspend,
    Unsuspend,
    Uninstall,
    Install,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstallationOrder {
    act: Step,
}

async fn installation(State(core): State<Shared>, Order(order): Order<InstallationOrder>) -> Answer {
    let mut world = core.write();
    match order.act {
        Step::Suspend => world.suspend_installation(),
        Step::Unsuspend => world.unsuspend_installation(),
        Step::Uninstall => world.uninstall(),
        Step::Install => drop(world.install()),
    }
    shown(json!({"installation_id": world.app.installation_id}))
}

async fn forget(State(core): State<Shared>) -> Answer {
    core.write().deliveries.retain(|delivery| delivery.status_code.is_none());
    shown(json!({}))
}
