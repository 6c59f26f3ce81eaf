//! What must hold once every brief has ended, however often its server died on the way.

use std::path::Path;
use std::time::{Duration, Instant};

use github_sim::{Delivery, GithubSim};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Row, SqliteConnection};

use crate::support::Town;

/// How often the store is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// How long what was killed may be listed as a process.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Opens the server's store beside the server.
pub(super) async fn connect(town: &Town) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(town.state().join("codex-brief.sqlite"));
    options.read_only(true).busy_timeout(Duration::from_secs(10)).connect().await.unwrap()
}

async fn rows(store: &mut SqliteConnection, query: &'static str) -> Vec<SqliteRow> {
    sqlx::query(query).fetch_all(store).await.unwrap()
}

async fn count(store: &mut SqliteConnection, query: &'static str) -> i64 {
    rows(store, query).await[0].get(0)
}

/// Counts the deliveries, briefs and runs in the store.
pub(super) async fn counts(town: &Town) -> [usize; 3] {
    let mut store = connect(town).await;
    let mut counts = [0; 3];
    let queries =
        ["SELECT COUNT(*) FROM deliveries", "SELECT COUNT(*) FROM briefs", "SELECT COUNT(*) FROM runs"];
    for (at, query) in queries.into_iter().enumerate() {
        counts[at] = usize::try_from(count(&mut store, query).await).unwrap();
    }
    counts
}

/// Counts the runs that were lost.
pub(super) async fn lost_runs(town: &Town) -> i64 {
    count(&mut connect(town).await, "SELECT COUNT(*) FROM runs WHERE state = 'lost'").await
}

/// Returns the GUIDs that no server has answered with success by now.
fn unanswered(sim: &GithubSim) -> Vec<String> {
    let deliveries = sim.deliveries();
    let answered = |delivery: &Delivery| matches!(delivery.status_code, Some(200..=299));
    let taken = |guid: &str| deliveries.iter().any(|it| it.guid == guid && answered(it));
    let mut guids: Vec<String> = deliveries.iter().map(|it| it.guid.clone()).collect();
    guids.sort();
    guids.dedup();
    guids.retain(|guid| !taken(guid));
    guids
}

/// Delivers again what GitHub's log tells to have failed, until all of it was answered.
pub(super) async fn redeliver_failed(town: &Town, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        town.sim.settled(within).await.expect("every delivery is answered or fails");
        if redeliver(&town.sim) == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "deliveries are not answered:\n{}", town.server.log());
    }
}

/// Delivers each GUID again that no server has answered with success, and returns how many there are.
pub(super) fn redeliver(sim: &GithubSim) -> usize {
    let failed = unanswered(sim);
    for guid in &failed {
        sim.redeliver(guid).unwrap();
    }
    failed.len()
}

/// Waits until every task has ended and nothing is owed, once every delivery was answered; tells what is
/// not so in time.
pub(super) async fn all_ended(town: &Town, within: Duration) -> Result<Duration, String> {
    let mut store = connect(town).await;
    let begun = Instant::now();
    // In the order in which each leads to the next.
    let queries = [
        "SELECT COUNT(*) FROM deliveries WHERE state = 'pending'",
        "SELECT COUNT(*) FROM tasks WHERE state IN ('queued', 'running')",
        "SELECT COUNT(*) FROM effects WHERE state = 'owed'",
    ];
    loop {
        let mut left = [0; 3];
        for (at, query) in queries.into_iter().enumerate() {
            left[at] = count(&mut store, query).await;
        }
        if left == [0; 3] {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > within {
            let [deliveries, tasks, effects] = left;
            return Err(format!(
                "after {within:?} there are {deliveries} deliveries pending, {tasks} tasks open, {effects} effects owed"
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns what does not hold in the store and on the machine, once [`all_ended`] does.
pub(super) async fn violations(town: &Town) -> Vec<String> {
    let mut store = connect(town).await;
    let mut found = in_the_store(&mut store).await;
    let runs: Vec<String> =
        rows(&mut store, "SELECT id FROM runs").await.iter().map(|row| row.get(0)).collect();
    found.extend(on_the_disk(&town.state()));
    found.extend(in_folder(&town.folder.path().join("tmp")));
    found.extend(left_processes(&runs).await);
    found
}

async fn in_the_store(store: &mut SqliteConnection) -> Vec<String> {
    let mut found = Vec::new();
    let check: String = rows(store, "PRAGMA integrity_check").await[0].get(0);
    if check != "ok" {
        found.push(format!("the store is damaged: {check}"));
    }
    let wrong = [
        ("a delivery was given up", "SELECT guid || ' ' || reason FROM deliveries WHERE state = 'failed'"),
        ("a write was given up", "SELECT key || ' ' || reason FROM effects WHERE state = 'given_up'"),
        (
            "epochs have a gap",
            "SELECT id FROM tasks WHERE epoch <> (SELECT COUNT(*) FROM runs WHERE task_id = tasks.id)
                OR epoch <> (SELECT COALESCE(MAX(epoch), 0) FROM runs WHERE task_id = tasks.id)",
        ),
        (
            "a run that is over counts",
            "SELECT runs.id FROM runs JOIN tasks ON tasks.id = task_id
             WHERE runs.epoch < tasks.epoch AND runs.state <> 'lost'",
        ),
        (
            "a last run is neither finished nor its task's second loss",
            "SELECT runs.id FROM runs JOIN tasks ON tasks.id = task_id
             WHERE runs.epoch = tasks.epoch
                 -- An edit withdraws also a task that waits for its second run.
                 AND NOT (tasks.state = 'cancelled' AND runs.state = 'lost')
                 AND runs.state <> CASE
                 WHEN tasks.block_reason = 'quarantined' AND tasks.losses >= 2 THEN 'lost' ELSE 'finished' END",
        ),
        (
            "a task ended in a way that no crash explains",
            "SELECT id FROM tasks WHERE state NOT IN ('done', 'cancelled')
                 AND NOT (state = 'blocked' AND block_reason = 'quarantined')",
        ),
    ];
    for (what, query) in wrong {
        for row in rows(store, query).await {
            let id = row.try_get::<String, _>(0).unwrap_or_else(|_| row.get::<i64, _>(0).to_string());
            found.push(format!("{what}: {id}"));
        }
    }
    found
}

/// Looks for folders of runs but their logs, and for half-written files.
fn on_the_disk(state: &Path) -> Vec<String> {
    let names = |folder: &Path| -> Vec<std::path::PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let mut found: Vec<String> = names(&state.join("runs"))
        .iter()
        .flat_map(|run| names(run))
        .filter(|path| !path.ends_with("logs"))
        .map(|path| format!("{} is left", path.display()))
        .collect();
    found.extend(in_folder(&state.join("blobs/tmp")));
    found
}

fn in_folder(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| format!("{} is left", entry.path().display())).collect()
}

/// Looks for processes that have a run's folder mounted, or its name in their environment or command.
async fn left_processes(runs: &[String]) -> Vec<String> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let found = processes_of(runs);
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Returns the processes of these runs, each with what ties it to one.
pub(super) fn processes_of(runs: &[String]) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found = Vec::new();
    for id in ids {
        for file in ["mountinfo", "environ", "cmdline"] {
            let text = std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            if let Some(run) = runs.iter().find(|run| text.contains(run.as_str())) {
                found.push(format!("process {id} is left of run {run} ({file})"));
            }
        }
    }
    found
}
