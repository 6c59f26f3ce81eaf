//! Runs the git command with an environment of its own: no settings of the machine, no prompt, no
//! hook, no credential but the one that is handed in.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Bounds what is kept of each output stream, in bytes; the rest is read and dropped.
const OUTPUT: usize = 64 << 10;
/// Bounds what an error tells of git's own words, in bytes.
const SAID: usize = 2 << 10;

/// Names the variables of the server's environment that git gets: the way to the network, the
/// certificates to trust, and where programs are.
const KEPT: [&str; 13] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "TMPDIR",
];

/// Holds the settings of every call. They win over those of any repository.
const SETTINGS: [(&str, &str); 16] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("core.sshCommand", "false"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.followTags", "false"),
    // A redirect would carry the credential to wherever it points.
    ("http.followRedirects", "false"),
    // A line that says nothing for a minute is cut.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    ("advice.detachedHead", "false"),
];

/// Why a call of git failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("git cannot be started: {0}")]
    Start(#[source] io::Error),
    /// The program took longer than it may.
    #[error("git {what} took longer than {} s", limit.as_secs())]
    Timeout {
        /// Names git's sub-command.
        what: &'static str,
        /// Holds the bound.
        limit: Duration,
    },
    /// The program ended with an error.
    #[error("git {what} failed ({status}): {said}")]
    Failed {
        /// Names git's sub-command.
        what: &'static str,
        /// Tells how it ended.
        status: ExitStatus,
        /// Holds the end of what it said, the credential masked.
        said: String,
    },
    /// A folder or file that git needs could not be made.
    #[error("{path}: {error}")]
    Files {
        /// Names the folder or file.
        path: PathBuf,
        /// Holds what the kernel said.
        error: io::Error,
    },
    /// The mirror could not be opened or written.
    #[error("the mirror fails: {0}")]
    Repository(#[from] git2::Error),
    /// An address, path or branch is not one that is handed to git.
    #[error("{0}")]
    Refused(String),
}

impl GitError {
    /// Tells whether the remote was out of reach or failed itself, so that later it may not.
    pub fn is_passing(&self) -> bool {
        let signs =
            ["returned error: 5", "Could not resolve host", "Failed to connect", "timed out", "hung up"];
        match self {
            Self::Timeout { .. } => true,
            Self::Failed { said, .. } => signs.iter().any(|sign| said.contains(sign)),
            _ => false,
        }
    }

    /// Tells whether the remote knows who asks and refuses it, as it does for an archived repository.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Failed { said, .. } if said.contains("The requested URL returned error: 403"))
    }
}

impl GitError {
    /// Makes an error of a folder or file.
    pub(super) fn files(path: &Path, error: impl Into<io::Error>) -> Self {
        Self::Files { path: path.to_owned(), error: error.into() }
    }
}

/// What a call printed and how it ended.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// One call of git, to be filled and run.
pub(super) struct Git {
    what: &'static str,
    args: Vec<OsString>,
    settings: Vec<(String, String)>,
    environment: Vec<(&'static str, OsString)>,
    secrets: Vec<String>,
    limit: Duration,
}

impl Git {
    /// Prepares a sub-command. `home` is an empty folder that only the server can enter; `protocols`
    /// are those that git may speak, with colons between.
    pub(super) fn new(what: &'static str, home: &Path, protocols: &str, limit: Duration) -> Self {
        let environment = vec![
            ("HOME", home.into()),
            ("XDG_CONFIG_HOME", home.into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_ATTR_NOSYSTEM", "1".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            // Wins over every `protocol.*` setting, also over one in a repository.
            ("GIT_ALLOW_PROTOCOL", protocols.into()),
            ("GIT_NO_LAZY_FETCH", "1".into()),
            ("LC_ALL", "C".into()),
        ];
        let settings = SETTINGS.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Self { what, args: vec![what.into()], settings, environment, secrets: Vec::new(), limit }
    }

    pub(super) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Hands in an installation token for one address; it stands in the environment only.
    pub(super) fn token(mut self, url: &str, token: Option<&SecretString>) -> Self {
        if let Some(token) = token {
            let token = token.expose_secret();
            let basic = base64::engine::general_purpose::STANDARD.encode(format!("x-access-token:{token}"));
            self.settings.push((format!("http.{url}.extraHeader"), format!("Authorization: Basic {basic}")));
            self.secrets.extend([token.to_owned(), basic]);
        }
        self
    }

    /// Runs the call; an exit code other than 0 is an error.
    pub(super) async fn run(self) -> Result<Output, GitError> {
        let what = self.what;
        let output = self.output().await?;
        if output.status.success() {
            return Ok(output);
        }
        let said = output.stderr;
        Err(GitError::Failed { what, status: output.status, said })
    }

    /// Runs the call, whatever its exit code; what it printed has the credential masked.
    pub(super) async fn output(self) -> Result<Output, GitError> {
        let mut child = self.command().spawn().map_err(GitError::Start)?;
        // The group also holds the helpers that git starts, such as git-remote-https.
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (stdout, stderr) = tokio::join!(tail(stdout), tail(stderr));
            child.wait().await.map(|status| (status, stdout, stderr))
        };
        let done = tokio::time::timeout(self.limit, work).await;
        drop(group);
        let (status, stdout, stderr) = match done {
            Ok(done) => done.map_err(GitError::Start)?,
            Err(_) => return Err(GitError::Timeout { what: self.what, limit: self.limit }),
        };
        let stderr = self.mask(&stderr);
        let from = stderr.ceil_char_boundary(stderr.len().saturating_sub(SAID));
        let stderr = stderr.get(from..).unwrap_or_default().trim().to_owned();
        Ok(Output { status, stdout: self.mask(&stdout), stderr })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.args(&self.args).env_clear();
        command.envs(KEPT.iter().filter_map(|name| std::env::var_os(name).map(|value| (*name, value))));
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command.env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for (index, (key, value)) in self.settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{index}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command.current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn mask(&self, bytes: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret.as_str(), "***");
        }
        text
    }
}

/// Ends what is left of a process group when the call is over or given up.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It is gone already in the ordinary case.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Reads a stream to its end and returns its last bytes.
async fn tail(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut chunk = vec![0; 16 << 10];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        kept.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if kept.len() > 2 * OUTPUT {
            kept.drain(..kept.len() - OUTPUT);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(what: &'static str, limit: Duration) -> Git {
        Git::new(what, Path::new("/nonexistent"), "https", limit)
    }

    #[test]
    fn the_token_is_in_the_environment_and_nowhere_else() {
        let token = SecretString::from("ghs_canary.part-two.three");
        let git = git("fetch", Duration::from_secs(9))
            .token("https://github.example/o/r", Some(&token))
            .args(["--prune"]);
        let command = git.command();
        let command = command.as_std();
        let args =
            command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        let basic = git.secrets[1].clone();
        assert!(!args.contains("canary") && !args.contains(&basic), "{args}");
        let holders: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_some_and(|value| value.to_string_lossy().contains(&basic)))
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect();
        assert_eq!(holders, ["GIT_CONFIG_VALUE_16"]);
        assert_eq!(git.mask(format!("x {basic} ghs_canary.part-two.three y").as_bytes()), "x *** *** y");
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_ended_with_its_helpers() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("config");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // git waits for somebody to write its settings.
        let call = git("version", Duration::from_millis(200)).args(["--build-options"]);
        let mut call = call.env("GIT_CONFIG_GLOBAL", &fifo);
        call.what = "config";
        call.args = vec!["config".into(), "--list".into()];
        let error = call.run().await.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("git config took longer than 0 s"));
    }

    #[tokio::test]
    async fn settings_of_the_machine_do_not_count() {
        let output =
            git("config", Duration::from_secs(20)).args(["--list", "--show-origin"]).run().await.unwrap();
        assert!(output.stdout.lines().all(|line| line.starts_with("command line:")), "{}", output.stdout);
        assert!(output.stdout.contains("core.hookspath=/dev/null"), "{}", output.stdout);
    }
}
