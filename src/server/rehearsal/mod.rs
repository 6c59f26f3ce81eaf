//! The rehearsal (row G6): time-outs, signals and crashes, played against throw-away stores with the
//! queue, lanes, attempts and recovery that the server has, and held against what the rules promise.
//!
//! Only GitHub is missing: the repository is made up, and publishing ends with what the outbox would
//! store. `expect.rs` holds the promises, `scenarios.rs` what is done, `bench.rs` the throw-away server.

mod bench;
mod cast;
mod expect;
mod processes;
mod scenarios;

use std::time::Duration;

use tokio::time::Instant;

use super::recover;
pub use cast::Cast;
use scenarios::Played;
pub use scenarios::Scenario;

/// The longest that a scenario may take; one that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(180);

/// What a scenario came to.
#[derive(Debug, serde::Serialize)]
pub struct Row {
    /// Names the lane.
    pub lane: String,
    /// Names the scenario.
    pub scenario: &'static str,
    /// Tells what the rules promise.
    pub expected: String,
    /// Tells what was seen.
    pub seen: String,
    /// Tells whether both are the same.
    pub ok: bool,
    /// Holds how long it took, in milliseconds.
    pub ms: u64,
}

/// Plays a scenario.
pub async fn play(scenario: Scenario, cast: &Cast) -> Row {
    let started = Instant::now();
    let played = match tokio::time::timeout(LONGEST, scenario.play(cast)).await {
        Ok(Ok(played)) => played,
        Ok(Err(error)) => not_played(&format!("{error:#}")),
        Err(_) => not_played(&format!("it did not end within {} s", LONGEST.as_secs())),
    };
    Row {
        lane: cast.lane.name.clone(),
        scenario: scenario.name(),
        ok: played.seen == played.expected,
        expected: played.expected,
        seen: played.seen,
        ms: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
    }
}

fn not_played(why: &str) -> Played {
    Played { expected: "its end".to_owned(), seen: format!("it could not be played: {why}") }
}

/// Is the server that a scenario kills: recovers, and works tasks off until none waits.
///
/// # Errors
/// Fails when the scenario's folder cannot be used.
pub async fn serve_in(cast: &Cast) -> anyhow::Result<()> {
    let bench = cast.bench().await?;
    recover::take_over(&bench.engine).await;
    bench.work().await
}
