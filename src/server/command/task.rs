//! `/task list` and `/task show`.

use super::{Meant, Mood, Obeyed, Scene};
use crate::command::TaskName;
use crate::publish::answer;
use crate::publish::task::{task_list, task_page};
use crate::server::operate;
use crate::store::StoreError;
use crate::store::models::TaskFilter;

/// How many tasks of a repository are listed.
const MOST_TASKS: u32 = 20;

pub(super) async fn list(scene: Scene<'_>, obeyed: &mut Obeyed) -> Result<(), StoreError> {
    let newest = TaskFilter { most: MOST_TASKS, ..scene.repository() };
    let lines = operate::lines(&scene.server.store, &newest).await?;
    obeyed.say(Mood::Told, task_list(&lines));
    Ok(())
}

pub(super) async fn show(scene: Scene<'_>, name: &TaskName, obeyed: &mut Obeyed) -> Result<(), StoreError> {
    let task = match scene.meant(Some(name), scene.repository()).await? {
        Meant::Tasks(mut tasks) => tasks.pop(),
        Meant::Told(part) => {
            obeyed.say(Mood::Not, part);
            return Ok(());
        }
    };
    let Some(task) = task else {
        obeyed.say(Mood::Not, answer::unknown_task(name.as_str()));
        return Ok(());
    };
    let store = &scene.server.store;
    let (line, approval) = (operate::line(store, &task).await?, store.approval_of_task(task.id).await?);
    obeyed.say(Mood::Told, task_page(&task, &line, approval.as_ref()));
    Ok(())
}
