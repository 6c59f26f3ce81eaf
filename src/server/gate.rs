//! The gate of a repository: which of its labels count on a thread, what waits for them, and what a change of
//! a label leads to.

use super::attempt::problem;
use super::intake::LookError;
use super::operate::{Asker, MOST_LISTED};
use super::retry::{self, NotQueued, Queued};
use super::{Server, access, locate, refusal};
use crate::authorize::gate::{AUTO, ENABLED, GateLabels, Passage, passage};
use crate::authorize::permission::Permission;
use crate::authorize::policy::Decision;
use crate::config::Gate;
use crate::error::UserError;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::publish::gate::{Standing, gate_comment};
use crate::publish::{answer, notice};
use crate::queue::label::StateLabel;
use crate::queue::task::{BlockReason, TaskState};
use crate::run::report::Problem;
use crate::store::models::{BriefRow, ClaimedTask, Effect, EffectPayload, TaskFilter, TaskView};
use crate::store::{Intake, StoreError};
use crate::webhook::event::Labelled;

/// The labels of a gate, each with its colour and what GitHub shows beside it.
const LABELS: [(&str, &str, &str); 2] = [
    (ENABLED, "bfd4f2", "Briefs of this thread may run"),
    (AUTO, "5319e7", "Briefs of this thread run by themselves"),
];

/// Makes the labels of a gate in a repository; those that are there stay as they are.
pub(super) async fn make_labels(server: &Server, place: Place<'_>) -> Result<(), GitHubError> {
    for (name, color, description) in LABELS {
        server.github.create_label(place, name, color, description).await?;
    }
    Ok(())
}

/// Whose word counts beside the labels that GitHub tells of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct By<'a> {
    /// Names who started the brief.
    pub(super) started: Option<(&'a str, u64)>,
    /// Names a label that was just put on, which GitHub may not list yet among what happened, and by whom.
    pub(super) labelled: Option<(&'a str, (&'a str, u64))>,
}

/// Tells what the gate lets a brief of a lane do now. Whoever labelled the thread or started the brief must
/// still be somebody who may run it.
pub(super) async fn look_at(
    server: &Server,
    place: Place<'_>,
    row: &BriefRow,
    (lane, gate): (&str, Gate),
    by: By<'_>,
) -> Result<Passage, GitHubError> {
    if gate == Gate::None {
        return Ok(Passage::Open);
    }
    let repository = row.source.repository_id;
    let there = server.github.labels(place, row.thread_number).await?;
    let carries = |name: &str| there.iter().any(|label| label.eq_ignore_ascii_case(name));
    let mut labels = GateLabels { enabled: carries(ENABLED), auto: carries(AUTO) };
    if labels != GateLabels::default() {
        let mut labellers = server.github.labellers(place, row.thread_number).await?;
        if let Some((label, (login, id))) = by.labelled {
            labellers.insert(label.to_lowercase(), (login.to_owned(), id));
        }
        for (name, counts) in [(ENABLED, &mut labels.enabled), (AUTO, &mut labels.auto)] {
            // Who may only sort issues can label them, and an issue's form labels for its author.
            *counts = *counts
                && match labellers.get(name) {
                    Some((login, id)) => {
                        !access::is_kept_out(server, place, repository, lane, (login, *id)).await?
                    }
                    None => false,
                };
        }
    }
    let started = match by.started {
        Some(who) => !access::is_kept_out(server, place, repository, lane, who).await?,
        None => false,
    };
    Ok(passage(gate, labels, started))
}

/// Tells what a new brief waits for, if its gate is shut; the thread is told once.
pub(super) async fn first(
    server: &Server,
    place: Place<'_>,
    row: &BriefRow,
    lane: &str,
    decision: &Decision,
    intake: &mut Intake,
) -> Result<bool, GitHubError> {
    let passage = look_at(server, place, row, (lane, decision.bounds.gate), By::default()).await?;
    let Some(why) = says(passage) else { return Ok(false) };
    tracing::info!(brief = row.id.short(), rule = decision.bounds.gate_rule, why, "the gate is shut");
    intake.shut.push((row.id, why));
    let told = told(server, row, Standing::Shut(passage));
    intake.effects.retain(|effect| effect.key != told.key);
    intake.effects.push(told);
    Ok(true)
}

/// Tells why a run does not begin, if the gate was shut meanwhile.
pub(super) async fn before_run(
    server: &Server,
    place: Place<'_>,
    task: &ClaimedTask,
    decision: &Decision,
) -> Result<Option<Problem>, LookError> {
    if decision.bounds.gate == Gate::None {
        return Ok(None);
    }
    let started = server.store.started_by(task.id).await?;
    let started = started.as_ref().map(|(login, id)| (login.as_str(), *id));
    let gate = (task.lane.as_str(), decision.bounds.gate);
    let passage = look_at(server, place, &task.brief, gate, By { started, labelled: None }).await?;
    Ok((passage != Passage::Open).then(|| shut(passage)))
}

/// Tells that the gate of a brief is shut.
pub(super) fn shut(passage: Passage) -> Problem {
    let help = match passage {
        Passage::Label(label) => format!(
            "Let somebody who may run briefs add the label `{label}` to the thread, then write `/work start`, or `/work retry` where it has ended."
        ),
        _ => "Write `/work start` in the thread, or let somebody who may run briefs add the label `codex:auto`."
            .to_owned(),
    };
    let what = says(passage).unwrap_or_default();
    problem("gate-shut", format!("The brief may not run: it waits for {what}."), &help)
}

/// Tells in a few words what a brief waits for.
fn says(passage: Passage) -> Option<String> {
    match passage {
        Passage::Open => None,
        Passage::Start => Some("`/work start`".to_owned()),
        Passage::Label(label) => Some(format!("the label `{label}`")),
    }
}

/// Owes the one comment of a thread about its gate.
pub(super) fn told(server: &Server, row: &BriefRow, standing: Standing<'_>) -> Effect {
    let needed = Permission::from(server.config.authorize.minimum_permission);
    let key = format!("gate:{}:{}", row.source.repository_id, row.thread_number);
    let body = gate_comment(standing, needed.as_str(), &key);
    let marker = body.lines().next().unwrap_or_default().to_owned();
    Effect::for_brief(row, key, EffectPayload::Comment { marker, body })
}

/// Decides what a change of a label leads to; reads GitHub and the store, and writes neither.
pub(super) async fn look(server: &Server, event: &Labelled) -> Result<Intake, LookError> {
    let is = |name: &str| event.label.eq_ignore_ascii_case(name);
    if StateLabel::ALL.into_iter().any(|label| is(label.as_str())) {
        return Ok(restore(server, event));
    }
    if !event.put_on || !(is(ENABLED) || is(AUTO)) {
        return Ok(ignored("nothing waits for this label"));
    }
    let waiting = waiting(server, event.home.id, event.thread.number).await?;
    if waiting.is_empty() {
        return Ok(ignored("nothing of the thread waits for a label"));
    }
    let (home, sender) = (&event.home, &event.sender);
    let location = locate::find_anew(server, home.id, home.installation_id, &home.name.to_string()).await?;
    let place = location.place();
    let asker = Asker {
        actor: &sender.login,
        actor_id: Some(sender.id),
        why: &format!("the label `{}`", event.label),
    };
    let mut intake = Intake::default();
    let mut shut = None;
    for task in &waiting {
        let also = u32::try_from(intake.changes.len()).unwrap_or(u32::MAX);
        match retry::open_task(server, place, task, &event.label, asker, also).await? {
            Ok(queued) => take(&mut intake, queued),
            Err(why) => shut = Some((task, why)),
        }
    }
    if let Some(task) = waiting.first().filter(|_| !intake.changes.is_empty() && shut.is_none()) {
        intake.effects.push(told(server, &task.brief, Standing::Opened(&sender.login, &event.label)));
    }
    if let Some((task, why)) = shut {
        intake.effects.extend(unopened(server, place, event, task, why).await?);
        if intake.changes.is_empty() {
            intake.ignored = Some("the label lets nothing run that waits".to_owned());
        }
    }
    Ok(intake)
}

/// Puts what queues a task into what is written about a delivery.
pub(super) fn take(intake: &mut Intake, queued: Queued) {
    intake.changes.push(queued.change);
    intake.asks.extend(queued.ask);
    intake.rulings.insert(queued.lane, queued.ruling);
}

/// Tells the thread why a label opened nothing: it waits for something else, or whoever put it on may not.
async fn unopened(
    server: &Server,
    place: Place<'_>,
    event: &Labelled,
    task: &TaskView,
    why: NotQueued,
) -> Result<Vec<Effect>, LookError> {
    let who = (event.sender.login.as_str(), event.sender.id);
    if access::is_kept_out(server, place, event.home.id, &task.lane, who).await? {
        if event.sender.kind != "User" {
            return Ok(vec![]);
        }
        let (repository, thread) = (event.home.id, event.thread.number);
        let of = format!("label:{}", event.sender.id);
        let Some(key) = refusal::key_of(server, event.home.installation_id, repository, thread, &of).await?
        else {
            return Ok(vec![]);
        };
        let error = UserError::new(
            "label-not-counted",
            format!(
                "`{}` may not run briefs here, so the label `{}` that they added does not count.",
                who.0, event.label
            ),
            "Somebody who may run briefs takes the label away and adds it again.",
        );
        return Ok(vec![comment(task, key.clone(), notice::policy_comment(&error, &key))]);
    }
    Ok(match why {
        NotQueued::Gate(passage) => vec![told(server, &task.brief, Standing::Shut(passage))],
        NotQueued::Problem(problem) => {
            let key = format!("unopened:{}:{}", task.brief.id, problem.code);
            let part = answer::not_queued_part(task, &problem);
            vec![comment(task, key.clone(), answer::answer_comment(&[part], &key))]
        }
    })
}

fn comment(task: &TaskView, key: String, body: String) -> Effect {
    let marker = body.lines().next().unwrap_or_default().to_owned();
    Effect::for_brief(&task.brief, key, EffectPayload::Comment { marker, body })
}

/// Puts a label of state right that a person changed; what a program changes is put right with the next change
/// of a task, so that two programs do not fight.
fn restore(server: &Server, event: &Labelled) -> Intake {
    if event.sender.kind != "User" || !server.config.github.labels {
        return ignored("a program changed a label of state");
    }
    Intake { relabel: Some((event.home.id, event.thread.number)), ..Intake::default() }
}

/// Returns the tasks of a thread that wait to be started.
pub(super) async fn waiting(
    server: &Server,
    repository: u64,
    thread: u64,
) -> Result<Vec<TaskView>, StoreError> {
    let open = TaskFilter {
        repository: Some(repository),
        thread: Some(thread),
        open_only: true,
        most: MOST_LISTED,
        ..TaskFilter::default()
    };
    let mut tasks = server.store.tasks(&open).await?;
    tasks.retain(|task| task.state == TaskState::Blocked(BlockReason::AwaitingStart));
    // Newest first in the store; the oldest is to run first.
    tasks.reverse();
    Ok(tasks)
}

fn ignored(reason: &str) -> Intake {
    Intake { ignored: Some(reason.to_owned()), ..Intake::default() }
}
