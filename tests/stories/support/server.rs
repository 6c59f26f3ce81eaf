//! A real `codex-brief serve` as a child process, for stories and for the demo.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use github_sim::GithubSim;
use tokio::sync::watch;

/// The time in which a server must serve.
const START: Duration = Duration::from_secs(30);

/// A server of a simulated GitHub; it is killed when this is dropped.
pub(crate) struct ServerProcess {
    child: Child,
    address: String,
    served_after: Duration,
    log: watch::Receiver<Vec<String>>,
}

/// Writes a configuration for a simulated GitHub; `lanes` is the part of the lanes, TOML.
pub(crate) fn write_config(folder: &Path, sim: &GithubSim, lanes: &str) -> anyhow::Result<PathBuf> {
    let key = folder.join("app.pem");
    std::fs::write(&key, sim.private_key_pem())?;
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let config = folder.join("codex-brief.toml");
    let url = sim.url();
    // What a story says of them itself comes first.
    let defaults = ["write_interval_ms = 0", "content_per_minute = 10000", "content_per_hour = 100000"];
    let unsaid = |line: &&&str| !lanes.contains(line.split(' ').next().unwrap_or_default());
    let more: String = defaults.iter().filter(unsaid).map(|line| format!("{line}\n")).collect();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nstate_dir = \"state\"\nbody_seconds = 2\n\n\
         [github]\napp_id = {}\nprivate_key = {{ file = \"app.pem\" }}\n\
         webhook_secret = {{ environment = \"CODEX_BRIEF_WEBHOOK_SECRET\" }}\n\
         api_url = \"{url}\"\nweb_url = \"{url}\"\n{more}\n{lanes}\n",
        sim.app_id()
    );
    std::fs::write(&config, text)?;
    Ok(config)
}

impl ServerProcess {
    /// Starts a server, waits until it serves, and sends the simulated GitHub's deliveries to it.
    /// `each_line` sees every line of its log.
    pub(crate) fn start(
        program: &Path,
        config: &Path,
        sim: &GithubSim,
        environment: &[(&str, &str)],
        each_line: impl Fn(&str) + Send + 'static,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new(program)
            .args(["serve", "--config"])
            .arg(config)
            .env("CODEX_BRIEF_WEBHOOK_SECRET", sim.webhook_secret())
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| anyhow::anyhow!("no standard error"))?;
        let ((kept, log), (serving, served)) = (watch::channel(Vec::new()), mpsc::channel());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = line.split("address=").nth(1).and_then(|rest| rest.split(' ').next()) {
                    // Nobody waits any more when this line comes a second time.
                    let _ = serving.send(address.to_owned());
                }
                each_line(&line);
                kept.send_modify(|lines| lines.push(line));
            }
        });
        let Ok(address) = served.recv_timeout(START) else {
            let _ = child.kill();
            let _ = child.wait();
            anyhow::bail!("the server does not serve; its log:\n{}", log.borrow().join("\n"));
        };
        sim.set_webhook_url(&format!("http://{address}/webhooks/github"));
        Ok(Self { child, address, served_after: begun.elapsed(), log })
    }

    /// Returns how long it took from its start until it served.
    pub(crate) fn served_after(&self) -> Duration {
        self.served_after
    }

    /// Waits until the process has ended by itself, and tells how.
    pub(crate) async fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let mut log = self.log.clone();
        // The log ends with the process.
        let ended = async { while log.changed().await.is_ok() {} };
        tokio::time::timeout(within, ended).await?;
        Ok(self.child.wait()?)
    }

    /// Returns the server's address on the web.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    /// Waits until a line of the log holds a text.
    pub(crate) async fn logged(&self, text: &str, within: Duration) -> anyhow::Result<()> {
        let mut log = self.log.clone();
        let found = log.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
        tokio::time::timeout(within, found).await??;
        Ok(())
    }

    /// Tells the server to end, as an operator does, and waits until it has ended.
    pub(crate) async fn terminate(mut self) -> anyhow::Result<ExitStatus> {
        self.tell_to_end()?;
        // The simulated GitHub lives on this runtime and must go on meanwhile.
        Ok(tokio::task::spawn_blocking(move || self.child.wait()).await??)
    }

    /// Tells the server to end, as an operator does.
    pub(crate) fn tell_to_end(&self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into()?);
        Ok(nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?)
    }

    /// Kills the server as a crash would; its log stays.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
