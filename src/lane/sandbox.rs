//! What bubblewrap is told: the view that a step has of this machine.
//!
//! The view is built from nothing: programs and libraries, a few harmless files of `/etc`, the run's
//! own folders, and what the operator names. All of it goes over a descriptor, so that no path, no
//! variable and no script shows in an argument.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};

use super::command::Given;
use super::seccomp;
use crate::config::Network;

/// Where steps find their home.
pub const HOME: &str = "/home/codex";

/// How much `/dev/shm` holds, in bytes: it takes memory.
const SHARED_MEMORY: &str = "67108864";

/// Folders that belong to the system in every sandbox; no checkout and no operator's path goes there.
const SYSTEM: [&str; 13] = [
    "/usr", "/etc", "/proc", "/dev", "/run", "/sys", "/boot", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
    "/libx32",
];

/// Files and folders of `/etc` that programs need and that hold no secret. Configuration of package
/// managers, git, curl and the like is left out, because it may hold credentials.
const ETC: [&str; 22] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "os-release",
    "perl",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Beginnings of names in `/etc` that belong to toolchains.
const ETC_STARTS: [&str; 2] = ["java", "python3"];

/// Files of `/proc` that tell of the whole machine, or act on it. A device that is bound where devices do
/// not count can be opened by nobody.
const MASKED: [&str; 8] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/kallsyms",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
];

const PASSWD: &str = "root:x:0:0:root:/root:/usr/sbin/nologin\n\
    codex:x:1000:1000:codex-brief:/home/codex:/bin/bash\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ncodex:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost codex-brief\n::1 localhost ip6-localhost\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n";

/// Returns why a path must not stand in a lane's `read_only_paths`, or `None` if it may.
pub fn refuse_read_only_path(path: &Path) -> Option<&'static str> {
    if !path.is_absolute() || !is_plain(path) {
        return Some("it is not an absolute path without `.` and `..`");
    }
    let within = |top: &&str| path.starts_with(top);
    if SYSTEM.iter().filter(|top| **top != "/etc").any(within) {
        return Some("it belongs to the system's part of every sandbox");
    }
    if ["/tmp", HOME].iter().any(within) {
        return Some("the run's own folder is mounted there");
    }
    if ["/", "/etc", "/home", "/root", "/var", "/opt"].iter().any(|top| path == Path::new(top)) {
        return Some("it is too much; name the folders in it that steps need");
    }
    None
}

/// Tells whether a path says what it means: no `.`, no `..`.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        && !path.as_os_str().as_bytes().split(|&byte| byte == b'/').any(|part| part == b".")
}

/// Returns the absolute path inside the sandbox that a brief's `workdir` means.
///
/// # Errors
/// Tells why the checkout cannot be there. Briefs were checked before; this check keeps the sandbox
/// whole even if that one has a hole.
pub(super) fn place_of_checkout(workdir: &str, others: &[&Path]) -> Result<PathBuf, String> {
    let path = match workdir.strip_prefix("~/") {
        Some(rest) => Path::new(HOME).join(rest.trim_start_matches('/')),
        None => PathBuf::from(workdir),
    };
    if !path.is_absolute() || !is_plain(&path) || workdir.contains('\0') {
        return Err("it is not a plain absolute path, nor one below `~/`".into());
    }
    if let Some(top) = SYSTEM.iter().find(|top| path.starts_with(top)) {
        return Err(format!("{top} belongs to the system"));
    }
    let fixed = [Path::new(HOME), Path::new("/tmp"), Path::new("/run")];
    if let Some(other) = fixed.iter().chain(others).find(|other| other.starts_with(&path)) {
        return Err(format!("it would hide {}", other.display()));
    }
    if let Some(other) = others.iter().find(|other| path.starts_with(other)) {
        return Err(format!("{} belongs to the lane", other.display()));
    }
    Ok(path)
}

/// What one step sees. The folders are given as bubblewrap can reach them.
pub(super) struct View<'a> {
    pub(super) network: &'a Network,
    pub(super) read_only_paths: &'a [PathBuf],
    pub(super) home: &'a Path,
    pub(super) tmp: &'a Path,
    pub(super) checkout: &'a Path,
    /// Holds the path inside.
    pub(super) workdir: &'a Path,
    /// Holds paths on the machine and inside.
    pub(super) read_only: &'a [(PathBuf, PathBuf)],
    pub(super) environment: &'a [(OsString, OsString)],
    pub(super) file: Option<Given<'a>>,
}

/// Bubblewrap's options, and the descriptors that it reads them and its files from.
pub(super) struct Prepared {
    /// Holds the options; passed by `--args`.
    pub(super) options: OwnedFd,
    /// Hold what the options refer to.
    pub(super) files: Vec<OwnedFd>,
}

impl View<'_> {
    /// Writes the options down. `status` is where bubblewrap tells about its processes.
    pub(super) fn prepare(&self, status: &OwnedFd) -> io::Result<Prepared> {
        let mut options = Options::default();
        options.namespaces(self.network);
        options.system()?;
        options.etc(self.network)?;
        options.add(["--proc", "/proc", "--dev", "/dev"]);
        for path in MASKED.iter().filter(|path| Path::new(path).exists()) {
            options.bind("--ro-bind", "/dev/null", path);
        }
        options.system_calls()?;
        options.add(["--perms", "1777", "--size", SHARED_MEMORY, "--tmpfs", "/dev/shm"]);
        for path in self.read_only_paths {
            options.bind("--ro-bind", path, path);
        }
        options.bind("--bind", self.home, HOME);
        options.bind("--bind", self.tmp, "/tmp");
        options.bind("--bind", self.checkout, self.workdir);
        for (from, to) in self.read_only {
            options.bind("--ro-bind", from, to);
        }
        if let Some(Given { name, content, place }) = self.file {
            options.file(name, content, place)?;
        }
        options.add(["--remount-ro", "/dev", "--remount-ro", "/"]);
        options.add([OsStr::new("--chdir"), self.workdir.as_os_str()]);
        for (name, value) in self.environment {
            options.add([OsStr::new("--setenv"), name, value]);
        }
        options.add(["--json-status-fd", &status.as_raw_fd().to_string()]);
        Ok(Prepared { options: data("options", &options.list)?, files: options.files })
    }
}

#[derive(Default)]
struct Options {
    /// Holds the options, each ended by NUL.
    list: Vec<u8>,
    files: Vec<OwnedFd>,
}

impl Options {
    fn add<S: AsRef<OsStr>>(&mut self, words: impl IntoIterator<Item = S>) {
        for word in words {
            self.list.extend_from_slice(word.as_ref().as_bytes());
            self.list.push(0);
        }
    }

    fn bind(&mut self, how: &str, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        self.add([OsStr::new(how), from.as_ref().as_os_str(), to.as_ref().as_os_str()]);
    }

    /// Puts a file into the sandbox that does not exist outside.
    fn file(&mut self, name: &str, content: &str, to: &str) -> io::Result<()> {
        let file = data(name, content.as_bytes())?;
        self.add(["--perms", "0444", "--file", &file.as_raw_fd().to_string(), to]);
        self.files.push(file);
        Ok(())
    }

    fn namespaces(&mut self, network: &Network) {
        self.add(["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
        self.add(["--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--new-session"]);
        self.add(["--cap-drop", "ALL", "--clearenv", "--uid", "1000", "--gid", "1000"]);
        self.add(["--hostname", "codex-brief"]);
        if *network != Network::Full {
            self.add(["--unshare-net"]);
        }
    }

    /// Names the filters of system calls.
    fn system_calls(&mut self) -> io::Result<()> {
        for filter in seccomp::filters().map_err(io::Error::other)? {
            let filter = data("filter", &filter)?;
            self.add(["--add-seccomp-fd", &filter.as_raw_fd().to_string()]);
            self.files.push(filter);
        }
        Ok(())
    }

    /// Shows programs and libraries, laid out as they are on the machine.
    fn system(&mut self) -> io::Result<()> {
        self.bind("--ro-bind", "/usr", "/usr");
        for path in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"].map(Path::new) {
            match path.symlink_metadata() {
                Ok(found) if found.is_symlink() => {
                    let target = path.read_link()?;
                    self.add([OsStr::new("--symlink"), target.as_os_str(), path.as_os_str()]);
                }
                Ok(found) if found.is_dir() => self.bind("--ro-bind", path, path),
                _ => {}
            }
        }
        Ok(())
    }

    fn etc(&mut self, network: &Network) -> io::Result<()> {
        self.file("passwd", PASSWD, "/etc/passwd")?;
        self.file("group", GROUP, "/etc/group")?;
        self.file("hosts", HOSTS, "/etc/hosts")?;
        self.file("nsswitch", NSSWITCH, "/etc/nsswitch.conf")?;
        let mut shown: Vec<PathBuf> = ETC.iter().map(|name| Path::new("/etc").join(name)).collect();
        for entry in std::fs::read_dir("/etc")? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().as_bytes();
            if ETC_STARTS.iter().any(|start| name.starts_with(start.as_bytes())) {
                shown.push(path);
            }
        }
        for path in shown {
            self.bind("--ro-bind-try", &path, &path);
        }
        if *network == Network::Full {
            // Often a link into /run, which is not shown; bubblewrap follows it on the machine.
            self.bind("--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf");
        }
        Ok(())
    }
}

/// Puts bytes where a new process can read them by descriptor, without a file.
pub(super) fn data(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_lies_where_the_brief_says() {
        for (workdir, place) in [
            ("~/work/x", "/home/codex/work/x"),
            ("/srv/vpm-mini", "/srv/vpm-mini"),
            ("/home/codex/x", "/home/codex/x"),
            ("/tmp/x", "/tmp/x"),
            ("/var/lib/x", "/var/lib/x"),
        ] {
            assert_eq!(place_of_checkout(workdir, &[]), Ok(PathBuf::from(place)), "{workdir}");
        }
    }

    #[test]
    fn the_checkout_cannot_cover_the_sandbox() {
        let objects = Path::new("/opt/codex-brief/objects");
        for workdir in [
            "/",
            "//",
            "/usr",
            "/usr/local/x",
            "/etc/x",
            "/proc/1",
            "/dev/shm",
            "/run/codex-brief",
            "/bin",
            "/tmp",
            "/home",
            "~",
            "~/",
            "~//",
            "/home/codex",
            "/opt",
            "/opt/codex-brief",
            "/opt/codex-brief/objects/pack",
            "rel/x",
            "",
            "/srv/../etc",
            "~/../../etc",
            "~/./../x",
            "/srv/./x",
            "~/a/..",
            "/lib64/x",
            "/srv\0/x",
        ] {
            assert!(place_of_checkout(workdir, &[objects]).is_err(), "{workdir:?}");
        }
    }

    #[test]
    fn the_operator_cannot_open_the_sandbox_by_mistake() {
        for path in [
            "/",
            "/proc",
            "/dev/mem",
            "/run/docker.sock",
            "/tmp",
            "/home/codex/x",
            "/etc",
            "/home",
            "rel",
            "/opt/../etc",
            "/root",
            "/var",
            "/usr/lib",
            "/opt",
        ] {
            assert!(refuse_read_only_path(Path::new(path)).is_some(), "{path}");
        }
        for path in ["/opt/toolchain", "/etc/fonts", "/nix/store", "/srv/data", "/home/ci/.cargo/bin"] {
            assert_eq!(refuse_read_only_path(Path::new(path)), None, "{path}");
        }
    }
}
