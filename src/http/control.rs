//! The operator's side: a socket in the state directory, by which the command line tells the server to
//! stop or publish tasks and asks where they stand. Only the server's user can reach it, and no step can.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::error::{UserError, log_internal};
use crate::server::Server;
use crate::server::operate::{self, Done, MOST_LISTED};
use crate::store::StoreError;
use crate::store::models::TaskFilter;

/// The socket's name in the state directory.
const NAME: &str = "control.sock";

/// Which task is meant.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    /// Holds how its brief's or run's id begins.
    pub task: String,
}

/// Which tasks are listed: the named one, or else the last ones.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Listed {
    /// Holds how its brief's or run's id begins.
    pub task: Option<String>,
}

/// Why something was not done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refused {
    /// Names the message.
    pub code: String,
    /// Tells what happened.
    pub message: String,
    /// Tells what to do.
    pub help: String,
}

/// The folder of the socket, held open: paths of sockets are short, and those of folders need not be.
struct Place {
    folder: File,
}

impl Place {
    fn open(state: &Path) -> io::Result<Self> {
        Ok(Self { folder: File::open(state)? })
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{NAME}", self.folder.as_raw_fd()))
    }
}

/// Makes the socket, in place of one that a server which is gone left; the caller holds the state
/// directory's lock.
///
/// # Errors
/// Fails where the folder cannot be written.
pub fn listen(state: &Path) -> io::Result<UnixListener> {
    let place = Place::open(state)?;
    match std::fs::remove_file(place.path()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody else enters the folder, so nobody connects before the mode is set.
    let listener = UnixListener::bind(place.path())?;
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to the server of a state directory.
///
/// # Errors
/// Fails where none listens.
pub async fn connect(state: &Path) -> io::Result<UnixStream> {
    let place = Place::open(state)?;
    UnixStream::connect(place.path()).await
}

/// Serves the socket until `stop` is cancelled.
pub async fn serve(listener: UnixListener, server: Arc<Server>, stop: CancellationToken) {
    let router = Router::new()
        .route("/tasks", get(tasks))
        .route("/stop", post(stop_task))
        .route("/publish", post(publish_task))
        .with_state(server);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        log_internal("the control socket fails", &error);
    }
}

async fn tasks(State(server): State<Arc<Server>>, Query(listed): Query<Listed>) -> Response {
    let filter = TaskFilter { prefix: listed.task, most: MOST_LISTED, ..TaskFilter::default() };
    match operate::lines(&server.store, &filter).await {
        Ok(lines) => Json(lines).into_response(),
        Err(error) => failed(&error),
    }
}

async fn stop_task(State(server): State<Arc<Server>>, Json(named): Json<Named>) -> Response {
    answer(server.stop_task(&named.task).await)
}

async fn publish_task(State(server): State<Arc<Server>>, Json(named): Json<Named>) -> Response {
    answer(server.publish_task(&named.task).await)
}

fn answer(done: Result<Result<Done, UserError>, StoreError>) -> Response {
    match done {
        Ok(Ok(done)) => Json(done).into_response(),
        Ok(Err(error)) => {
            let refused = Refused { code: error.code.to_owned(), message: error.message, help: error.help };
            (StatusCode::NOT_FOUND, Json(refused)).into_response()
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &StoreError) -> Response {
    let id = log_internal("a command of the operator fails", error);
    let refused = Refused {
        code: "internal-error".to_owned(),
        message: format!("The server failed (error {id})."),
        help: "Look the error up in the server's log.".to_owned(),
    };
    (StatusCode::INTERNAL_SERVER_ERROR, Json(refused)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_replaces_a_dead_one_and_may_lie_deep() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("d".repeat(200));
        std::fs::create_dir(&state).unwrap();
        drop(listen(&state).unwrap());
        assert!(connect(&state).await.is_err(), "nobody listens");
        let listener = listen(&state).unwrap();
        let mode = std::fs::metadata(state.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (there, here) = tokio::join!(connect(&state), listener.accept());
        assert!(there.is_ok() && here.is_ok());
    }
}
