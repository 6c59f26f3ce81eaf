//! Which system calls a step can make: seccomp filters, as bubblewrap loads them.
//!
//! The kernel asks every filter and takes the strictest answer. What builds need is left; what only
//! administrators need, or what kernels were broken by, is refused with an error of the kind that
//! programs expect: `ENOSYS` where they look whether the kernel has it, `EAFNOSUPPORT` for kinds of
//! sockets, `EPERM` else. A call by the numbers of another architecture ends the process.
//!
//! `docs/decisions/0010-system-calls.md` tells what stays allowed, and why.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

/// The highest call that was looked at (`mseal` of Linux 6.10); what came later does not exist for steps.
/// Numbers from 424 on are the same on every architecture.
const HIGHEST: u32 = 462;

/// The bit by which x86-64 tells calls of its x32 variant.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Refused with `EPERM`.
const REFUSED: &[i64] = &[
    // The kernel's own extension and observation.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_syslog,
    // Keys go by user, not by namespace.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Handles lead around paths.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // The machine: its kernel, modules, clock, name, swap, quotas, accounting.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    // Where memory lies.
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// Refused with `EPERM` on x86-64, which alone has them.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[i64] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[i64] = &[];

/// `statmount` and `listmount`, which tell where on the disk the run's folders lie.
const MOUNT_TELLERS: [i64; 2] = [457, 458];

/// Answered with `ENOSYS`: programs look whether the kernel has these, and do without. The flags of
/// `clone3` lie in memory, where no filter can look; the C library then uses `clone`.
const MISSING: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_memfd_secret,
    MOUNT_TELLERS[0],
    MOUNT_TELLERS[1],
];

/// Flags of `clone` that make namespaces.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Requests that put characters into a terminal, which its next reader takes for typed ones.
const TYPING: [u64; 2] = [0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */];

/// Kinds of execution that are harmless; the last one asks.
const PERSONALITIES: [u64; 6] =
    [0, 0x8, 0x2_0000, 0x2_0008, 0x4_0000 /* no random addresses */, 0xffff_ffff];

/// Kinds of sockets that steps have.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Protocols of `AF_INET` and `AF_INET6`: by default, ICMP, TCP, UDP, ICMPv6, multipath TCP.
const PROTOCOLS: [libc::c_int; 6] = [0, 1, 6, 17, 58, 262];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Returns the filters as bubblewrap reads them, each for one `--add-seccomp-fd`.
///
/// # Errors
/// Fails on an architecture that the filter library does not know.
pub(super) fn filters() -> Result<Vec<Vec<u8>>, BackendError> {
    let everything = |calls: &[i64]| calls.iter().map(|&call| (call, Vec::new())).collect::<Rules>();
    let mut refused = everything(&[REFUSED, REFUSED_HERE].concat());
    refused.extend(conditional()?);
    let programs = [
        program(refused, libc::EPERM)?,
        program(everything(MISSING), libc::ENOSYS)?,
        program(sockets()?, libc::EAFNOSUPPORT)?,
        unknown(),
    ];
    Ok(programs.iter().map(|program| bytes(program)).collect())
}

/// Returns what is refused by its arguments. The kernel looks at their lower 32 bits only, and so must
/// these rules.
fn conditional() -> Result<Rules, BackendError> {
    let namespaces = NAMESPACES.map(|flag| u64::from(flag.unsigned_abs()));
    let personality = PERSONALITIES.iter().map(|&known| argument(0, Ne, known)).collect::<Result<_, _>>()?;
    Ok(Rules::from([
        (libc::SYS_clone, each(namespaces.map(|flag| argument(0, MaskedEq(flag), flag)))?),
        (libc::SYS_ioctl, each(TYPING.map(|request| argument(1, Eq, request)))?),
        (libc::SYS_personality, vec![SeccompRule::new(personality)?]),
    ]))
}

fn sockets() -> Result<Rules, BackendError> {
    let number = |value: libc::c_int| u64::from(value.unsigned_abs());
    let other = FAMILIES.map(|family| argument(0, Ne, number(family)));
    let other = SeccompRule::new(other.into_iter().collect::<Result<_, _>>()?)?;
    let mut rules = vec![other];
    for family in [libc::AF_INET, libc::AF_INET6] {
        let mut rule = vec![argument(0, Eq, number(family))?];
        for protocol in PROTOCOLS {
            rule.push(argument(2, Ne, number(protocol))?);
        }
        rules.push(SeccompRule::new(rule)?);
    }
    // Of what the kernel tells by netlink, interfaces and routes (protocol 0) alone.
    let netlink = vec![argument(0, Eq, number(libc::AF_NETLINK))?, argument(2, Ne, 0)?];
    rules.push(SeccompRule::new(netlink)?);
    Ok(Rules::from([(libc::SYS_socket, rules.clone()), (libc::SYS_socketpair, rules)]))
}

fn argument(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(index, Dword, operator, value)
}

/// Returns a rule for each condition: one that holds is enough.
fn each<const N: usize>(
    conditions: [Result<SeccompCondition, BackendError>; N],
) -> Result<Vec<SeccompRule>, BackendError> {
    conditions.into_iter().map(|condition| SeccompRule::new(vec![condition?])).collect()
}

fn program(rules: Rules, error: libc::c_int) -> Result<BpfProgram, BackendError> {
    let answer = SeccompAction::Errno(error.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)?.try_into()
}

/// Returns the filter for numbers that nobody has looked at. The library knows no ranges; the others
/// have looked at the architecture.
fn unknown() -> BpfProgram {
    let load_number = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let answer = |k| sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let skip_one_unless = |code, k| sock_filter { code, jt: 0, jf: 1, k };
    let (equal, at_least) = (0x15, 0x35);
    let missing = answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
    // A debugger writes -1 for a call that shall not be made.
    let mut program = vec![load_number, skip_one_unless(equal, u32::MAX), missing.clone()];
    #[cfg(target_arch = "x86_64")]
    program.extend([skip_one_unless(at_least, X32), answer(libc::SECCOMP_RET_KILL_PROCESS)]);
    program.extend([skip_one_unless(at_least, HIGHEST + 1), missing, answer(libc::SECCOMP_RET_ALLOW)]);
    program
}

/// Lays a program out as the kernel's `struct sock_filter[]`.
fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let instruction = |one: &sock_filter| {
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&one.code.to_ne_bytes());
        (bytes[2], bytes[3]) = (one.jt, one.jf);
        bytes[4..].copy_from_slice(&one.k.to_ne_bytes());
        bytes
    };
    program.iter().flat_map(instruction).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_programs_that_the_kernel_takes() {
        let filters = filters().unwrap();
        assert_eq!(filters.len(), 4);
        for filter in &filters {
            assert!(filter.len() % 8 == 0 && filter.len() / 8 < 4096, "{} bytes", filter.len());
        }
    }

    #[test]
    fn no_call_is_named_twice() {
        let mut all = [REFUSED, REFUSED_HERE, MISSING].concat();
        all.extend([libc::SYS_clone, libc::SYS_ioctl, libc::SYS_personality, libc::SYS_socket]);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
