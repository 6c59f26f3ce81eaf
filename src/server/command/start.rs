//! `/work start` and `/work retry`.

use super::{Meant, Mood, Obeyed, Scene};
use crate::command::TaskName;
use crate::publish::answer;
use crate::publish::gate::Standing;
use crate::queue::verdict::{RetryVerdict, retry_verdict};
use crate::server::gate;
use crate::server::intake::LookError;
use crate::server::retry::{Queued, retry_task, start_task};
use crate::store::models::{TaskFilter, TaskView};

/// The newest tasks of a thread that are looked through for what can be run once more.
const MOST_LOOKED: u32 = 20;

pub(super) async fn start(
    scene: Scene<'_>,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), LookError> {
    let tasks = match name {
        None => gate::waiting(scene.server, scene.event.home.id, scene.event.thread.number).await?,
        Some(_) => match scene.meant(name, scene.thread()).await? {
            Meant::Tasks(tasks) => tasks,
            Meant::Told(part) => {
                obeyed.say(Mood::Not, part);
                return Ok(());
            }
        },
    };
    if tasks.is_empty() {
        obeyed.say(Mood::Told, answer::nothing_to_start());
    }
    let mut started = None;
    for task in tasks.iter().filter(|task| !obeyed.touches(task.id)).collect::<Vec<_>>() {
        let asker = scene.asker("`/work start` in the thread");
        match start_task(scene.server, scene.place, task, asker, scene.also(obeyed)).await? {
            Ok(queued) => {
                take(obeyed, queued);
                obeyed.say(Mood::Done, answer::started_part(task));
                started = Some(task);
            }
            Err(part) => obeyed.say(Mood::Not, part),
        }
    }
    if let Some(task) = started {
        let opened = Standing::Opened(&scene.event.sender.login, "/work start");
        obeyed.effects.push(gate::told(scene.server, &task.brief, opened));
    }
    Ok(())
}

pub(super) async fn retry(
    scene: Scene<'_>,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), LookError> {
    let newest = TaskFilter { most: MOST_LOOKED, ..scene.thread() };
    let tasks = match scene.meant(name, newest).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.say(Mood::Not, part);
            return Ok(());
        }
    };
    // Without a name the newest is meant that can be; when none can, the newest tells why.
    let can = |task: &&TaskView| retry_verdict(task.state) == RetryVerdict::Retry;
    let Some(task) = tasks.iter().find(can).or(tasks.first()) else {
        obeyed.say(Mood::Told, answer::nothing_known());
        return Ok(());
    };
    if obeyed.touches(task.id) {
        obeyed.say(Mood::Not, answer::touched_part(task));
        return Ok(());
    }
    let asker = scene.asker("`/work retry` in the thread");
    match retry_task(scene.server, scene.place, task, asker, scene.also(obeyed)).await? {
        Ok(queued) => {
            take(obeyed, queued);
            obeyed.say(Mood::Done, answer::retry_part(task, RetryVerdict::Retry));
        }
        Err(part) => obeyed.say(Mood::Not, part),
    }
    Ok(())
}

fn take(obeyed: &mut Obeyed, queued: Queued) {
    obeyed.changes.push(queued.change);
    obeyed.asks.extend(queued.ask);
    obeyed.rulings.insert(queued.lane, queued.ruling);
}
