//! A button that somebody pressed on an approval's check run: it counts as the command by that person.

use super::check_key;
use super::decide::{Decider, Found, Undone, Verb, decide, find};
use crate::authorize::permission::Permission;
use crate::publish::approval::{APPROVE, CHECK_PREFIX, REJECT, Undecided, button_comment, undecided_part};
use crate::publish::notice;
use crate::server::intake::LookError;
use crate::server::{Server, access, decided, locate};
use crate::store::models::{Effect, EffectPayload, TaskView};
use crate::store::{ApprovalRow, Intake};
use crate::webhook::event::Pressed;

/// Decides what a press leads to; reads GitHub and the store, and writes neither.
pub(in crate::server) async fn look(server: &Server, event: &Pressed) -> Result<Intake, LookError> {
    let verb = match event.identifier.as_str() {
        APPROVE => Verb::Approve,
        REJECT => Verb::Reject,
        _ => return Ok(ignored("the button is none of an approval")),
    };
    let Some(digest) = event.external_id.strip_prefix(CHECK_PREFIX) else {
        return Ok(ignored("the check run asks for no approval"));
    };
    let Found::One(found) = find(server, event.home.id, None, digest).await? else {
        return Ok(ignored("the check run is that of no approval of this repository"));
    };
    let (approval, task) = &*found;
    let written = server.store.remote_id(&check_key(digest)).await?;
    if approval.base_commit != event.head_sha || written.is_some_and(|id| id != event.check_run) {
        return Ok(ignored("the check run is not the one that asks for this approval"));
    }
    let (home, sender) = (&event.home, &event.sender);
    let location = locate::find_anew(server, home.id, home.installation_id, &home.name.to_string()).await?;
    let place = location.place();
    let who = (sender.login.as_str(), sender.id);
    let accounts = access::accounts(&server.github, place, [who, who]).await?;
    if let Some((_, _, found)) = access::stranger(&server.config, &accounts) {
        let needed = Permission::from(server.config.authorize.minimum_permission);
        return Ok(refusal(event, task, found, needed));
    }
    let reason = match verb {
        Verb::Approve => "",
        Verb::Reject => "by the button of the check run",
    };
    let decider = Decider { who: sender, reason };
    Ok(match decide(server, place, (approval, task), decider, verb).await? {
        Ok(decided) => Intake { decided: vec![decided], ..Intake::default() },
        Err(undone) => answer(event, approval, task, undone),
    })
}

pub(in crate::server) fn ignored(reason: &str) -> Intake {
    Intake { ignored: Some(reason.to_owned()), ..Intake::default() }
}

pub(in crate::server) fn refusal(
    event: &Pressed,
    task: &TaskView,
    found: Permission,
    needed: Permission,
) -> Intake {
    let login = &event.sender.login;
    let key = format!("refused:{}:{}:{}", event.home.id, task.brief.thread_number, event.sender.id);
    let body = notice::refusal_comment(login, found.as_str(), needed.as_str(), &key);
    let ignored = Some(format!("`{login}` has the permission `{found}` only"));
    let error = format!("the permission is `{found}` only");
    let audit = vec![decided::pressed(event, task.brief.thread_number, task.id, &error)];
    Intake { effects: vec![comment(task, key, body)], ignored, audit, ..Intake::default() }
}

/// Tells once a person, for each approval, why a press decided nothing.
fn answer(event: &Pressed, approval: &ApprovalRow, task: &TaskView, undone: Undone) -> Intake {
    let key = format!("press:{}:{}", approval.digest, event.sender.id);
    let part = undecided_part(undone.told(task, approval, &event.sender.login));
    let audit = vec![decided::pressed(event, task.brief.thread_number, task.id, &part)];
    let effects = vec![comment(task, key.clone(), button_comment(&part, &key))];
    Intake { effects, audit, ..Intake::default() }
}

fn comment(task: &TaskView, key: String, body: String) -> Effect {
    let marker = body.lines().next().unwrap_or_default().to_owned();
    Effect::for_brief(&task.brief, key, EffectPayload::Comment { marker, body })
}

impl Undone {
    /// Returns it as it is told.
    pub(in crate::server) fn told<'a>(
        self,
        task: &'a TaskView,
        approval: &'a ApprovalRow,
        login: &'a str,
    ) -> Undecided<'a> {
        match self {
            Self::Late => Undecided::Late(task, approval),
            Self::Expired => Undecided::Expired(task),
            Self::Gone => Undecided::Gone(task),
            Self::Unfit(unfit) => Undecided::Unfit(task, login, unfit),
        }
    }
}
