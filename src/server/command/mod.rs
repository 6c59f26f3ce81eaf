//! Obeys the commands of a text, one file a noun: what becomes of tasks, and what the thread is told.

mod about;
mod decide;
mod publish;
mod start;
mod status;
mod stop;
mod task;

use std::collections::BTreeMap;

use super::intake::LookError;
use super::operate::{Asker, MOST_LISTED};
use super::{Server, access, decided};
use crate::authorize::commands::needed;
use crate::authorize::permission::Permission;
use crate::authorize::policy::Account;
use crate::command::{Command, Commands, Found, Name, TaskName};
use crate::github::installation::Place;
use crate::publish::answer;
use crate::store::audit::Entry;
use crate::store::models::{Effect, TaskFilter, TaskView};
use crate::store::{Ask, Decided, Ruling, StoreError, TaskChange};
use crate::webhook::event::TextEvent;

/// What commands come to.
#[derive(Debug, Default)]
pub(super) struct Obeyed {
    /// Holds what becomes of tasks.
    pub(super) changes: Vec<TaskChange>,
    /// Holds the approvals that those of them wait for which need one.
    pub(super) asks: Vec<Ask>,
    /// Holds what the policy says of tasks that are queued, by their lanes.
    pub(super) rulings: BTreeMap<String, Ruling>,
    /// Holds what was decided on approvals.
    pub(super) decided: Vec<Decided>,
    /// Holds what the thread is told.
    pub(super) said: Vec<Said>,
    /// Holds what else is owed to the thread.
    pub(super) effects: Vec<Effect>,
    /// Tells that everything in the thread was stopped, whatever of it comes late.
    pub(super) stopped: bool,
    /// Tells of each command, for the audit log.
    pub(super) audit: Vec<Entry>,
}

/// One answer to a command.
#[derive(Debug)]
pub(super) struct Said {
    /// Holds its text, Markdown.
    pub(super) text: String,
    /// Tells what kind of answer it is.
    pub(super) mood: Mood,
}

/// What kind of answer a text is; the first two are said by a reaction alone where there can be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mood {
    /// 👀: it is being done, and what comes of it is told where it happens.
    Seen,
    /// 👍: it is done.
    Done,
    /// The text is the answer.
    Told,
    /// 😕: it was not done, and the text tells why.
    Not,
}

impl Obeyed {
    /// Tells whether a command of the same text does something to a task already.
    fn touches(&self, task: i64) -> bool {
        self.changes.iter().any(|other| other.task == task)
            || self.decided.iter().any(|other| other.task == task)
    }

    fn say(&mut self, mood: Mood, text: String) {
        self.said.push(Said { text, mood });
    }

    /// Counts what was done so far.
    fn done(&self) -> usize {
        self.changes.len() + self.decided.len()
    }

    /// Returns the reaction that tells how it went, and whether a comment is needed beside it; `can_react` tells
    /// whether GitHub has reactions to the text.
    pub(super) fn shown(&self, can_react: bool) -> (Option<&'static str>, bool) {
        let has = |mood| self.said.iter().any(|said| said.mood == mood);
        let reaction = match (has(Mood::Not), has(Mood::Done), has(Mood::Seen)) {
            (true, ..) => Some("confused"),
            (_, true, _) => Some("+1"),
            (_, _, true) => Some("eyes"),
            _ => None,
        };
        let comment = has(Mood::Told) || has(Mood::Not) || (!can_react && !self.said.is_empty());
        (reaction.filter(|_| can_react), comment)
    }
}

/// The tasks that a command means, or why it means none.
enum Meant {
    Tasks(Vec<TaskView>),
    Told(String),
}

/// What a command is obeyed with: the text, and where it stands.
#[derive(Clone, Copy)]
struct Scene<'a> {
    server: &'a Server,
    event: &'a TextEvent,
    place: Place<'a>,
    /// Holds the least permission of those behind the text.
    permission: Permission,
    /// Counts the briefs of the text that are queued with what its commands come to.
    accepted: usize,
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

/// Commands that the people behind a text may not use.
#[derive(Debug, Default)]
pub(super) struct Denied {
    /// Holds them as they were found.
    pub(super) commands: Commands,
    /// Names each kind of them once, with the permission that it needs.
    pub(super) needs: Vec<(Name, Permission)>,
}

impl Denied {
    /// Tells whether one of them is a word that no other program listens to.
    pub(super) fn is_ours(&self) -> bool {
        self.needs.iter().any(|(name, _)| !name.is_shared())
    }
}

/// Parts commands into those that the people behind a text may use, and the others. What is switched off is in
/// neither: it is left to other programs.
pub(super) fn permitted(server: &Server, accounts: &[Account], commands: Commands) -> (Commands, Denied) {
    let least = access::least(&server.config, accounts);
    let (mut may, mut denied) = (Commands::default(), Denied::default());
    for found in commands.found {
        let name = match &found.command {
            Ok(command) => command.name(),
            Err(usage) if usage.line.to_lowercase().starts_with("/task") => Name::TaskList,
            Err(_) => Name::Status,
        };
        // Who may have no brief run is not taught how commands are written.
        let needed = match found.command {
            Ok(_) => needed(&server.config.authorize, &server.config.commands, name),
            Err(_) => Some(Permission::from(server.config.authorize.minimum_permission)),
        };
        match needed {
            Some(needed) if needed <= least => may.found.push(found),
            Some(needed) => {
                denied.commands.found.push(found);
                if !denied.needs.contains(&(name, needed)) {
                    denied.needs.push((name, needed));
                }
            }
            None => {}
        }
    }
    may.more = if may.found.is_empty() { 0 } else { commands.more };
    (may, denied)
}

/// Decides what commands come to; reads GitHub and the store, and writes neither.
pub(super) async fn obey(
    server: &Server,
    event: &TextEvent,
    place: Place<'_>,
    accounts: &[Account],
    commands: &Commands,
    accepted: usize,
) -> Result<Obeyed, LookError> {
    let mut obeyed = Obeyed::default();
    let permission = access::least(&server.config, accounts);
    let scene = Scene { server, event, place, permission, accepted };
    for found in &commands.found {
        let before = obeyed.done();
        match &found.command {
            Ok(command) => obey_one(scene, command, &mut obeyed).await?,
            Err(usage) => obeyed.say(Mood::Not, answer::usage_part(usage)),
        }
        obeyed.audit.push(decided::command(event, found, obeyed.done().saturating_sub(before)));
    }
    if commands.more > 0 {
        obeyed.say(Mood::Not, answer::too_many_part(commands.more));
    }
    Ok(obeyed)
}

async fn obey_one(scene: Scene<'_>, command: &Command, obeyed: &mut Obeyed) -> Result<(), LookError> {
    match command {
        Command::Stop(task) => stop::stop(scene, task.as_ref(), obeyed).await?,
        Command::Cancel(task) => stop::cancel(scene, task.as_ref(), obeyed).await?,
        Command::Publish(task) => publish::publish(scene, task.as_ref(), obeyed).await?,
        Command::Start(task) => start::start(scene, task.as_ref(), obeyed).await?,
        Command::Retry(task) => start::retry(scene, task.as_ref(), obeyed).await?,
        Command::Status(task) => status::status(scene, task.as_ref(), obeyed).await?,
        Command::Plan(task) => status::plan(scene, task.as_ref(), obeyed).await?,
        Command::Approve(wanted) => decide::approve(scene, wanted, obeyed).await?,
        Command::Reject(wanted) => decide::reject(scene, wanted, obeyed).await?,
        Command::TaskList => task::list(scene, obeyed).await?,
        Command::TaskShow(name) => task::show(scene, name, obeyed).await?,
        Command::Health => about::health(scene, obeyed).await?,
        Command::Ask => about::ask(obeyed),
        Command::Help => about::help(scene, obeyed),
    }
    Ok(())
}

impl<'a> Scene<'a> {
    /// Counts what is queued already by this text.
    fn also(&self, obeyed: &Obeyed) -> u32 {
        let changes = obeyed.changes.iter().filter(|change| change.act.queues()).count();
        u32::try_from(self.accepted + changes).unwrap_or(u32::MAX)
    }

    fn asker(&self, why: &'a str) -> Asker<'a> {
        Asker { actor: &self.event.sender.login, actor_id: Some(self.event.sender.id), why }
    }

    /// Returns a filter for the tasks of the thread.
    fn thread(&self) -> TaskFilter {
        TaskFilter { thread: Some(self.event.thread.number), ..self.repository() }
    }

    /// Returns a filter for the tasks of the repository.
    fn repository(&self) -> TaskFilter {
        TaskFilter { repository: Some(self.event.home.id), most: MOST_LISTED, ..TaskFilter::default() }
    }

    /// Finds the tasks that a command means: the named one of the repository, or else those of a filter.
    async fn meant(&self, name: Option<&TaskName>, otherwise: TaskFilter) -> Result<Meant, StoreError> {
        let store = &self.server.store;
        let Some(name) = name else { return Ok(Meant::Tasks(store.tasks(&otherwise).await?)) };
        let named = TaskFilter { prefix: Some(name.as_str().to_owned()), ..self.repository() };
        let tasks = store.tasks(&named).await?;
        Ok(match tasks.len() {
            0 => Meant::Told(answer::unknown_task(name.as_str())),
            1 => Meant::Tasks(tasks),
            _ => Meant::Told(answer::ambiguous_task(name.as_str(), &tasks)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_enough_unless_something_is_to_be_said() {
        let shown = |moods: &[Mood], can_react| {
            let said = |mood: &Mood| Said { text: String::new(), mood: *mood };
            Obeyed { said: moods.iter().map(said).collect(), ..Obeyed::default() }.shown(can_react)
        };
        assert_eq!(shown(&[], true), (None, false));
        assert_eq!(shown(&[Mood::Seen], true), (Some("eyes"), false));
        assert_eq!(shown(&[Mood::Seen, Mood::Done], true), (Some("+1"), false));
        assert_eq!(shown(&[Mood::Told], true), (None, true));
        assert_eq!(shown(&[Mood::Done, Mood::Not], true), (Some("confused"), true));
        assert_eq!(shown(&[Mood::Done], false), (None, true), "GitHub has no reactions to a review");
    }
}
