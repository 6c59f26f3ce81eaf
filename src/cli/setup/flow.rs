//! The way of a set-up: asked, returned, converted, registered, installed. Each step is kept before the next.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::oneshot;

use super::done::Done;
use super::wait::patiently;
use super::{SetupArgs, say};
use crate::config::Config;
use crate::error::UserError;
use crate::github::app::{Registration, convert};
use crate::github::{GitHub, GitHubError};
use crate::setup::folder::{self, Folder, KEY, SECRET};
use crate::setup::manifest::Wanted;
use crate::setup::page::{Event, Outcome, Page, Shown, listen};
use crate::setup::progress::{Asked, Change, FORMAT, Plan, Progress, Stage};
use crate::setup::written::{Told, config};

/// How often GitHub is asked whether the App is installed.
const LOOK: Duration = Duration::from_secs(3);

/// The waits before the exchange of a code is tried once more, in seconds.
const AGAIN_S: [u64; 4] = [1, 2, 5, 10];

/// A browser that waits, and the page on which it does.
type Browser = (Page, oneshot::Sender<Outcome>);

/// A set-up that goes on.
pub(super) struct Flow<'a> {
    args: &'a SetupArgs,
    folder: Folder,
    credentials: PathBuf,
    progress: Progress,
    change: Change,
}

impl<'a> Flow<'a> {
    /// Begins, or takes up what was begun.
    pub(super) fn begin(
        args: &'a SetupArgs,
        folder: Folder,
        credentials: PathBuf,
    ) -> Result<Self, UserError> {
        let wish = args.wish();
        let (progress, change) = match folder.progress()? {
            Some(mut progress) => {
                let change = progress.take_up(&wish)?;
                (progress, change)
            }
            None => {
                for file in [folder.file(KEY), folder.file(SECRET), args.config.clone()] {
                    if file.symlink_metadata().is_ok() {
                        return Err(folder::exists(&file));
                    }
                }
                let plan = Plan::new(&wish, &random()?[..4])?;
                (Progress { format: FORMAT, plan, stage: Stage::Asked(asked()?) }, Change::Nothing)
            }
        };
        Ok(Self { args, folder, credentials, progress, change })
    }

    /// Goes on until the App is installed somewhere.
    pub(super) async fn carry_on(mut self) -> Result<Done, UserError> {
        let mut browser = None;
        let registered = self.register(&mut browser).await;
        let outcome = match &registered {
            Ok((_, slug)) => Outcome::Made(self.progress.plan.place.install_page(slug)),
            Err(error) => Outcome::Failed(format!("{} {}", error.message, error.help)),
        };
        let clicked_now = browser.is_some();
        if let Some((page, answer)) = browser {
            let _ = answer.send(outcome);
            Page::close(page).await;
        }
        let (app_id, slug) = registered?;
        if !clicked_now {
            say(&format!("Going on: the App {slug} (id {app_id}) is there, with its key."));
        }
        let install = self.progress.plan.place.install_page(&slug);
        self.await_installation(app_id, slug, &install).await
    }

    /// Goes on until the App is there with its key, and returns its id and slug; a browser that comes back meanwhile
    /// waits for what comes of it.
    async fn register(&mut self, browser: &mut Option<Browser>) -> Result<(u64, String), UserError> {
        loop {
            match self.progress.stage.clone() {
                Stage::Asked(asked) => *browser = Some(self.ask(asked).await?),
                Stage::Returned { code } => {
                    if browser.is_none() {
                        say("Going on: GitHub has made the App, and its key is fetched now.");
                    }
                    self.fetch(&code).await?;
                }
                Stage::Converted(registration) => self.store(&registration)?,
                Stage::Registered { app_id, slug } => return Ok((app_id, slug)),
            }
        }
    }

    fn go_to(&mut self, stage: Stage) -> Result<(), UserError> {
        self.progress.stage = stage;
        self.folder.keep(&self.progress)
    }

    /// Shows the page and waits for the click; returns the browser that waits for what comes of it.
    async fn ask(&mut self, mut asked: Asked) -> Result<Browser, UserError> {
        let resumed = asked.port != 0;
        let listener = match (self.args.port, asked.port) {
            (Some(port), _) => listen(port).await?,
            (None, before) => match listen(before).await {
                Err(_) if resumed => listen(0).await?,
                other => other?,
            },
        };
        let before = asked.port;
        asked.port = listener.local_addr().map_or(before, |address| address.port());
        self.go_to(Stage::Asked(asked.clone()))?;
        let shown = self.shown(&asked)?;
        let port = asked.port;
        if resumed {
            let same =
                if port == before { "" } else { " A page that is open from before does not count any more." };
            let what = if self.change == Change::Nothing { "" } else { " and what you say now" };
            say(&format!("Going on with what you said before{what}: nobody has clicked yet.{same}"));
        }
        say(&format!(
            "Open this page and press its button:\n\n  http://127.0.0.1:{port}/setup/{}\n\nIf your browser is on another \
             machine, first run there:\n\n  ssh -L {port}:127.0.0.1:{port} {}\n",
            asked.key,
            this_host()
        ));
        let mut page = Page::serve(listener, shown);
        let clicked = async {
            loop {
                match page.events.recv().await {
                    Some(Event::Returned(code, answer)) => return Some((code, answer)),
                    Some(Event::WrongState) => say(&format!("warning: {}", wrong_state())),
                    None => return None,
                }
            }
        };
        let waited = patiently(self.args.wait(), "the click", clicked).await;
        let Some((code, answer)) = waited.flatten() else {
            page.close().await;
            return Err(UserError::new(
                "setup-unclicked",
                format!("Nobody came back from GitHub in {} minutes.", self.args.wait_minutes),
                "Run the same command again: it goes on with the same page. --wait-minutes waits longer.",
            ));
        };
        self.go_to(Stage::Returned { code })?;
        Ok((page, answer))
    }

    fn shown(&self, asked: &Asked) -> Result<Shown, UserError> {
        let (plan, wanted) = (&self.progress.plan, Wanted::read()?);
        let back = format!("http://127.0.0.1:{}/callback", asked.port);
        let manifest = wanted.manifest(&plan.name, &plan.place, plan.webhook_url.as_deref(), &back);
        let permissions: Vec<String> =
            wanted.default_permissions.iter().map(|(name, level)| format!("{name}: {level}")).collect();
        let mut facts = vec![
            ("Name", format!("{} (you can change it on GitHub's page)", plan.name)),
            ("On", plan.place.web_url.clone()),
            ("Owner", plan.place.organization.clone().unwrap_or_else(|| "whoever clicks".to_owned())),
            ("May", permissions.join(", ")),
        ];
        match &plan.webhook_url {
            Some(url) => {
                facts.extend([("Hears of", wanted.default_events.join(", ")), ("Webhook", url.clone())])
            }
            None => facts.push(("Webhook", "none: the server asks GitHub".to_owned())),
        }
        Ok(Shown {
            asked: asked.clone(),
            action: plan.place.new_app_page(&asked.state),
            github: plan.place.web_url.clone(),
            manifest: manifest.to_string(),
            facts,
        })
    }

    /// Exchanges the code for the credentials.
    async fn fetch(&mut self, code: &str) -> Result<(), UserError> {
        let place = self.progress.plan.place.clone();
        let mut waits = AGAIN_S.iter();
        loop {
            let error = match convert(&place.api_url(), code).await {
                Ok(registration) => return self.go_to(Stage::Converted(registration)),
                Err(error) => error,
            };
            if error.is_missing() || error.status() == Some(422) {
                self.go_to(Stage::Asked(asked()?))?;
                return Err(UserError::new(
                    "setup-code-refused",
                    "GitHub does not take the code any more: it counts once, and for an hour.",
                    format!(
                        "If {} lists the App, delete it there; its key cannot be had again. Then run the same command \
                         once more.",
                        place.apps_page()
                    ),
                ));
            }
            match waits.next().filter(|_| error.is_transient()) {
                Some(seconds) => {
                    say(&format!("{error}; trying again in {seconds} s."));
                    tokio::time::sleep(Duration::from_secs(*seconds)).await;
                }
                None => {
                    return Err(github_failed(&error, "The App is there, and its key is not fetched yet"));
                }
            }
        }
    }

    /// Writes the credentials into their files, and the configuration.
    fn store(&mut self, made: &Registration) -> Result<(), UserError> {
        use secrecy::ExposeSecret;
        self.folder.write(KEY, made.pem.expose_secret().as_bytes())?;
        let webhook = self.progress.plan.webhook_url.is_some();
        if let (true, Some(secret)) = (webhook, &made.webhook_secret) {
            self.folder.write(SECRET, secret.expose_secret().as_bytes())?;
        } else if webhook {
            return Err(UserError::new(
                "setup-github",
                "GitHub made the App without a secret for its webhook.",
                format!(
                    "Set one in the App's settings ({}) and write it to {}, mode 600.",
                    made.html_url,
                    self.folder.file(SECRET).display()
                ),
            ));
        }
        let config_folder = self.args.config.parent().unwrap_or(Path::new(""));
        let whole = std::path::absolute(&self.credentials).unwrap_or_else(|_| self.credentials.clone());
        let beside = std::path::absolute(config_folder.join(".")).unwrap_or_default();
        let text = config(&Told {
            place: &self.progress.plan.place,
            app_id: made.id,
            slug: &made.slug,
            credentials: whole.strip_prefix(&beside).unwrap_or(&whole),
            webhook,
        });
        // One that was interrupted just here has written it already.
        if std::fs::read_to_string(&self.args.config).ok().as_deref() != Some(text.as_str()) {
            folder::write_new(&self.args.config, text.as_bytes())?;
        }
        say(&format!(
            "GitHub made the App {} (id {}). Its key is in {}, the configuration in {}.",
            made.slug,
            made.id,
            self.folder.file(KEY).display(),
            self.args.config.display()
        ));
        self.go_to(Stage::Registered { app_id: made.id, slug: made.slug.clone() })
    }

    /// Waits until the App is installed somewhere.
    async fn await_installation(
        &mut self,
        app_id: u64,
        slug: String,
        install: &str,
    ) -> Result<Done, UserError> {
        let github = self.github()?;
        if let Change::WebhookUrl(url) = &self.change {
            let failed = |error| github_failed(&error, "The address of the webhook is not changed");
            github.set_hook_url(url).await.map_err(failed)?;
            self.folder.keep(&self.progress)?;
            say(&format!("GitHub sends webhooks to {url} from now on."));
        }
        let mut asked = false;
        let installed = async {
            loop {
                match github.installations().await {
                    Ok(found) if !found.is_empty() => return Ok(found),
                    Ok(_) if !asked => {
                        asked = true;
                        say(&format!(
                            "Install it on the repositories in which briefs shall run:\n\n  {install}\n"
                        ));
                    }
                    Ok(_) => {}
                    // A key that was just made may be known a moment later.
                    Err(error) if error.is_transient() => tracing::debug!(%error, "asked again"),
                    Err(error) => {
                        return Err(github_failed(&error, "It is not known where the App is installed"));
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let Some(found) = patiently(self.args.wait(), "the installation", installed).await else {
            return Err(UserError::new(
                "setup-uninstalled",
                format!("The App {slug} was not installed anywhere in {} minutes.", self.args.wait_minutes),
                format!("Install it ({install}), and run the same command again for what comes next."),
            ));
        };
        let (mut installed_on, mut repositories) = (Vec::new(), Vec::new());
        for installation in found? {
            installed_on.push(installation.name());
            let reached = match installation.suspended_at {
                Some(_) => Ok(Vec::new()),
                None => github.repositories(installation.id).await,
            };
            let failed = |error| github_failed(&error, "It is not known which repositories the App reaches");
            repositories.extend(reached.map_err(failed)?.into_iter().map(|one| one.full_name));
        }
        let (config, webhook_url) = (self.args.config.clone(), self.progress.plan.webhook_url.clone());
        Ok(Done { format: FORMAT, app_id, slug, config, webhook_url, installed_on, repositories })
    }

    fn github(&self) -> Result<GitHub, UserError> {
        let config = Config::load(&self.args.config)?;
        let unusable = |why: String| crate::config::invalid(format!("github.private_key: {why}."));
        let key = config.github.private_key.read().map_err(|error| unusable(error.to_string()))?;
        GitHub::new(&config.github, &key).map_err(|error| unusable(error.to_string()))
    }
}

fn github_failed(error: &GitHubError, what: &str) -> UserError {
    UserError::new(
        "setup-github",
        format!("{what}: {error}."),
        "Look whether GitHub can be reached from here, and run the same command again: it goes on from here.",
    )
}

fn wrong_state() -> UserError {
    UserError::new(
        "setup-wrong-state",
        "A browser came back that this set-up did not send.",
        "If it was yours, it was on a page of an earlier set-up: open the address above. Nothing was taken from it.",
    )
}

fn asked() -> Result<Asked, UserError> {
    Ok(Asked { key: random()?, state: random()?, port: 0 })
}

/// Returns 32 hex digits that nobody guesses.
fn random() -> Result<String, UserError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        UserError::new("internal-error", format!("There is no randomness: {error}."), "Look at the machine.")
    })?;
    Ok(hex::encode(bytes))
}

/// Returns this machine's name, as somebody would give it to ssh.
fn this_host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "THIS-MACHINE".to_owned() } else { name.trim().to_owned() }
}
