//! Obeys the commands of a text: what becomes of tasks, and what the thread is told.

use super::approval::{self, Decider, Found as Named, Verb};
use super::intake::LookError;
use super::operate::{self, Asker, MOST_LISTED};
use super::{Server, decided};
use crate::brief::{self, Origin};
use crate::command::{Command, Commands, Decision, Found, TaskName};
use crate::github::installation::Place;
use crate::publish::answer;
use crate::publish::approval::{Undecided, undecided_part};
use crate::publish::plan::plan_part;
use crate::publish::status::status_table;
use crate::queue::verdict::{PublishVerdict, StopVerdict, publish_verdict};
use crate::store::audit::Entry;
use crate::store::models::{TaskFilter, TaskView};
use crate::store::{Act, Decided, StoreError, TaskChange};
use crate::webhook::event::TextEvent;

/// The newest briefs of a thread that a plan shows; each can have a long table.
const MOST_PLANNED: u32 = 2;

/// What commands come to.
#[derive(Debug, Default)]
pub(super) struct Obeyed {
    /// Holds what becomes of tasks.
    pub(super) changes: Vec<TaskChange>,
    /// Holds what was decided on approvals.
    pub(super) decided: Vec<Decided>,
    /// Holds what the thread is told.
    pub(super) parts: Vec<String>,
    /// Tells that what is told follows from the runs themselves, so that a reaction is enough.
    pub(super) quiet: bool,
    /// Tells that everything in the thread was stopped, whatever of it comes late.
    pub(super) stopped: bool,
    /// Tells of each command, for the audit log.
    pub(super) audit: Vec<Entry>,
}

impl Obeyed {
    /// Tells whether a command of the same text does something to a task already.
    fn touches(&self, task: i64) -> bool {
        self.changes.iter().any(|other| other.task == task)
            || self.decided.iter().any(|other| other.task == task)
    }
}

/// The tasks that a command means, or why it means none.
enum Meant {
    Tasks(Vec<TaskView>),
    Told(String),
}

/// Returns the commands of a text that were not looked at before.
pub(super) async fn fresh(
    server: &Server,
    event: &TextEvent,
    commands: Commands,
) -> Result<Commands, StoreError> {
    if commands.found.is_empty() {
        return Ok(commands);
    }
    let known = server.store.known_commands(event.source).await?;
    let is_new = |found: &Found| !known.contains(&(found.words.clone(), found.nth));
    let found: Vec<Found> = commands.found.into_iter().filter(is_new).collect();
    let more = if found.is_empty() { 0 } else { commands.more };
    Ok(Commands { found, more })
}

/// Decides what commands come to; reads GitHub and the store, and writes neither.
pub(super) async fn obey(
    server: &Server,
    event: &TextEvent,
    place: Place<'_>,
    commands: &Commands,
) -> Result<Obeyed, LookError> {
    let mut obeyed = Obeyed { quiet: true, ..Obeyed::default() };
    for found in &commands.found {
        let before = obeyed.changes.len() + obeyed.decided.len();
        match &found.command {
            Ok(Command::Stop(task)) => stop(server, event, task.as_ref(), &mut obeyed).await?,
            Ok(Command::Publish(task)) => publish(server, event, task.as_ref(), &mut obeyed).await?,
            Ok(Command::Status(task)) => {
                obeyed.quiet = false;
                obeyed.parts.push(status(server, event, task.as_ref()).await?);
            }
            Ok(Command::Plan(task)) => {
                obeyed.quiet = false;
                plan(server, event, task.as_ref(), &mut obeyed).await?;
            }
            Ok(Command::Approve(wanted)) => {
                decide(server, event, place, (wanted, Verb::Approve), &mut obeyed).await?;
            }
            Ok(Command::Reject(wanted)) => {
                decide(server, event, place, (wanted, Verb::Reject), &mut obeyed).await?;
            }
            Err(usage) => {
                obeyed.quiet = false;
                obeyed.parts.push(answer::usage_part(usage));
            }
        }
        obeyed.audit.push(decided::command(
            event,
            found,
            (obeyed.changes.len() + obeyed.decided.len()).saturating_sub(before),
        ));
    }
    if commands.more > 0 {
        obeyed.quiet = false;
        obeyed.parts.push(answer::too_many_part(commands.more));
    }
    Ok(obeyed)
}

fn asker<'a>(event: &'a TextEvent, why: &'a str) -> Asker<'a> {
    Asker { actor: &event.sender.login, actor_id: Some(event.sender.id), why }
}

async fn stop(
    server: &Server,
    event: &TextEvent,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), StoreError> {
    let open = TaskFilter {
        open_only: true,
        // What was asked for after the stop was written is not meant by it, however late it comes.
        written_until_ms: Some(event.updated_at_ms),
        ..thread(event)
    };
    let tasks = match meant(server, event, name, open).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.quiet = false;
            obeyed.parts.push(part);
            return Ok(());
        }
    };
    if tasks.is_empty() {
        let last = server.store.tasks(&TaskFilter { most: 1, ..thread(event) }).await?;
        obeyed.quiet = false;
        obeyed.parts.push(answer::nothing_to_stop(last.first()));
    }
    if name.is_none() {
        // A brief from before that comes late is meant, too.
        obeyed.stopped = true;
    }
    let asker = asker(event, "`/stop` in the thread");
    for task in &tasks {
        let (mut verdict, change) = operate::stop(task, asker);
        if change.is_some() {
            // A stop wins over what the same text wanted of the task before.
            obeyed.decided.retain(|other| other.task != task.id);
            obeyed.changes.retain(|other| other.task != task.id || other.act != Act::Republish);
        }
        match change {
            Some(change) if !obeyed.touches(task.id) => {
                obeyed.changes.push(change);
            }
            // Another command of the same text has it already.
            Some(_) => verdict = StopVerdict::Ending,
            None => {}
        }
        obeyed.quiet &= verdict == StopVerdict::End;
        obeyed.parts.push(answer::stop_part(task, verdict));
    }
    Ok(())
}

async fn publish(
    server: &Server,
    event: &TextEvent,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), StoreError> {
    obeyed.quiet = false;
    let tasks = match meant(server, event, name, TaskFilter { open_only: true, ..thread(event) }).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.parts.push(part);
            return Ok(());
        }
    };
    let asker = asker(event, "`/work publish` in the thread");
    let parts = obeyed.parts.len();
    for task in &tasks {
        if name.is_none() && publish_verdict(task.state, task.publishing) != PublishVerdict::Publish {
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
        obeyed.parts.push(answer::publish_part(task, verdict));
    }
    if obeyed.parts.len() == parts {
        obeyed.parts.push(answer::nothing_to_publish());
    }
    Ok(())
}

/// Decides the approval that a digest names in this thread; what comes of it shows where it was asked for.
async fn decide(
    server: &Server,
    event: &TextEvent,
    place: Place<'_>,
    (wanted, verb): (&Decision, Verb),
    obeyed: &mut Obeyed,
) -> Result<(), LookError> {
    let digest = wanted.digest.as_str();
    let part = match approval::find(server, event.home.id, Some(event.thread.number), digest).await? {
        Named::Nothing => undecided_part(Undecided::Unknown(digest)),
        Named::Shortened(several) => undecided_part(Undecided::Shortened(digest, several)),
        Named::One(found) if obeyed.touches(found.1.id) => undecided_part(Undecided::Twice(&found.1)),
        Named::One(found) => {
            let (asked, task) = &*found;
            let decider = Decider { who: &event.sender, reason: &wanted.reason };
            match approval::decide(server, place, (asked, task), decider, verb).await? {
                Ok(decided) => {
                    obeyed.decided.push(decided);
                    return Ok(());
                }
                Err(undone) => undecided_part(undone.told(task, asked, &event.sender.login)),
            }
        }
    };
    obeyed.quiet = false;
    obeyed.parts.push(part);
    Ok(())
}

async fn status(server: &Server, event: &TextEvent, name: Option<&TaskName>) -> Result<String, StoreError> {
    let tasks = match meant(server, event, name, thread(event)).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => return Ok(part),
    };
    if tasks.is_empty() {
        return Ok(answer::nothing_known());
    }
    let mut lines = Vec::new();
    for task in &tasks {
        lines.push(operate::line(&server.store, task).await?);
    }
    Ok(status_table(&lines))
}

async fn plan(
    server: &Server,
    event: &TextEvent,
    name: Option<&TaskName>,
    obeyed: &mut Obeyed,
) -> Result<(), StoreError> {
    let tasks = match meant(server, event, name, TaskFilter { most: MOST_PLANNED, ..thread(event) }).await? {
        Meant::Tasks(tasks) => tasks,
        Meant::Told(part) => {
            obeyed.parts.push(part);
            return Ok(());
        }
    };
    if tasks.is_empty() {
        obeyed.parts.push(answer::nothing_known());
    }
    for task in &tasks {
        let lane = server.config.lanes.iter().find(|lane| lane.name == task.lane);
        let brief = brief::parse(&task.brief.text, &Origin::document()).ok();
        let commands = match &brief {
            Some(brief) => approval::table_text(server, brief).await,
            None => None,
        };
        obeyed.parts.push(plan_part(task, brief.as_ref(), lane, commands.as_deref()));
    }
    Ok(())
}

fn thread(event: &TextEvent) -> TaskFilter {
    TaskFilter {
        repository: Some(event.home.id),
        thread: Some(event.thread.number),
        most: MOST_LISTED,
        ..TaskFilter::default()
    }
}

/// Finds the tasks that a command means: the named one of the repository, or else those of a filter.
async fn meant(
    server: &Server,
    event: &TextEvent,
    name: Option<&TaskName>,
    otherwise: TaskFilter,
) -> Result<Meant, StoreError> {
    let Some(name) = name else { return Ok(Meant::Tasks(server.store.tasks(&otherwise).await?)) };
    let named = TaskFilter {
        repository: Some(event.home.id),
        prefix: Some(name.as_str().to_owned()),
        most: MOST_LISTED,
        ..TaskFilter::default()
    };
    let tasks = server.store.tasks(&named).await?;
    Ok(match tasks.len() {
        0 => Meant::Told(answer::unknown_task(name.as_str())),
        1 => Meant::Tasks(tasks),
        _ => Meant::Told(answer::ambiguous_task(name.as_str(), &tasks)),
    })
}
