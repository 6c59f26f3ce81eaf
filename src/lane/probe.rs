//! Finding out whether a lane can work on this machine, and telling the operator what to do if not.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::check::refuse_network;
use super::{LaneError, LaneUnavailable, ProcessLane, environment, sandbox, self_test};
use crate::brief::Step;
use crate::config::SandboxKind;
use crate::run::network::NetworkLog;
use crate::run::redact::Redactor;
use crate::run::report::{StepReport, StepStatus};
use crate::run::steps::StepsOrder;
use crate::run::workspace::RunDirs;

/// The oldest bubblewrap that has every option that is used: the one of Debian 12.
const OLDEST: (u32, u32) = (0, 8);

/// What the machine tells about user namespaces and itself.
#[derive(Debug, Default)]
struct Machine {
    /// Holds Debian's `kernel.unprivileged_userns_clone`.
    userns_clone: Option<String>,
    /// Holds Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`.
    apparmor: Option<String>,
    /// Holds `user.max_user_namespaces`.
    most_userns: Option<String>,
    root: bool,
    container: bool,
}

pub(super) fn no_bubblewrap() -> LaneUnavailable {
    LaneUnavailable {
        reason: "The program `bwrap` (bubblewrap) was not found in the server's PATH.".into(),
        help: "Install it (`apt-get install bubblewrap`) and restart the server.".into(),
    }
}

pub(super) fn no_bash() -> LaneUnavailable {
    LaneUnavailable {
        reason: format!("The program `bash` was not found in {}.", environment::PATH),
        help: "Install it (`apt-get install bash`) and restart the server.".into(),
    }
}

pub(super) async fn probe(lane: &ProcessLane, runs_root: &Path) -> Result<(), LaneUnavailable> {
    refuse_configuration(lane)?;
    lane.read_secrets().await?;
    lane.read_kubeconfig().await?;
    lane.bash.as_deref().ok_or_else(no_bash)?;
    if lane.config().sandbox == SandboxKind::None {
        return Ok(());
    }
    let bwrap = lane.bwrap.as_deref().ok_or_else(no_bubblewrap)?;
    check_version(&version(bwrap).await)?;
    match trial(lane, runs_root).await {
        Ok(()) => Ok(()),
        Err(LaneError::Unavailable(unavailable)) => Err(unavailable),
        Err(error) => Err(explain(&error.to_string(), &Machine::look())),
    }
}

/// Looks at what the operator wrote once more, so that no way of making a lane passes it by.
fn refuse_configuration(lane: &ProcessLane) -> Result<(), LaneUnavailable> {
    let unavailable = |reason: String| LaneUnavailable {
        reason,
        help: "Correct the lane's section in the configuration and restart the server.".into(),
    };
    for name in &lane.config().environment {
        if let Some(why) = environment::refuse_environment_name(name) {
            return Err(unavailable(format!("`environment` names `{name}`: {why}.")));
        }
    }
    for secret in &lane.config().secrets {
        if let Some(why) = environment::refuse_environment_name(&secret.name) {
            return Err(unavailable(format!("`secrets` names `{}`: {why}.", secret.name)));
        }
    }
    if let Some(why) = refuse_network(lane.config()) {
        return Err(unavailable(why));
    }
    for path in &lane.config().read_only_paths {
        let shown = path.display();
        if let Some(why) = sandbox::refuse_read_only_path(path) {
            return Err(unavailable(format!("`read_only_paths` names `{shown}`: {why}.")));
        }
        if !path.exists() {
            return Err(unavailable(format!("`read_only_paths` names `{shown}`, which does not exist.")));
        }
    }
    Ok(())
}

pub(super) async fn version(bwrap: &Path) -> String {
    let mut command = Command::new(bwrap);
    command.arg("--version").env_clear().stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await;
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn check_version(told: &str) -> Result<(), LaneUnavailable> {
    let mut numbers = told.trim_start_matches("bubblewrap ").split('.').map(str::parse);
    if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
        && (major, minor) >= OLDEST
    {
        return Ok(());
    }
    Err(LaneUnavailable {
        reason: format!("bubblewrap 0.8 or newer is needed, and `bwrap --version` says \"{told}\"."),
        help: "Install a newer bubblewrap and restart the server.".into(),
    })
}

/// Stands for a run's name in a trial.
pub(super) const TRIAL: &str = "trial";

/// Runs the self-test just as a step would run. Its folders lie and are called as those of a run, so that the
/// start after a crash clears them up, too.
async fn trial(lane: &ProcessLane, runs_root: &Path) -> Result<(), LaneError> {
    let name = uuid::Uuid::now_v7().to_string();
    let dirs = RunDirs::create(runs_root, &name).map_err(super::cannot("make folders for a trial"))?;
    let tried = trial_in(lane, &dirs, &self_test::script(lane.config(), runs_root)).await;
    // The logs last: for as long as other folders are there, the start after a crash looks for them.
    let removed = dirs.remove_all_but_logs().and_then(|()| dirs.remove());
    removed.map_err(super::cannot("remove the folders of a trial"))?;
    tried
}

async fn trial_in(lane: &ProcessLane, dirs: &RunDirs, script: &str) -> Result<(), LaneError> {
    let report = try_step(lane, dirs, script).await?;
    let told = report.log.tail.trim();
    match report.status {
        StepStatus::Succeeded => Ok(()),
        _ if told.starts_with(self_test::FAILED) => Err(self_test::failed(told).into()),
        _ => Err(LaneError::Sandbox(format!("a trial step failed: {told}"))),
    }
}

/// Runs one step of the lane's own, with no brief and no secret near.
pub(super) async fn try_step(
    lane: &ProcessLane,
    dirs: &RunDirs,
    script: &str,
) -> Result<StepReport, LaneError> {
    let steps = [Step::shell("trial", script)];
    let none: [&[u8]; 0] = [];
    let order = StepsOrder {
        run: TRIAL,
        steps: &steps,
        workdir: "~/trial",
        dirs,
        read_only: Vec::new(),
        secrets: &[],
        kubeconfig: None,
        network: NetworkLog::default(),
        redactor: Redactor::new(none).map_err(|error| LaneError::Sandbox(error.to_string()))?,
    };
    let reports = lane.run_steps(&lane.trial_slot(), &order, |_| {}, CancellationToken::new()).await?;
    reports.into_iter().next().ok_or_else(|| LaneError::Sandbox("a trial step did not run".into()))
}

impl Machine {
    fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let marks = ["/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"];
        Self {
            userns_clone: read("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor: read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            most_userns: read("/proc/sys/user/max_user_namespaces"),
            root: rustix::process::geteuid().is_root(),
            container: marks.iter().any(|mark| Path::new(mark).exists())
                || std::env::var_os("container").is_some(),
        }
    }
}

/// Tells the operator what keeps the sandbox from working, as far as the machine shows it.
fn explain(error: &str, machine: &Machine) -> LaneUnavailable {
    let says = |value: &Option<String>, what: &str| value.as_deref() == Some(what);
    let cause = if says(&machine.userns_clone, "0") && !machine.root {
        (
            "This machine forbids user namespaces to ordinary users.",
            "Allow them: `sysctl -w kernel.unprivileged_userns_clone=1`, and the same in /etc/sysctl.d.",
        )
    } else if says(&machine.most_userns, "0") {
        (
            "This machine allows no user namespaces.",
            "Allow them: `sysctl -w user.max_user_namespaces=15000`, and the same in /etc/sysctl.d.",
        )
    } else if says(&machine.apparmor, "1") && !machine.root {
        (
            "AppArmor forbids user namespaces to programs without a profile of their own.",
            "Give bwrap a profile that allows `userns` (Ubuntu's package apparmor-profiles has \
          `bwrap-userns-restrict`), or set `kernel.apparmor_restrict_unprivileged_userns=0`.",
        )
    } else if machine.container {
        (
            "The server runs in a container that does not let it make namespaces or mounts.",
            "Run the server as an ordinary user in a container that allows user namespaces and an \
          unmasked /proc, or outside of containers.",
        )
    } else if machine.root && error.contains("start bubblewrap") {
        (
            "The server is root but may not make mounts or become another user.",
            "Run it as an ordinary user, or with the capabilities SYS_ADMIN, SETUID, SETGID and CHOWN.",
        )
    } else {
        (
            "The sandbox does not work on this machine.",
            "Try `bwrap --unshare-all --ro-bind / / true` as the server's user to see what is missing.",
        )
    };
    LaneUnavailable { reason: format!("{} ({error})", cause.0), help: cause.1.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for told in ["bubblewrap 0.8.0", "bubblewrap 0.11.0", "bubblewrap 1.0.0"] {
            assert_eq!(check_version(told), Ok(()), "{told}");
        }
        for told in ["bubblewrap 0.7.9", "", "bubblewrap x.y"] {
            assert!(check_version(told).is_err(), "{told}");
        }
    }

    #[test]
    fn each_cause_has_its_own_advice() {
        let zero = || Some("0".to_owned());
        let machines = [
            (Machine { userns_clone: zero(), ..Machine::default() }, "unprivileged_userns_clone"),
            (Machine { most_userns: zero(), ..Machine::default() }, "max_user_namespaces"),
            (Machine { apparmor: Some("1".into()), ..Machine::default() }, "apparmor"),
            (Machine { container: true, ..Machine::default() }, "container"),
            (Machine { root: true, ..Machine::default() }, "SYS_ADMIN"),
            (Machine::default(), "bwrap --unshare-all"),
        ];
        for (machine, word) in machines {
            let told = explain("cannot start bubblewrap: EPERM", &machine);
            assert!(told.help.contains(word), "{machine:?}: {told}");
            assert!(told.reason.contains("EPERM"));
        }
    }
}
