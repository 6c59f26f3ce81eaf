//! System calls that a step must not be able to make, and bounds that it must meet.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::libc;

use super::{Finding, Outside, Verdict};

/// The most processes and files that are tried; a bound beyond that is taken for none.
const MOST: u64 = 20_000;

/// How a call that is refused ends, whoever refuses it.
const REFUSALS: [i32; 6] =
    [libc::EPERM, libc::EACCES, libc::ENOSYS, libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT, libc::ESRCH];

pub(super) fn try_all(outside: &Outside) -> Vec<Finding> {
    let none = [0; 5];
    let mut all = vec![
        // Calls without arguments that make sense fail otherwise where they are not refused.
        tried(
            "mount a file system",
            &[
                ("mount", libc::SYS_mount, mount()),
                ("fsopen", libc::SYS_fsopen, none),
                ("move_mount", libc::SYS_move_mount, none),
                ("umount2", libc::SYS_umount2, none),
            ],
        ),
        tried(
            "load into the kernel (bpf, modules, kexec)",
            &[
                ("bpf", libc::SYS_bpf, none),
                ("init_module", libc::SYS_init_module, none),
                ("kexec_load", libc::SYS_kexec_load, [0, 0, 0, 0xffff_0000, 0]),
            ],
        ),
        tried(
            "use what kernels were broken by (io_uring, userfaultfd, perf)",
            &[
                ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]),
                ("userfaultfd", libc::SYS_userfaultfd, none),
                ("perf_event_open", libc::SYS_perf_event_open, none),
                ("fanotify_init", libc::SYS_fanotify_init, none),
            ],
        ),
        tried(
            "read the user's keyrings",
            &[
                ("keyctl", libc::SYS_keyctl, [0, usize::MAX - 3, 0, 0, 0]),
                ("add_key", libc::SYS_add_key, none),
                ("request_key", libc::SYS_request_key, none),
            ],
        ),
        tried(
            "open files by handle",
            &[
                ("open_by_handle_at", libc::SYS_open_by_handle_at, none),
                ("name_to_handle_at", libc::SYS_name_to_handle_at, none),
            ],
        ),
        tried(
            "read the kernel's log, change clock or personality",
            &[
                ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
                ("clock_settime", libc::SYS_clock_settime, none),
                ("personality", libc::SYS_personality, [0x40_0000, 0, 0, 0, 0]),
            ],
        ),
        touch(outside),
        tried(
            "open sockets of rare kinds (vsock, AF_ALG, packets, netfilter)",
            &[
                ("AF_VSOCK", libc::SYS_socket, socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
                ("AF_ALG", libc::SYS_socket, socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
                ("AF_PACKET", libc::SYS_socket, socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0)),
                ("netfilter", libc::SYS_socket, socket(libc::AF_NETLINK, libc::SOCK_RAW, 12)),
                ("SCTP", libc::SYS_socket, socket(libc::AF_INET, libc::SOCK_STREAM, 132)),
            ],
        ),
        tried(
            "become root",
            &[("setresuid", libc::SYS_setresuid, none), ("setresgid", libc::SYS_setresgid, none)],
        ),
        tried("make a device", &[("mknodat", libc::SYS_mknodat, device())]),
        typing(),
        tried(
            "make a user namespace",
            &[
                ("unshare", libc::SYS_unshare, [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0]),
                ("setns", libc::SYS_setns, none),
                ("clone3", libc::SYS_clone3, none),
                ("clone", libc::SYS_clone, [(libc::CLONE_NEWUSER | libc::SIGCHLD) as usize, 0, 0, 0, 0]),
            ],
        ),
    ];
    all.extend([processes(outside.bounds.0), open_files(outside.bounds.1), file_size(outside.bounds.2)]);
    all
}

/// Traces, reads and signals the process that asks.
fn touch(outside: &Outside) -> Finding {
    const ATTEMPT: &str = "touch the server's process (ptrace, memory, signals)";
    let server = outside.process as usize;
    if !outside.shares("pid") && Path::new(&format!("/proc/{server}")).exists() {
        return Finding::new(ATTEMPT, Verdict::Held, "its number means a process of the step here");
    }
    let word = [0_u64; 2];
    let vector = [word.as_ptr() as usize, 8];
    let vector = vector.as_ptr() as usize;
    let calls = [
        ("ptrace", libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, server, 0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [server, vector, 1, vector, 1]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, [usize::MAX, 0, 0, 0, 0]),
        ("kill", libc::SYS_kill, [server, 0, 0, 0, 0]),
    ];
    tried(ATTEMPT, &calls)
}

fn socket(family: i32, kind: i32, protocol: usize) -> [usize; 5] {
    [family as usize, kind as usize, protocol, 0, 0]
}

fn mount() -> [usize; 5] {
    [c"tmpfs".as_ptr() as usize, c"/tmp".as_ptr() as usize, c"tmpfs".as_ptr() as usize, 0, 0]
}

fn device() -> [usize; 5] {
    let disk = libc::makedev(8, 0) as usize;
    [libc::AT_FDCWD as usize, c"/tmp/disk".as_ptr() as usize, (libc::S_IFBLK | 0o600) as usize, disk, 0]
}

/// Makes calls and tells those that were not refused.
fn tried(attempt: &str, calls: &[(&str, libc::c_long, [usize; 5])]) -> Finding {
    let worked: Vec<String> = calls
        .iter()
        .filter_map(|(name, number, arguments)| match call(*number, *arguments) {
            Ok(_) => Some(format!("{name} works")),
            Err(error) if error.raw_os_error().is_some_and(|code| REFUSALS.contains(&code)) => None,
            // What is looked at before anything is asked for, by a kernel that allows the call.
            Err(error) if *number == libc::SYS_setresuid || *number == libc::SYS_setresgid => {
                (error.raw_os_error() != Some(libc::EINVAL)).then(|| format!("{name}: {error}"))
            }
            Err(error) => Some(format!("{name} is not refused ({error})")),
        })
        .collect();
    let names: Vec<&str> = calls.iter().map(|(name, ..)| *name).collect();
    Finding::of(attempt, &worked, &format!("{} refused", names.join(", ")))
}

#[allow(unsafe_code)]
fn call(number: libc::c_long, a: [usize; 5]) -> io::Result<i64> {
    // SAFETY: pointers among the arguments are null or lead to values that outlive the call; the kernel
    // checks all of them. A child of `clone` that was not refused ends at once and touches nothing.
    let answer = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4]) };
    if number == libc::SYS_clone && answer == 0 {
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) }
    }
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Puts a character into a terminal, also with bits above those that the kernel looks at.
fn typing() -> Finding {
    const ATTEMPT: &str = "type into a terminal (TIOCSTI)";
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/ptmx") else {
        return Finding::new(ATTEMPT, Verdict::NotTried, "there is no terminal");
    };
    let (fd, letter) = (terminal.as_raw_fd() as usize, b"x".as_ptr() as usize);
    let request = libc::TIOCSTI as usize;
    tried(
        ATTEMPT,
        &[
            ("TIOCSTI", libc::SYS_ioctl, [fd, request, letter, 0, 0]),
            ("TIOCSTI with higher bits", libc::SYS_ioctl, [fd, request | (1 << 40), letter, 0, 0]),
            ("TIOCLINUX", libc::SYS_ioctl, [fd, 0x541C, letter, 0, 0]),
        ],
    )
}

#[allow(unsafe_code)]
fn processes(bound: u64) -> Finding {
    const ATTEMPT: &str = "start more processes than the lane allows";
    if bound > MOST {
        return Finding::new(ATTEMPT, Verdict::NotTried, format!("`processes` is {bound}, too many to try"));
    }
    let mut children = Vec::new();
    while (children.len() as u64) <= bound {
        // SAFETY: the child only waits for its end.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            },
            child if child > 0 => children.push(child),
            _ => break,
        }
    }
    for &child in &children {
        // SAFETY: ends and reaps a child of this process.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }
    bounded(ATTEMPT, children.len() as u64, bound)
}

fn open_files(bound: u64) -> Finding {
    const ATTEMPT: &str = "open more files than the lane allows";
    if bound > MOST {
        return Finding::new(ATTEMPT, Verdict::NotTried, format!("`open_files` is {bound}, too many to try"));
    }
    let mut files = Vec::new();
    while (files.len() as u64) <= bound {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(_) => break,
        }
    }
    bounded(ATTEMPT, files.len() as u64, bound)
}

fn bounded(attempt: &str, had: u64, bound: u64) -> Finding {
    let verdict = if had <= bound { Verdict::Held } else { Verdict::NotHeld };
    Finding::new(attempt, verdict, format!("{had} could be had; the bound is {bound}"))
}

#[allow(unsafe_code)]
fn file_size(bound: u64) -> Finding {
    const ATTEMPT: &str = "make a file larger than the lane allows";
    // SAFETY: the signal would end this process before it could tell.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let larger = bound.saturating_add(1).min(i64::MAX as u64);
    let made = File::create("/tmp/codex-brief-large").and_then(|file| file.set_len(larger));
    let _as_far_as_it_goes = std::fs::remove_file("/tmp/codex-brief-large");
    match made {
        Err(error) if error.raw_os_error() == Some(libc::EFBIG) => {
            Finding::new(ATTEMPT, Verdict::Held, format!("a file of {larger} bytes is refused"))
        }
        Err(error) => Finding::new(ATTEMPT, Verdict::NotTried, error.to_string()),
        Ok(()) => Finding::new(ATTEMPT, Verdict::NotHeld, format!("a file of {larger} bytes was made")),
    }
}
