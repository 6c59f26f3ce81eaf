//! The honeytokens of an attempt: laid out before its steps run, watched for while they do.

use secrecy::{ExposeSecret, SecretString};

use super::attempt::{Order, internal};
use crate::judge::honeytoken;
use crate::lane::LaneError;
use crate::run::honeytoken::Honeytokens;
use crate::run::redact::Redactor;
use crate::run::report::{Problem, StepReport, StepStatus};
use crate::run::steps::{StepEvent, StepsOrder};
use crate::run::workspace::RunDirs;

/// Puts honeytokens into the run's home, and makes what masks and recognizes them.
pub(super) fn prepare<'a>(
    order: Order<'_>,
    dirs: &RunDirs,
    secrets: impl Iterator<Item = &'a SecretString>,
) -> Result<Redactor, Problem> {
    let honeytokens = Honeytokens::fresh().and_then(|fresh| fresh.plant(&dirs.home).map(|()| fresh));
    let honeytokens = honeytokens.map_err(|error| internal("a run's honeytokens cannot be made", &error))?;
    let own = order.secrets.iter().map(|secret| secret.expose_secret());
    Redactor::watching(own.chain(secrets.map(|secret| secret.expose_secret())), honeytokens.values())
        .map_err(|error| internal("the redactor cannot be made", &error))
}

/// Runs the steps, and ends them at once when a honeytoken is seen.
pub(super) async fn run_steps(
    order: Order<'_>,
    steps: &StepsOrder<'_>,
    progress: impl Fn(StepEvent) + Send + Sync,
) -> Result<Vec<StepReport>, LaneError> {
    let (stop, watch) = (order.stop.child_token(), steps.redactor.watch());
    let mut running = std::pin::pin!(order.lane.run_steps(order.slot, steps, progress, stop.clone()));
    tokio::select! {
        ended = &mut running => return ended,
        () = watch.seen() => stop.cancel(),
    }
    running.await
}

/// Raises the alarm for a honeytoken, and makes the problem of its run.
pub(super) fn alarm(order: Order<'_>, places: &[String]) -> Problem {
    tracing::error!(
        run = order.run_id,
        brief = order.brief_id.short(),
        lane = order.brief.executor,
        seen = places.join(" and "),
        "a honeytoken was seen; the run fails and nothing of it is published"
    );
    honeytoken::problem(places)
}

/// Names the last step that began.
pub(super) fn last_step(steps: &[StepReport]) -> String {
    let last = steps.iter().rposition(|step| step.status != StepStatus::Skipped);
    last.map_or_else(|| "a step".to_owned(), |at| format!("step {} (`{}`)", at + 1, steps[at].name))
}
