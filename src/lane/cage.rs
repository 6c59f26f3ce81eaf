//! What holds a step's processes together, and how all of them are ended.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::time::Instant;

use super::LaneError;

/// How long killed processes may take to be gone; one that waits for a disk takes longest.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked whether they are gone.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The processes of one step.
#[derive(Debug)]
pub(super) enum Cage {
    /// A PID namespace: the kernel kills all in it when its first process ends.
    Namespace {
        /// Holds the first process's id on this machine.
        id: i32,
        /// Refers to the first process; `None` if it was gone before it could be looked at.
        init: Option<OwnedFd>,
        /// Holds the link that `/proc/PID/ns/pid` is for each process in it.
        link: OsString,
    },
    /// No sandbox: a process group, and whatever carries the run's name in its environment. A
    /// process that hides from both is not found.
    Group {
        /// Holds the group's id, which is that of its first process.
        leader: Pid,
        /// Holds the variable that marks the run's processes, ended by NUL.
        marker: Vec<u8>,
    },
    /// Bubblewrap ended before it made a namespace.
    Nothing,
}

impl Cage {
    /// Makes the cage of what bubblewrap's status tells.
    ///
    /// # Errors
    /// Fails when the server may not look at the step's processes, as it could not tell then whether
    /// all of them have ended.
    pub(super) fn of_namespace(init_id: i32, namespace: u64) -> io::Result<Self> {
        let init = Pid::from_raw(init_id).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
        let link = OsString::from(format!("pid:[{namespace}]"));
        match std::fs::read_link(format!("/proc/{init_id}/ns/pid")) {
            Ok(found) if found == link => Ok(Self::Namespace { id: init_id, init, link }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            // It ended already, and its namespace with it; the id may be another process's by now.
            _ => Ok(Self::Nothing),
        }
    }

    /// Opens the network namespace of the processes.
    ///
    /// # Errors
    /// Fails when they have ended, or were never in one.
    pub(super) fn network(&self) -> io::Result<OwnedFd> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the sandbox has ended");
        let Self::Namespace { link, id, .. } = self else { return Err(gone()) };
        let network = std::fs::File::open(format!("/proc/{id}/ns/net"))?;
        // The id may be another process's by now; if it still is ours, it was when the file was opened.
        let still = std::fs::read_link(format!("/proc/{id}/ns/pid"))? == *link;
        if still { Ok(network.into()) } else { Err(gone()) }
    }

    /// Asks all processes to end (SIGTERM); `running` tells that the first was not yet waited for.
    pub(super) fn ask_to_end(&self, running: bool) {
        self.signal_all(Signal::TERM, running);
    }

    /// Kills all processes.
    pub(super) fn kill(&self, running: bool) {
        match self {
            Self::Namespace { init: Some(init), .. } => {
                let _gone_already = pidfd_send_signal(init, Signal::KILL);
            }
            _ => self.signal_all(Signal::KILL, running),
        }
    }

    /// Waits until no process is left; those that are left are killed.
    ///
    /// # Errors
    /// Fails when some are still there after [`GONE_WITHIN`].
    pub(super) async fn emptied(&self) -> Result<(), LaneError> {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            let left = self.members().len();
            if left == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(LaneError::Survivors(left));
            }
            self.kill(false);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Returns what finds the processes while the step runs, to measure them.
    pub(super) fn processes(&self) -> Processes {
        match self {
            Self::Namespace { id, .. } => Processes(Some(*id)),
            Self::Group { leader, .. } => Processes(Some(leader.as_raw_nonzero().get())),
            Self::Nothing => Processes(None),
        }
    }

    fn signal_all(&self, signal: Signal, running: bool) {
        if let (Self::Group { leader, .. }, true) = (self, running) {
            let _gone_already = kill_process_group(*leader, signal);
        }
        for id in self.members() {
            // Bound to the process before it is looked at again: ids come back in use.
            let process = Pid::from_raw(id).and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
            if let (Some(process), true) = (process, self.holds(id)) {
                let _gone_already = pidfd_send_signal(process, signal);
            }
        }
    }

    /// Returns the ids on this machine of all living processes in the cage.
    fn members(&self) -> Vec<i32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|&id| self.holds(id) && is_alive(id))
            .collect()
    }

    /// Tells whether a process is in the cage. One that cannot be looked at is another user's, and
    /// those of a step are the server's or a slot's, which the server can look at.
    fn holds(&self, id: i32) -> bool {
        match self {
            Self::Namespace { link, .. } => {
                std::fs::read_link(format!("/proc/{id}/ns/pid")).is_ok_and(|found| found == *link)
            }
            Self::Group { marker, .. } => {
                std::fs::read(format!("/proc/{id}/environ")).is_ok_and(|environment| {
                    let mut variables = environment.split_inclusive(|&byte| byte == 0);
                    variables.any(|variable| variable == marker)
                })
            }
            Self::Nothing => false,
        }
    }
}

/// A step's first process, with all that descend from it. In a namespace none can leave this tree, and a
/// process that hides what it is from an ordinary user does not hide whose child it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Processes(Option<i32>);

impl Processes {
    /// Returns the ids of those that exist now.
    pub(super) fn ids(self) -> Vec<i32> {
        let mut found: Vec<i32> = self.0.into_iter().collect();
        let mut at = 0;
        while let Some(id) = found.get(at) {
            let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
            let lists =
                threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
            let children: Vec<i32> = lists
                .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
                .collect();
            found.extend(children);
            at += 1;
        }
        found
    }
}

/// Tells whether a process still runs. One that has ended stays listed until its parent has waited
/// for it, which for an orphan is the machine's first process and may take its time.
pub(super) fn is_alive(id: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    match state {
        None | Some('X') => false,
        // The first thread may end before the others.
        Some('Z') => std::fs::read_dir(format!("/proc/{id}/task")).is_ok_and(|tasks| tasks.count() > 1),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_namespace() {
        let link = std::fs::read_link("/proc/self/ns/pid").unwrap();
        let number = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let me = std::process::id() as i32;
        let cage = Cage::of_namespace(me, number).unwrap();
        assert!(cage.members().contains(&me));
        assert!(matches!(Cage::of_namespace(me, number + 1), Ok(Cage::Nothing)));
    }
}
