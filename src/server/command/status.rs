//! `/work status` and `/work plan`.

use super::{Meant, Mood, Obeyed, Scene};
use crate::brief::{self, Origin};
use crate::command::TaskName;
use crate::publish::answer;
use crate::publish::plan::plan_part;
use crate::publish::status::status_table;
use crate::server::{approval, operate};
use crate::store::StoreError;
use crate::store::models::TaskFilter;

/// The newest briefs of a thread that a plan shows; each can have a long table.
const MOST_PLANNED: u32 = 2;

pub(super) async fn status(
    scene: Scene<'_>,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), StoreError> {
    let tasks = match scene.meant(name, scene.thread()).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.say(Mood::Not, part);
            return Ok(());
        }
    };
    if tasks.is_empty() {
        obeyed.say(Mood::Told, answer::nothing_known());
        return Ok(());
    }
    let mut lines = Vec::new();
    for task in &tasks {
        lines.push(operate::line(&scene.server.store, task).await?);
    }
    obeyed.say(Mood::Told, status_table(&lines));
    Ok(())
}

pub(super) async fn plan(
    scene: Scene<'_>,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), StoreError> {
    let newest = TaskFilter { most: MOST_PLANNED, ..scene.thread() };
    let tasks = match scene.meant(name, newest).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.say(Mood::Not, part);
            return Ok(());
        }
    };
    if tasks.is_empty() {
        obeyed.say(Mood::Told, answer::nothing_known());
    }
    let server = scene.server;
    for task in &tasks {
        let lane = server.config.lanes.iter().find(|lane| lane.name == task.lane);
        let brief = brief::parse(&task.brief.text, &Origin::document()).ok();
        let commands = match &brief {
            Some(brief) => approval::table_text(server, brief).await,
            None => None,
        };
        obeyed.say(Mood::Told, plan_part(task, brief.as_ref(), lane, commands.as_deref()));
    }
    Ok(())
}
