//! `codex-brief serve`: opens the store, starts the workers, and serves until it is told to end.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, SandboxKind, SecretSource, invalid};
use crate::error::UserError;
use crate::github::GitHub;
use crate::http;
use crate::run::mirror::Mirrors;
use crate::server::audit_sink::{NO_SINK, SinkTrouble};
use crate::server::engine::Engine;
use crate::server::lanes::Lanes;
use crate::server::{Server, receipt_key, recover};
use crate::store::backup::STORE;
use crate::store::blobs::Blobs;
use crate::store::{Store, StoreError, refusal};
use crate::webhook::inbox::Inbox;

/// Serves the GitHub App.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file; deploy/codex-brief.example.toml is one to start from.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Reads the configuration and the secrets, says whether they can be used, and ends.
    #[arg(long)]
    check_config: bool,
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(args: ServeArgs) -> Result<u8, UserError> {
    let config = super::load_config(&args.config)?;
    let secrets = read_secrets(&config)?;
    let github = GitHub::new(&config.github, &secrets.private_key)
        .map_err(|error| invalid(format!("github.private_key: {error}.")))?;
    for lane in config.lanes.iter().filter(|lane| lane.enabled && lane.sandbox == SandboxKind::None) {
        tracing::warn!(
            lane = lane.name,
            "steps of this lane run with nothing around them, as the server's user"
        );
    }
    if config.audit.sink.is_none() {
        tracing::warn!("{NO_SINK}");
    }
    if args.check_config {
        println!("{}: fine; lanes: {}", args.config.display(), lane_names(&config));
        return Ok(0);
    }
    raise_open_files();
    // Held until the end: two servers on one state directory would run briefs twice.
    let _lock = lock_state(&config.server.state_dir)?;
    let listener = TcpListener::bind(config.server.listen).await.map_err(|error| {
        UserError::new(
            "listen-failed",
            format!("{} cannot be listened on: {error}.", config.server.listen),
            "Choose another address by server.listen, or end what listens there.",
        )
    })?;
    let socket = http::control::listen(&config.server.state_dir).map_err(|error| {
        UserError::new(
            "control-unusable",
            format!("The control socket in {} cannot be made: {error}.", config.server.state_dir.display()),
            "Put the state directory on a disk of this machine that holds sockets, by server.state_dir.",
        )
    })?;
    let webhook = secrets.webhook.clone();
    let server = open(config, secrets, github).await?;
    recover::recover(&server).await;
    server.start_workers();
    // Until the end, so that what is being ended can still be asked for.
    tokio::spawn(http::control::serve(socket, server.clone(), server.end.clone()));
    serve(listener, server, webhook).await
}

/// How many files the server asks to have open at most; a hard limit can be in the billions.
const MOST_OPEN_FILES: u64 = 65_536;

/// The secrets of the App; a server that polls has no webhook.
struct Secrets {
    private_key: SecretString,
    webhook: Option<SecretString>,
}

fn read_secrets(config: &Config) -> Result<Secrets, UserError> {
    let read = |key: &str, source: &SecretSource| {
        source.read().map_err(|error| invalid(format!("github.{key} cannot be read: {error}.")))
    };
    Ok(Secrets {
        private_key: read("private_key", &config.github.private_key)?,
        webhook: match &config.github.webhook_secret {
            Some(source) if !config.webhook.is_polling() => Some(read("webhook_secret", source)?),
            _ => None,
        },
    })
}

fn lane_names(config: &Config) -> String {
    config.lanes.iter().map(|lane| lane.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Lets the server have as many files open as it may: the connections of steps' proxies are among them.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(MOST_OPEN_FILES)), hard)
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the bound on open files cannot be raised");
    }
}

fn lock_state(state: &Path) -> Result<File, UserError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        UserError::new(
            "state-unusable",
            format!("The state directory {} {what}: {error}.", state.display()),
            "Make it writable for the server's user, or choose another by server.state_dir.",
        )
    };
    let unwritable = |what: &str, error: io::Error| match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            refusal(&state.join(STORE), &StoreError::Database(sqlx::Error::Io(error)))
        }
        _ => failed(what, &error),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .map_err(|error| unwritable("cannot be made", error))?;
    // It may have been there before, open to others, and briefs of private repositories lie in it.
    std::fs::set_permissions(state, Permissions::from_mode(0o700))
        .map_err(|error| unwritable("cannot be closed to others", error))?;
    let lock = File::create(state.join("lock")).map_err(|error| unwritable("cannot be written", error))?;
    lock.try_lock().map_err(|error| failed("is in use by another server", &error))?;
    Ok(lock)
}

async fn open(config: Config, secrets: Secrets, github: GitHub) -> Result<Arc<Server>, UserError> {
    let state = config.server.state_dir.clone();
    let unusable = |error: &dyn std::fmt::Display| {
        UserError::new(
            "state-unusable",
            format!("The state directory {} cannot be used: {error}.", state.display()),
            "Look at the files' permissions and at the space on the disk.",
        )
    };
    let file = state.join(STORE);
    let store = Store::open_to_serve(&file).await.map_err(|error| refusal(&file, &error))?;
    let changed = store.audit_start(env!("CARGO_PKG_VERSION"), &config.sections).await;
    let changed = changed.map_err(|error| refusal(&file, &error))?;
    if !changed.is_empty() {
        tracing::info!(sections = changed.join(", "), "the configuration is not that of the last start");
    }
    let receipt_key = receipt_key::load_or_make(&state)?;
    let public = receipt_key.public();
    let noted = store.note_receipt_key(&public.id(), &public.pem()).await;
    noted.map_err(|error| refusal(&file, &error))?;
    tracing::info!(key = public.id(), "receipts are signed by this key");
    let blobs = Blobs::open_alone(state.join("blobs")).map_err(|error| unusable(&error))?;
    let secrets = [Some(secrets.private_key), secrets.webhook].into_iter().flatten().collect();
    Ok(Arc::new(Server {
        lanes: Lanes::new(&config.lanes),
        mirrors: Mirrors::open(state.join("mirrors")).map_err(|error| unusable(&error))?,
        engine: Engine::new(&state, store, blobs, config.queue.clone(), secrets),
        github,
        started_ms: chrono::Utc::now().timestamp_millis(),
        config,
        receipt_key,
        sink_trouble: SinkTrouble::default(),
        end: CancellationToken::new(),
        runs: TaskTracker::new(),
        tracker: TaskTracker::new(),
    }))
}

async fn serve(
    listener: TcpListener,
    server: Arc<Server>,
    webhook: Option<SecretString>,
) -> Result<u8, UserError> {
    let address = listener.local_addr().map_err(|error| invalid(error.to_string()))?;
    let inbox = webhook.map(|secret| {
        Inbox::new(
            server.store.clone(),
            secret,
            server.config.server.body_limit_bytes,
            Duration::from_secs(server.config.server.body_seconds),
            server.wakes.arrived.clone(),
        )
    });
    let heard = match &inbox {
        Some(_) => "serving; webhooks go to /webhooks/github",
        None => "serving; GitHub is asked for what people write, and there is no webhook",
    };
    tracing::info!(%address, lanes = lane_names(&server.config), "{heard}");
    let stop = server.stop.clone();
    let grace = Duration::from_secs(server.config.server.grace_seconds);
    tokio::spawn(async move {
        super::told_to_end().await;
        tracing::info!("told to end; running work gets {} s", grace.as_secs());
        stop.cancel();
        super::told_to_end().await;
        tracing::warn!("told to end again; ending at once");
        std::process::exit(130);
    });
    http::serve(listener, http::router(server.clone(), inbox), server.stop.clone()).await;
    server.finish(grace).await;
    server.store.close().await;
    Ok(0)
}
