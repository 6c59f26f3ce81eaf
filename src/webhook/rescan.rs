//! Texts that a rescan finds on GitHub without a webhook: which of them the server has not seen, who counts
//! as their sender, and how they are stored as deliveries.

use super::event::{Account, Home, Meaning, Parsed, TextEvent, Thread};
use crate::brief::{Source, SourceKind, extract};
use crate::command::find;
use crate::github::changes::FoundText;
use crate::github::texts::EditedText;
use crate::store::models::{Missed, RescannedText};

/// How the names of events and deliveries begin that the server makes by itself; no webhook may have them.
const OWN: &str = "rescan:";

/// The event of a text that was found.
const EVENT: &str = "rescan:text";

/// GitHub dates a text and its edit one after the other: so much later is not later, in milliseconds.
const SAME_TIME_MS: i64 = 1_000;

/// Where a rescan looks, and for what times.
#[derive(Debug, Clone)]
pub struct Window {
    /// Tells where the repository is.
    pub home: Home,
    /// Holds this App's id.
    pub app_id: u64,
    /// Takes what was written from then on, in milliseconds since 1970.
    pub from_ms: i64,
    /// Takes what was written until then; webhooks of later texts may be under way.
    pub until_ms: i64,
}

/// What a found text comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is to be looked at as a delivery is.
    Event(Box<TextEvent>),
    /// It cannot be run, for this reason.
    Unknown(Missed, String),
}

/// Tells whether a name is one that the server gives.
pub fn is_ours(name: &str) -> bool {
    name.starts_with(OWN)
}

impl Window {
    /// Tells whether a text may be one that was missed, before anybody is asked who edited it. `seen_ms` is
    /// when the newest version was written that the server has seen.
    pub fn may_hold(&self, found: &FoundText, seen_ms: Option<i64>) -> bool {
        let person = found.author.as_ref().is_some_and(|author| author.kind == "User");
        let changed = found.updated_at.timestamp_millis();
        // A review's time is that of its submission, whenever it was edited.
        let in_time = changed + SAME_TIME_MS > self.from_ms || found.kind == SourceKind::Review;
        let newer =
            seen_ms.is_none_or(|seen| changed > seen + SAME_TIME_MS || found.kind == SourceKind::Review);
        person
            && found.by_app != Some(self.app_id)
            && in_time
            && newer
            && (seen_ms.is_some() || holds_work(&found.body))
    }

    /// Tells what a text comes to, from who edited it last; `None` when it was seen, or is nobody's brief.
    pub fn judge(
        &self,
        found: &FoundText,
        edited: &EditedText,
        title: &str,
        seen_ms: Option<i64>,
    ) -> Option<Found> {
        let author = found.author.as_ref()?;
        let written = edited.last_edited_at.unwrap_or(found.created_at).timestamp_millis();
        if written < self.from_ms
            || written > self.until_ms
            || seen_ms.is_some_and(|seen| written <= seen + SAME_TIME_MS)
            || (seen_ms.is_none() && !holds_work(&edited.body))
        {
            return None;
        }
        let account = Account { id: author.id, login: author.login.clone(), kind: author.kind.clone() };
        let sender = match (&edited.last_edited_at, &edited.editor) {
            (None, _) => account.clone(),
            (Some(_), Some(editor)) if editor.kind != "User" => return None,
            (Some(_), Some(editor)) => match editor.database_id {
                Some(id) => Account { id, login: editor.login.clone(), kind: editor.kind.clone() },
                None => return Some(self.unknown(found, written)),
            },
            (Some(_), None) => return Some(self.unknown(found, written)),
        };
        Some(Found::Event(Box::new(TextEvent {
            source: self.source(found),
            text: edited.body.clone(),
            // What the server knows of the text, if anything, is an older version.
            edited: true,
            updated_at_ms: written,
            url: found.html_url.clone(),
            thread: Thread { number: found.thread, title: title.to_owned() },
            author: account,
            sender,
            home: self.home.clone(),
        })))
    }

    /// Returns where a text stands.
    pub fn source(&self, found: &FoundText) -> Source {
        Source { repository_id: self.home.id, kind: found.kind, id: found.id }
    }

    fn unknown(&self, found: &FoundText, written_ms: i64) -> Found {
        let reason = "GitHub does not tell who edited it last; post the brief again in a new comment";
        let what = format!("{} in {}#{}", found.kind, self.home.name, found.thread);
        let name = name(self.source(found), written_ms);
        Found::Unknown(Missed { name, what, at_ms: written_ms }, reason.to_owned())
    }
}

/// Writes an event as the delivery that is stored of it.
pub fn write(event: &TextEvent) -> Result<RescannedText, serde_json::Error> {
    let what = format!("{} in {}#{}", event.source.kind, event.home.name, event.thread.number);
    let name = name(event.source, event.updated_at_ms);
    Ok(RescannedText {
        missed: Missed { name, what, at_ms: event.updated_at_ms },
        event: EVENT.to_owned(),
        body: serde_json::to_vec(event)?,
    })
}

/// Reads what [`write()`] wrote.
pub fn read(body: &[u8]) -> Parsed {
    match serde_json::from_slice::<TextEvent>(body) {
        Ok(event) => Parsed { home: Some(event.home.clone()), meaning: Meaning::Text(Box::new(event)) },
        Err(error) => {
            Parsed { home: None, meaning: Meaning::Ignored(format!("the body cannot be read: {error}")) }
        }
    }
}

fn name(source: Source, written_ms: i64) -> String {
    format!("{OWN}{}:{}:{}:{written_ms}", source.repository_id, source.kind, source.id)
}

fn holds_work(text: &str) -> bool {
    let found = extract(text);
    !found.fences.is_empty()
        || !found.misplaced.is_empty()
        || found.refused.is_some()
        || !find(text).found.is_empty()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::brief::RepoName;
    use crate::github::changes::Author;
    use crate::github::texts::Editor;

    const BRIEF: &str = "```codex-brief\nexecutor: x\n```\n";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn window() -> Window {
        let name = RepoName { owner: "octo".to_owned(), name: "app".to_owned() };
        let home = Home { id: 7, name, installation_id: 5 };
        Window { home, app_id: 1, from_ms: 100_000, until_ms: 200_000 }
    }

    fn found(created: i64, updated: i64) -> FoundText {
        FoundText {
            kind: SourceKind::IssueComment,
            id: 42,
            node_id: "IC_42".to_owned(),
            thread: 3,
            on_pull_request: false,
            title: String::new(),
            body: BRIEF.to_owned(),
            author: Some(Author { id: 8, login: "maria".to_owned(), kind: "User".to_owned() }),
            created_at: at(created),
            updated_at: at(updated),
            html_url: "https://github.com/octo/app/issues/3#issuecomment-42".to_owned(),
            by_app: None,
        }
    }

    fn edited(at_seconds: Option<i64>, editor: Option<(&str, &str, Option<u64>)>) -> EditedText {
        EditedText {
            id: "IC_42".to_owned(),
            body: BRIEF.to_owned(),
            last_edited_at: at_seconds.map(at),
            editor: editor.map(|(login, kind, database_id)| Editor {
                login: login.to_owned(),
                kind: kind.to_owned(),
                database_id,
            }),
        }
    }

    fn sender(found: Option<Found>) -> Option<(u64, String)> {
        match found {
            Some(Found::Event(event)) => Some((event.sender.id, event.author.login)),
            _ => None,
        }
    }

    #[test]
    fn the_author_is_the_sender_of_a_text_that_nobody_edited_and_the_last_editor_of_any_other() {
        let judged = window().judge(&found(150, 150), &edited(None, None), "", None);
        assert_eq!(sender(judged), Some((8, "maria".to_owned())));
        let by_rob = edited(Some(160), Some(("rob", "User", Some(9))));
        let judged = window().judge(&found(50, 160), &by_rob, "", Some(50_000));
        assert_eq!(sender(judged), Some((9, "maria".to_owned())));
    }

    #[test]
    fn a_text_whose_last_editor_nobody_knows_is_told_and_not_run() {
        for editor in [None, Some(("ghost", "User", None))] {
            let judged = window().judge(&found(150, 160), &edited(Some(160), editor), "", None);
            let Some(Found::Unknown(missed, reason)) = judged else { panic!("{judged:?}") };
            assert_eq!(missed.name, "rescan:7:issue_comment:42:160000");
            assert!(reason.contains("post the brief again"), "{reason}");
        }
    }

    #[test]
    fn what_bots_and_the_app_itself_write_or_edit_is_never_run() {
        let by_bot = edited(Some(160), Some(("helper", "Bot", Some(9))));
        assert_eq!(window().judge(&found(150, 160), &by_bot, "", None), None);
        assert!(window().may_hold(&found(150, 150), None));
        assert!(!window().may_hold(&FoundText { by_app: Some(1), ..found(150, 150) }, None));
        let bot = Author { id: 9, login: "helper[bot]".to_owned(), kind: "Bot".to_owned() };
        assert!(!window().may_hold(&FoundText { author: Some(bot), ..found(150, 150) }, None));
        assert!(!window().may_hold(&FoundText { author: None, ..found(150, 150) }, None));
    }

    #[test]
    fn what_was_seen_is_older_or_may_be_under_way_is_left_alone() {
        let written = |created, seen| window().judge(&found(created, created), &edited(None, None), "", seen);
        assert!(written(150, None).is_some());
        assert_eq!(written(150, Some(150_000)), None);
        assert_eq!(written(99, None), None);
        assert_eq!(written(201, None), None);
        // A thread changes with each comment in it; its own text is as old as its last edit.
        let body = FoundText { kind: SourceKind::IssueBody, ..found(50, 150) };
        assert!(window().may_hold(&body, Some(50_000)));
        assert_eq!(window().judge(&body, &edited(None, None), "", Some(50_000)), None);
    }

    #[test]
    fn briefs_and_commands_are_looked_for_and_what_an_edit_took_out_of_a_known_text() {
        let talk = |body: &str| FoundText { body: body.to_owned(), ..found(150, 150) };
        assert!(window().may_hold(&talk("/stop"), None));
        assert!(!window().may_hold(&talk("no brief"), None));
        assert!(window().may_hold(&talk("no brief any more"), Some(120_000)));
    }

    #[test]
    fn what_is_written_is_read_back_under_a_name_of_our_own() {
        let judged = window().judge(&found(150, 150), &edited(None, None), "A title", None);
        let Some(Found::Event(event)) = judged else { panic!("{judged:?}") };
        let stored = write(&event).unwrap();
        assert!(is_ours(&stored.event) && is_ours(&stored.missed.name));
        assert_eq!(stored.missed.what, "issue_comment in octo/app#3");
        assert_eq!(read(&stored.body).meaning, Meaning::Text(event));
        assert!(matches!(read(b"{}").meaning, Meaning::Ignored(_)));
    }
}
