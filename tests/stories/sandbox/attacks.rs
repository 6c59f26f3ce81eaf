//! What a hostile step tries, by the system calls and files that break-outs begin with.

use std::process::Command;

use super::*;

/// Makes `call(name, *arguments)`, which returns the name of the error, for Python; the numbers are of
/// the kernel's tables.
const CALLS: &str = r#"
import ctypes, errno, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
x86 = platform.machine() == 'x86_64'
numbers = {'mount': (165, 40), 'umount2': (166, 39), 'pivot_root': (155, 41), 'unshare': (272, 97), 'setns': (308, 268),
  'bpf': (321, 280), 'perf_event_open': (298, 241), 'userfaultfd': (323, 282), 'keyctl': (250, 219), 'add_key': (248, 217),
  'request_key': (249, 218), 'personality': (135, 92), 'syslog': (103, 116), 'kexec_load': (246, 104), 'acct': (163, 89),
  'init_module': (175, 105), 'open_by_handle_at': (304, 265), 'name_to_handle_at': (303, 264), 'clone': (56, 220),
  'quotactl': (179, 60), 'swapon': (167, 224), 'reboot': (169, 142), 'clock_settime': (227, 112), 'adjtimex': (159, 171),
  'process_vm_readv': (310, 270), 'process_vm_writev': (311, 271), 'kcmp': (312, 272), 'fanotify_init': (300, 262),
  'open_tree': (428,), 'move_mount': (429,), 'fsopen': (430,), 'fsconfig': (431,), 'fsmount': (432,), 'mount_setattr': (442,),
  'io_uring_setup': (425,), 'io_uring_enter': (426,), 'io_uring_register': (427,), 'clone3': (435,), 'pidfd_getfd': (438,),
  'statmount': (457,), 'listmount': (458,), 'setxattrat': (463,), 'open_tree_attr': (467,), 'file_setattr': (469,), 'ptrace': (101, 117)}
def call(name, *arguments):
    number = numbers[name][0 if x86 or len(numbers[name]) == 1 else 1]
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(argument) for argument in arguments])
    if name == 'clone' and answer == 0: os._exit(0)
    return 'works' if answer >= 0 else errno.errorcode[ctypes.get_errno()]
"#;

impl Rig {
    /// Runs a Python program with [`CALLS`] as a step and returns what it printed.
    async fn python(&self, program: &str) -> String {
        self.prints(&format!("python3 - <<'END'\n{CALLS}\n{program}\nEND")).await
    }
}

#[tokio::test]
async fn what_administrators_need_and_kernels_were_broken_by_is_refused() {
    let refused = "mount umount2 pivot_root unshare setns bpf perf_event_open userfaultfd add_key request_key \
        syslog kexec_load acct init_module open_by_handle_at name_to_handle_at quotactl swapon reboot clock_settime \
        adjtimex kcmp fanotify_init open_tree move_mount fsopen fsconfig fsmount mount_setattr pidfd_getfd";
    let missing = "clone3 io_uring_setup io_uring_enter io_uring_register process_vm_readv process_vm_writev \
        statmount listmount setxattrat open_tree_attr file_setattr";
    let program = format!(
        "for name in '{refused}'.split():\n    told = call(name, 0, 0, 0, 0, 0)\n    if told != 'EPERM': print(name, told)\n\
         for name in '{missing}'.split():\n    told = call(name, 0, 0, 0, 0, 0)\n    if told != 'ENOSYS': print(name, told)\n\
         print(call('keyctl', 0, -3, 0), call('personality', 0x0400000), call('personality', 0xffffffff))\n\
         for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x08000000, 0x04000000, 0x02000000):\n    \
         print(call('clone', flag | 17, 0, 0, 0, 0), call('clone', flag | 17 | 1 << 40, 0, 0, 0, 0))\n\
         print(call('clone', 17, 0, 0, 0, 0))"
    );
    let told = Rig::new().python(&program).await;
    assert_eq!(told, format!("EPERM EPERM works\n{}works", "EPERM EPERM\n".repeat(7)));
}

#[tokio::test]
async fn only_ordinary_sockets_can_be_opened() {
    let program = "import socket as s\n\
        def opened(*kind):\n    try: s.socket(*kind); return 'opened'\n    except OSError as e: return errno.errorcode[e.errno]\n\
        print(opened(s.AF_VSOCK, s.SOCK_STREAM), opened(s.AF_ALG, s.SOCK_SEQPACKET), opened(s.AF_PACKET, s.SOCK_DGRAM), \
        opened(31, s.SOCK_RAW), opened(s.AF_CAN, s.SOCK_RAW), opened(s.AF_NETLINK, s.SOCK_RAW, 12), opened(44, s.SOCK_RAW), \
        opened(s.AF_INET, s.SOCK_STREAM, 132), opened(s.AF_INET6, s.SOCK_SEQPACKET, 132))\n\
        print(opened(s.AF_UNIX, s.SOCK_STREAM), opened(s.AF_INET, s.SOCK_STREAM), opened(s.AF_INET6, s.SOCK_DGRAM), \
        opened(s.AF_INET, s.SOCK_STREAM, 6), opened(s.AF_INET, s.SOCK_DGRAM, 17), opened(s.AF_NETLINK, s.SOCK_RAW, 0))";
    let told = Rig::new().python(program).await;
    let refused = ["EAFNOSUPPORT"; 9].join(" ");
    assert_eq!(told, format!("{refused}\n{}", ["opened"; 6].join(" ")));
}

#[tokio::test]
async fn nothing_is_typed_into_a_terminal() {
    // Into the step's own controlling terminal, where the kernel alone would not forbid it everywhere.
    let program = "import fcntl, pty, termios\nmaster, slave = pty.openpty()\nif os.fork() == 0:\n    os.setsid()\n    \
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)\n    for request in (termios.TIOCSTI, termios.TIOCSTI | 1 << 40, 0x541C):\n        \
        ctypes.set_errno(0)\n        letter = ctypes.create_string_buffer(b'x')\n        \
        answer = libc.ioctl(ctypes.c_int(slave), ctypes.c_ulong(request), letter)\n        \
        print('typed' if answer == 0 else errno.errorcode[ctypes.get_errno()], flush=True)\n    os._exit(0)\nos.wait()";
    assert_eq!(Rig::new().python(program).await, "EPERM\nEPERM\nEPERM");
}

#[cfg(target_arch = "x86_64")]
#[rstest]
// getpid by the 32-bit gate: mov eax, 20; int 0x80; ret
#[case::of_32_bits("b8 14 00 00 00 cd 80 c3")]
// getpid of x32: mov eax, 0x40000027; syscall; ret
#[case::of_x32("b8 27 00 00 40 0f 05 c3")]
#[tokio::test]
async fn calls_of_another_architecture_end_the_program(#[case] code: &str) {
    let program = format!(
        "import mmap\npage = mmap.mmap(-1, 4096, prot=7)\npage.write(bytes.fromhex('{code}'))\n\
         print('called', ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())"
    );
    let report = Rig::new().run(&format!("python3 - <<'END'\n{CALLS}\n{program}\nEND")).await;
    assert_eq!((report.status, report.signal), (StepStatus::Failed, Some(31)), "{report:?}");
}

#[tokio::test]
async fn a_process_outside_is_out_of_reach() {
    let mut sibling = Command::new("sleep").arg("600").env("SIBLING_SECRET", "canary").spawn().unwrap();
    let id = sibling.id();
    let program = format!(
        "import glob\nprint(call('ptrace', 16, {id}, 0, 0), call('ptrace', 0x4206, {id}, 0, 0), call('process_vm_readv', {id}, 0, 0, 0, 0, 0))\n\
         try: os.kill({id}, 9); print('killed')\nexcept ProcessLookupError: print('not there')\n\
         for name in ('environ', 'mem', 'maps', 'root', 'cwd'):\n    if os.path.lexists('/proc/{id}/' + name): print(name)\n\
         for path in glob.glob('/proc/[0-9]*/environ'):\n    if b'canary' in open(path, 'rb').read(): print(path)\n\
         print(len(glob.glob('/proc/[0-9]*')) < 8)"
    );
    let told = Rig::new().python(&program).await;
    let alive = sibling.try_wait().unwrap().is_none();
    sibling.kill().unwrap();
    sibling.wait().unwrap();
    assert_eq!(told, "ESRCH ESRCH ENOSYS\nnot there\nTrue");
    assert!(alive);
}

#[tokio::test]
async fn the_kernels_files_are_masked() {
    let script = "set +e; for path in /proc/kcore /proc/keys /proc/key-users /proc/kallsyms /proc/timer_list /proc/sched_debug; do \
        if head -c 1 $path 2>/dev/null | grep -q .; then echo \"$path is read\"; fi; done; \
        for path in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches; do \
        if (: > $path) 2>/dev/null; then echo \"$path is written\"; fi; done; \
        ls /dev | tr '\\n' ' '; ls -d /sys /boot /root /var 2>/dev/null; true";
    let told = Rig::new().prints(script).await;
    assert_eq!(told, "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero");
}

#[tokio::test]
async fn a_set_id_program_gives_nothing() {
    let script = "cp /usr/bin/id ~/id; chmod 6755 ~/id; ~/id -u; ~/id -G; \
        for program in su mount passwd; do find /usr/bin/$program -perm -4000 2>/dev/null; done | grep -q . && echo there; \
        python3 -c 'import os\nfor i in (0, 1, 65534):\n  try: os.setuid(i); print(\"became\", i)\n  except OSError: pass'; \
        grep NoNewPrivs /proc/self/status";
    let told = Rig::new().prints(script).await;
    let lines: Vec<&str> = told.lines().filter(|line| *line != "there").collect();
    assert_eq!(lines, ["1000", "1000", "NoNewPrivs:\t1"]);
}

#[rstest]
#[case::git(
    "git init -q x && cd x && git config user.email a@b.c && git config user.name a && echo 1 > f && git add f && git commit -qm one && git clone -q . ../y && git -C ../y log --oneline | wc -l",
    "1"
)]
#[case::python(
    "python3 -c 'import multiprocessing as m, threading, subprocess, asyncio, tempfile, sqlite3\nt = threading.Thread(target=print, args=(\"thread\",)); t.start(); t.join()\nwith m.get_context(\"fork\").Pool(2) as p: print(sum(p.map(abs, range(-3, 0))))\nprint(subprocess.check_output([\"echo\", \"child\"], text=True).strip())\nasyncio.run(asyncio.sleep(0)); print(sqlite3.connect(tempfile.mktemp()).execute(\"select 1\").fetchone()[0])'",
    "thread\n6\nchild\n1"
)]
#[case::make_and_gcc(
    "printf 'int puts(const char*);int main(){return puts(\"built\")<0;}' > x.c; printf 'x: x.c\\n\\t@gcc -O1 -o $@ $<\\n' > Makefile; make -j2 && ./x",
    "built"
)]
#[case::leak_sanitizer_which_traces(
    "printf '#include <stdlib.h>\\nint main(){char *volatile p=malloc(9); p[0]=1; free(p); return 0;}' > x.c; gcc -fsanitize=leak -o x x.c && ./x && echo clean",
    "clean"
)]
#[case::job_control(
    "exec 2> /dev/null; set -m; sleep 100 & sleep 0.05 & wait %2; jobs | wc -l; kill %1; wait %1 || echo ended",
    "1\nended"
)]
#[case::pipes_and_substitution(
    "diff <(seq 3) <(seq 3) && seq 1000 | sort -R | sort -n | tail -1 | tee >(cat > copy)",
    "1000"
)]
#[case::terminal("script -qec 'echo in a terminal' /dev/null | tr -d '\\r'", "in a terminal")]
#[case::archive("mkdir d; echo x > d/f; tar czf d.tgz d && tar xzf d.tgz -C /tmp && cat /tmp/d/f", "x")]
#[tokio::test]
async fn real_programs_work(#[case] script: &str, #[case] printed: &str) {
    assert_eq!(Rig::new().prints(script).await, printed);
}

#[tokio::test]
async fn node_works_where_it_is_installed() {
    let Some(node) =
        ["/usr/bin/node", "/usr/local/bin/node"].into_iter().find(|path| Path::new(path).exists())
    else {
        return eprintln!("left out: node is not installed");
    };
    let script = format!(
        "{node} -e 'const h = require(\"http\"); const w = require(\"worker_threads\"); const c = require(\"child_process\"); \
         new w.Worker(\"1\", {{ eval: true }}).on(\"exit\", () => {{ const s = h.createServer((q, r) => r.end(\"served\")).listen(0, \"127.0.0.1\", () => \
         h.get(s.address(), r => r.on(\"data\", d => {{ console.log(String(d), String(c.execSync(\"echo child\")).trim()); s.close(); }}))); }})'"
    );
    assert_eq!(Rig::new().prints(&script).await, "served child");
}
