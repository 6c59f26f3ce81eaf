//! From a stored delivery to queued tasks: what is in it, who asks, and which lane takes it.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::command::{self, Obeyed};
use super::policy::Judge;
use super::{
    Server, access, approval, decided, gate, guarded, live, locate, press, refusal, rescan, withdraw,
};
use crate::authorize::lanes;
use crate::authorize::policy::Decision;
use crate::brief::{
    self, BriefId, Diagnostic, Extraction, Fence, Severity, SourceKind, extract, text_digest,
};
use crate::command::{Commands, find};
use crate::config::LaneConfig;
use crate::crash;
use crate::error::UserError;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::publish::answer::answer_comment;
use crate::publish::notice;
use crate::store::models::{BriefRow, Effect, EffectPayload, PendingDelivery};
use crate::store::{Intake, SeenRepository, StoreError, Withdrawal};
use crate::webhook::event::{Meaning, TextEvent};

/// How often a delivery is tried before it is given up; with the waits between, about an hour.
const MOST_ATTEMPTS: i64 = 20;

#[derive(Debug, Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    GitHub(#[from] GitHubError),
    #[error("internal error {0}")]
    Defect(String),
}

/// Looks at deliveries, oldest first, until the server ends.
pub async fn work(server: Arc<Server>) {
    loop {
        match server.store.next_delivery().await {
            Ok(Some(delivery)) => handle(&server, delivery).await,
            Ok(None) => {
                let at = server.store.next_delivery_at().await.unwrap_or_default();
                if !server.wait(&server.stop, &server.wakes.arrived, at).await {
                    return;
                }
            }
            Err(error) => {
                crate::error::log_internal("the inbox cannot be read", &error);
                let soon = chrono::Utc::now().timestamp_millis() + 1_000;
                if !server.wait(&server.stop, &server.wakes.arrived, Some(soon)).await {
                    return;
                }
            }
        }
        if server.stop.is_cancelled() {
            return;
        }
    }
}

async fn handle(server: &Arc<Server>, delivery: PendingDelivery) {
    crash::point("received.before-record");
    let looked = {
        let (server, delivery) = (server.clone(), delivery.clone());
        guarded("a delivery breaks the intake", async move { look(&server, &delivery).await }).await
    };
    let result = match looked.unwrap_or_else(|id| Err(LookError::Defect(id))) {
        Ok(intake) => {
            if let Some(reason) = &intake.ignored {
                tracing::info!(guid = delivery.guid, event = delivery.event, reason, "delivery ignored");
            }
            let stored = server.store.finish_delivery(delivery.id, &intake).await;
            if stored.is_ok() {
                server.carry_out(&intake.changes);
            }
            stored.map_err(LookError::from)
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(queued) => {
            if queued > 0 {
                crash::point("queued.before-effect");
                tracing::info!(guid = delivery.guid, queued, "briefs queued");
                server.wakes.queued.notify_one();
            }
            server.wakes.owed.notify_one();
        }
        Err(error) => put_off(server, &delivery, &error).await,
    }
}

async fn put_off(server: &Server, delivery: &PendingDelivery, error: &LookError) {
    let (hopeless, wait) = match error {
        LookError::GitHub(error) => (!error.is_transient(), error.retry_after_ms(delivery.attempts)),
        // A task went on between look and writing, so what was decided does not hold any more.
        LookError::Store(StoreError::Changed(_)) => (false, 50 << delivery.attempts.clamp(0, 10)),
        LookError::Store(_) => (false, 1_000),
        LookError::Defect(_) => (true, 0),
    };
    tracing::warn!(guid = delivery.guid, attempt = delivery.attempts + 1, %error, "delivery put off");
    let reason = error.to_string();
    let asked_for = match error {
        // Nothing that comes to the same again and again may keep what comes after it.
        LookError::Store(StoreError::Changed(_)) => false,
        error => matches!(error, LookError::GitHub(GitHubError::RateLimited(_)) | LookError::Store(_)),
    };
    let stored = if asked_for {
        // A silence that GitHub asks for, and a store that is busy, say nothing about the delivery.
        let until = chrono::Utc::now().timestamp_millis() + wait;
        server.store.hold_delivery(delivery.id, until, &reason).await
    } else if hopeless || delivery.attempts + 1 >= MOST_ATTEMPTS {
        server.store.fail_delivery(delivery.id, &reason).await
    } else {
        let until = chrono::Utc::now().timestamp_millis() + wait;
        server.store.postpone_delivery(delivery.id, until, &reason).await
    };
    if let Err(error) = stored {
        crate::error::log_internal("a delivery could not be put off", &error);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// Decides what a delivery leads to; reads GitHub and the store, and writes neither.
async fn look(server: &Server, delivery: &PendingDelivery) -> Result<Intake, LookError> {
    let parsed = rescan::read(server, delivery);
    let mut intake = match parsed.meaning {
        Meaning::Text(event) => look_at_text(server, delivery, &event).await?,
        Meaning::Withdrawn(event) => withdraw::look(server, &event).await?,
        Meaning::Pressed(event) => press::look(server, &event).await?,
        Meaning::Labelled(event) => gate::look(server, &event).await?,
        Meaning::Ignored(reason) => ignored(reason),
    };
    intake.repository = parsed.home.map(|home| SeenRepository {
        id: home.id,
        name: home.name.to_string(),
        installation_id: home.installation_id,
    });
    Ok(intake)
}

async fn look_at_text(
    server: &Server,
    delivery: &PendingDelivery,
    event: &TextEvent,
) -> Result<Intake, LookError> {
    crash::point("parsed.before-commit");
    let extraction = extract(&event.text);
    crash::point("parsed.before-effect");
    let commands = command::fresh(server, event, find(&event.text)).await?;
    let problems_key = problems_key(event);
    let told_before = server.store.effect_known(&problems_key).await?;
    let known = if event.edited { server.store.known_digests(event.source).await? } else { vec![] };
    if is_empty(&extraction) && commands.found.is_empty() && known.is_empty() && !told_before {
        return Ok(ignored("there is no brief and no command in it"));
    }
    if server.store.source_updated_at(event.source).await?.is_some_and(|newest| newest > event.updated_at_ms)
    {
        return Ok(ignored("a newer version of the text was seen before"));
    }
    if let Some(reason) = withdraw::withdrawn_before(server, event).await? {
        return Ok(ignored(reason));
    }
    if let Some(reason) = live::outdated(server, delivery, event).await? {
        return Ok(ignored(reason));
    }
    crash::point("parsed.before-record");
    let mut intake = Intake { seen: Some((event.source, event.updated_at_ms)), ..Intake::default() };
    let digests: Vec<String> =
        extraction.fences.iter().map(|fence| text_digest(&fence.text).to_string()).collect();
    intake.blocks.clone_from(&digests);
    intake.sender = Some((event.sender.login.clone(), event.sender.id));
    let bringers = if event.edited { server.store.bringers(event.source).await? } else { HashMap::new() };
    intake.commands = commands.found.iter().map(|found| (found.words.clone(), found.nth)).collect();
    // By its id: somebody else's repository may have the delivered name by now.
    let home = &event.home;
    let location = locate::find_anew(server, home.id, home.installation_id, &home.name.to_string()).await?;
    let place = location.place();
    crash::point("authorised.before-commit");
    let accounts = [&event.sender, &event.author].map(|account| (account.login.as_str(), account.id));
    let accounts = access::accounts(&server.github, place, accounts).await?;
    let (commands, denied) = command::permitted(server, &accounts, commands);
    let asks = !extraction.fences.is_empty() || !commands.found.is_empty();
    if let Some((login, id, found)) = access::stranger(&server.config, &accounts) {
        let error = format!("`{login}` (id {id}) has the permission `{found}` only");
        intake.ignored = Some(error.clone());
        // A word that other programs know too is not answered to somebody who may not use it.
        if !extraction.fences.is_empty() || denied.is_ours() {
            intake.effects = refusal::permission(server, event, (login, id), found).await?;
        }
        intake.audit = decided::not_allowed(event, &extraction, &denied.commands, &error);
        if !commands.found.is_empty() {
            let obeyed = command::obey(server, event, place, &accounts, &commands, 0).await?;
            answer(&mut intake, event, obeyed);
            intake.ignored = None;
        }
        return Ok(intake);
    }
    let judge = Judge::look(server, event, place, accounts.clone()).await?;
    if let Err((error, rule)) = judge.people() {
        intake.ignored = Some(format!("{} ({rule})", error.message));
        if asks {
            intake.effects = refusal::policy(server, event, &event.sender.id.to_string(), &error).await?;
            intake.audit =
                decided::not_allowed(event, &extraction, &commands, &format!("{} ({rule})", error.code));
        }
        return Ok(intake);
    }
    crash::point("authorised.before-effect");
    let place_refused = if extraction.fences.is_empty() { None } else { judge.place().err() };
    let fences = if place_refused.is_some() { &[][..] } else { &extraction.fences[..] };
    if let Some((error, rule)) = &place_refused {
        tracing::warn!(code = error.code, rule, thread = event.url, "briefs are refused");
        intake.effects = refusal::policy(server, event, error.code, error).await?;
        let error = format!("{} ({rule})", error.code);
        intake.audit = decided::not_allowed(event, &extraction, &Commands::default(), &error);
    }
    let mut problems = Vec::new();
    for (fence, digest) in fences.iter().zip(&digests) {
        if known.contains(digest) {
            continue;
        }
        let brought = bringers.get(digest).filter(|(_, id)| *id != event.sender.id);
        let accepted = match accept(server, event, fence, &delivery.guid) {
            Ok(_) if brought.is_some() => Err(vec![about(fence, of_another(brought))]),
            Ok((row, lane)) => match judge.brief(event, &row, lane, &mut intake).await? {
                Ok(decision) => match ask(server, place, (&row, lane), &decision, &mut intake).await? {
                    Ok(()) => Ok((row, lane.name.clone())),
                    Err(error) => Err(vec![about(fence, error)]),
                },
                Err(error) => Err(vec![about(fence, error)]),
            },
            Err(found) => Err(found),
        };
        match accepted {
            Ok(accepted) => intake.accepted.push(accepted),
            Err(mut found) => {
                intake.audit.push(decided::wrong(event, fence, &found));
                problems.append(&mut found);
            }
        }
    }
    if !intake.accepted.is_empty() {
        intake.effects.extend(judge.widened(event).await?);
    }
    owe(&mut intake, event, &extraction, problems, told_before.then_some(problems_key.as_str()));
    crash::point("authorised.before-record");
    intake.edited_to = event.edited.then_some(digests);
    if !denied.needs.is_empty() {
        let found = access::least(&server.config, &accounts);
        intake.effects.extend(refusal::commands(server, event, &denied.needs, found).await?);
        let (none, error) = (Extraction::default(), format!("the permission is `{found}` only"));
        intake.audit.extend(decided::not_allowed(event, &none, &denied.commands, &error));
    }
    let accepted = intake.accepted.len();
    let obeyed = command::obey(server, event, place, &accounts, &commands, accepted).await?;
    answer(&mut intake, event, obeyed);
    if intake.accepted.is_empty() && intake.effects.is_empty() {
        let known = || "every brief and command in it is known".to_owned();
        intake.ignored = Some(place_refused.map_or_else(known, |(error, _)| error.message));
    }
    Ok(intake)
}

/// Makes the refusal of a block that somebody else brought into the text, and that was not accepted then: an
/// edit beside it is no word of the editor for it.
fn of_another(brought: Option<&(String, u64)>) -> UserError {
    let login = brought.map_or("somebody else", |(login, _)| login.as_str());
    UserError::new(
        "brief-of-another",
        format!(
            "This brief was written into the text by `{login}` and was refused then; the edit of somebody else does not run it."
        ),
        "Whoever wants it to run posts it in a comment of their own.",
    )
}

/// Lets a brief that is accepted wait for a label or for approval, if it has to.
async fn ask(
    server: &Server,
    place: Place<'_>,
    (row, lane): (&BriefRow, &LaneConfig),
    decision: &Decision,
    intake: &mut Intake,
) -> Result<Result<(), UserError>, LookError> {
    // Approval is asked for once the gate is open.
    if gate::first(server, place, row, &lane.name, decision, intake).await? {
        return Ok(Ok(()));
    }
    let ask = approval::first(server, place, row, lane, decision).await?;
    Ok(ask.map(|ask| intake.asks.extend(ask)))
}

/// Owes what commands are answered: a reaction where that is enough, else one comment for all of them.
fn answer(intake: &mut Intake, event: &TextEvent, obeyed: Obeyed) {
    // GitHub has no reactions to a review.
    let (reaction, comment) = obeyed.shown(event.source.kind != SourceKind::Review);
    intake.changes = obeyed.changes;
    intake.audit.extend(obeyed.audit);
    intake.decided = obeyed.decided;
    intake.asks.extend(obeyed.asks);
    intake.rulings.extend(obeyed.rulings);
    intake.effects.extend(obeyed.effects);
    if obeyed.stopped {
        let (repository, number) = (event.home.id, event.thread.number);
        intake.withdrawn = Some(Withdrawal::Stopped { repository, number, at_ms: event.updated_at_ms });
    }
    if let Some(content) = reaction {
        let kind = match content {
            "eyes" => "seen",
            "+1" => "done",
            other => other,
        };
        let payload = EffectPayload::Reaction { source: event.source, content: content.to_owned() };
        intake.effects.push(effect(event, format!("{kind}:{}", source_key(event)), payload));
    }
    if comment {
        let key = format!("answer:{}:{}", source_key(event), event.updated_at_ms);
        let parts: Vec<String> = obeyed.said.into_iter().map(|said| said.text).collect();
        intake.effects.push(comment_effect(event, key.clone(), answer_comment(&parts, &key)));
    }
}

fn ignored(reason: impl Into<String>) -> Intake {
    Intake { ignored: Some(reason.into()), ..Intake::default() }
}

fn accept<'a>(
    server: &'a Server,
    event: &TextEvent,
    fence: &Fence,
    guid: &str,
) -> Result<(BriefRow, &'a LaneConfig), Vec<Diagnostic>> {
    let brief = brief::parse(&fence.text, &fence.origin())?;
    let lane = lanes::decide(&brief, &event.home.name, &server.config.lanes)
        .map_err(|error| vec![about(fence, error)])?;
    let digest = text_digest(&fence.text);
    let index = u32::try_from(fence.index).unwrap_or(u32::MAX);
    let row = BriefRow {
        id: BriefId::new(&event.source, fence.index, digest),
        source: event.source,
        repository: event.home.name.to_string(),
        installation_id: event.home.installation_id,
        source_url: event.url.clone(),
        block_index: index,
        text_digest: digest.to_string(),
        text: fence.text.clone(),
        thread_number: event.thread.number,
        thread_title: event.thread.title.clone(),
        requested_by: event.sender.login.clone(),
        requested_by_id: event.sender.id,
        author: event.author.login.clone(),
        author_id: event.author.id,
        delivery_guid: guid.to_owned(),
    };
    Ok((row, lane))
}

/// Owes what the thread is told: that briefs were seen, what is wrong with others, or that what was
/// wrong is mended.
fn owe(
    intake: &mut Intake,
    event: &TextEvent,
    extraction: &Extraction,
    mut problems: Vec<Diagnostic>,
    told_before: Option<&str>,
) {
    if !intake.accepted.is_empty() {
        let payload = EffectPayload::Reaction { source: event.source, content: "eyes".to_owned() };
        intake.effects.push(effect(event, format!("seen:{}", source_key(event)), payload));
    }
    problems.extend(extraction.refused.clone());
    problems.extend(extraction.misplaced.iter().map(|misplaced| misplaced.diagnostic.clone()));
    let key = problems_key(event);
    if !problems.is_empty() {
        let text = notice::problems_comment(&problems, intake.accepted.len(), &key);
        intake.effects.push(comment_effect(event, key, text));
    } else if told_before.is_some() {
        let text = notice::fixed_comment(&key);
        intake.effects.push(comment_effect(event, key, text));
    }
}

/// Makes a diagnostic of an error that concerns a whole brief.
fn about(fence: &Fence, error: UserError) -> Diagnostic {
    Diagnostic {
        code: error.code,
        severity: Severity::Error,
        line: fence.fence_line,
        column: 1,
        message: error.message,
        help: error.help,
        snippet: None,
    }
}

fn is_empty(extraction: &Extraction) -> bool {
    extraction.fences.is_empty() && extraction.misplaced.is_empty() && extraction.refused.is_none()
}

fn source_key(event: &TextEvent) -> String {
    let source = event.source;
    format!("{}:{}:{}", source.repository_id, source.kind.as_str(), source.id)
}

fn problems_key(event: &TextEvent) -> String {
    format!("problems:{}", source_key(event))
}

pub(super) fn comment_effect(event: &TextEvent, key: String, body: String) -> Effect {
    let marker = body.lines().next().unwrap_or_default().to_owned();
    effect(event, key, EffectPayload::Comment { marker, body })
}

fn effect(event: &TextEvent, key: String, payload: EffectPayload) -> Effect {
    Effect {
        id: 0,
        key,
        installation_id: event.home.installation_id,
        repository_id: event.source.repository_id,
        repository: event.home.name.to_string(),
        thread_number: event.thread.number,
        payload,
        version: 0,
        remote_id: None,
        attempts: 0,
        rewritten: 0,
    }
}
