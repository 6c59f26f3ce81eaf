use super::*;
use crate::brief::{Source, SourceKind};
use crate::store::models::{BriefRow, TaskFilter, TaskView};
use crate::store::{Act, Intake, TaskChange};

fn brief() -> BriefRow {
    BriefRow {
        id: BriefId::from([7; 32]),
        source: Source { repository_id: 7, kind: SourceKind::IssueBody, id: 70 },
        repository: "octo/example".to_owned(),
        installation_id: 3,
        source_url: "https://github.com/octo/example/issues/1".to_owned(),
        block_index: 0,
        text_digest: "d".repeat(64),
        text: String::new(),
        thread_number: 1,
        thread_title: "T".to_owned(),
        requested_by: "maria".to_owned(),
        requested_by_id: 9,
        author: "maria".to_owned(),
        author_id: 9,
        delivery_guid: "guid".to_owned(),
    }
}

fn an_ask(digest: &str, changed: &[&str]) -> Ask {
    Ask {
        brief: brief().id,
        digest: digest.to_owned(),
        needed: Approval::Required,
        base_commit: "1".repeat(40),
        policy_version: "p".to_owned(),
        policy: BTreeMap::from([("network".to_owned(), "none".to_owned())]),
        expires_at_ms: 0,
        changed: changed.iter().map(|why| (*why).to_owned()).collect(),
        owed: vec![],
    }
}

async fn asked() -> (tempfile::TempDir, Store, ApprovalRow) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
    let intake = Intake {
        accepted: vec![(brief(), "lane".to_owned())],
        asks: vec![an_ask("d1", &[])],
        ..Intake::default()
    };
    assert_eq!(store.finish_delivery(0, &intake).await.unwrap(), 0, "nothing is queued");
    assert!(store.claim_task("lane", "run-0", 0).await.unwrap().is_none());
    let row = store.approval("d1").await.unwrap().unwrap();
    (folder, store, row)
}

fn decided(row: &ApprovalRow, state: ApprovalState) -> Decided {
    Decided {
        approval: row.id,
        task: row.task,
        state,
        actor: Some(("olga".to_owned(), 10)),
        reason: "fine".to_owned(),
        says: "says".to_owned(),
        owed: vec![],
    }
}

async fn task(store: &Store) -> TaskView {
    store.tasks(&TaskFilter { most: 1, ..TaskFilter::default() }).await.unwrap().remove(0)
}

#[tokio::test]
async fn an_approval_is_decided_once() {
    let (_folder, store, row) = asked().await;
    let approve = decided(&row, ApprovalState::Approved);
    let intake = Intake { decided: vec![approve.clone()], ..Intake::default() };
    assert_eq!(store.finish_delivery(0, &intake).await.unwrap(), 1, "it is queued");
    for again in [approve, decided(&row, ApprovalState::Rejected), decided(&row, ApprovalState::Expired)] {
        assert!(matches!(store.decide_approval(&again).await, Err(StoreError::Changed(_))));
    }
    let row = store.approval_of_task(row.task).await.unwrap().unwrap();
    assert_eq!((row.state, row.actor), (ApprovalState::Approved, Some(("olga".to_owned(), 10))));
    assert!(store.claim_task("lane", "run-1", 0).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_cancelled_cannot_be_approved_any_more() {
    let (_folder, store, row) = asked().await;
    let cancel = TaskChange {
        task: row.task,
        act: Act::Cancel,
        actor: "maria".to_owned(),
        actor_id: None,
        why: "no".to_owned(),
    };
    store.change_tasks(&[cancel], &[]).await.unwrap();
    let approve = decided(&row, ApprovalState::Approved);
    assert!(matches!(store.decide_approval(&approve).await, Err(StoreError::Changed(_))));
    assert_eq!(task(&store).await.state.as_str(), "cancelled");
    assert_eq!(store.stale_approvals().await.unwrap().len(), 1);
    let approval = store.approval("d1").await.unwrap().unwrap();
    store.close_approval(&approval, "it was stopped", &[]).await.unwrap();
    let again = store.close_approval(&approval, "it was stopped", &[]).await;
    assert!(matches!(again, Err(StoreError::Changed(_))), "it is closed once");
    assert!(store.stale_approvals().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_run_that_may_not_begin_counts_for_nothing_and_its_approval_is_void() {
    let (_folder, store, row) = asked().await;
    store.decide_approval(&decided(&row, ApprovalState::Approved)).await.unwrap();
    let claimed = store.claim_task("lane", "run-1", 0).await.unwrap().unwrap();
    store.ask_again(&claimed, &an_ask("d2", &["the branch moved"])).await.unwrap();
    let view = task(&store).await;
    assert_eq!(view.state.block_reason().map(|reason| reason.as_str()), Some("awaiting_approval"));
    assert_eq!((view.retries, view.losses), (0, 0));
    let first = store.approval("d1").await.unwrap().unwrap();
    assert_eq!((first.state, first.reason.as_deref()), (ApprovalState::Void, Some("the branch moved")));
    let second = store.approval_of_task(row.task).await.unwrap().unwrap();
    assert_eq!((second.digest.as_str(), second.state), ("d2", ApprovalState::Asked));
    let stale = store.ask_again(&claimed, &an_ask("d3", &[])).await;
    assert!(matches!(stale, Err(StoreError::StaleEpoch(_))), "{stale:?}");
    let events: Vec<String> =
        store.audit_of_task(row.task).await.unwrap().into_iter().map(|entry| entry.action).collect();
    let told = ["queued", "approval-asked", "approved", "claimed", "approval-void", "approval-asked"];
    assert_eq!(events, told);
}
