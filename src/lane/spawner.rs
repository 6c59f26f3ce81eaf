//! The one thread that starts sandboxes.
//!
//! A sandbox dies when the thread that started it ends (the kernel's parent-death signal goes by
//! thread), so it is never started from a pool's thread. This one lives as long as the server: the
//! steps of a server that crashed are gone with it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{OnceLock, mpsc};

use nix::libc;
use rustix::process::{Gid, Signal, Uid};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::give::Owner;
use super::stage::Stage;

/// A process to start. It inherits nothing that is not named here.
#[derive(Debug)]
pub(super) struct Spawn {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) folder: PathBuf,
    /// Takes standard output and standard error, in their order.
    pub(super) output: OwnedFd,
    /// Stay open in the new process, by the same numbers.
    pub(super) descriptors: Vec<OwnedFd>,
    /// Is mounted before the process becomes `owner`.
    pub(super) stage: Option<Stage>,
    /// Lets the process into its control group, if it has one.
    pub(super) entrance: Option<OwnedFd>,
    /// The user that the process becomes; the server's own if `None`.
    pub(super) owner: Option<Owner>,
}

struct Job {
    spawn: Spawn,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

static JOBS: OnceLock<mpsc::Sender<Job>> = OnceLock::new();

/// Starts a process from the long-lived thread. The process is killed when the [`Child`] is dropped.
pub(super) async fn spawn(spawn: Spawn) -> io::Result<Child> {
    let (answer, answered) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts sandboxes is gone");
    let job = Job { spawn, runtime: Handle::current(), answer };
    jobs()?.send(job).map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

fn jobs() -> io::Result<&'static mpsc::Sender<Job>> {
    if JOBS.get().is_none() {
        let (sender, receiver) = mpsc::channel();
        // Started before it is known whether this call comes first: a thread that nobody can reach
        // ends at once, as its channel is closed.
        std::thread::Builder::new().name("spawner".into()).spawn(move || serve(receiver))?;
        let _first_one_wins = JOBS.set(sender);
    }
    JOBS.get().ok_or_else(|| io::Error::other("no thread to start sandboxes"))
}

fn serve(jobs: mpsc::Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        let _runtime = job.runtime.enter();
        let _nobody_waits_any_more = job.answer.send(start(job.spawn));
    }
}

#[allow(unsafe_code)]
fn start(spawn: Spawn) -> io::Result<Child> {
    let Spawn { program, arguments, environment, folder, output, descriptors, entrance, stage, owner } =
        spawn;
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: the hook makes system calls only; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            keep_only(&numbers)?;
            if let Some(entrance) = &entrance {
                rustix::io::write(entrance, b"0")?;
            }
            if let Some(stage) = &stage {
                stage.apply()?;
            }
            if let Some(owner) = owner {
                become_owner(owner)?;
            }
            leave_keyring();
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    let child = command.spawn();
    drop(descriptors);
    child
}

/// Lets exec close every descriptor but standard ones and `numbers`, also those that other code of
/// the server opened carelessly.
#[allow(unsafe_code)]
fn keep_only(numbers: &[RawFd]) -> io::Result<()> {
    // SAFETY: these calls touch flags of descriptors only, in a process that is about to exec.
    unsafe {
        let flag = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
        if libc::close_range(3, libc::c_uint::MAX, flag) != 0 {
            // Linux before 5.11. Numbers above do not occur unless somebody raised the limit.
            for number in 3..4096 {
                libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        for &number in numbers {
            if libc::fcntl(number, libc::F_SETFD, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// Leaves the server's session keyring, whose keys whoever inherits it can read, for an empty one. A
/// kernel without keyrings has nothing to leave.
#[allow(unsafe_code)]
fn leave_keyring() {
    // SAFETY: joins an anonymous keyring; no memory is passed.
    unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0);
    }
}

/// Becomes another user for good: groups, group and user, each as real, effective and saved id.
fn become_owner(owner: Owner) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    // The process has a single thread between fork and exec, so the calls by thread do.
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}
