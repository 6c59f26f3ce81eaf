use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::chain::Wrong;
use super::verify::verify;
use super::*;

const NO_SINK: Option<std::vec::IntoIter<std::io::Result<String>>> = None;

async fn store(folder: &Path) -> Store {
    Store::open(&folder.join("store.sqlite")).await.unwrap()
}

#[tokio::test]
async fn an_entry_can_neither_be_changed_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut tx = store.begin().await.unwrap();
    let who = Actor::account("maria", 9);
    record(&mut tx, About { task: Some(7), run: None }, "stopped", who, "why not").await.unwrap();
    tx.commit().await.unwrap();
    for forgery in
        ["UPDATE audit SET hash = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE sequence = 1"]
    {
        let refused = sqlx::query(forgery).execute(&store.writer).await.unwrap_err().to_string();
        assert!(refused.contains("the audit log is never"), "{refused}");
    }
    let entries = store.audit_of_task(7).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].action.as_str(), entries[0].actor.login.as_str()), ("stopped", "maria"));
}

#[tokio::test]
async fn what_was_entered_before_there_was_a_chain_becomes_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.sqlite");
    let before = sqlx::migrate!("migrations/sqlite").iter().filter(|it| it.version < 7).cloned().collect();
    let mut old =
        SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    sqlx::migrate::Migrator::with_migrations(before).run_direct(None, &mut old, false).await.unwrap();
    for row in [
        "INSERT INTO audit VALUES (1, 1767225604123, 5, NULL, 'queued', 'maria', 'https://x')",
        "INSERT INTO audit VALUES (2, 1767225605000, 5, 'r', 'claimed', 'server', 'devbox')",
    ] {
        sqlx::query(row).execute(&mut old).await.unwrap();
    }
    sqlx::Connection::close(old).await.unwrap();
    for _ in 0..2 {
        let store = store(folder.path()).await;
        let rows = store.audit_after(0, 9).await.unwrap();
        let entries: Vec<AuditEntry> = rows.iter().map(|row| row.entry().unwrap()).collect();
        let actions: Vec<&str> = entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["queued", "claimed", "chained"]);
        assert_eq!(
            (entries[0].at.as_str(), entries[0].actor.id.as_ref()),
            ("2026-01-01T00:00:04.123Z", None)
        );
        assert_eq!((entries[1].target.task, entries[1].target.run.as_deref()), (Some(5), Some("r")));
        assert_eq!(verify(&store, NO_SINK, None).await.unwrap().unwrap().faults, []);
        assert_eq!(store.audit_of_task(5).await.unwrap().len(), 2);
        store.close().await;
    }
}

#[tokio::test]
async fn a_start_tells_which_sections_are_not_those_of_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let sections = |queue: &str| -> BTreeMap<String, String> {
        let pairs = [("queue", queue), ("lane.devbox", "1")];
        pairs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).into_iter().collect()
    };
    let mut without = sections("2");
    without.remove("lane.devbox");
    store.audit_start("1.0", &sections("1")).await.unwrap();
    for (now, changed) in
        [(&sections("1"), vec![]), (&sections("2"), vec!["queue"]), (&without, vec!["lane.devbox"])]
    {
        assert_eq!(store.audit_start("1.0", now).await.unwrap(), changed);
        let last = store.audit_head().await.unwrap().unwrap().entry().unwrap();
        assert_eq!(last.details.get("changed").map(String::as_str).unwrap_or_default(), changed.join(", "));
    }
}

#[tokio::test]
async fn nothing_is_entered_of_what_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let mut tx = store.begin().await.unwrap();
    append(&mut tx, Entry::new("queued", "maria", "")).await.unwrap();
    drop(tx);
    store.audit(Entry::new("claimed", SERVER, "x".repeat(9_000))).await.unwrap();
    let rows = store.audit_after(0, 9).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].line.len() < 3_000, "a reason is bounded");
    let head = (1, rows[0].hash.clone());
    let verdict = verify(&store, NO_SINK, Some(&head)).await.unwrap().unwrap();
    assert_eq!((verdict.head.unwrap(), verdict.faults), (format!("1:{}", head.1), vec![]));
    let later = (3, head.1);
    let faults = verify(&store, NO_SINK, Some(&later)).await.unwrap().unwrap().faults;
    assert_eq!((faults[0].fault.sequence, faults[0].fault.what), (2, Wrong::CutOff));
}
