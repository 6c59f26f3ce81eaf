//! `codex-brief stop`, `publish` and `status`: what an operator tells and asks the server that runs.
//!
//! They talk to it by its control socket. When none runs, what needs no server is done on its store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::UserError;
use crate::http::control::{self, Named, Refused};
use crate::publish::status::{TaskLine, status_text};
use crate::publish::terminal;
use crate::server::operate::{self, Done, MOST_LISTED, Outcome};
use crate::store::Store;
use crate::store::models::TaskFilter;

/// How often it is looked whether a run has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// The fewest digits by which a task is named, as in comments.
const FEWEST_DIGITS: usize = 6;

/// Ends a task's run, or cancels a task that waits.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// The brief's or the run's id, or how it begins (at least 6 digits).
    #[arg(value_name = "TASK")]
    task: String,
    #[command(flatten)]
    common: Common,
    /// Returns at once, rather than when the run has really ended.
    #[arg(long)]
    no_wait: bool,
}

/// Publishes a task again that GitHub did not take.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The brief's or the run's id, or how it begins (at least 6 digits).
    #[arg(value_name = "TASK")]
    task: String,
    #[command(flatten)]
    common: Common,
}

/// Tells where tasks stand: one, or the last 50.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The brief's or the run's id, or how it begins.
    #[arg(value_name = "TASK")]
    task: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn state(&self) -> Result<PathBuf, UserError> {
        Ok(super::load_config(&self.config)?.server.state_dir)
    }

    fn print<T: Serialize>(&self, value: &T, text: &str) {
        if self.json {
            super::print_json(value);
        } else {
            print!("{text}");
        }
    }
}

/// Stops a task; 0 when it is stopped or cancelled, 1 when there was nothing to stop, 2 otherwise.
pub async fn stop(args: StopArgs) -> Result<u8, UserError> {
    let (state, task) = (args.common.state()?, name(&args.task)?);
    let done: Done = match ask(&state, "POST", "/stop", Some(&Named { task: task.clone() })).await {
        Ok(done) => done,
        Err(Unasked::Refused(error)) => return Err(error),
        Err(Unasked::NoServer(why)) => stop_without_server(&state, &task, &why).await?,
    };
    let ended = match done.outcome {
        Outcome::Stopping if !args.no_wait => wait(&state, &done.task).await?,
        _ => done.task,
    };
    let text = match done.outcome {
        Outcome::Nothing if ended.publishing => {
            "Not stopped: its work has ended and is being published.\n".to_owned()
        }
        Outcome::Nothing => format!("Nothing to stop: {}\n", ended.says),
        _ => format!("{}\n", ended.says),
    };
    args.common.print(&ended, &terminal::text(&text));
    Ok(match done.outcome {
        Outcome::Nothing => 1,
        Outcome::Stopping if args.no_wait => 0,
        // It ended by itself before the stop reached it, or something of it is left.
        Outcome::Stopping if ended.state != "cancelled" => 1,
        Outcome::Stopping if ended.processes_left != Some(0) => super::TROUBLE,
        _ => 0,
    })
}

/// Publishes a task again; 0 when it is tried, 1 when there is nothing to publish.
pub async fn publish(args: PublishArgs) -> Result<u8, UserError> {
    let (state, task) = (args.common.state()?, name(&args.task)?);
    let done: Done =
        ask(&state, "POST", "/publish", Some(&Named { task })).await.map_err(|error| match error {
            Unasked::Refused(error) => error,
            Unasked::NoServer(why) => no_server(&why),
        })?;
    let nothing = done.outcome == Outcome::Nothing;
    let text = if nothing {
        format!("Nothing to publish: {}\n", done.task.says)
    } else {
        "It is being published again; `codex-brief status` tells how that ends.\n".to_owned()
    };
    args.common.print(&done.task, &terminal::text(&text));
    Ok(u8::from(nothing))
}

/// Tells where tasks stand; 0 when there are any, else 1.
pub async fn status(args: StatusArgs) -> Result<u8, UserError> {
    let state = args.common.state()?;
    let task = args.task.as_deref().map(name).transpose()?;
    let path = task.as_ref().map_or("/tasks".to_owned(), |task| format!("/tasks?task={task}"));
    let lines: Vec<TaskLine> = match ask(&state, "GET", &path, None::<&Named>).await {
        Ok(lines) => lines,
        Err(Unasked::Refused(error)) => return Err(error),
        Err(Unasked::NoServer(why)) => {
            let (_lock, store) = open_store(&state, &why).await?;
            let filter = TaskFilter { prefix: task, most: MOST_LISTED, ..TaskFilter::default() };
            operate::lines(&store, &filter).await.map_err(|error| unusable(&state, &error))?
        }
    };
    args.common.print(&lines, &status_text(&lines));
    Ok(u8::from(lines.is_empty()))
}

/// Waits until a task's run has ended, telling of it, and returns where the task stands then.
async fn wait(state: &Path, task: &TaskLine) -> Result<TaskLine, UserError> {
    let path = format!("/tasks?task={}", task.brief);
    let mut told = String::new();
    loop {
        let lines: Vec<TaskLine> =
            ask(state, "GET", &path, None::<&Named>).await.map_err(|error| match error {
                Unasked::Refused(error) => error,
                Unasked::NoServer(why) => no_server(&why),
            })?;
        let Some(line) = lines.into_iter().next() else {
            return Err(no_server("it does not know the task any more"));
        };
        if line.says != told {
            eprintln!("{}", terminal::line(&line.says));
            told.clone_from(&line.says);
        }
        if line.state != "running" || line.publishing {
            return Ok(line);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Cancels a task that waits on the store itself; the next start tells its thread.
async fn stop_without_server(state: &Path, task: &str, why: &str) -> Result<Done, UserError> {
    let (_lock, store) = open_store(state, why).await?;
    let failed = |error| unusable(state, &error);
    let found = operate::find(&store, task).await.map_err(failed)??;
    if found.state == crate::queue::task::TaskState::Running {
        return Err(no_server("the task's run was left by a server that is gone"));
    }
    let (done, _) = operate::stop_for_operator(&store, task).await.map_err(failed)??;
    store.close().await;
    Ok(done)
}

/// Opens the store of a state directory that no server uses; the lock keeps servers away meanwhile.
async fn open_store(state: &Path, why: &str) -> Result<(File, Store), UserError> {
    let lock = File::open(state.join("lock")).map_err(|_| no_server(why))?;
    lock.try_lock().map_err(|_| no_server(why))?;
    let store = Store::open_to_serve(&state.join("codex-brief.sqlite")).await;
    Ok((lock, store.map_err(|error| unusable(state, &error))?))
}

fn unusable(state: &Path, error: &dyn std::fmt::Display) -> UserError {
    UserError::new(
        "store-unusable",
        format!("The store in {} cannot be used: {error}.", state.display()),
        "Run this where the server runs, as its user.",
    )
}

fn no_server(why: &str) -> UserError {
    UserError::new(
        "server-not-running",
        format!("No server answers at the control socket of the state directory: {why}."),
        "Start it by `codex-brief serve`, run this where it runs and as its user, and then again.",
    )
}

fn name(task: &str) -> Result<String, UserError> {
    let name = task.to_ascii_lowercase();
    let plain = name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if plain && name.len() >= FEWEST_DIGITS {
        return Ok(name);
    }
    Err(UserError::new(
        "task-unknown",
        format!("`{task}` names no brief or run."),
        "Give at least 6 digits of an id that `codex-brief status` lists.",
    ))
}

/// Why the server did not do what it was asked.
enum Unasked {
    NoServer(String),
    Refused(UserError),
}

async fn ask<B: Serialize, T: DeserializeOwned>(
    state: &Path,
    method: &str,
    path: &str,
    body: Option<&B>,
) -> Result<T, Unasked> {
    let gone = |error: &dyn std::fmt::Display| Unasked::NoServer(error.to_string());
    let stream = control::connect(state).await.map_err(|error| gone(&error))?;
    let (status, bytes) = tokio::time::timeout(ANSWER_WITHIN, exchange(stream, method, path, body))
        .await
        .map_err(|_| gone(&"it took too long"))?
        .map_err(|error| gone(&format!("{error:#}")))?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|error| gone(&error));
    }
    let refused: Refused = serde_json::from_slice(&bytes).map_err(|error| gone(&error))?;
    Err(Unasked::Refused(told(refused)))
}

/// Turns what the server told into an error of this process.
fn told(refused: Refused) -> UserError {
    let Refused { code, message, help } = refused;
    match code.as_str() {
        "task-unknown" => UserError::new("task-unknown", message, help),
        "task-ambiguous" => UserError::new("task-ambiguous", message, help),
        _ => UserError::new("internal-error", message, help),
    }
}

async fn exchange<B: Serialize>(
    stream: tokio::net::UnixStream,
    method: &str,
    path: &str,
    body: Option<&B>,
) -> anyhow::Result<(hyper::StatusCode, Bytes)> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "codex-brief")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
