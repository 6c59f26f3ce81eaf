//! The store under stress: damaged, locked, full, read-only, cut off in a migration; and its backups.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::support::{LANE, PROGRAM, REPO, SOON, Town, brief};

const STORE: &str = "codex-brief.sqlite";

async fn connect(town: &Town) -> SqliteConnection {
    SqliteConnectOptions::new().filename(town.state().join(STORE)).connect().await.unwrap()
}

async fn number(store: &mut SqliteConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(store).await.unwrap()
}

/// Runs a command of the program to its end.
fn command(town: &Town, program: &Path, arguments: &[&str]) -> Output {
    // A server that wrongly starts is ended.
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).args(arguments).arg("--config").arg(&town.config).stdin(Stdio::null());
    command.env("CODEX_BRIEF_WEBHOOK_SECRET", town.sim.webhook_secret());
    command.output().unwrap()
}

/// Starts a server that shall refuse to, and returns what it says.
fn refused(town: &Town, program: &Path, code: &str) -> String {
    let output = command(town, program, &["serve"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("[{code}]")), "{said}");
    said
}

/// Writes a script that does something in a mount namespace of its own, and is the server then. For
/// everybody but root the server has a user namespace within it, where it is no root.
fn in_own_mounts(town: &Town, prepare: &str) -> PathBuf {
    let script = town.folder.path().join("server.sh");
    let text = format!(
        "#!/bin/sh\nset -e\nprepare=\"set -e\n{prepare}\"\n\
         if [ \"$(id -u)\" = 0 ]; then\n  exec unshare -m sh -c \"$prepare\nexec {PROGRAM} \\\"\\$@\\\"\" sh \"$@\"\nfi\n\
         exec unshare -Urm sh -c \"$prepare\nexec unshare -U --map-user=1000 --map-group=1000 {PROGRAM} \\\"\\$@\\\"\" sh \"$@\"\n"
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

#[tokio::test]
async fn a_damaged_store_is_refused_with_what_to_do_and_left_as_it_is() {
    let mut town = Town::new().await;
    town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    town.server.kill();
    // Everything is in the file then, as after an orderly end.
    let mut store = connect(&town).await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut store).await.unwrap();
    store.close().await.unwrap();
    let file = town.state().join(STORE);
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped.iter_mut().skip(4096).step_by(4096).for_each(|byte| *byte ^= 0xff);
    for damaged in [&flipped[..], &whole[..whole.len() / 2], b"Dear server, this is a letter.\n"] {
        fs::write(&file, damaged).unwrap();
        let said = refused(&town, Path::new(PROGRAM), "store-corrupt");
        assert!(said.contains("docs/operations.md") && said.contains(".recover"), "{said}");
        assert!(fs::read(&file).unwrap() == damaged, "the file was changed");
    }
    fs::write(&file, whole).unwrap();
    town.start_again();
    town.everything_else_is_done().await;
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_dropped_and_what_was_confirmed_is_there() {
    let mut town = Town::new().await;
    let text = brief(&[("slow", "sleep 2\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Torn", &text).unwrap();
    town.logged("step begins").await;
    town.server.kill();
    let log = town.state().join(format!("{STORE}-wal"));
    let bytes = fs::read(&log).unwrap();
    // The beginning of a frame like the last one, as a power failure leaves it.
    let torn = &bytes[bytes.len() - 4120..][..3000];
    fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(torn).unwrap();
    town.start_again();
    assert_eq!(town.result(issue.number, 1).await.1["status"], "success");
    town.everything_else_is_done().await;
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.sim.pulls(REPO).len(), 2);
}

#[tokio::test]
async fn an_older_program_refuses_a_newer_store() {
    let mut town = Town::new().await;
    town.server.kill();
    let mut store = connect(&town).await;
    let newer = "INSERT INTO _sqlx_migrations VALUES (9999, 'from later', 0, 1, x'00', 0)";
    sqlx::query(newer).execute(&mut store).await.unwrap();
    store.close().await.unwrap();
    assert!(refused(&town, Path::new(PROGRAM), "store-newer").contains("9999"));
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_refused_whether_file_or_folder() {
    let mut town = Town::new().await;
    town.server.kill();
    let state = town.state();
    for path in [state.join(STORE), state] {
        let path = path.display();
        let read_only = format!("mount --bind '{path}' '{path}'; mount -o remount,bind,ro '{path}'");
        refused(&town, &in_own_mounts(&town, &read_only), "store-read-only");
    }
    town.start_again();
}

/// Waits until GitHub has got 503 for a delivery that it had not, and returns its GUID.
async fn turned_away(town: &Town) -> String {
    let away = town.sim.wait_for(SOON, |world| {
        let away = world.deliveries().iter().find(|delivery| delivery.status_code == Some(503));
        away.map(|delivery| delivery.guid.clone())
    });
    away.await.unwrap_or_else(|error| panic!("{error}\n{}", town.server.log()))
}

/// Redelivers what was turned away, and sees that both briefs end as if nothing had been.
async fn both_end_once(town: &Town, finished: u64, late: u64, guid: &str) {
    assert_eq!(town.result(finished, 1).await.1["status"], "success");
    town.sim.redeliver(guid).unwrap();
    assert_eq!(town.result(late, 1).await.1["status"], "success");
    town.everything_else_is_done().await;
    for thread in [finished, late] {
        assert_eq!(town.own_comments(thread).len(), 1);
    }
    assert_eq!(town.sim.pulls(REPO).len(), 3);
}

#[tokio::test]
async fn a_locked_store_stops_a_start_and_delays_a_server_that_loses_nothing() {
    let mut town = Town::new().await;
    let slow = brief(&[("slow", "sleep 9\necho x > x.txt")], &["x.txt"]);
    let first = town.sim.open_issue(REPO, "maria", "Slow", &slow).unwrap();
    town.logged("step begins").await;
    town.sim.settled(SOON).await.unwrap();
    let mut store = connect(&town).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut store).await.unwrap();
    let other = brief(&[("write", "echo y > y.txt")], &["y.txt"]);
    let second = town.sim.open_issue(REPO, "maria", "Late", &other).unwrap();
    let guid = turned_away(&town).await;
    town.logged("a run's result cannot be stored yet").await;
    sqlx::query("ROLLBACK").execute(&mut store).await.unwrap();
    both_end_once(&town, first.number, second.number, &guid).await;

    town.server.kill();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut store).await.unwrap();
    refused(&town, Path::new(PROGRAM), "store-locked");
    sqlx::query("ROLLBACK").execute(&mut store).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_delays_a_server_that_stays_up_and_loses_nothing() {
    let mut town = Town::new().await;
    town.server.kill();
    // The store's disk is small, yet holds a write-ahead log of the 4 MiB at which SQLite empties it; the other
    // folders lie elsewhere, so that the run itself can end.
    let (state, elsewhere) = (town.state(), town.folder.path().join("elsewhere"));
    let folders = ["runs", "blobs", "mirrors"];
    folders.iter().for_each(|name| fs::create_dir_all(elsewhere.join(name)).unwrap());
    let (state_, elsewhere) = (state.display(), elsewhere.display());
    let binds: String = folders
        .iter()
        .map(|name| format!("mkdir '{state_}/{name}'; mount --bind '{elsewhere}/{name}' '{state_}/{name}'\n"))
        .collect();
    let small =
        format!("mount -t tmpfs -o size=8m,mode=700 small '{state_}'; chmod 700 '{elsewhere}'/*\n{binds}");
    let script = in_own_mounts(&town, &small);
    town.start_as(&script);
    let slow = brief(&[("slow", "sleep 5\necho x > x.txt")], &["x.txt"]);
    let first = town.sim.open_issue(REPO, "maria", "Slow", &slow).unwrap();
    town.logged("step begins").await;
    town.sim.settled(SOON).await.unwrap();

    let filler = PathBuf::from(format!("/proc/{}/root{}/filler", town.server.pid(), state.display()));
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let other = brief(&[("write", "echo y > y.txt")], &["y.txt"]);
    let second = town.sim.open_issue(REPO, "maria", "Late", &other).unwrap();
    let guid = turned_away(&town).await;
    town.logged("a run's result cannot be stored yet").await;
    let ready = reqwest::get(format!("{}/readyz", town.server.url())).await.unwrap();
    assert_eq!(ready.status(), 503);
    let ready: serde_json::Value = ready.json().await.unwrap();
    assert_eq!((&ready["store"], &ready["store_writable"]), (&true.into(), &false.into()));
    let page = reqwest::get(town.server.url()).await.unwrap().text().await.unwrap();
    assert!(page.contains("takes no writes"), "{page}");

    drop(file);
    fs::remove_file(&filler).unwrap();
    both_end_once(&town, first.number, second.number, &guid).await;
}

#[tokio::test]
async fn changes_that_find_the_disk_full_wait_for_room() {
    let mut town = Town::new().await;
    town.server.kill();
    // Only the contents of changed files lie on the small disk.
    let blobs = town.state().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let small = format!("mount -t tmpfs -o size=1m,mode=700 small '{}'\n", blobs.display());
    let script = in_own_mounts(&town, &small);
    town.start_as(&script);
    let filler = PathBuf::from(format!("/proc/{}/root{}/filler", town.server.pid(), blobs.display()));
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let text = brief(&[("write", "head -c 100000 /dev/zero > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Full", &text).unwrap();
    town.logged("the run's changes wait for room").await;
    drop(file);
    fs::remove_file(&filler).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert_eq!(town.server.log().matches("run begins").count(), 1);
}

#[tokio::test]
async fn a_server_that_is_killed_in_a_migration_makes_it_at_its_next_start() {
    let mut town = Town::new().await;
    town.server.kill();
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(town.state().join(format!("{STORE}{ending}")));
    }
    let all = sqlx::migrate!("migrations/sqlite");
    let first = all.iter().filter(|it| it.version == 1).cloned().collect();
    let options = SqliteConnectOptions::new().filename(town.state().join(STORE)).create_if_missing(true);
    let mut store = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal).connect().await.unwrap();
    sqlx::migrate::Migrator::with_migrations(first).run_direct(None, &mut store, false).await.unwrap();
    let rows = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
        INSERT INTO effects (key, kind, installation_id, repository_id, repository, thread_number, payload, state)
        SELECT n, 'comment', 1, 1, 'octo/example', 1, hex(zeroblob(300)), 'done' FROM n";
    sqlx::query(rows).execute(&mut store).await.unwrap();
    store.close().await.unwrap();

    let mut server = Command::new(PROGRAM)
        .args(["serve", "--config"])
        .arg(&town.config)
        .env("CODEX_BRIEF_WEBHOOK_SECRET", town.sim.webhook_secret())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = town.state().join(format!("{STORE}-wal"));
    let begun = async {
        while fs::metadata(&log).map_or(0, |data| data.len()) < 4 << 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, begun).await.expect("the migration writes");
    server.kill().unwrap();
    server.wait().unwrap();
    let mut store = connect(&town).await;
    assert_eq!(number(&mut store, "SELECT MAX(version) FROM _sqlx_migrations").await, 1, "killed too late");
    assert_eq!(number(&mut store, "SELECT COUNT(*) FROM effects").await, 100_000);
    let half = "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('effects_new', 'audit', 'marks')";
    assert_eq!(number(&mut store, half).await, 0);
    store.close().await.unwrap();

    town.start_again();
    let mut store = connect(&town).await;
    let last = all.iter().map(|it| it.version).max().unwrap();
    assert_eq!(number(&mut store, "SELECT MAX(version) FROM _sqlx_migrations").await, last);
    let kept = "SELECT COUNT(*) FROM effects WHERE state = 'done' AND length(payload) = 600";
    assert_eq!(number(&mut store, kept).await, 100_000);
    town.everything_else_is_done().await;
}

/// Returns the commands that the operator's page gives for a restore, for these folders.
fn documented_restore(town: &Town, backup: &Path) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let block = page.split("<!-- restore -->\n```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<&str> = block.lines().collect();
    let [first, steps @ .., last] = &lines[..] else { panic!("{block}") };
    assert_eq!((*first, *last), ("systemctl stop codex-brief", "systemctl start codex-brief"));
    steps
        .join("\n")
        .replace("/srv/backup/codex-brief", &backup.display().to_string())
        .replace("/var/lib/codex-brief", &town.state().display().to_string())
        .replace("codex-brief backup", &format!("{PROGRAM} backup"))
}

#[tokio::test]
async fn a_backup_made_while_serving_is_restored_by_the_documented_steps_and_nothing_is_doubled() {
    let mut town = Town::new().await;
    let (done, _) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    let slow = brief(&[("slow", "sleep 4\necho y > y.txt")], &["y.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Slow", &slow).unwrap();
    town.logged("name=\"slow\"").await;
    let backup = town.folder.path().join("backup");
    let to = backup.display().to_string();
    let made = command(&town, Path::new(PROGRAM), &["backup", "--json", "--to", &to]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let manifest: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&manifest["briefs"], &manifest["blobs"]), (&2.into(), &1.into()), "{manifest}");
    assert_eq!(town.own_comments(issue.number).len(), 0, "the backup was made after the run");
    let again = command(&town, Path::new(PROGRAM), &["backup", "--to", &to]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("[backup-exists]"));
    town.result(issue.number, 1).await;
    town.sim.settled(SOON).await.unwrap();

    town.server.kill();
    let restored = Command::new("sh").args(["-ec", &documented_restore(&town, &backup)]).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    town.start_again();
    town.logged("run ended").await;
    town.everything_else_is_done().await;
    assert_eq!(town.sim.pulls(REPO).len(), 3, "one for each brief");
    assert_eq!(town.own_comments(issue.number).len(), 1);
    assert_eq!(town.own_comments(1).len(), 1);
    assert_eq!(town.sim.comments(REPO, 1)[0].body, done.body, "what was done is left as it is");
    assert_eq!(town.server.log().matches("run begins").count(), 2, "what was done was run again");
}

/// Makes everything that is told of one brief's run as old as eleven days.
async fn age(town: &Town, store: &mut SqliteConnection, thread: i64) -> (String, PathBuf) {
    let of_run = "FROM runs JOIN tasks ON tasks.id = task_id JOIN briefs ON briefs.id = brief_id WHERE thread_number = ?";
    let find = sqlx::AssertSqlSafe(format!(
        "SELECT runs.id, json_extract(changeset, '$.entries[0].blob'), delivery_guid {of_run}"
    ));
    let (run, blob, guid): (String, String, String) =
        sqlx::query_as(find).bind(thread).fetch_one(&mut *store).await.unwrap();
    let days = 11 * 86_400_000_i64;
    for change in [
        "UPDATE runs SET started_at = started_at - ?1, ended_at = ended_at - ?1 WHERE id = ?2",
        "UPDATE deliveries SET received_at = received_at - ?1 WHERE guid = ?2",
    ] {
        let name = if change.contains("guid") { &guid } else { &run };
        sqlx::query(change).bind(days).bind(name).execute(&mut *store).await.unwrap();
    }
    let blob = town.state().join("blobs").join(&blob[..2]).join(&blob);
    let file = fs::File::options().write(true).open(&blob).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(11 * 24)).unwrap();
    (run, blob)
}

#[tokio::test]
async fn what_is_past_its_time_goes_and_what_somebody_waits_for_stays() {
    let retention = "[retention]\ndeliveries_days = 10\nruns_days = 10\nlogs_days = 10\n\n";
    let mut town = Town::with_lanes(&format!("{retention}{LANE}")).await;
    for name in ["old", "blocked", "young"] {
        town.run(&[("write", &format!("echo {name} | tee {name}.txt"))], &[&format!("{name}.txt")]).await;
    }
    town.sim.settled(SOON).await.unwrap();
    town.server.kill();
    let mut store = connect(&town).await;
    let (old_run, old_blob) = age(&town, &mut store, 1).await;
    // Issues and pull requests are numbered together.
    let (blocked_run, blocked_blob) = age(&town, &mut store, 3).await;
    for change in [
        "UPDATE tasks SET state = 'blocked' WHERE id = 2",
        "INSERT INTO audit (sequence, entry, hash) VALUES (999, '{\"action\":\"old\",\"at\":\"1970\"}', 'x')",
    ] {
        sqlx::query(change).execute(&mut store).await.unwrap();
    }
    let logs = |run: &str| town.state().join("runs").join(run);
    assert!(logs(&old_run).exists() && logs(&blocked_run).exists());
    let newest = number(&mut store, "SELECT MAX(id) FROM deliveries").await;
    let half_written = town.state().join("blobs/tmp/put-left");
    fs::write(&half_written, "x").unwrap();
    store.close().await.unwrap();
    let (old_logs, blocked_logs) = (logs(&old_run), logs(&blocked_run));

    town.start_again();
    assert!(!half_written.exists());
    town.logged("removed what is past its time bodies=2 runs=1 blobs=1 logs=1").await;
    let mut store = connect(&town).await;
    let kept = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM deliveries WHERE id <= ?").bind(newest);
    assert_eq!(kept.fetch_one(&mut store).await.unwrap(), newest, "ids have no gap until one is removed");
    assert_eq!(number(&mut store, "SELECT COUNT(*) FROM deliveries WHERE length(body) = 0").await, 2);
    assert_eq!(number(&mut store, "SELECT COUNT(*) FROM runs WHERE changeset IS NULL").await, 1);
    assert_eq!(number(&mut store, "SELECT COUNT(*) FROM briefs").await, 3);
    assert_eq!(number(&mut store, "SELECT COUNT(*) FROM audit WHERE action = 'old'").await, 1);
    assert!(!old_blob.exists() && blocked_blob.exists());
    assert!(!old_logs.exists() && blocked_logs.exists());

    let patch = command(&town, Path::new(PROGRAM), &["patch", &old_run]);
    assert_eq!(patch.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&patch.stderr).contains("[patch-pruned]"));
    let patch = command(&town, Path::new(PROGRAM), &["patch", &blocked_run]);
    assert!(String::from_utf8_lossy(&patch.stdout).contains("+blocked"));
    let guid: String =
        sqlx::query_scalar("SELECT guid FROM deliveries WHERE length(body) = 0 ORDER BY id LIMIT 1")
            .fetch_one(&mut store)
            .await
            .unwrap();
    let again = town.sim.redeliver(&guid).unwrap();
    let answer = town.sim.delivered(again, SOON).await.unwrap();
    assert_eq!(answer.response_body, "known already\n");
    town.everything_else_is_done().await;
    assert_eq!(town.sim.pulls(REPO).len(), 4);
}
