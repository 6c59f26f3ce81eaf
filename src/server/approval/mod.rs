//! Approvals: asking for them, deciding them, and holding runs to them.

mod decide;
mod expire;
mod hold;
mod press;

pub(super) use decide::{Decider, Found, Verb, decide, find};
pub(super) use expire::work;
pub(super) use hold::{Leave, before_publishing, before_run};
pub(super) use press::{ignored, look, refusal};

use super::Server;
use super::intake::LookError;
use crate::authorize::approval::{Terms, digest};
use crate::authorize::guard;
use crate::authorize::policy::Decision;
use crate::brief::{self, Brief, Origin};
use crate::config::{Approval, LaneConfig};
use crate::error::{UserError, log_internal};
use crate::github::installation::Place;
use crate::publish::approval::{Asked, Standing, approval_check, approval_comment};
use crate::store::models::{BriefRow, Effect, EffectPayload};
use crate::store::{ApprovalRow, Ask, living_effect, result_key};

/// Returns what a comment tells of each command of the steps, Markdown.
pub(super) async fn table_text(server: &Server, brief: &Brief) -> Option<String> {
    let (brief, config) = (brief.clone(), server.config.guard.clone());
    // A hostile script takes seconds to read.
    let table = tokio::task::spawn_blocking(move || guard::table(&brief, &config).markdown()).await;
    table.map_err(|error| log_internal("the commands of a brief cannot be listed", &error)).ok()
}

/// Returns the approval that a new brief has to wait for, if it has to.
///
/// Fails for people with `branch-not-found`, since there is no commit then that could be approved.
pub(super) async fn first(
    server: &Server,
    place: Place<'_>,
    row: &BriefRow,
    lane: &LaneConfig,
    decision: &Decision,
) -> Result<Result<Option<Ask>, UserError>, LookError> {
    if decision.bounds.approval == Approval::None {
        return Ok(Ok(None));
    }
    let Ok(brief) = brief::parse(&row.text, &Origin::document()) else { return Ok(Ok(None)) };
    let Some(head) = server.github.branch_head(place, &brief.branch).await? else {
        return Ok(Err(UserError::new(
            "branch-not-found",
            format!("The repository has no branch `{}`.", brief.branch),
            "Correct `branch`, or push the branch, and edit the text or post it again.",
        )));
    };
    let terms = Terms::of(lane, decision);
    Ok(Ok(Some(ask(server, (&lane.name, terms), row, &brief, &head, Vec::new()).await)))
}

/// Makes the approval of a brief on a commit; `changed` tells why an earlier one does not count any more.
async fn ask(
    server: &Server,
    (lane, terms): (&str, Terms),
    row: &BriefRow,
    brief: &Brief,
    base_commit: &str,
    changed: Vec<String>,
) -> Ask {
    let digest = digest(&row.id, &row.source, base_commit, lane, &terms.version);
    let hours = i64::from(server.config.authorize.approval_expires_hours);
    let expires_at_ms =
        if hours == 0 { 0 } else { chrono::Utc::now().timestamp_millis() + hours * 3_600_000 };
    let verdicts = table_text(server, brief).await;
    let asked = Asked {
        row,
        brief: Some(brief),
        lane,
        digest: &digest,
        needed: terms.needed,
        base_commit,
        expires_at_ms,
        verdicts: verdicts.as_deref(),
        buttons: server.config.github.check_runs && !server.config.webhook.is_polling(),
    };
    let owed = owed(&asked, Standing::Asked(&changed));
    Ask {
        brief: row.id,
        digest,
        needed: terms.needed,
        base_commit: base_commit.to_owned(),
        policy_version: terms.version,
        policy: terms.settings,
        expires_at_ms,
        changed,
        owed,
    }
}

/// Owes what the thread and the commit show of an approval that is stored.
fn told(row: &BriefRow, lane: &str, approval: &ApprovalRow, standing: Standing<'_>) -> Vec<Effect> {
    let brief = brief::parse(&row.text, &Origin::document()).ok();
    let asked = Asked {
        row,
        brief: brief.as_ref(),
        lane,
        digest: &approval.digest,
        needed: approval.needed,
        base_commit: &approval.base_commit,
        expires_at_ms: approval.expires_at_ms,
        verdicts: None,
        buttons: false,
    };
    owed(&asked, standing)
}

fn owed(asked: &Asked<'_>, standing: Standing<'_>) -> Vec<Effect> {
    // What is approved is told of as everything that waits for its lane.
    let comment = match approval_comment(asked, standing) {
        Some(body) => {
            let marker = body.lines().next().unwrap_or_default().to_owned();
            let payload = EffectPayload::Comment { marker, body };
            Effect::for_brief(asked.row, result_key(&asked.row.id.to_string()), payload)
        }
        None => living_effect(asked.row),
    };
    vec![comment, Effect::for_brief(asked.row, check_key(asked.digest), approval_check(asked, standing))]
}

/// Names the check run of an approval among what is owed.
fn check_key(digest: &str) -> String {
    format!("approval-check:{digest}")
}
