//! Reads one line as a command.

use super::table::{Name, TABLE};

/// The fewest digits by which a task is named.
const FEWEST_DIGITS: usize = 6;

/// The most characters of a name: those of a whole brief id.
const MOST_CHARS: usize = 64;

/// The most characters of a reason that are kept.
const MOST_REASON: usize = 500;

/// How alike a word must be to one that exists to be taken for it misspelt, from 0 to 1.
const ALIKE: f64 = 0.7;

/// What a person asks for; without a task, for all of the thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Ends what runs and cancels what waits.
    Stop(Option<TaskName>),
    /// Tells where tasks stand.
    Status(Option<TaskName>),
    /// Tells what tasks would do: lane, bounds, files, and each command of the steps.
    Plan(Option<TaskName>),
    /// Publishes again what GitHub refused.
    Publish(Option<TaskName>),
    /// Starts what waits for somebody to start it.
    Start(Option<TaskName>),
    /// Runs what failed or was cancelled once more.
    Retry(Option<TaskName>),
    /// Cancels what waits.
    Cancel(Option<TaskName>),
    /// Tells how the server and its lanes are.
    Health,
    /// Lists the newest tasks of the repository.
    TaskList,
    /// Tells everything about a task.
    TaskShow(TaskName),
    /// Asks for a plan.
    Ask,
    /// Tells which commands there are.
    Help,
    /// Lets a brief run that waits for approval.
    Approve(Decision),
    /// Cancels a brief that waits for approval.
    Reject(Decision),
}

impl Command {
    /// Returns which command it is.
    pub fn name(&self) -> Name {
        match self {
            Self::Stop(_) => Name::Stop,
            Self::Status(_) => Name::Status,
            Self::Plan(_) => Name::Plan,
            Self::Publish(_) => Name::Publish,
            Self::Start(_) => Name::Start,
            Self::Retry(_) => Name::Retry,
            Self::Cancel(_) => Name::Cancel,
            Self::Health => Name::Health,
            Self::TaskList => Name::TaskList,
            Self::TaskShow(_) => Name::TaskShow,
            Self::Ask => Name::Ask,
            Self::Help => Name::Help,
            Self::Approve(_) => Name::Approve,
            Self::Reject(_) => Name::Reject,
        }
    }
}

/// What is decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Holds the digest in small letters, whole or the beginning of one.
    pub digest: String,
    /// Holds what stands behind it, perhaps nothing.
    pub reason: String,
}

/// How a brief's or a run's id begins, in small letters: at least 6 hex digits, and the `-` of run ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName(String);

/// A line that is meant for this program and cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Holds the line as it was written.
    pub line: String,
    /// Tells what is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// `/work` or `/task` stands alone; holds which.
    NoWord(&'static str),
    /// The word behind `/work` or `/task` is none; holds both, and what was probably meant.
    Word(String, Option<&'static str>),
    /// What should be named is not.
    NoTask,
    /// What should name a task does not.
    Task(String),
    /// A decision lacks the digest that it is about.
    NoDigest,
    /// A rejection lacks its reason.
    NoReason,
    /// Something stands behind the command.
    TooMuch,
}

impl TaskName {
    /// Reads a name, which may stand in backticks.
    pub fn read(word: &str) -> Option<Self> {
        let name = word.trim_matches('`').to_ascii_lowercase();
        let digits = name.bytes().filter(u8::is_ascii_hexdigit).count();
        let fits = name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        (fits && digits >= FEWEST_DIGITS && name.len() <= MOST_CHARS).then_some(Self(name))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a line; `None` when it is not meant for this program.
pub(super) fn read(line: &str) -> Option<Result<Command, Usage>> {
    let mut words = line.split_ascii_whitespace();
    let first = words.next()?.to_ascii_lowercase();
    let rest: Vec<&str> = words.collect();
    let command = match first.as_str() {
        "/stop" => task(&rest).map(Command::Stop),
        "/work" => work(&rest),
        "/task" => of_tasks(&rest),
        // Other programs have these words too, and put others behind them.
        "/status" if rest.is_empty() => Ok(Command::Health),
        "/help" if rest.is_empty() => Ok(Command::Help),
        "/ask" => Ok(Command::Ask),
        "/approve" => decision(&rest).map(Command::Approve),
        "/reject" => decision(&rest).and_then(|decision| match decision.reason.as_str() {
            "" => Err(Wrong::NoReason),
            _ => Ok(Command::Reject(decision)),
        }),
        _ => return None,
    };
    Some(command.map_err(|wrong| Usage { line: line.trim_end().to_owned(), wrong }))
}

fn work(words: &[&str]) -> Result<Command, Wrong> {
    let (word, rest) = words.split_first().ok_or(Wrong::NoWord("/work"))?;
    match word.to_ascii_lowercase().as_str() {
        "start" => task(rest).map(Command::Start),
        "status" => task(rest).map(Command::Status),
        "plan" => task(rest).map(Command::Plan),
        "retry" => task(rest).map(Command::Retry),
        "publish" => task(rest).map(Command::Publish),
        "cancel" => task(rest).map(Command::Cancel),
        other => Err(Wrong::Word(format!("/work {word}"), nearest("/work ", other))),
    }
}

fn of_tasks(words: &[&str]) -> Result<Command, Wrong> {
    let (word, rest) = words.split_first().ok_or(Wrong::NoWord("/task"))?;
    match word.to_ascii_lowercase().as_str() {
        "list" if rest.is_empty() => Ok(Command::TaskList),
        "list" => Err(Wrong::TooMuch),
        "show" => task(rest)?.map(Command::TaskShow).ok_or(Wrong::NoTask),
        other => Err(Wrong::Word(format!("/task {word}"), nearest("/task ", other))),
    }
}

fn decision(words: &[&str]) -> Result<Decision, Wrong> {
    let (digest, reason) = words.split_first().ok_or(Wrong::NoDigest)?;
    let digest = digest.trim_matches('`').to_ascii_lowercase();
    let fits = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let length = (FEWEST_DIGITS..=MOST_CHARS).contains(&digest.len());
    let reason = reason.join(" ").chars().take(MOST_REASON).collect();
    if fits && length { Ok(Decision { digest, reason }) } else { Err(Wrong::NoDigest) }
}

fn task(words: &[&str]) -> Result<Option<TaskName>, Wrong> {
    match words {
        [] => Ok(None),
        [word] => TaskName::read(word).map(Some).ok_or_else(|| Wrong::Task((*word).to_owned())),
        _ => Err(Wrong::TooMuch),
    }
}

/// Returns the command that begins so and whose next word is most like this one.
fn nearest(begin: &str, word: &str) -> Option<&'static str> {
    let likeness = |known: &str| strsim::jaro_winkler(word, known.trim_start_matches(begin));
    let known = TABLE.iter().map(|entry| entry.words).filter(|known| known.starts_with(begin));
    let best = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then_some(best)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> Option<TaskName> {
        Some(TaskName::read(name).unwrap())
    }

    #[test]
    fn the_commands_are_read_with_and_without_a_task() {
        assert_eq!(read("/stop"), Some(Ok(Command::Stop(None))));
        assert_eq!(read("/work plan ab12cd34ef56"), Some(Ok(Command::Plan(name("ab12cd34ef56")))));
        assert_eq!(read("/stop ab12cd34ef56"), Some(Ok(Command::Stop(name("ab12cd34ef56")))));
        assert_eq!(read("/Work Status `AB12CD`  "), Some(Ok(Command::Status(name("ab12cd")))));
        assert_eq!(read("/work publish 0199a8f0-0000"), Some(Ok(Command::Publish(name("0199a8f0-0000")))));
        assert_eq!(read("/work start"), Some(Ok(Command::Start(None))));
        assert_eq!(read("/work retry ab12cd"), Some(Ok(Command::Retry(name("ab12cd")))));
        assert_eq!(read("/WORK cancel"), Some(Ok(Command::Cancel(None))));
        assert_eq!(read("/task list"), Some(Ok(Command::TaskList)));
        assert_eq!(read("/task show ab12cd"), Some(Ok(Command::TaskShow(name("ab12cd").unwrap()))));
        assert_eq!(read("/status "), Some(Ok(Command::Health)));
        assert_eq!(read("/Help"), Some(Ok(Command::Help)));
        assert_eq!(read("/ask deep how far are we?"), Some(Ok(Command::Ask)));
        for other in
            ["/help me", "/status page", "/asks", "/tasks", "/stopped", "/works status", "stop", "", "/"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_decision_needs_a_digest_and_a_rejection_a_reason() {
        let digest = "0123456789abcdef0123456789abcdef";
        let decision = |reason: &str| Decision { digest: digest.to_owned(), reason: reason.to_owned() };
        assert_eq!(read(&format!("/approve {digest}")), Some(Ok(Command::Approve(decision("")))));
        let line = format!("/Approve `{}` Looks  Good", digest.to_uppercase());
        assert_eq!(read(&line), Some(Ok(Command::Approve(decision("Looks Good")))));
        assert_eq!(read(&format!("/reject {digest} no")), Some(Ok(Command::Reject(decision("no")))));
        let wrong = |line: &str| read(line).unwrap().unwrap_err().wrong;
        assert_eq!(wrong(&format!("/reject {digest}")), Wrong::NoReason);
        for line in ["/approve", "/approve it", "/approve 12345", "/reject please stop"] {
            assert_eq!(wrong(line), Wrong::NoDigest, "{line}");
        }
        assert_eq!(read("/approved"), None);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_was_probably_meant() {
        let wrong = |line: &str| read(line).unwrap().unwrap_err().wrong;
        assert_eq!(wrong("/work"), Wrong::NoWord("/work"));
        assert_eq!(wrong("/task"), Wrong::NoWord("/task"));
        assert_eq!(wrong("/task show"), Wrong::NoTask);
        assert_eq!(wrong("/task list all"), Wrong::TooMuch);
        assert_eq!(wrong("/task lst"), Wrong::Word("/task lst".to_owned(), Some("/task list")));
        assert_eq!(wrong("/work retyr"), Wrong::Word("/work retyr".to_owned(), Some("/work retry")));
        assert_eq!(wrong("/work stauts"), Wrong::Word("/work stauts".to_owned(), Some("/work status")));
        assert_eq!(wrong("/work Pubish"), Wrong::Word("/work Pubish".to_owned(), Some("/work publish")));
        assert_eq!(wrong("/work qqq"), Wrong::Word("/work qqq".to_owned(), None));
        assert_eq!(wrong("/stop please"), Wrong::Task("please".to_owned()));
        assert_eq!(wrong("/stop ab12c"), Wrong::Task("ab12c".to_owned()));
        assert_eq!(wrong("/stop ab12cd now"), Wrong::TooMuch);
    }

    proptest! {
        #[test]
        fn a_name_is_short_and_plain_or_none(word in "\\PC{0,80}|[a-fA-F0-9`-]{0,80}") {
            if let Some(name) = TaskName::read(&word) {
                prop_assert!((6..=64).contains(&name.as_str().len()));
                prop_assert!(name.as_str().bytes().all(|byte| b"0123456789abcdef-".contains(&byte)));
            }
        }
    }
}
