//! The handle that a test holds: start, settings, waiting, stopping.

use crate::auth::PRIVATE_KEY_PEM;
use crate::core::{Core, Shared};
use crate::fault::Fault;
use crate::model::Time;
use crate::world::{App, World};
use chrono::Utc;
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// The secret that webhooks are signed with unless another is set.
const SECRET: &str = "a secret of the simulator";
/// What the App may do unless told otherwise: enough for a brief, and no `workflows`.
const PERMISSIONS: [(&str, &str); 5] = [
    ("checks", "write"),
    ("contents", "write"),
    ("issues", "write"),
    ("metadata", "read"),
    ("pull_requests", "write"),
];
const EVENTS: [&str; 7] = [
    "check_run",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "repository",
];

/// Runs a simulated GitHub; when it is dropped the server stops and its folder goes.
pub struct GithubSim {
    pub(crate) core: Shared,
    // Dropping it stops the server.
    _stop: oneshot::Sender<()>,
    deliveries: JoinHandle<()>,
    _folder: TempDir,
}

/// Sets up a simulated GitHub before it starts.
pub struct Builder {
    slug: String,
    app_id: u64,
    account: String,
    secret: String,
    webhook_url: Option<String>,
    port: u16,
}

impl Builder {
    /// Sets the App's slug; its bot is called `<slug>[bot]`.
    pub fn app_slug(mut self, slug: &str) -> Self {
        self.slug = slug.to_owned();
        self
    }

    /// Sets the App's id.
    pub fn app_id(mut self, id: u64) -> Self {
        self.app_id = id;
        self
    }

    /// Sets the account that the App is installed on.
    pub fn account(mut self, login: &str) -> Self {
        self.account = login.to_owned();
        self
    }

    /// Sets the secret that webhooks are signed with.
    pub fn webhook_secret(mut self, secret: &str) -> Self {
        self.secret = secret.to_owned();
        self
    }

    /// Sets where webhooks go.
    pub fn webhook_url(mut self, url: &str) -> Self {
        self.webhook_url = Some(url.to_owned());
        self
    }

    /// Sets the port; 0 takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts serving on loopback.
    ///
    /// # Errors
    /// When the port is taken or no folder can be made.
    pub async fn start(self) -> anyhow::Result<GithubSim> {
        let folder = tempfile::Builder::new().prefix("github-sim-").tempdir()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let base = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
        let (owe, owed) = mpsc::unbounded_channel();
        let world = World::new(base, self.app(Utc::now()), owe);
        let core = Arc::new(Core::new(world, folder.path().to_path_buf()));
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(crate::server::serve(core.clone(), listener, stopped));
        let deliveries = tokio::spawn(crate::webhook::deliver_in_order(core.clone(), owed));
        Ok(GithubSim { core, _stop: stop, deliveries, _folder: folder })
    }

    fn app(&self, created_at: Time) -> App {
        let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
        App {
            id: self.app_id,
            slug: self.slug.clone(),
            name: self.slug.clone(),
            account: self.account.clone(),
            installation_id: 0,
            standing: crate::act::Standing::Installed,
            permissions: PERMISSIONS.iter().map(owned).collect(),
            events: EVENTS.iter().map(|event| (*event).to_owned()).collect(),
            webhook_secret: self.secret.clone(),
            webhook_url: self.webhook_url.clone(),
            hook_active: true,
            hook_id: 0,
            created_at,
        }
    }
}

impl Drop for GithubSim {
    fn drop(&mut self) {
        self.deliveries.abort();
    }
}

impl GithubSim {
    /// Starts a simulated GitHub on a free port of loopback.
    ///
    /// # Errors
    /// When no port or folder can be had.
    pub async fn start() -> anyhow::Result<Self> {
        Self::builder().start().await
    }

    /// Begins the set-up of one that differs from the usual.
    pub fn builder() -> Builder {
        Builder {
            slug: "codex-brief".to_owned(),
            app_id: 1234,
            account: "octo".to_owned(),
            secret: SECRET.to_owned(),
            webhook_url: None,
            port: 0,
        }
    }

    /// Gives the base address, without a slash at the end; API, git and pages share it.
    pub fn url(&self) -> String {
        self.core.read().base.clone()
    }

    /// Gives the App's id.
    pub fn app_id(&self) -> u64 {
        self.core.read().app.id
    }

    /// Gives the login of the App's bot.
    pub fn bot_login(&self) -> String {
        self.core.read().app.bot_login()
    }

    /// Gives the App's private key, a test-only one.
    pub fn private_key_pem(&self) -> &'static str {
        PRIVATE_KEY_PEM
    }

    /// Gives the secret that webhooks are signed with.
    pub fn webhook_secret(&self) -> String {
        self.core.read().app.webhook_secret.clone()
    }

    /// Gives the id of the App's one installation.
    pub fn installation_id(&self) -> u64 {
        self.core.read().app.installation_id
    }

    /// Sets where webhooks go from now on.
    pub fn set_webhook_url(&self, url: &str) {
        self.core.write().app.webhook_url = Some(url.to_owned());
    }

    /// Switches the App's webhook on or off; while it is off nothing is delivered or logged.
    pub fn set_webhook_active(&self, active: bool) {
        self.core.write().app.hook_active = active;
    }

    /// Sets what the App listens to, as its settings page does.
    pub fn set_app_events(&self, events: &[&str]) {
        self.core.write().app.events = events.iter().map(|event| (*event).to_owned()).collect();
    }

    /// Sets the secret that webhooks are signed with from now on.
    pub fn set_webhook_secret(&self, secret: &str) {
        self.core.write().app.webhook_secret = secret.to_owned();
    }

    /// Sets what the installation grants; tokens given out before keep what they had.
    pub fn set_app_permissions(&self, permissions: &[(&str, &str)]) {
        let owned = permissions.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned()));
        self.core.write().app.permissions = owned.collect::<BTreeMap<_, _>>();
    }

    /// Lets the installation grant one thing more; tokens given out before keep what they had.
    pub fn grant_app_permission(&self, name: &str, level: &str) {
        self.core.write().app.permissions.insert(name.to_owned(), level.to_owned());
    }

    /// Gives out an installation token with all that the installation grants, as the API would.
    pub fn installation_token(&self) -> String {
        let mut world = self.core.write();
        let permissions = world.app.permissions.clone();
        world.issue_token(permissions, None).0
    }

    /// Makes every installation token given out so far worthless.
    pub fn expire_tokens(&self) {
        self.core.write().tokens.clear();
    }

    /// Asks for a fault; those asked for first are tried first.
    pub fn fault(&self, fault: Fault) {
        self.core.write().faults.push(fault);
    }

    /// Counts the faults that still wait for a request.
    pub fn faults_left(&self) -> usize {
        self.core.read().faults.len()
    }

    /// Takes back every fault that still waits.
    pub fn clear_faults(&self) {
        self.core.write().faults.clear();
    }

    /// Waits until a look at the world gives something; every change wakes it.
    ///
    /// # Errors
    /// When the deadline passes first; the error tells the last requests and deliveries.
    pub async fn wait_for<T>(
        &self,
        deadline: Duration,
        mut look: impl FnMut(&World) -> Option<T>,
    ) -> Result<T, TimedOut> {
        let mut changes = self.core.subscribe();
        let seen = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look(&self.core.read()) {
                    return found;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let outcome = tokio::time::timeout(deadline, seen).await;
        outcome.map_err(|_| TimedOut::of(deadline, &self.core.read()))
    }

    /// Reads the world once.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.core.read())
    }
}

/// Tells that a wait ended without what was waited for, and what was seen last.
#[derive(Clone, Debug)]
pub struct TimedOut {
    deadline: Duration,
    seen: String,
}

impl TimedOut {
    fn of(deadline: Duration, world: &World) -> Self {
        let requests = world
            .requests
            .iter()
            .rev()
            .take(15)
            .rev()
            .map(|request| format!("  {} {} → {:?}", request.method, request.path, request.status));
        let deliveries = world.deliveries.iter().rev().take(10).rev().map(|delivery| {
            let action = delivery.action.as_deref().unwrap_or_default();
            format!("  {} {action} → {}", delivery.event, delivery.status)
        });
        let requests: Vec<String> = requests.collect();
        let deliveries: Vec<String> = deliveries.collect();
        let seen =
            format!("last requests:\n{}\nlast deliveries:\n{}", requests.join("\n"), deliveries.join("\n"));
        Self { deadline, seen }
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "not seen on the simulated GitHub within {:?}; {}", self.deadline, self.seen)
    }
}

impl std::error::Error for TimedOut {}
