//! `/status`, `/help` and `/ask`: what can be told without any brief.

use super::{Mood, Obeyed, Scene};
use crate::authorize::commands::needed;
use crate::authorize::lanes::any_covers;
use crate::command::{Entry, TABLE};
use crate::publish::about::{LaneStanding, ask_part, health_part, help_part};
use crate::server::health;
use crate::store::StoreError;

pub(super) async fn health(scene: Scene<'_>, obeyed: &mut Obeyed) -> Result<(), StoreError> {
    let server = scene.server;
    let (health, queued) = (health::look(server).await, server.store.queued_by_lane().await?);
    let mut lanes = Vec::new();
    for config in &server.config.lanes {
        // What other repositories have is none of this one's business.
        if !config.repositories.is_empty() && !any_covers(&config.repositories, &scene.event.home.name) {
            continue;
        }
        let now = health.lanes.get(&config.name);
        lanes.push(LaneStanding {
            config,
            available: now.is_some_and(|now| now.available),
            running: now.map_or(0, |now| now.running),
            queued: queued.get(&config.name).copied().unwrap_or_default(),
        });
    }
    obeyed
        .say(Mood::Told, health_part(&health.problems(), health.version, &lanes, &server.public_warnings()));
    Ok(())
}

pub(super) fn ask(obeyed: &mut Obeyed) {
    obeyed.say(Mood::Not, ask_part());
}

pub(super) fn help(scene: Scene<'_>, obeyed: &mut Obeyed) {
    let config = &scene.server.config;
    let may = |entry: &Entry| {
        needed(&config.authorize, &config.commands, entry.name)
            .is_some_and(|needed| needed <= scene.permission)
    };
    let entries: Vec<Entry> = TABLE.into_iter().filter(may).collect();
    obeyed.say(Mood::Told, help_part(&entries));
}
