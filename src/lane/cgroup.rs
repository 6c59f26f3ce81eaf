//! Control groups of version 2, where the server has one to itself: they bound memory and processes of a
//! whole step, in the kernel.
//!
//! A group that holds processes cannot pass controllers on to groups below it, so the server moves into
//! one of its own first, beside those of the steps. systemd gives a service its group by `Delegate=yes`.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::config::Limits;

/// Names the group of the server itself, and those of steps by their beginning.
const SERVER: &str = "codex-brief-server";
const STEP: &str = "codex-brief-step-";

/// The controllers without which a group bounds nothing.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// How often it is looked whether a group is empty, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS: u32 = 200;

/// Processes of bubblewrap itself, which count in the group and not in the namespace.
const BUBBLEWRAP: u64 = 4;

/// A group in which this process can make others.
#[derive(Debug)]
pub(super) struct Delegated {
    folder: PathBuf,
}

static OWN: OnceLock<Result<Delegated, String>> = OnceLock::new();

impl Delegated {
    /// Takes this process's group over, the first time that it is asked.
    ///
    /// # Errors
    /// Tells why there is none; limits by process and measuring then bound the steps.
    pub(super) fn of_server() -> Result<&'static Self, &'static str> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let own = OWN.get_or_init(|| {
            let folder = find(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))?;
            Self::take(folder, std::process::id())
        });
        own.as_ref().map_err(String::as_str)
    }

    fn take(folder: PathBuf, process: u32) -> Result<Self, String> {
        let shown = folder.display();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let offered = read("cgroup.controllers");
        let missing = |wanted: &&&str| !offered.split_whitespace().any(|name| name == **wanted);
        if let Some(name) = CONTROLLERS.iter().find(missing) {
            return Err(format!("the control group {shown} has no controller `{name}`"));
        }
        if read("cgroup.procs").lines().any(|line| line != process.to_string()) {
            return Err(format!("the control group {shown} holds other processes, too"));
        }
        let server = folder.join(SERVER);
        let enter = |group: &Path| std::fs::write(group.join("cgroup.procs"), process.to_string());
        let made = make_folder(&server).and_then(|()| enter(&server));
        let passed_on = made.and_then(|()| {
            let all = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
            std::fs::write(folder.join("cgroup.subtree_control"), all)
        });
        passed_on.map_err(|error| {
            let _as_it_was = enter(&folder).and_then(|()| std::fs::remove_dir(&server));
            format!("the control group {shown} is not this user's to divide ({error})")
        })?;
        Ok(Self { folder })
    }

    /// Makes the group of one step.
    pub(super) fn step(&self, limits: &Limits) -> io::Result<StepGroup> {
        let memory = match limits.memory_bytes {
            0 => "max".to_owned(),
            bytes => bytes.to_string(),
        };
        let processes = limits.processes.saturating_add(BUBBLEWRAP).to_string();
        let name = format!("{STEP}{}", uuid::Uuid::now_v7().simple());
        let bounds = [("memory.max", memory.as_str()), ("memory.oom.group", "1"), ("pids.max", &processes)];
        let group = StepGroup::make(self.folder.join(name), &bounds)?;
        if limits.memory_bytes > 0 {
            // Kernels without swap accounting have no such file, and count no swap.
            let _where_it_is = std::fs::write(group.folder.join("memory.swap.max"), "0");
        }
        Ok(group)
    }
}

/// Returns the folder of the group that a process is in.
fn find(own: &str, mounts: &str) -> Result<PathBuf, String> {
    let group = own.lines().find_map(|line| line.strip_prefix("0::"));
    let group = group.ok_or("this machine has no control groups of version 2")?;
    // proc_pid_mountinfo(5): root and place are the fourth and fifth field, the type follows ` - `.
    let place = mounts.lines().find_map(|line| {
        let (fields, rest) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        rest.starts_with("cgroup2 ").then_some((root, place))
    });
    let (root, place) = place.ok_or("control groups of version 2 are not mounted")?;
    let below =
        group.strip_prefix(root.trim_end_matches('/')).ok_or("this process's group is not mounted")?;
    let below = Path::new(below).components().filter(|part| matches!(part, Component::Normal(_)));
    Ok(Path::new(place).components().chain(below).collect())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// The group of one step; dropping it ends what is in it and removes it.
#[derive(Debug)]
pub(super) struct StepGroup {
    folder: PathBuf,
}

impl StepGroup {
    fn make(folder: PathBuf, bounds: &[(&str, &str)]) -> io::Result<Self> {
        std::fs::create_dir(&folder)?;
        let group = Self { folder };
        for (name, value) in bounds {
            std::fs::write(group.folder.join(name), value)?;
        }
        Ok(group)
    }

    /// Opens the file into which a process writes `0` to enter.
    pub(super) fn entrance(&self) -> io::Result<OwnedFd> {
        Ok(OpenOptions::new().write(true).open(self.folder.join("cgroup.procs"))?.into())
    }

    /// Ends what is in the group, and removes it. An empty group that stays does no harm.
    pub(super) async fn end(self) {
        let _gone_already = std::fs::write(self.folder.join("cgroup.kill"), "1");
        // What was killed leaves the group a moment later.
        for _ in 0..LOOKS {
            match std::fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    tokio::time::sleep(LOOK_EVERY).await
                }
                _ => return,
            }
        }
        tracing::warn!(group = %self.folder.display(), "a control group cannot be removed");
    }

    /// Tells whether the kernel ended the step because its memory was over.
    pub(super) fn was_out_of_memory(&self) -> bool {
        let events = std::fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let counts = events.lines().filter_map(|line| line.split_once(' '));
        counts.into_iter().any(|(name, count)| name == "oom_kill" && count.trim() != "0")
    }
}

impl Drop for StepGroup {
    fn drop(&mut self) {
        let _gone_already = std::fs::write(self.folder.join("cgroup.kill"), "1");
        let _gone_already = std::fs::remove_dir(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    const UNIFIED: &str =
        "25 1 0:23 / / rw - ext4 /dev/root rw\n30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_own_group_is_found_by_what_proc_tells() {
        let found = find("0::/system.slice/codex-brief.service\n", UNIFIED);
        assert_eq!(found, Ok("/sys/fs/cgroup/system.slice/codex-brief.service".into()));
        assert_eq!(find("0::/\n", UNIFIED), Ok("/sys/fs/cgroup".into()));
        let within = UNIFIED.replace("0:26 / ", "0:26 /docker/abc ");
        assert_eq!(find("0::/docker/abc/x\n", &within), Ok("/sys/fs/cgroup/x".into()));
        assert!(find("0::/other\n", &within).unwrap_err().contains("not mounted"));
        assert!(find("4:memory:/\n", UNIFIED).unwrap_err().contains("version 2"));
        assert!(find("0::/\n", "").unwrap_err().contains("not mounted"));
    }

    fn fake(controllers: &str, processes: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cgroup.controllers"), controllers).unwrap();
        std::fs::write(folder.path().join("cgroup.procs"), processes).unwrap();
        folder
    }

    #[test]
    fn a_group_of_its_own_is_divided_and_bounds_each_step() {
        let folder = fake("cpu memory pids\n", "4711\n");
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let own = Delegated::take(folder.path().into(), 4711).unwrap();
        assert_eq!(read("codex-brief-server/cgroup.procs"), "4711");
        assert_eq!(read("cgroup.subtree_control"), "+memory +pids");
        let limits = Limits { memory_bytes: 1 << 30, processes: 100, ..Limits::default() };
        let group = own.step(&limits).unwrap();
        let read = |name: &str| std::fs::read_to_string(group.folder.join(name)).unwrap();
        let bounds = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max"].map(read);
        assert_eq!(bounds, ["1073741824", "0", "1", "104"]);
        assert!(!group.was_out_of_memory());
        std::fs::write(group.folder.join("memory.events"), "oom 1\noom_kill 3\n").unwrap();
        assert!(group.was_out_of_memory());
        let unbounded = own.step(&Limits { memory_bytes: 0, ..limits }).unwrap();
        assert_eq!(std::fs::read_to_string(unbounded.folder.join("memory.max")).unwrap(), "max");
    }

    #[test]
    fn a_group_that_bounds_nothing_or_is_shared_is_left_alone() {
        for (controllers, processes, why) in [
            ("cpu pids", "4711\n", "memory"),
            ("", "4711\n", "memory"),
            ("memory", "4711\n", "pids"),
            ("memory pids", "1\n4711\n", "other processes"),
        ] {
            let folder = fake(controllers, processes);
            let told = Delegated::take(folder.path().into(), 4711).unwrap_err();
            assert!(told.contains(why), "{told}");
            assert!(!folder.path().join(SERVER).exists());
        }
    }

    /// Uses real groups, which need no controller, where root runs the tests and they are mounted.
    #[tokio::test]
    async fn what_is_in_a_group_ends_with_it() {
        let place = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .map(Path::new)
            .into_iter()
            .find(|place| place.join("cgroup.procs").exists());
        let name = format!("codex-brief-test-{}", uuid::Uuid::now_v7().simple());
        let group = match place.map(|place| StepGroup::make(place.join(name), &[])) {
            Some(Ok(group)) => group,
            other => return eprintln!("left out: no control group can be made here ({other:?})"),
        };
        let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
        let mut entrance = std::fs::File::from(group.entrance().unwrap());
        write!(entrance, "{}", sleeper.id()).unwrap();
        let folder = group.folder.clone();
        group.end().await;
        assert_eq!(sleeper.wait().unwrap().signal(), Some(9));
        assert!(!folder.exists());
    }
}
