//! `/work publish`.

use super::{Meant, Mood, Obeyed, Scene};
use crate::command::TaskName;
use crate::publish::answer;
use crate::queue::verdict::{PublishVerdict, publish_verdict};
use crate::server::{access, intake::LookError, operate};
use crate::store::models::TaskFilter;

pub(super) async fn publish(
    scene: Scene<'_>,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), LookError> {
    let open = TaskFilter { open_only: true, ..scene.thread() };
    let tasks = match scene.meant(name, open).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.say(Mood::Not, part);
            return Ok(());
        }
    };
    let asker = scene.asker("`/work publish` in the thread");
    let before = obeyed.said.len();
    for task in &tasks {
        if name.is_none() && publish_verdict(task.state, task.publishing) != PublishVerdict::Publish {
            continue;
        }
        let who = (asker.actor, asker.actor_id.unwrap_or_default());
        let repository = scene.event.home.id;
        if access::is_kept_out(scene.server, scene.place, repository, &task.lane, who).await? {
            obeyed.say(Mood::Not, answer::kept_out_part(task, who.0));
            continue;
        }
        let (mut verdict, change) = operate::publish(task, asker);
        match change {
            Some(change) if !obeyed.touches(task.id) => {
                obeyed.changes.push(change);
            }
            Some(_) => verdict = PublishVerdict::Publishing,
            None => {}
        }
        let mood = match verdict {
            PublishVerdict::Publish => Mood::Done,
            PublishVerdict::Publishing => Mood::Told,
            _ => Mood::Not,
        };
        obeyed.say(mood, answer::publish_part(task, verdict));
    }
    if obeyed.said.len() == before {
        obeyed.say(Mood::Told, answer::nothing_to_publish());
    }
    Ok(())
}
