//! Starting one step: its sandbox, its pipes, its limits.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use rustix::fs::{Gid, Uid};
use rustix::process::Pid;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use super::cage::Cage;
use super::cgroup::{Delegated, StepGroup};
use super::command::{KUBECTL_VARIABLES, command, file};
use super::environment::{Places, RUN, override_by, step_environment};
use super::give::{Owner, make_mount_point};
use super::process::reached;
use super::sandbox::{HOME, View, data, place_of_checkout};
use super::slot::Slot;
use super::spawner::{Spawn, spawn};
use super::stage::Stage;
use super::supervise::Running;
use super::{LaneError, ProcessLane, cannot, egress, probe};
use crate::brief::Work;
use crate::config::Network;
use crate::run::steps::StepsOrder;

/// How long bubblewrap may take to tell about its processes.
const STATUS_WITHIN: Duration = Duration::from_secs(10);

/// Sets the limits, tells that the program is about to run, and runs it. The limits are set in here
/// because Linux counts processes by user namespace. The words are, in their order: processes, open
/// files, file size in KiB, data of a process in KiB, the descriptor to tell on, the descriptor to ask for the
/// network on where the lane has a list of what can be reached (otherwise empty), and the program with its
/// arguments. No stranger's text is in it.
const PRELUDE: &str = r#"
umask 022
echo 500 2>/dev/null >/proc/self/oom_score_adj
ulimit -c 0 && ulimit -f "$3" && ulimit -d "$4" && ulimit -n "$2" && ulimit -u "$1" || exit 1
if [ -n "$6" ]; then
    net=$6
    printf n >&"$net" && read -r -N 1 -u "$net" && exec {net}>&- || exit 1
fi
ready=$5
printf r >&"$ready" && exec {ready}>&-
shift 6
exec "$@"
"#;

/// What bubblewrap writes about the sandbox, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BwrapStatus {
    child_pid: i32,
    pid_namespace: u64,
}

impl ProcessLane {
    /// Starts a step in a sandbox of its own.
    pub(super) async fn start_sandboxed(
        &self,
        slot: &Slot,
        order: &StepsOrder<'_>,
        index: usize,
    ) -> Result<Running, LaneError> {
        let bwrap = self.bwrap.as_deref().ok_or_else(probe::no_bubblewrap)?;
        let bash = self.bash.as_deref().ok_or_else(probe::no_bash)?;
        let workdir = self.mount_point(slot, order)?;
        let environment = self.environment(order, index, HOME.as_ref(), "/tmp".as_ref(), &workdir);
        let work = &order.steps[index].work;
        let file = file(work, order.kubeconfig)?;
        let place = file.map_or("", |file| file.place);
        let command = command(work, bash, place, self.config.kubectl.as_ref())?;
        let (stage, [checkout, home, tmp], read_only) = self.reachable(slot, order, bwrap)?;
        let (status, status_writer) = pipe_of("a sandbox's status")?;
        let view = View {
            network: &self.config.network,
            read_only_paths: &self.config.read_only_paths,
            home: &home,
            tmp: &tmp,
            checkout: &checkout,
            workdir: &workdir,
            read_only: &read_only,
            environment: &environment,
            file,
        };
        let prepared = view.prepare(&status_writer).map_err(cannot("describe a sandbox"))?;
        let (ready, ready_writer) = pipe_of("a step's beginning")?;
        let (output, output_writer) = output_pipe(slot.owner())?;
        let listed = matches!(self.config.network, Network::Listed(_));
        let (waiting, wait_writer) = listed.then(egress::appointment).transpose()?.unzip();
        let mut arguments: Vec<OsString> =
            vec!["--args".into(), prepared.options.as_raw_fd().to_string().into(), "--".into()];
        arguments.push(bash.into());
        arguments.extend(self.prelude(&ready_writer, wait_writer.as_ref().map(AsRawFd::as_raw_fd), command));
        let mut descriptors = prepared.files;
        descriptors.extend(wait_writer);
        descriptors.extend([prepared.options, status_writer, ready_writer]);
        let limits = &self.config.limits;
        let group = Delegated::of_server().ok().map(|own| own.step(limits));
        let group = group.transpose().map_err(cannot("make a step's control group"))?;
        let entrance = group.as_ref().map(StepGroup::entrance).transpose();
        let child = spawn(Spawn {
            program: bwrap.to_owned(),
            entrance: entrance.map_err(cannot("open a step's control group"))?,
            arguments,
            environment: Vec::new(),
            folder: "/".into(),
            output: output_writer,
            descriptors,
            stage,
            owner: slot.owner(),
        });
        let child = child.await.map_err(cannot("start bubblewrap"))?;
        reached(order, "step-started.before-effect");
        let (cage, status) = cage_of(status).await?;
        let proxy = match waiting {
            Some(step) => egress::open(step, || cage.network(), &self.config, &order.network).await?,
            None => None,
        };
        let folders = folders_of(order);
        Ok(Running { child, cage, group, output, ready, _status: status, folders, _proxy: proxy })
    }

    /// Starts a step with nothing around it, as the operator wrote.
    pub(super) async fn start_bare(
        &self,
        order: &StepsOrder<'_>,
        index: usize,
    ) -> Result<Running, LaneError> {
        let bash = self.bash.as_deref().ok_or_else(probe::no_bash)?;
        let dirs = order.dirs;
        let environment =
            self.environment(order, index, dirs.home.as_os_str(), dirs.tmp.as_os_str(), &dirs.checkout);
        let work = &order.steps[index].work;
        let file = file(work, order.kubeconfig)?.map(|file| data(file.name, file.content.as_bytes()));
        let file = file.transpose().map_err(cannot("hold a step's file"))?;
        let (ready, ready_writer) = pipe_of("a step's beginning")?;
        let (output, output_writer) = output_pipe(None)?;
        let (status, _) = pipe_of("nothing")?;
        let place = file.as_ref().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()));
        let command = command(work, bash, &place.unwrap_or_default(), self.config.kubectl.as_ref())?;
        let child = spawn(Spawn {
            program: bash.to_owned(),
            arguments: self.prelude(&ready_writer, None, command),
            environment,
            folder: dirs.checkout.clone(),
            output: output_writer,
            descriptors: file.into_iter().chain([ready_writer]).collect(),
            entrance: None,
            stage: None,
            owner: None,
        });
        let child = child.await.map_err(cannot("start bash"))?;
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let leader = id.ok_or_else(|| LaneError::Sandbox("bash has no process id".into()))?;
        let marker = format!("{RUN}={}\0", order.run).into_bytes();
        let status = receiver(status)?;
        let (cage, folders) = (Cage::Group { leader, marker }, folders_of(order));
        Ok(Running { child, cage, group: None, output, ready, _status: status, folders, _proxy: None })
    }

    /// Returns where the checkout is inside, and makes the folders there if they lie in another of
    /// the run's folders.
    fn mount_point(&self, slot: &Slot, order: &StepsOrder<'_>) -> Result<PathBuf, LaneError> {
        let refused = |reason: String| LaneError::Workdir { workdir: order.workdir.to_owned(), reason };
        let others: Vec<&Path> = order.read_only.iter().map(|(_, inside)| inside.as_path()).collect();
        let others = [others, self.config.read_only_paths.iter().map(PathBuf::as_path).collect()].concat();
        let inside = place_of_checkout(order.workdir, &others).map_err(refused)?;
        for (folder, place) in [(&order.dirs.home, HOME), (&order.dirs.tmp, "/tmp")] {
            if let Ok(relative) = inside.strip_prefix(place) {
                let made = make_mount_point(folder, relative, slot.owner());
                made.map_err(|error| refused(format!("a folder on the way cannot be made: {error}")))?;
            }
        }
        Ok(inside)
    }

    /// Returns the run's folders as bubblewrap can reach them, and the mounts that this needs.
    #[allow(clippy::type_complexity)] // three results of one plan, used once
    fn reachable(
        &self,
        slot: &Slot,
        order: &StepsOrder<'_>,
        bwrap: &Path,
    ) -> Result<(Option<Stage>, [PathBuf; 3], Vec<(PathBuf, PathBuf)>), LaneError> {
        let dirs = order.dirs;
        let own = [dirs.checkout.clone(), dirs.home.clone(), dirs.tmp.clone()];
        if slot.owner().is_none() {
            return Ok((None, own, order.read_only.clone()));
        }
        let outside = order.read_only.iter().map(|(outside, _)| outside.as_path());
        let folders: Vec<&Path> = own.iter().map(PathBuf::as_path).chain(outside).collect();
        let needed: Vec<&Path> =
            self.config.read_only_paths.iter().map(PathBuf::as_path).chain([bwrap]).collect();
        let (stage, mut staged) =
            Stage::plan(&folders, &needed).map_err(cannot("plan the mounts of a run"))?;
        let others = staged.split_off(own.len());
        let inside = order.read_only.iter().map(|(_, inside)| inside.clone());
        let own = <[PathBuf; 3]>::try_from(staged)
            .map_err(|_| LaneError::Sandbox("the staged folders are not three".into()))?;
        Ok((Some(stage), own, others.into_iter().zip(inside).collect()))
    }

    fn environment(
        &self,
        order: &StepsOrder<'_>,
        index: usize,
        home: &OsStr,
        tmp: &OsStr,
        workdir: &Path,
    ) -> Vec<(OsString, OsString)> {
        let places = Places { home, tmp, workdir: workdir.as_os_str() };
        let server = |name: &str| std::env::var_os(name);
        let mut variables =
            step_environment((&self.config.environment, order.secrets), server, order.run, index, &places);
        let step = &order.steps[index];
        override_by(&mut variables, &step.env, &self.config.environment);
        if matches!(step.work, Work::Kubectl { .. }) {
            variables.extend(KUBECTL_VARIABLES.map(|(name, value)| (name.into(), value.into())));
        }
        let proxy = egress::variables(&self.config.network).into_iter();
        variables.extend(proxy.map(|(name, value)| (name.into(), value.into())));
        variables
    }

    /// Returns bash's arguments: the prelude and its words.
    fn prelude(&self, ready: &OwnedFd, network: Option<i32>, command: Vec<OsString>) -> Vec<OsString> {
        let limits = &self.config.limits;
        let processes = at_most(limits.processes, Resource::RLIMIT_NPROC);
        let open_files = at_most(limits.open_files, Resource::RLIMIT_NOFILE);
        let file_kib = at_most(limits.file_bytes, Resource::RLIMIT_FSIZE).div_ceil(1024);
        let mut words: Vec<OsString> =
            ["--noprofile", "--norc", "-c", PRELUDE, "codex-brief"].map(OsString::from).into();
        words.extend([processes, open_files, file_kib].map(|number| number.to_string().into()));
        words.push(data_bound(limits.memory_bytes));
        words.push(ready.as_raw_fd().to_string().into());
        words.push(network.map_or_else(OsString::new, |descriptor| descriptor.to_string().into()));
        words.extend(command);
        words
    }
}

/// Returns the folders that steps write to.
fn folders_of(order: &StepsOrder<'_>) -> Vec<PathBuf> {
    [&order.dirs.checkout, &order.dirs.home, &order.dirs.tmp].map(PathBuf::clone).into()
}

/// Returns what is asked, or what the system allows the server if that is less.
fn at_most(asked: u64, resource: Resource) -> u64 {
    getrlimit(resource).map_or(asked, |(_, hard)| asked.min(hard))
}

/// Returns the bound on what one process may map to write, for `ulimit -d`. It is twice what the step may
/// use, as programs reserve more than they touch; what they touch is measured. A control group needs no such
/// help.
fn data_bound(memory_bytes: u64) -> OsString {
    let (_, hard) = getrlimit(Resource::RLIMIT_DATA).unwrap_or((RLIM_INFINITY, RLIM_INFINITY));
    let grouped = Delegated::of_server().is_ok();
    let asked = if memory_bytes == 0 || grouped { RLIM_INFINITY } else { memory_bytes.saturating_mul(2) };
    match asked.min(hard) {
        RLIM_INFINITY => "unlimited".into(),
        bytes => bytes.div_ceil(1024).to_string().into(),
    }
}

/// Reads who the sandbox's first process is. End of file without it: bubblewrap failed before.
async fn cage_of(status: OwnedFd) -> Result<(Cage, pipe::Receiver), LaneError> {
    let mut reader = BufReader::new(receiver(status)?);
    let mut line = String::new();
    let read = tokio::time::timeout(STATUS_WITHIN, reader.read_line(&mut line)).await;
    let read = read.map_err(|_| LaneError::Sandbox("bubblewrap does not tell its state".into()))?;
    read.map_err(cannot("read a sandbox's status"))?;
    let cage = match serde_json::from_str::<BwrapStatus>(&line) {
        Ok(status) => Cage::of_namespace(status.child_pid, status.pid_namespace)
            .map_err(cannot("look at a sandbox's processes"))?,
        Err(_) if line.is_empty() => Cage::Nothing,
        Err(error) => return Err(LaneError::Sandbox(format!("bubblewrap's state is unknown: {error}"))),
    };
    Ok((cage, reader.into_inner()))
}

fn output_pipe(owner: Option<Owner>) -> Result<(pipe::Receiver, OwnedFd), LaneError> {
    let (reader, writer) = pipe_of("a step's output")?;
    if let Some(Owner { uid, gid }) = owner {
        // Without this a step could not open its own `/dev/stdout` and `/dev/stderr`.
        rustix::fs::fchown(&writer, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(cannot("give a pipe to a step"))?;
    }
    // Fewer switches on a flood; where the system refuses, the usual size does.
    let _usual_size_does = rustix::pipe::fcntl_setpipe_size(&writer, 256 << 10);
    Ok((receiver(reader)?, writer))
}

fn pipe_of(what: &str) -> Result<(OwnedFd, OwnedFd), LaneError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(cannot(format!("make a pipe for {what}")))
}

fn receiver(end: OwnedFd) -> Result<pipe::Receiver, LaneError> {
    pipe::Receiver::from_owned_fd(end).map_err(cannot("read from a pipe"))
}
