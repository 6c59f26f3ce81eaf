//! A delivery's body as the event that it tells of: only the fields that are needed, by rules of
//! our own, since GitHub's payloads vary.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::payload::Payload;
use crate::brief::RepoName;
use crate::brief::source::{Source, SourceKind};

/// A text that was written or edited, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextEvent {
    /// Tells where the text stands.
    pub source: Source,
    /// Holds the text as the delivery has it.
    pub text: String,
    /// Tells whether the text is an edited one.
    pub edited: bool,
    /// Holds when the text was written, in milliseconds since 1970.
    pub updated_at_ms: i64,
    /// Holds the address of the text.
    pub url: String,
    /// Holds the issue or pull request.
    pub thread: Thread,
    /// Holds who wrote the text.
    pub author: Account,
    /// Holds who caused the delivery.
    pub sender: Account,
    /// Tells where the repository is.
    pub home: Home,
}

/// A repository as a delivery tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// Holds its id, which stays when it is renamed or moved.
    pub id: u64,
    /// Names it.
    pub name: RepoName,
    /// Holds the App's installation on it.
    pub installation_id: u64,
}

/// Something that was taken back, or a thread that was opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// Tells what.
    pub what: What,
    /// Holds the thread.
    pub thread: Thread,
    /// Names who did it, whoever that is: it only takes away.
    pub actor: String,
    /// Holds the id of that account.
    pub actor_id: Option<u64>,
    /// Tells where the repository is.
    pub home: Home,
}

/// What was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A text was deleted.
    Text(Source),
    /// The thread was closed, at this time in milliseconds since 1970.
    Closed(i64),
    /// The thread was opened again, at this time in milliseconds since 1970.
    Reopened(i64),
    /// The thread is gone: deleted, or moved to another repository.
    Gone,
}

/// A button that somebody pressed on a check run of this App.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// Holds the check run's id.
    pub check_run: u64,
    /// Holds what the App calls it.
    pub external_id: String,
    /// Holds the commit that it stands beside.
    pub head_sha: String,
    /// Names the button.
    pub identifier: String,
    /// Holds who pressed it.
    pub sender: Account,
    /// Tells where the repository is.
    pub home: Home,
}

/// A label that somebody put on a thread, or took from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// Names the label.
    pub label: String,
    /// Tells whether it was put on.
    pub put_on: bool,
    /// Holds the thread.
    pub thread: Thread,
    /// Holds who did it.
    pub sender: Account,
    /// Tells where the repository is.
    pub home: Home,
}

/// An issue or a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Holds its number.
    pub number: u64,
    /// Holds its title.
    pub title: String,
}

/// An account on GitHub; the id is what counts, since names can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Holds the id.
    pub id: u64,
    /// Holds the name.
    pub login: String,
    /// Holds `User`, `Bot`, `Organization` or `Mannequin`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What a delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Tells where its repository is, if it is about one.
    pub home: Option<Home>,
    /// Holds what it means.
    pub meaning: Meaning,
}

/// What a delivery means to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A person, or a bot whose name is known, wrote a text.
    Text(Box<TextEvent>),
    /// Something was withdrawn, by whomever.
    Withdrawn(Box<Withdrawn>),
    /// A person pressed a button.
    Pressed(Box<Pressed>),
    /// A person, or a bot, changed a label that begins with `codex:`.
    Labelled(Box<Labelled>),
    /// Nothing that leads to work, with the reason.
    Ignored(String),
}

/// Reads a stored delivery.
///
/// `app_id` is this App's own id: what it wrote itself never counts, nor does what a bot wrote or
/// edited, unless it has one of the names `bots`; whether it is that bot is looked up later. Whatever
/// cannot be read is ignored with the reason; nothing here fails.
pub fn parse(event: &str, body: &[u8], app_id: u64, bots: &[&str]) -> Parsed {
    let payload: Payload = match serde_json::from_slice(body) {
        Ok(payload) => payload,
        Err(error) => return Parsed { home: None, meaning: unread(event, &error) },
    };
    let home = home(&payload);
    let withdrawn = |kind| withdrawn(kind, &payload, home.as_ref()?);
    let meaning = match Kind::of(event) {
        None if event == CHECK_RUN => match pressed(payload, home.clone(), app_id) {
            Ok(pressed) => Meaning::Pressed(Box::new(pressed)),
            Err(reason) => Meaning::Ignored(reason),
        },
        None => Meaning::Ignored(notice(event, &payload.action, home.as_ref())),
        Some(kind) => match withdrawn(kind) {
            Some(withdrawn) => Meaning::Withdrawn(Box::new(withdrawn)),
            None if LABELLINGS.contains(&payload.action.as_str()) => {
                match labelled(kind, payload, home.clone()) {
                    Ok(labelled) => Meaning::Labelled(Box::new(labelled)),
                    Err(reason) => Meaning::Ignored(reason),
                }
            }
            None => match text(kind, payload, home.clone(), app_id, bots) {
                Ok(text) => Meaning::Text(Box::new(text)),
                Err(reason) => Meaning::Ignored(reason),
            },
        },
    };
    Parsed { home, meaning }
}

fn unread(event: &str, error: &serde_json::Error) -> Meaning {
    Meaning::Ignored(match Kind::of(event) {
        Some(_) => format!("the body cannot be read: {error}"),
        None => format!("the event `{event}` is not one that holds briefs"),
    })
}

/// Returns what the log is told of an event that leads to no work.
fn notice(event: &str, action: &str, home: Option<&Home>) -> String {
    match (event, action, home) {
        ("installation", "suspend", _) => {
            "the App was suspended; nothing can be published until it is not".into()
        }
        ("installation", "unsuspend", _) => "the App is suspended no more".into(),
        ("installation", "deleted", _) => "the App was uninstalled".into(),
        ("installation", "created", _) => "the App was installed".into(),
        ("repository", "renamed" | "transferred", Some(home)) => {
            format!("the repository is {} now", home.name)
        }
        _ => format!("the event `{event}` is not one that holds briefs"),
    }
}

/// Tells whether an event is one that can mean something to the server.
pub fn is_listened_to(event: &str, action: Option<&str>) -> bool {
    Kind::of(event).is_some() || (event == CHECK_RUN && matches!(action, Some(PRESSED | RERUN)))
}

/// The event of check runs, its action when a button was pressed, and that when GitHub's own "Re-run" was.
const CHECK_RUN: &str = "check_run";
const PRESSED: &str = "requested_action";
const RERUN: &str = "rerequested";

fn home(payload: &Payload) -> Option<Home> {
    let repository = payload.repository.as_ref()?;
    let name = RepoName { owner: repository.owner.login.clone(), name: repository.name.clone() };
    Some(Home { id: repository.id, name, installation_id: payload.installation.as_ref()?.id })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Issue,
    IssueComment,
    PullRequest,
    ReviewComment,
    Review,
}

impl Kind {
    fn of(event: &str) -> Option<Self> {
        Some(match event {
            "issues" => Self::Issue,
            "issue_comment" => Self::IssueComment,
            "pull_request" => Self::PullRequest,
            "pull_request_review_comment" => Self::ReviewComment,
            "pull_request_review" => Self::Review,
            _ => return None,
        })
    }

    /// Tells whether an action brings a text, and whether that text is an edited one.
    fn edited(self, action: &str) -> Option<bool> {
        match (self, action) {
            (Self::Issue | Self::PullRequest, "opened")
            | (Self::IssueComment | Self::ReviewComment, "created")
            | (Self::Review, "submitted") => Some(false),
            (_, "edited") => Some(true),
            _ => None,
        }
    }
}

/// Reads what a delivery takes back, if it does.
fn withdrawn(kind: Kind, payload: &Payload, home: &Home) -> Option<Withdrawn> {
    let at = |time: Option<DateTime<Utc>>| time.map_or(0, |at| at.timestamp_millis());
    let thread = match kind {
        Kind::Issue | Kind::IssueComment => payload.issue.as_ref()?,
        _ => payload.pull_request.as_ref()?,
    };
    let text = |kind| {
        let id = payload.comment.as_ref()?.id;
        Some(What::Text(Source { repository_id: home.id, kind, id }))
    };
    let what = match (kind, payload.action.as_str()) {
        (Kind::IssueComment, "deleted") => text(SourceKind::IssueComment)?,
        (Kind::ReviewComment, "deleted") => text(SourceKind::ReviewComment)?,
        (Kind::Issue, "deleted" | "transferred") => What::Gone,
        (Kind::Issue | Kind::PullRequest, "closed") => {
            What::Closed(at(thread.closed_at.or(thread.updated_at)))
        }
        (Kind::Issue | Kind::PullRequest, "reopened") => What::Reopened(at(thread.updated_at)),
        _ => return None,
    };
    let title = thread.title.clone().unwrap_or_default();
    let actor = payload.sender.as_ref().map_or("somebody", |sender| &sender.login).to_owned();
    let actor_id = payload.sender.as_ref().map(|sender| sender.id);
    let thread = Thread { number: thread.number?, title };
    Some(Withdrawn { what, thread, actor, actor_id, home: home.clone() })
}

/// Reads a press on a button; only this App's own check runs count, and only people.
fn pressed(payload: Payload, home: Option<Home>, app_id: u64) -> Result<Pressed, String> {
    if payload.action != PRESSED && payload.action != RERUN {
        return Err(format!("the action `{}` of a check run asks for nothing", payload.action));
    }
    let home = home.ok_or("there is no repository or no installation in it")?;
    let sender = payload.sender.ok_or("there is no sender in it")?;
    let run = payload.check_run.ok_or("there is no check run in it")?;
    if run.app.is_none_or(|app| app.id != app_id) {
        return Err("the check run is not this App's".to_owned());
    }
    if sender.kind != "User" {
        return Err(format!("`{}` is no person but a `{}`", sender.login, sender.kind));
    }
    Ok(Pressed {
        check_run: run.id,
        external_id: run.external_id.unwrap_or_default(),
        head_sha: run.head_sha,
        identifier: match payload.requested_action {
            _ if payload.action == RERUN => "rerun".to_owned(),
            pressed => pressed.ok_or("no button is named in it")?.identifier,
        },
        sender,
        home,
    })
}

/// The actions of a thread's labels: one was put on, one was taken away.
const LABELLINGS: [&str; 2] = ["labeled", "unlabeled"];

/// Begins the names of the labels that mean something here.
const OWN_LABELS: &str = "codex:";

/// Reads a change of a label; whoever did it, what it means is decided later.
fn labelled(kind: Kind, payload: Payload, home: Option<Home>) -> Result<Labelled, String> {
    let label = payload.label.ok_or("there is no label in it")?.name;
    if !label.to_lowercase().starts_with(OWN_LABELS) {
        return Err("the label means nothing here".to_owned());
    }
    let home = home.ok_or("there is no repository or no installation in it")?;
    let thread = if kind == Kind::Issue { payload.issue } else { payload.pull_request };
    let thread = thread.ok_or("there is no thread in it")?;
    Ok(Labelled {
        label,
        put_on: payload.action == LABELLINGS[0],
        thread: Thread {
            number: thread.number.ok_or("the thread has no number")?,
            title: thread.title.unwrap_or_default(),
        },
        sender: payload.sender.ok_or("there is no sender in it")?,
        home,
    })
}

fn text(
    kind: Kind,
    payload: Payload,
    home: Option<Home>,
    app_id: u64,
    bots: &[&str],
) -> Result<TextEvent, String> {
    let edited = kind
        .edited(&payload.action)
        .ok_or_else(|| format!("the action `{}` brings no text", payload.action))?;
    if edited && payload.changes.as_ref().is_none_or(|changes| changes.get("body").is_none()) {
        return Err("the edit did not change the text".to_owned());
    }
    let home = home.ok_or("there is no repository or no installation in it")?;
    let sender = payload.sender.ok_or("there is no sender in it")?;
    let (source_kind, item, thread) = match kind {
        Kind::Issue => (SourceKind::IssueBody, payload.issue, None),
        Kind::PullRequest => (SourceKind::PullRequestBody, payload.pull_request, None),
        Kind::IssueComment => (SourceKind::IssueComment, payload.comment, payload.issue),
        Kind::ReviewComment => (SourceKind::ReviewComment, payload.comment, payload.pull_request),
        Kind::Review => (SourceKind::Review, payload.review, payload.pull_request),
    };
    let item = item.ok_or("the text's own part is missing")?;
    let author = item.user.ok_or("the author is gone")?;
    if item.performed_via_github_app.is_some_and(|app| app.id == app_id) {
        return Err("the App wrote it itself".to_owned());
    }
    for account in [&author, &sender] {
        let named = bots.iter().any(|name| name.eq_ignore_ascii_case(&account.login));
        if account.kind != "User" && !(account.kind == "Bot" && named) {
            return Err(format!("`{}` is no person but a `{}`", account.login, account.kind));
        }
    }
    let (number, title) = match &thread {
        Some(thread) => (thread.number, thread.title.clone()),
        None => (item.number, item.title),
    };
    Ok(TextEvent {
        source: Source { repository_id: home.id, kind: source_kind, id: item.id },
        text: item.body.unwrap_or_default(),
        edited,
        updated_at_ms: item.updated_at.or(item.submitted_at).map_or(0, |at| at.timestamp_millis()),
        url: item.html_url,
        thread: Thread {
            number: number.ok_or("the thread has no number")?,
            title: title.unwrap_or_default(),
        },
        author,
        sender,
        home,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(event: &str, action: &str, more: serde_json::Value) -> Parsed {
        let mut body = json!({
            "action": action,
            "repository": {"id": 7, "name": "example", "owner": {"login": "octo"}},
            "installation": {"id": 3},
            "sender": {"id": 9, "login": "robot", "type": "Bot"},
            "issue": {"id": 70, "number": 12, "title": "T", "html_url": "u",
                "updated_at": "2026-01-01T00:00:05Z", "closed_at": "2026-01-01T00:00:04Z"},
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parse(event, &serde_json::to_vec(&body).unwrap(), 1, &["renovate[bot]"])
    }

    fn what(event: &str, action: &str, more: serde_json::Value) -> What {
        match parsed(event, action, more).meaning {
            Meaning::Withdrawn(withdrawn) => {
                assert_eq!((withdrawn.thread.number, withdrawn.actor_id), (12, Some(9)));
                withdrawn.what
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_taken_back_counts_whoever_did_it() {
        let comment = json!({"comment": {"id": 71, "html_url": "u"}});
        let source = Source { repository_id: 7, kind: SourceKind::IssueComment, id: 71 };
        assert_eq!(what("issue_comment", "deleted", comment), What::Text(source));
        assert_eq!(what("issues", "closed", json!({})), What::Closed(1_767_225_604_000));
        assert_eq!(what("issues", "reopened", json!({})), What::Reopened(1_767_225_605_000));
        assert_eq!(what("issues", "deleted", json!({})), What::Gone);
        assert_eq!(what("issues", "transferred", json!({})), What::Gone);
        let pull = json!({"pull_request": {"id": 72, "number": 12, "html_url": "u",
            "closed_at": "2026-01-01T00:00:04Z"}, "comment": {"id": 73, "html_url": "u"}});
        assert_eq!(what("pull_request", "closed", pull.clone()), What::Closed(1_767_225_604_000));
        let source = Source { repository_id: 7, kind: SourceKind::ReviewComment, id: 73 };
        assert_eq!(what("pull_request_review_comment", "deleted", pull), What::Text(source));
    }

    #[test]
    fn a_bots_text_counts_only_under_a_name_that_is_known() {
        let wrote = |login: &str, kind: &str, app: u64| {
            let issue = json!({"id": 70, "number": 12, "title": "T", "html_url": "u", "body": "b",
                "user": {"id": 5, "login": login, "type": kind}, "performed_via_github_app": {"id": app}});
            let sender = json!({"id": 5, "login": login, "type": kind});
            let more = json!({"issue": issue, "sender": sender});
            matches!(parsed("issues", "opened", more).meaning, Meaning::Text(_))
        };
        assert!(wrote("renovate[bot]", "Bot", 2) && wrote("maria", "User", 2));
        assert!(!wrote("renovate[bot]", "Bot", 1), "the App itself");
        for other in ["my-renovate[bot]", "renovate"] {
            assert!(!wrote(other, "Bot", 2), "{other}");
        }
        assert!(!wrote("renovate[bot]", "Organization", 2));
    }

    #[test]
    fn only_a_persons_press_on_an_own_check_run_counts() {
        let press = |app: u64, sender: &str, action: &str| {
            let more = json!({
                "sender": {"id": 9, "login": "olga", "type": sender},
                "requested_action": {"identifier": "approve"},
                "check_run": {"id": 5, "head_sha": "c", "external_id": "approval:d", "app": {"id": app}},
            });
            parsed("check_run", action, more).meaning
        };
        let Meaning::Pressed(pressed) = press(1, "User", "requested_action") else { panic!("it counts") };
        assert_eq!((pressed.check_run, pressed.identifier.as_str()), (5, "approve"));
        assert_eq!((pressed.external_id.as_str(), pressed.sender.id), ("approval:d", 9));
        let Meaning::Pressed(pressed) = press(1, "User", "rerequested") else { panic!("it counts") };
        assert_eq!(pressed.identifier, "rerun");
        let others = [
            press(2, "User", "requested_action"),
            press(1, "Bot", "requested_action"),
            press(1, "User", "created"),
        ];
        assert!(others.iter().all(|other| matches!(other, Meaning::Ignored(_))), "{others:?}");
        assert!(
            is_listened_to("check_run", Some("requested_action"))
                && !is_listened_to("check_run", Some("created"))
        );
    }

    #[test]
    fn only_labels_of_this_program_count_whoever_changes_them() {
        let changed =
            |action: &str, label: &str| parsed("issues", action, json!({"label": {"name": label}})).meaning;
        for (action, put_on) in [("labeled", true), ("unlabeled", false)] {
            let Meaning::Labelled(labelled) = changed(action, "Codex:Enabled") else { panic!("it counts") };
            assert_eq!((labelled.put_on, labelled.thread.number, labelled.sender.id), (put_on, 12, 9));
        }
        for other in [changed("labeled", "bug"), changed("assigned", "codex:enabled")] {
            assert!(matches!(other, Meaning::Ignored(_)), "{other:?}");
        }
        let pull = json!({"pull_request": {"id": 72, "number": 12, "html_url": "u"}, "label": {"name": "codex:auto"}});
        assert!(matches!(parsed("pull_request", "labeled", pull).meaning, Meaning::Labelled(_)));
    }

    #[test]
    fn where_a_repository_is_stands_in_whatever_is_about_it() {
        for (event, action) in [("repository", "renamed"), ("issues", "labeled"), ("star", "created")] {
            let parsed = parsed(event, action, json!({}));
            assert_eq!(parsed.home.map(|home| (home.id, home.installation_id)), Some((7, 3)), "{event}");
            assert!(matches!(parsed.meaning, Meaning::Ignored(_)), "{event}");
        }
        let gone = parse("installation", br#"{"action": "deleted", "installation": {"id": 3}}"#, 1, &[]);
        assert_eq!(gone.meaning, Meaning::Ignored("the App was uninstalled".to_owned()));
    }
}
