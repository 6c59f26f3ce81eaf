//! The scenarios: what is done to a task, what the rules promise, and what is seen.

use std::process::Stdio;

use anyhow::Context;

use super::bench::{Answer, Bench, marker};
use super::cast::Cast;
use super::expect::{interrupted, interrupted_once, told};
use crate::config::{LaneConfig, SandboxKind};
use crate::queue::task::{BlockReason, MOST_LOSSES, TaskState};
use crate::server::running::Cut;
use crate::server::{conclude, lease, recover};
use crate::store::{Act, Next, SERVER, StoreError, TaskChange};

/// Something that can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A step runs too long, and does not listen when it is asked to end.
    WallTime,
    /// A step prints nothing for too long.
    Silence,
    /// A step is silent too long once, and is quick the second time.
    SilenceOnce,
    /// A step ends with 130.
    Exit130,
    /// A step kills itself.
    Exit137,
    /// A step fails.
    Exit1,
    /// A signal that is no kill and no interrupt ends a step.
    Signal15,
    /// The server is killed during a run.
    ServerKilled,
    /// The server is killed during each run.
    ServerKilledTwice,
    /// The server is told to end, and its grace is over during a run.
    ServerEnds,
    /// The lane cannot run a step, and can again later.
    LaneLost,
    /// A server that hangs does not renew a run's lease in time.
    LeaseLost,
    /// Somebody stops a run.
    StopRunning,
    /// Somebody stops a task that waits.
    StopQueued,
    /// GitHub refuses what was made, and takes it later.
    PublishingRefused,
    /// A defect of the server breaks the publishing.
    PublishingBroken,
}

/// What a scenario came to.
pub(super) struct Played {
    pub(super) expected: String,
    pub(super) seen: String,
}

impl Scenario {
    /// Lists all, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::WallTime,
        Self::Silence,
        Self::SilenceOnce,
        Self::Exit130,
        Self::Exit137,
        Self::Exit1,
        Self::Signal15,
        Self::ServerKilled,
        Self::ServerKilledTwice,
        Self::ServerEnds,
        Self::LaneLost,
        Self::LeaseLost,
        Self::StopRunning,
        Self::StopQueued,
        Self::PublishingRefused,
        Self::PublishingBroken,
    ];

    /// Returns the name by which it is chosen.
    pub fn name(self) -> &'static str {
        match self {
            Self::WallTime => "wall-time",
            Self::Silence => "silence",
            Self::SilenceOnce => "silence-once",
            Self::Exit130 => "exit-130",
            Self::Exit137 => "exit-137",
            Self::Exit1 => "exit-1",
            Self::Signal15 => "signal-15",
            Self::ServerKilled => "server-killed",
            Self::ServerKilledTwice => "server-killed-twice",
            Self::ServerEnds => "server-ends",
            Self::LaneLost => "lane-lost",
            Self::LeaseLost => "lease-lost",
            Self::StopRunning => "stop-running",
            Self::StopQueued => "stop-queued",
            Self::PublishingRefused => "publishing-refused",
            Self::PublishingBroken => "publishing-broken",
        }
    }

    /// Tells whether it can happen to a lane: one without a sandbox has nothing that could fail.
    pub fn applies_to(self, lane: &LaneConfig) -> bool {
        self != Self::LaneLost || lane.sandbox == SandboxKind::Bubblewrap
    }

    /// Plays it.
    pub(super) async fn play(self, cast: &Cast) -> anyhow::Result<Played> {
        let retries = cast.queue.failed_task_max_retry_count;
        let word = marker();
        let deaf = format!("trap '' TERM\nsleep {word} >/dev/null &\nwhile :; do echo on; sleep 0.2; done");
        let silent = format!("sleep {word}");
        match self {
            Self::WallTime => {
                let expected = interrupted("time-out", "step-timeout", retries);
                alone(cast, &deaf, &word, expected).await
            }
            Self::Silence => {
                let expected = interrupted("time-out", "step-idle", retries);
                alone(cast, &silent, &word, expected).await
            }
            Self::SilenceOnce => {
                let expected = interrupted_once("time-out", "step-idle", retries);
                alone(cast, &first_only(&word), &word, expected).await
            }
            Self::Exit130 => {
                alone(cast, "exit 130", &word, interrupted("exit 130", "step-failed", retries)).await
            }
            Self::Exit137 => {
                alone(cast, "kill -9 $$", &word, interrupted("exit 137", "step-failed", retries)).await
            }
            Self::Exit1 => alone(cast, "exit 1", &word, failed_at_once()).await,
            Self::Signal15 => alone(cast, "kill -15 $$", &word, failed_at_once()).await,
            Self::ServerKilled => server_killed(cast, &word).await,
            Self::ServerKilledTwice => server_killed_twice(cast, &word).await,
            Self::ServerEnds => server_ends(cast, &word).await,
            Self::LaneLost => lane_lost(cast).await,
            Self::LeaseLost => lease_lost(cast, &word).await,
            Self::StopRunning => stop_running(cast, &word).await,
            Self::StopQueued => stop_queued(cast).await,
            Self::PublishingRefused => unpublished(cast, Answer::Refused).await,
            Self::PublishingBroken => unpublished(cast, Answer::Broken).await,
        }
    }
}

fn failed_at_once() -> String {
    told(TaskState::Failed, Some("step-failed"), 1, &[])
}

/// Makes a script that hangs in the task's first run and does its work in the next.
fn first_only(word: &str) -> String {
    format!(
        "if [ \"$(cat run)\" = 1 ]; then\n  echo part > part.txt\n  sleep {word}1\nfi\necho made > made.txt"
    )
}

/// Runs a task to its end, with nothing from outside.
async fn alone(cast: &Cast, script: &str, word: &str, expected: String) -> anyhow::Result<Played> {
    let bench = cast.bench().await?;
    bench.queue(script).await?;
    bench.work().await?;
    bench.publish(Answer::Taken).await?;
    let seen = format!("{}; {}", bench.seen().await?, bench.left(word).await?);
    Ok(Played { expected: format!("{expected}; nothing left"), seen })
}

/// Starts a server as a process of its own, and kills it when the step is there.
async fn kill_a_server(cast: &Cast, bench: &Bench, word: &str) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(&cast.program);
    command.args(&cast.arguments).arg("--serve-in").arg(&cast.folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let mut server = command.spawn().context("the second server cannot be started")?;
    tokio::select! {
        begun = bench.begun(word) => begun?,
        ended = server.wait() => anyhow::bail!("the second server ended by itself: {}", ended?),
    }
    server.start_kill()?;
    server.wait().await?;
    Ok(())
}

async fn server_killed(cast: &Cast, word: &str) -> anyhow::Result<Played> {
    let bench = cast.bench().await?;
    bench.queue(&first_only(word)).await?;
    kill_a_server(cast, &bench, &format!("{word}1")).await?;
    recover::take_over(&bench.engine).await;
    let left = bench.left(word).await?;
    bench.work().await?;
    bench.publish(Answer::Taken).await?;
    let expected = told(TaskState::Done, None, 2, &["the server ended"]);
    let seen = format!("{}; {left}", bench.seen().await?);
    Ok(Played { expected: format!("{expected}; nothing left"), seen })
}

async fn server_killed_twice(cast: &Cast, word: &str) -> anyhow::Result<Played> {
    let bench = cast.bench().await?;
    bench.queue(&format!("sleep {word}$(cat run)")).await?;
    for run in 1..=MOST_LOSSES {
        kill_a_server(cast, &bench, &format!("{word}{run}")).await?;
    }
    recover::take_over(&bench.engine).await;
    let seen = format!("{}; {}", bench.seen().await?, bench.left(word).await?);
    bench.work().await?;
    let quarantined = TaskState::Blocked(BlockReason::Quarantined);
    let why = Some(BlockReason::Quarantined.as_str());
    let expected = told(quarantined, why, 2, &["the server ended"]);
    Ok(Played { expected: format!("{expected}; nothing left"), seen })
}

async fn server_ends(cast: &Cast, word: &str) -> anyhow::Result<Played> {
    let bench = cast.bench().await?;
    bench.queue(&first_only(word)).await?;
    let told_to_end = async {
        bench.begun(&format!("{word}1")).await?;
        bench.engine.abort.cancel();
        anyhow::Ok(())
    };
    tokio::try_join!(bench.work_once(), told_to_end)?;
    let left = bench.left(word).await?;
    let next = cast.bench().await?;
    recover::take_over(&next.engine).await;
    next.work().await?;
    next.publish(Answer::Taken).await?;
    let expected = told(TaskState::Done, None, 2, &["the server ended"]);
    let seen = format!("{}; {left}", next.seen().await?);
    Ok(Played { expected: format!("{expected}; nothing left"), seen })
}

async fn lane_lost(cast: &Cast) -> anyhow::Result<Played> {
    let broken = cast.broken_bench().await?;
    broken.queue("echo made > made.txt").await?;
    broken.work_once().await?;
    let bench = cast.bench().await?;
    bench.work().await?;
    bench.publish(Answer::Taken).await?;
    let before = ["The lane `rehearsal` could not run the steps"];
    Ok(Played { expected: told(TaskState::Done, None, 2, &before), seen: bench.seen().await? })
}

/// One server takes a run and renews its lease too late; another takes its task up meanwhile.
async fn lease_lost(cast: &Cast, word: &str) -> anyhow::Result<Played> {
    let slow = cast.slow_bench().await?;
    let watching = cast.bench().await?;
    slow.queue(&first_only(word)).await?;
    let taken_up = async {
        watching.begun(&format!("{word}1")).await?;
        let late = watching.claimed().await?;
        tokio::select! {
            () = lease::watch(&watching.engine) => {}
            lost = watching.until(|task| task.state == TaskState::Queued) => lost?,
        }
        watching.work().await?;
        anyhow::Ok(late)
    };
    let (_, late) = tokio::try_join!(slow.work_once(), taken_up)?;
    let left = watching.left(word).await?;
    let before = watching.seen().await?;
    let store = &watching.engine.store;
    let effect = conclude::publish_effect(&late);
    let refused = [
        store.renew_lease(&late, i64::MAX).await,
        store.end_work(&late, "{}", None, &Next::Publish(&effect)).await,
        store.lose_run(&late, "late", 0, "{}", &[]).await.map(drop),
        store.hand_back(&late).await,
    ];
    let refused = refused.iter().filter(|write| matches!(write, Err(StoreError::StaleEpoch(_)))).count();
    let unchanged = if before == watching.seen().await? { "unchanged" } else { "changed" };
    watching.publish(Answer::Taken).await?;
    let expected = told(TaskState::Done, None, 2, &["its lease ran out"]);
    Ok(Played {
        expected: format!("{expected}; 4 late writes refused, unchanged; nothing left"),
        seen: format!("{}; {refused} late writes refused, {unchanged}; {left}", watching.seen().await?),
    })
}

/// Makes the wish of somebody in the rehearsal.
fn change(task: i64, act: Act) -> TaskChange {
    TaskChange { task, act, actor: SERVER.to_owned(), actor_id: None, why: "it is a rehearsal".to_owned() }
}

async fn stop_running(cast: &Cast, word: &str) -> anyhow::Result<Played> {
    let bench = cast.bench().await?;
    // One process hides from the run's name in its environment and from its group.
    bench
        .queue(&format!("echo part > part.txt\nenv -i setsid sleep {word}2 >/dev/null 2>&1 &\nsleep {word}1"))
        .await?;
    let stop = async {
        bench.begun(&format!("{word}1")).await?;
        bench.begun(&format!("{word}2")).await?;
        let task = bench.claimed().await?;
        let wish = [change(task.id, Act::Stop)];
        bench.engine.store.change_tasks(&wish, &[]).await?;
        let known = bench.engine.running.cut(task.id, &task.run_id, Cut::Stopped);
        anyhow::ensure!(known, "the run is not known as running");
        Ok(())
    };
    tokio::try_join!(bench.work(), stop)?;
    let expected = told(TaskState::Cancelled, Some("run-stopped"), 1, &[]);
    Ok(Played {
        expected: format!("{expected}; part.txt kept; nothing left"),
        seen: format!("{}; {}; {}", bench.seen().await?, bench.kept().await?, bench.left(word).await?),
    })
}

async fn stop_queued(cast: &Cast) -> anyhow::Result<Played> {
    let bench = cast.bench().await?;
    bench.queue("echo made > made.txt").await?;
    let task = bench.task().await?.id;
    let store = &bench.engine.store;
    let first = store.change_tasks(&[change(task, Act::Cancel)], &[]).await.is_ok();
    let again = store.change_tasks(&[change(task, Act::Cancel)], &[]).await.is_ok();
    bench.work().await?;
    Ok(Played {
        expected: format!("{}; stopped true, again false", told(TaskState::Cancelled, None, 0, &[])),
        seen: format!("{}; stopped {first}, again {again}", bench.seen().await?),
    })
}

async fn unpublished(cast: &Cast, answer: Answer) -> anyhow::Result<Played> {
    let bench = cast.bench().await?;
    bench.queue("echo made > made.txt").await?;
    bench.work().await?;
    bench.publish(answer).await?;
    let refused = format!("{}; {}", bench.seen().await?, bench.kept().await?);
    bench.engine.store.republish_task(bench.task().await?.id, SERVER).await?;
    bench.publish(Answer::Taken).await?;
    let blocked = TaskState::Blocked(BlockReason::Publishing);
    let first = told(blocked, Some(BlockReason::Publishing.as_str()), 1, &[]);
    let then = told(TaskState::Done, None, 1, &[]);
    Ok(Played {
        expected: format!("{first}; made.txt kept; then {then}"),
        seen: format!("{refused}; then {}", bench.seen().await?),
    })
}
