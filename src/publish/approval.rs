//! What people see of an approval: the comment that asks for it, its check run with the buttons, and the
//! answers to those who decide.

use std::fmt::Write as _;

use crate::authorize::approval::Unfit;
use crate::brief::Brief;
use crate::config::Approval;
use crate::queue::task::{BlockReason, TaskState};
use crate::store::models::{BriefRow, Button, EffectPayload, TaskView, time_text};
use crate::store::{ApprovalRow, ApprovalState};

use super::comment::marker;
use super::format::{
    Keep, block_within, chars, code_within, fair_shares, id_span, inline_within, link, sentence_within, short,
};
use super::outputs::outline;

/// The external id of an approval's check run begins so; the digest follows.
pub const CHECK_PREFIX: &str = "approval:";

/// What the two buttons of a check run are called in GitHub's delivery.
pub const APPROVE: &str = "approve";
/// As [`APPROVE`].
pub const REJECT: &str = "reject";

/// Bounds the scripts of all steps, in characters.
const MAX_SCRIPTS: usize = 20_000;

/// Bounds the list of files, in characters.
const MAX_FILES: usize = 6_000;

/// Bounds the table of verdicts, in characters.
const MAX_VERDICTS: usize = 20_000;

/// What an approval is about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Holds the brief as it is stored.
    pub row: &'a BriefRow,
    /// Holds the brief as it is read; `None` when today's rules refuse it.
    pub brief: Option<&'a Brief>,
    /// Names the lane.
    pub lane: &'a str,
    /// Holds the digest that people write.
    pub digest: &'a str,
    /// Tells whose approval is needed.
    pub needed: Approval,
    /// Holds the commit that the run starts from.
    pub base_commit: &'a str,
    /// Holds when it is given up, in milliseconds since 1970; 0 for never.
    pub expires_at_ms: i64,
    /// Holds what is told of each command of the steps, Markdown.
    pub verdicts: Option<&'a str>,
    /// Tells whether a check run with buttons stands beside the commit.
    pub buttons: bool,
}

/// How it stands with an approval.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    /// It is asked for; holds why an earlier one does not count any more, a line for each reason.
    Asked(&'a [String]),
    /// Somebody, by login, gave it.
    Approved(&'a str),
    /// Somebody refused it, with a reason.
    Rejected(&'a str, &'a str),
    /// Nobody gave it in time.
    Expired,
    /// Its task ended otherwise; tells how.
    Closed(&'a str),
}

/// Returns what a brief's comment shows while its approval is asked for, and where that was the end of it; `None`
/// once it is approved, since its progress is told then.
pub fn approval_comment(asked: &Asked<'_>, standing: Standing<'_>) -> Option<String> {
    let brief = link(&short(&asked.row.id.to_string()), &asked.row.source_url);
    let mut out = format!("{}\n", marker("result", &asked.row.id.to_string()));
    match standing {
        Standing::Asked(changed) => {
            let _ = write!(out, "### ⏸️ Waits for approval\n\nBrief {brief} does not run before ");
            out.push_str(match asked.needed {
                Approval::SecondPerson => {
                    "a second person approves it: somebody who neither wrote, edited nor posted it.\n\n"
                }
                Approval::Required | Approval::None => "somebody approves it.\n\n",
            });
            if !changed.is_empty() {
                out.push_str("**An earlier approval does not count any more:**\n\n");
                for line in changed {
                    let _ = writeln!(out, "- {}", sentence_within(line, 600));
                }
                out.push('\n');
            }
        }
        Standing::Approved(_) => return None,
        Standing::Rejected(login, reason) => {
            let why =
                if reason.is_empty() { String::new() } else { format!(": {}", inline_within(reason, 800)) };
            let _ = write!(
                out,
                "### ⛔ Rejected by {}\n\nBrief {brief} is cancelled{why}.\n\n",
                inline_within(login, 100)
            );
        }
        Standing::Expired => {
            let _ = write!(
                out,
                "### ⌛ Not approved in time\n\nBrief {brief} is cancelled: nobody approved it by {}. Post it again if it \
                 shall run.\n\n",
                time_text(asked.expires_at_ms)
            );
        }
        Standing::Closed(why) => {
            let _ = write!(
                out,
                "### ⏹️ Approval is not asked for any more\n\nBrief {brief} is cancelled: {}\n\n",
                sentence_within(why, 400)
            );
        }
    }
    facts(&mut out, asked);
    if let Standing::Asked(_) = standing {
        steps(&mut out, asked.brief);
        out.push_str(&asked.brief.map(outline).unwrap_or_default());
        match asked.verdicts {
            Some(verdicts) if chars(verdicts) <= MAX_VERDICTS => drop(write!(out, "{verdicts}\n\n")),
            Some(_) => out.push_str("⚠️ The table of what each command does finds no room here.\n\n"),
            None => {}
        }
        let button =
            if asked.buttons { ", or press a button of the check run beside the commit" } else { "" };
        let _ = write!(
            out,
            "To decide, write one of these in a comment of this thread{button}:\n\n```\n/approve {0}\n```\n```\n/reject \
             {0} why not\n```\n\nThe digest stands for exactly this text, repository, commit, lane and the lane's \
             settings. When one of them changes, an approval does not count any more, and another is asked for here.\n",
            asked.digest
        );
    }
    Some(out)
}

fn facts(out: &mut String, asked: &Asked<'_>) {
    let row = asked.row;
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "| {name} | {value} |");
    };
    line("", "");
    line("---", "---");
    line("Written by", &inline_within(&row.author, 100));
    if row.requested_by_id != row.author_id {
        line("Posted or edited by", &inline_within(&row.requested_by, 100));
    }
    line("Lane", &inline_within(asked.lane, 100));
    line("Repository", &inline_within(&row.repository, 200));
    if let Some(brief) = asked.brief {
        line("Branch", &code_within(&brief.branch.replace('|', "\u{FFFD}"), 300));
    }
    line("Base commit", &id_span(asked.base_commit, 40));
    if let Some(output) = asked.brief.and_then(|brief| brief.pull_request()) {
        line("Files", &files(&output.files));
    }
    line("Digest", &id_span(asked.digest, 64));
    if asked.expires_at_ms > 0 {
        line("Waits until", &time_text(asked.expires_at_ms));
    }
    out.push('\n');
}

fn files(files: &[String]) -> String {
    let mut told = String::new();
    for (shown, file) in files.iter().enumerate() {
        let file = code_within(&file.replace('|', "\u{FFFD}"), 300);
        if chars(&told) + chars(&file) > MAX_FILES {
            let _ = write!(told, " and {} more", files.len() - shown);
            break;
        }
        let _ = write!(told, "{}{file}", if shown == 0 { "" } else { ", " });
    }
    told
}

fn steps(out: &mut String, brief: Option<&Brief>) {
    let Some(brief) = brief else { return };
    let texts: Vec<[(&str, String); 2]> =
        brief.steps.iter().map(|step| [("yaml", step.settings()), step.work.shown()]).collect();
    let want = |text: &String| if text.is_empty() { 0 } else { chars(text) + 200 };
    let wants: Vec<usize> = texts.iter().flatten().map(|(_, text)| want(text)).collect();
    let mut shares = fair_shares(&wants, MAX_SCRIPTS).into_iter();
    for ((number, step), texts) in (1..).zip(&brief.steps).zip(&texts) {
        let _ = write!(out, "**Step {number}**: {}\n\n", inline_within(&step.name, 160));
        let mut left = 0;
        for ((language, text), share) in
            texts.iter().zip(shares.by_ref()).filter(|((_, text), _)| !text.is_empty())
        {
            let (block, shown) = block_within(text, language, share, Keep::Head).unwrap_or_default();
            let _ = write!(out, "{}\n\n", block.trim_end());
            left += text.len() - shown;
        }
        if left > 0 {
            let _ = write!(
                out,
                "⚠️ **{left} bytes of this step find no room here. Read them where the brief stands before you \
                 approve.**\n\n"
            );
        }
    }
}

/// Returns the check run of an approval, with buttons as long as it is asked for.
pub fn approval_check(asked: &Asked<'_>, standing: Standing<'_>) -> EffectPayload {
    let (conclusion, title) = match standing {
        Standing::Asked(_) => ("action_required", "Waits for approval".to_owned()),
        Standing::Approved(login) => ("success", format!("Approved by {login}")),
        Standing::Rejected(login, _) => ("cancelled", format!("Rejected by {login}")),
        Standing::Expired => ("cancelled", "Not approved in time".to_owned()),
        Standing::Closed(_) => ("neutral", "Not asked for any more".to_owned()),
    };
    let thread = link("its thread", &asked.row.source_url);
    let summary = format!(
        "Digest {}. Read in {thread} what the brief does before you decide; the comment there shows the same digest.\n",
        id_span(asked.digest, 64)
    );
    let button = |label: &str, description: &str, identifier: &str| Button {
        label: label.to_owned(),
        description: description.to_owned(),
        identifier: identifier.to_owned(),
    };
    let buttons = match standing {
        Standing::Asked(_) => vec![
            button("Approve", "Let exactly this brief run", APPROVE),
            button("Reject", "Cancel this brief", REJECT),
        ],
        _ => vec![],
    };
    EffectPayload::CheckRun {
        run: format!("{CHECK_PREFIX}{}", asked.digest),
        commit: asked.base_commit.to_owned(),
        conclusion: conclusion.to_owned(),
        title,
        summary,
        text: None,
        annotations: Vec::new(),
        only_edit: false,
        name: Some(format!("codex-brief approval {}", asked.row.id.short())),
        buttons: Some(buttons),
    }
}

/// What somebody who wants to decide is told, where nothing comes of it.
#[derive(Debug, Clone, Copy)]
pub enum Undecided<'a> {
    /// No approval of this thread has the digest.
    Unknown(&'a str),
    /// It is the beginning of so many digests, and must be written whole.
    Shortened(&'a str, u64),
    /// Its task is somewhere else by now.
    Late(&'a TaskView, &'a ApprovalRow),
    /// Another command of the same text has decided it, or stops it.
    Twice(&'a TaskView),
    /// Its time is over.
    Expired(&'a TaskView),
    /// Its text does not hold it any more.
    Gone(&'a TaskView),
    /// Somebody, by login, may not approve it.
    Unfit(&'a TaskView, &'a str, Unfit),
}

/// Tells why nothing came of a decision.
pub fn undecided_part(undecided: Undecided<'_>) -> String {
    match undecided {
        Undecided::Unknown(digest) => format!(
            "❓ Nothing of this thread waits for approval by the digest {}. An approval counts only where its brief \
             stands, and only whole; copy it from the comment that asks for it.",
            code_within(digest, 80)
        ),
        Undecided::Shortened(digest, several) => {
            let of = if several == 1 { "a digest".to_owned() } else { format!("{several} digests") };
            format!(
                "❓ {} is the beginning of {of}. An approval is for one whole digest; copy it from the comment that asks \
                 for it.",
                code_within(digest, 80)
            )
        }
        Undecided::Late(task, approval) => late(task, approval),
        Undecided::Twice(task) => {
            format!("{} was decided by an earlier command of the same text.", brief(task))
        }
        Undecided::Expired(task) => {
            format!("{} was not approved in time and is being cancelled. Post it again.", brief(task))
        }
        Undecided::Gone(task) => format!(
            "⛔ {} is not approved: its text was edited or deleted, or its thread closed, since approval was asked for.",
            brief(task)
        ),
        Undecided::Unfit(task, login, unfit) => {
            let (brief, login) = (brief(task), inline_within(login, 100));
            format!("⛔ {brief} is not approved by {login}: {unfit}.")
        }
    }
}

fn late(task: &TaskView, approval: &ApprovalRow) -> String {
    let brief = brief(task);
    let awaiting = task.state == TaskState::Blocked(BlockReason::AwaitingApproval);
    let why = inline_within(approval.reason.as_deref().unwrap_or("it was replaced"), 400);
    let who = approval.actor.as_ref().map_or("somebody", |(login, _)| login);
    match approval.state {
        ApprovalState::Void if awaiting => format!(
            "⛔ {brief} is not approved: this digest does not count any more ({why}). The comment that asks for approval \
             shows the present one."
        ),
        ApprovalState::Approved => format!(
            "{brief} was approved already by {}; it is {}.",
            inline_within(who, 100),
            task.state.as_str()
        ),
        ApprovalState::Rejected => format!("{brief} was rejected by {}.", inline_within(who, 100)),
        _ => format!("{brief} does not wait for approval any more: it is {}.", task.state.as_str()),
    }
}

/// Returns the answer to a button that decided nothing.
pub fn button_comment(part: &str, key: &str) -> String {
    format!("{}\n{part}\n", marker("notice", key))
}

fn brief(task: &TaskView) -> String {
    format!("Brief {}", link(&short(&task.brief.id.to_string()), &task.brief.source_url))
}

#[cfg(test)]
pub(super) mod tests;
