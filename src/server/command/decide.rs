//! `/approve` and `/reject`: the approval that a digest names in this thread; what comes of it shows where it
//! was asked for.

use super::{Mood, Obeyed, Scene};
use crate::command::Decision;
use crate::publish::approval::{Undecided, undecided_part};
use crate::server::approval::{self, Decider, Found, Verb};
use crate::server::intake::LookError;

pub(super) async fn approve(
    scene: Scene<'_>,
    wanted: &Decision,
    obeyed: &mut Obeyed,
) -> Result<(), LookError> {
    decide(scene, wanted, Verb::Approve, obeyed).await
}

pub(super) async fn reject(
    scene: Scene<'_>,
    wanted: &Decision,
    obeyed: &mut Obeyed,
) -> Result<(), LookError> {
    decide(scene, wanted, Verb::Reject, obeyed).await
}

async fn decide(
    scene: Scene<'_>,
    wanted: &Decision,
    verb: Verb,
    obeyed: &mut Obeyed,
) -> Result<(), LookError> {
    let Scene { server, event, place, .. } = scene;
    let digest = wanted.digest.as_str();
    let part = match approval::find(server, event.home.id, Some(event.thread.number), digest).await? {
        Found::Nothing => undecided_part(Undecided::Unknown(digest)),
        Found::Shortened(several) => undecided_part(Undecided::Shortened(digest, several)),
        Found::One(found) if obeyed.touches(found.1.id) => undecided_part(Undecided::Twice(&found.1)),
        Found::One(found) => {
            let (asked, task) = &*found;
            let decider = Decider { who: &event.sender, reason: &wanted.reason };
            match approval::decide(server, place, (asked, task), decider, verb).await? {
                Ok(decided) => {
                    obeyed.decided.push(decided);
                    obeyed.say(Mood::Done, crate::publish::answer::decided_part(task));
                    return Ok(());
                }
                Err(undone) => undecided_part(undone.told(task, asked, &event.sender.login)),
            }
        }
    };
    obeyed.say(Mood::Not, part);
    Ok(())
}
