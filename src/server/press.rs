//! A button that somebody pressed on a check run: it counts as the command by that person.

use super::intake::LookError;
use super::operate::{self, Asker};
use super::{Server, access, approval, decided, gate, locate, retry};
use crate::authorize::commands::needed;
use crate::command::Name;
use crate::publish::answer;
use crate::publish::approval::{CHECK_PREFIX, button_comment};
use crate::publish::check_run::{RERUN, STOP};
use crate::store::models::{Effect, EffectPayload, TaskFilter, TaskView};
use crate::store::{Intake, check_key};
use crate::webhook::event::Pressed;

/// The length of a run's id, a UUID.
const RUN_ID: usize = 36;

/// Decides what a press leads to; reads GitHub and the store, and writes neither.
pub(super) async fn look(server: &Server, event: &Pressed) -> Result<Intake, LookError> {
    if event.external_id.starts_with(CHECK_PREFIX) {
        return approval::look(server, event).await;
    }
    let (command, why) = match event.identifier.as_str() {
        STOP => (Name::Stop, "the button of its check run"),
        RERUN => (Name::Retry, "the re-run of its check run"),
        _ => return Ok(approval::ignored("the check run asks for no approval")),
    };
    let Some(task) = task_of(server, event).await? else {
        return Ok(approval::ignored("the check run is that of no run of this repository"));
    };
    let (home, sender) = (&event.home, &event.sender);
    let location = locate::find_anew(server, home.id, home.installation_id, &home.name.to_string()).await?;
    let place = location.place();
    let who = (sender.login.as_str(), sender.id);
    let accounts = access::accounts(&server.github, place, [who, who]).await?;
    let found = access::least(&server.config, &accounts);
    let Some(needed) = needed(&server.config.authorize, &server.config.commands, command) else {
        return Ok(approval::ignored("the command of the button is switched off"));
    };
    if found < needed {
        return Ok(approval::refusal(event, &task, found, needed));
    }
    if access::is_kept_out(server, place, home.id, &task.lane, who).await? {
        let told = answer::kept_out_part(&task, who.0);
        return Ok(answered(event, &task, &told));
    }
    let asker = Asker { actor: who.0, actor_id: Some(who.1), why };
    if command == Name::Retry {
        return Ok(match retry::retry_task(server, place, &task, asker, 0).await? {
            Ok(queued) => {
                let mut intake = Intake::default();
                gate::take(&mut intake, queued);
                intake
            }
            Err(told) => answered(event, &task, &told),
        });
    }
    Ok(match operate::stop(&task, asker) {
        (_, Some(change)) => Intake { changes: vec![change], ..Intake::default() },
        (verdict, None) => answered(event, &task, &answer::stop_part(&task, verdict)),
    })
}

/// Returns the task whose run a check run shows: the one that the server wrote, beside its commit.
async fn task_of(server: &Server, event: &Pressed) -> Result<Option<TaskView>, LookError> {
    let run = &event.external_id;
    if run.len() != RUN_ID {
        return Ok(None);
    }
    let mut written = Vec::new();
    for key in [check_key(run), format!("{}:published", check_key(run))] {
        written.extend(server.store.remote_id(&key).await?);
    }
    if !written.is_empty() && !written.contains(&event.check_run) {
        return Ok(None);
    }
    let named = TaskFilter {
        repository: Some(event.home.id),
        prefix: Some(run.clone()),
        most: 1,
        ..TaskFilter::default()
    };
    Ok(server.store.tasks(&named).await?.pop())
}

/// Tells once a person, for each run and button, what came of a press that did nothing.
fn answered(event: &Pressed, task: &TaskView, told: &str) -> Intake {
    let key = format!("press:{}:{}:{}", event.external_id, event.identifier, event.sender.id);
    let body = button_comment(told, &key);
    let marker = body.lines().next().unwrap_or_default().to_owned();
    let effects = vec![Effect::for_brief(&task.brief, key, EffectPayload::Comment { marker, body })];
    let audit = vec![decided::pressed(event, task.brief.thread_number, task.id, told)];
    Intake { effects, audit, ..Intake::default() }
}
