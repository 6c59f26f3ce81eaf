//! `/stop` and `/work cancel`.

use super::{Meant, Mood, Obeyed, Scene};
use crate::command::TaskName;
use crate::publish::answer;
use crate::queue::verdict::{CancelVerdict, StopVerdict, cancel_verdict};
use crate::server::operate;
use crate::store::models::TaskFilter;
use crate::store::{Act, StoreError};

pub(super) async fn stop(
    scene: Scene<'_>,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), StoreError> {
    let open = TaskFilter {
        open_only: true,
        // What was asked for after the stop was written is not meant by it, however late it comes.
        written_until_ms: Some(scene.event.updated_at_ms),
        ..scene.thread()
    };
    let tasks = match scene.meant(name, open).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.say(Mood::Not, part);
            return Ok(());
        }
    };
    if tasks.is_empty() {
        let last = scene.server.store.tasks(&TaskFilter { most: 1, ..scene.thread() }).await?;
        obeyed.say(Mood::Told, answer::nothing_to_stop(last.first()));
    }
    if name.is_none() {
        // A brief from before that comes late is meant, too.
        obeyed.stopped = true;
    }
    let asker = scene.asker("`/stop` in the thread");
    for task in &tasks {
        let (mut verdict, change) = operate::stop(task, asker);
        if change.is_some() {
            // A stop wins over what the same text wanted of the task before.
            obeyed.decided.retain(|other| other.task != task.id);
            obeyed
                .changes
                .retain(|other| other.task != task.id || matches!(other.act, Act::Cancel | Act::Stop));
        }
        match change {
            Some(change) if !obeyed.touches(task.id) => {
                obeyed.changes.push(change);
            }
            // Another command of the same text has it already.
            Some(_) => verdict = StopVerdict::Ending,
            None => {}
        }
        let mood = if verdict == StopVerdict::End { Mood::Seen } else { Mood::Told };
        obeyed.say(mood, answer::stop_part(task, verdict));
    }
    Ok(())
}

pub(super) async fn cancel(
    scene: Scene<'_>,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), StoreError> {
    let open =
        TaskFilter { open_only: true, written_until_ms: Some(scene.event.updated_at_ms), ..scene.thread() };
    let tasks = match scene.meant(name, open).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.say(Mood::Not, part);
            return Ok(());
        }
    };
    let asker = scene.asker("`/work cancel` in the thread");
    let before = obeyed.said.len();
    for task in &tasks {
        // Without a name, what waits is meant, and what runs is not.
        if name.is_none() && cancel_verdict(task.state) != CancelVerdict::Cancel {
            continue;
        }
        let (verdict, change) = operate::cancel(task, asker);
        let mood = if change.is_some() { Mood::Done } else { Mood::Not };
        if let Some(change) = change.filter(|_| !obeyed.touches(task.id)) {
            obeyed.changes.push(change);
        }
        obeyed.say(mood, answer::cancel_part(task, verdict));
    }
    if obeyed.said.len() == before {
        obeyed.say(Mood::Told, answer::nothing_to_cancel());
    }
    Ok(())
}
