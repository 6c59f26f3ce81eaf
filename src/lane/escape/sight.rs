//! What can be seen, written and reached from inside.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Finding, Outside, Verdict};

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Where daemons listen that give whoever reaches them the machine.
const DAEMONS: [&str; 8] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/snapd.socket",
];

const SECRETS: [&str; 7] =
    ["/etc/shadow", "/etc/gshadow", "/etc/ssh", "/etc/sudoers", "/etc/ssl/private", "/etc/gitconfig", "/sys"];

/// What a minimal `/dev` holds.
const DEVICES: [&str; 15] = [
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "fd", "stdin",
    "stdout", "stderr", "core",
];

const PROC_SECRETS: [&str; 6] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/kallsyms",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/key-users",
];

const READ_ONLY: [&str; 6] = ["/usr", "/usr/local/bin", "/etc", "/", "/dev", "/run"];

const PROC_CONTROLS: [&str; 4] = [
    "/proc/sysrq-trigger",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/vm/drop_caches",
    "/proc/self/uid_map",
];

pub(super) fn try_all(outside: &Outside) -> Vec<Finding> {
    let mut all = vec![
        own_namespaces(outside),
        status(outside),
        hidden(&outside.hidden),
        exist("read the machine's secrets below /etc and /sys", &SECRETS),
        exist("reach a daemon's socket (Docker, containerd, D-Bus)", &DAEMONS),
        agents(),
        processes(outside),
        readable("read the kernel's files in /proc", &PROC_SECRETS),
        writable("write to the kernel's controls in /proc", &PROC_CONTROLS),
        system(),
        devices(),
    ];
    all.extend(network(outside));
    all
}

fn own_namespaces(outside: &Outside) -> Finding {
    let names = outside.namespaces.iter().map(|(name, _)| name.as_str());
    let expected = names.filter(|name| *name != "net" || outside.network_closed);
    let shared = expected.filter(|name| outside.shares(name));
    let shared: Vec<String> = shared.map(|name| format!("the {name} namespace is the machine's")).collect();
    Finding::of(
        "share a namespace with the machine",
        &shared,
        "user, pid, mnt, ipc and uts are the step's own",
    )
}

fn status(outside: &Outside) -> Finding {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    let mut missing = Vec::new();
    let filters = field("Seccomp_filters:").and_then(|count| count.parse::<u32>().ok());
    if field("Seccomp:").as_deref() != Some("2") || filters.is_some_and(|count| count <= outside.filters) {
        missing.push("no filter of system calls is in force".to_owned());
    }
    if field("NoNewPrivs:").as_deref() != Some("1") {
        missing.push("programs can gain rights (no_new_privs is off)".to_owned());
    }
    for name in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:"] {
        if field(name).is_some_and(|value| value.bytes().any(|byte| byte != b'0')) {
            missing.push(format!("{name} is not empty"));
        }
    }
    Finding::of("have rights", &missing, "no capability, no_new_privs, system calls are filtered")
}

fn hidden(paths: &[PathBuf]) -> Finding {
    let seen = paths.iter().filter(|path| path.symlink_metadata().is_ok());
    let seen: Vec<String> = seen.map(|path| format!("{} is seen", path.display())).collect();
    Finding::of("see the server's state, configuration and home", &seen, "none of them exists inside")
        .advise("Keep them out of /usr and of the lane's `read_only_paths`.")
}

fn exist(attempt: &str, paths: &[&str]) -> Finding {
    let seen: Vec<String> = paths
        .iter()
        .filter(|path| Path::new(path).symlink_metadata().is_ok())
        .map(|path| format!("{path} exists"))
        .collect();
    Finding::of(attempt, &seen, "none exists inside")
}

fn agents() -> Finding {
    let names =
        ["SSH_AUTH_SOCK", "GPG_AGENT_INFO", "DBUS_SESSION_BUS_ADDRESS", "DOCKER_HOST", "GITHUB_TOKEN"];
    let set: Vec<String> = names
        .iter()
        .filter(|name| std::env::var_os(name).is_some())
        .map(|name| format!("{name} is set"))
        .collect();
    Finding::of("use an agent's variables (SSH_AUTH_SOCK and the like)", &set, "none is set")
}

fn processes(outside: &Outside) -> Finding {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids: Vec<i32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let mut seen = Vec::new();
    if outside.shares("pid") {
        seen.push(format!("{} processes of the machine are seen", ids.len()));
        for name in ["environ", "mem", "cmdline"] {
            if std::fs::File::open(format!("/proc/{}/{name}", outside.process)).is_ok() {
                seen.push(format!("/proc/{}/{name} can be opened", outside.process));
            }
        }
    } else if ids.is_empty() {
        return Finding::new(PROCESSES, Verdict::NotTried, "/proc is not mounted");
    }
    Finding::of(PROCESSES, &seen, &format!("{} processes are seen, all of the step", ids.len()))
}

const PROCESSES: &str = "see the server's processes, their environ and mem";

fn readable(attempt: &str, paths: &[&str]) -> Finding {
    let read = |path: &&&str| {
        let mut byte = [0];
        std::fs::File::open(path).and_then(|mut file| file.read(&mut byte)).is_ok_and(|count| count > 0)
    };
    let open: Vec<String> = paths.iter().filter(read).map(|path| format!("{path} can be read")).collect();
    Finding::of(attempt, &open, "all are masked")
}

fn writable(attempt: &str, paths: &[&str]) -> Finding {
    let opens = |path: &&&str| OpenOptions::new().write(true).open(path).is_ok();
    // One's own map of users can be opened; a second one is refused when it is written.
    let meant = paths.iter().filter(|path| !path.ends_with("uid_map"));
    let open: Vec<String> =
        meant.filter(opens).map(|path| format!("{path} can be opened to write")).collect();
    Finding::of(attempt, &open, "none can be opened")
}

fn system() -> Finding {
    let name = format!("codex-brief-doctor-{}", std::process::id());
    let made = READ_ONLY.iter().filter(|folder| {
        let path = Path::new(folder).join(&name);
        let made = OpenOptions::new().write(true).create_new(true).open(&path).is_ok();
        made && {
            let _as_far_as_it_goes = std::fs::remove_file(&path);
            true
        }
    });
    let made: Vec<String> = made.map(|folder| format!("{folder} can be written")).collect();
    Finding::of("write to the system", &made, "it is read-only")
}

fn devices() -> Finding {
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let more: Vec<String> = names
        .filter(|name| !DEVICES.contains(&name.as_str()))
        .map(|name| format!("/dev/{name} is there"))
        .collect();
    Finding::of("find a device of the machine", &more, "/dev holds null, zero, random and terminals only")
}

fn network(outside: &Outside) -> Vec<Finding> {
    const ATTEMPT: &str = "reach the network";
    if !outside.network_closed {
        return vec![Finding::new(ATTEMPT, Verdict::Open, "the lane's `network` is not \"none\"")];
    }
    let tcp = |address: SocketAddr| TcpStream::connect_timeout(&address, CONNECT_WITHIN).is_ok();
    let mut reached = Vec::new();
    let mut note = |is: bool, what: &str| {
        if is {
            reached.push(format!("{what} is reached"));
        }
    };
    note(tcp(([127, 0, 0, 1], outside.ports.0).into()), "a server at 127.0.0.1");
    if let Some(port) = outside.ports.1 {
        note(tcp((std::net::Ipv6Addr::LOCALHOST, port).into()), "a server at ::1");
    }
    note(tcp(([169, 254, 169, 254], 80).into()), "a cloud's metadata address");
    // Connecting a datagram socket sends nothing: it looks for a route. The addresses are for examples.
    note(routed("0.0.0.0:0", "192.0.2.1:53"), "a route for IPv4");
    note(routed("[::]:0", "[2001:db8::1]:53"), "a route for IPv6");
    let socket = std::os::unix::net::SocketAddr::from_abstract_name(&outside.abstract_socket);
    note(socket.and_then(|address| UnixStream::connect_addr(&address)).is_ok(), "an abstract socket");
    let held = "IPv4, IPv6, DNS, metadata address and abstract sockets are out of reach";
    vec![Finding::of(ATTEMPT, &reached, held)]
}

fn routed(from: &str, to: &str) -> bool {
    let socket: io::Result<UdpSocket> = UdpSocket::bind(from);
    socket.and_then(|socket| socket.connect(to)).is_ok()
}
