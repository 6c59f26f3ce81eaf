//! Reads the store as the model has it, and makes the rows that cases need.

use sqlx::Row;

use super::World;
use super::model::{Model, Owed, Run, Task};
use crate::brief::{BriefId, Source, SourceKind, text_digest};
use crate::queue::task::TaskState;
use crate::store::models::{BriefRow, ClaimedTask, Effect, EffectPayload};
use crate::store::sqlite::now_ms;

impl World {
    /// Returns an effect as the outbox would have it; one without a row if there is none.
    pub(super) async fn effect(&self, key: &str) -> Effect {
        let payload = EffectPayload::Publish { run: String::new() };
        let mut effect = Effect::for_brief(&brief(0, "any", "guid"), key.to_owned(), payload);
        let row = sqlx::query("SELECT id, version FROM effects WHERE key = ?").bind(key);
        if let Some(row) = row.fetch_optional(&self.store.writer).await.unwrap() {
            (effect.id, effect.version) = (row.get("id"), row.get("version"));
        }
        effect
    }

    /// Returns everything in the store that a run's write could change.
    pub(super) async fn dump(&self) -> Vec<String> {
        let all = "SELECT 'task' || json_array(id, lane, state, block_reason, reason, epoch, retries, losses,
                not_before, changed_at) AS line FROM tasks
            UNION ALL SELECT 'run' || json_array(id, task_id, epoch, state, ended_at, lease_until, report,
                changeset, reason) FROM runs
            UNION ALL SELECT 'effect' || json_array(id, key, payload, version, state, attempts, not_before,
                written_at, reason) FROM effects
            UNION ALL SELECT 'audit' || entry FROM audit";
        let rows = sqlx::query(all).fetch_all(&self.store.writer).await.unwrap();
        rows.iter().map(|row| row.get("line")).collect()
    }

    /// Returns the label that the thread of all cases is to carry, by the store.
    pub(super) async fn label(&self) -> Option<String> {
        let row = sqlx::query("SELECT payload FROM effects WHERE kind = 'label'");
        let row = row.fetch_optional(&self.store.reader).await.unwrap()?;
        match serde_json::from_str(row.get("payload")).unwrap() {
            EffectPayload::Label { label, .. } => label,
            other => panic!("no label but {other:?}"),
        }
    }

    /// Reads the store into a model of its own.
    pub(super) async fn seen(&self) -> Model {
        let rows = |sql| sqlx::query(sql).fetch_all(&self.store.reader);
        let mut seen = Model::default();
        for row in rows("SELECT guid FROM deliveries").await.unwrap() {
            seen.guids.insert(row.get("guid"));
        }
        let tasks = "SELECT tasks.*, briefs.source_id, briefs.text_digest FROM tasks
            JOIN briefs ON briefs.id = tasks.brief_id";
        for row in rows(tasks).await.unwrap() {
            let task = Task {
                brief: row.get("brief_id"),
                source: row.get::<i64, _>("source_id").unsigned_abs(),
                digest: row.get("text_digest"),
                lane: row.get("lane"),
                state: TaskState::read(row.get("state"), row.get("block_reason")).unwrap(),
                reason: row.get("reason"),
                epoch: row.get("epoch"),
                retries: row.get("retries"),
                losses: row.get("losses"),
                held: row.get::<i64, _>("not_before") > now_ms(),
            };
            seen.tasks.insert(row.get("id"), task);
        }
        for row in rows("SELECT * FROM runs").await.unwrap() {
            let run = Run {
                task: row.get("task_id"),
                epoch: row.get("epoch"),
                state: row.get("state"),
                lease: row.get("lease_until"),
                changeset: row.get("changeset"),
                reason: row.get("reason"),
            };
            seen.runs.insert(row.get("id"), run);
        }
        for row in rows("SELECT * FROM effects WHERE kind <> 'label'").await.unwrap() {
            let owed =
                Owed { payload: row.get("payload"), version: row.get("version"), state: row.get("state") };
            seen.effects.insert(row.get("key"), owed);
        }
        seen
    }
}

pub(super) fn lane_name(first: bool) -> &'static str {
    if first { "first" } else { "second" }
}

pub(super) fn brief(source: u8, text: &str, guid: &str) -> BriefRow {
    let source = Source { repository_id: 1, kind: SourceKind::IssueBody, id: u64::from(source) };
    BriefRow {
        id: BriefId::new(&source, 0, text_digest(text)),
        source,
        repository: "octo/example".to_owned(),
        installation_id: 1,
        source_url: "https://github.com/octo/example/issues/1".to_owned(),
        block_index: 0,
        text_digest: text_digest(text).to_string(),
        text: text.to_owned(),
        thread_number: 1,
        thread_title: "An example".to_owned(),
        requested_by: "maria".to_owned(),
        requested_by_id: 1,
        author: "maria".to_owned(),
        author_id: 1,
        delivery_guid: guid.to_owned(),
    }
}

/// Makes the result comment of a run, which all runs of its task share.
pub(super) fn comment(run: &ClaimedTask, body: &str) -> Effect {
    let payload = EffectPayload::Comment { marker: String::new(), body: format!("{}: {body}", run.run_id) };
    Effect::for_brief(&run.brief, format!("result:{}", run.brief.id), payload)
}
