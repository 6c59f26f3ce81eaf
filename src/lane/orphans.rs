//! Processes of runs that should be gone, looked for by what ties a process to a run, whatever the cage
//! of its step knows: that it has the run's folders mounted, that its environment names the run, or that
//! it is the user of the run's slot.
//!
//! Sandboxes die with their server, but for an instant at the start of one: there, its first process
//! still waits for a parent that is gone, and would wait for ever. It has the run's folders mounted.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::Instant;

use super::cage::is_alive;
use super::environment::RUN;
use super::give::Owner;

/// How long killed processes may take to be gone; one that waits for a disk takes longest.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked whether they are gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Kills every process that is tied to one of these runs, until none is left or they had their time:
/// what is killed may have started others just before.
///
/// `runs` are the names of run folders, which are unique on the machine. Only for runs that have ended
/// or whose server is gone; processes that cannot be looked at are another user's, and left alone.
pub fn kill_orphans(runs: &[String]) {
    let deadline = Instant::now() + GONE_WITHIN;
    while kill(|id| is_of(id, runs)) > 0 && Instant::now() < deadline {}
}

/// Looks for processes of a run that has ended, kills them, and looks again until none is left or they
/// had their time; returns how many are left.
///
/// `owner` is the user of the run's slot, which nobody else may have while this looks.
pub async fn leftovers(run: &str, owner: Option<Owner>) -> usize {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let runs = [run.to_owned()];
        let look = move || kill(|id| is_of(id, &runs) || owner.is_some_and(|owner| is_stray_of(id, owner)));
        // What could not be looked for counts as there.
        let left = tokio::task::spawn_blocking(look).await.unwrap_or(1);
        if left == 0 || Instant::now() > deadline {
            return left;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn kill(is_meant: impl Fn(i32) -> bool) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 1 };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|&id| kill_if(id, &is_meant)).count()
}

fn kill_if(id: i32, is_meant: impl Fn(i32) -> bool) -> bool {
    // Bound to the process before it is looked at: ids come back in use.
    let Some(process) = Pid::from_raw(id).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok()) else {
        return false;
    };
    if !is_meant(id) || !is_alive(id) {
        return false;
    }
    let killed = pidfd_send_signal(&process, Signal::KILL).is_ok();
    tracing::warn!(process = id, killed, "a process of a run was left behind");
    true
}

/// Tells whether a process has a folder of one of the runs mounted, or names it in its environment.
fn is_of(id: i32, runs: &[String]) -> bool {
    let is_run = |name: &str| runs.iter().any(|run| run == name);
    let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0).filter_map(|it| std::str::from_utf8(it).ok());
    mounted(id).iter().any(|root| root.split('/').any(is_run))
        || variables
            .any(|variable| variable.split_once('=').is_some_and(|(name, run)| name == RUN && is_run(run)))
}

/// Tells whether a process is a slot's user and of no other run. Another server of the machine may have
/// a slot of the same number, whose processes are below it.
fn is_stray_of(id: i32, owner: Owner) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let is_owner = field("Uid:").and_then(|uid| uid.parse().ok()) == Some(owner.uid);
    is_owner
        && field("PPid:").is_none_or(|parent| parent == "1")
        && !mounted(id).iter().any(|root| is_run_folder(root))
}

/// Tells whether a mounted folder is one of some run.
fn is_run_folder(root: &str) -> bool {
    root.split("/runs/")
        .skip(1)
        .any(|rest| rest.split('/').next().is_some_and(|name| uuid::Uuid::try_parse(name).is_ok()))
}

/// Returns the paths of what a process has mounted, each within its file system.
fn mounted(id: i32) -> Vec<String> {
    let mounts = std::fs::read_to_string(Path::new(&format!("/proc/{id}/mountinfo"))).unwrap_or_default();
    // The fourth field (proc(5)).
    mounts.lines().filter_map(|line| Some(line.split(' ').nth(3)?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_process_that_names_the_run_is_found_and_ended_and_others_are_left_alone() {
        let sleeper = |run: &str| Command::new("sleep").arg("600").env(RUN, run).spawn().unwrap();
        let (mut left, mut other) = (sleeper("0199a8f0-run-a"), sleeper("0199a8f0-run-b"));
        assert_eq!(leftovers("0199a8f0-run-a", None).await, 0);
        assert_eq!(left.wait().unwrap().signal(), Some(9));
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn only_folders_of_runs_are_taken_for_such() {
        assert!(is_run_folder("/var/lib/x/runs/01a1fae7-9bba-77d0-801e-258452616822/home"));
        assert!(!is_run_folder("/var/lib/x/runs/mine/home"));
        assert!(!is_run_folder("/usr"));
    }
}
