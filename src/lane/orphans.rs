//! Processes that a server which is gone left behind.
//!
//! Sandboxes die with their server, but for an instant at the start of one: there, its first process
//! still waits for a parent that is gone, and would wait for ever. What ties such a process to a run is
//! that it has the run's folders mounted.

use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Kills every process that has a folder of one of these runs mounted, and returns how many there were.
///
/// `runs` are the names of run folders, which are unique on the machine. Only for runs whose server is
/// gone; processes that cannot be looked at are another user's, and left alone.
pub fn kill_orphans(runs: &[String]) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|&id| kill_if_orphan(id, runs)).count()
}

fn kill_if_orphan(id: i32, runs: &[String]) -> bool {
    // Bound to the process before it is looked at: ids come back in use.
    let Some(process) = Pid::from_raw(id).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok()) else {
        return false;
    };
    if !holds_run(Path::new(&format!("/proc/{id}/mountinfo")), runs) {
        return false;
    }
    let killed = pidfd_send_signal(&process, Signal::KILL).is_ok();
    tracing::warn!(process = id, killed, "a process of the last server was left behind");
    killed
}

/// Tells whether a mount of a process is a folder of one of the runs.
fn holds_run(mounts: &Path, runs: &[String]) -> bool {
    let mounts = std::fs::read_to_string(mounts).unwrap_or_default();
    // The fourth field is the path of what is mounted, within its file system (proc(5)).
    let mut roots = mounts.lines().filter_map(|line| line.split(' ').nth(3));
    roots.any(|root| root.split('/').any(|part| runs.iter().any(|run| run == part)))
}
