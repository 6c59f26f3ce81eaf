//! What a step can do, and what it cannot: real steps in real sandboxes.
//!
//! These tests need bubblewrap and fail without it. Run by root they cover a server that is root, and
//! [`all_of_this_holds_for_an_ordinary_user`] runs them once more as `nobody`.

#![allow(clippy::unwrap_used)] // clippy.toml lets tests off, but not what helps them

mod attacks;
mod limits;

use std::ffi::OsStr;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codex_brief::brief::Step;
use codex_brief::config::{LaneConfig, Limits, Network, SandboxKind};
use codex_brief::lane::{LaneError, ProcessLane, environment};
use codex_brief::run::network::NetworkLog;
use codex_brief::run::redact::Redactor;
use codex_brief::run::report::{StepReport, StepStatus};
use codex_brief::run::steps::{StepEvent, StepsOrder};
use codex_brief::run::workspace::RunDirs;
use rstest::rstest;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

mod egress;

const WORKDIR: &str = "~/work/example";

/// A run's folders and a lane, each with a name of its own.
struct Rig {
    folder: tempfile::TempDir,
    dirs: RunDirs,
    config: LaneConfig,
    run: String,
    workdir: String,
    read_only: Vec<(PathBuf, PathBuf)>,
    secrets: Vec<String>,
    lane_secrets: Vec<(String, SecretString)>,
    network: NetworkLog,
    stop: CancellationToken,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dirs = RunDirs::create(&folder.path().join("runs"), "one").unwrap();
        Self {
            folder,
            dirs,
            config: toml::from_str("name = 'test'\nlimits.wall_seconds = 60").unwrap(),
            run: uuid::Uuid::now_v7().to_string(),
            workdir: WORKDIR.into(),
            read_only: Vec::new(),
            secrets: Vec::new(),
            lane_secrets: Vec::new(),
            network: NetworkLog::default(),
            stop: CancellationToken::new(),
        }
    }

    fn with(change: impl FnOnce(&mut LaneConfig)) -> Self {
        let mut rig = Self::new();
        change(&mut rig.config);
        rig
    }

    fn limited(change: impl FnOnce(&mut Limits)) -> Self {
        Self::with(|config| change(&mut config.limits))
    }

    fn runs_root(&self) -> &Path {
        self.dirs.root.parent().unwrap()
    }

    async fn try_run(
        &self,
        scripts: &[&str],
        events: impl Fn(StepEvent) + Send + Sync,
    ) -> Result<Vec<StepReport>, LaneError> {
        let steps: Vec<Step> =
            scripts.iter().enumerate().map(|(at, shell)| Step::shell(format!("step {at}"), *shell)).collect();
        let lane = ProcessLane::new(self.config.clone());
        let slot = lane.claim_slot().await?;
        let order = StepsOrder {
            run: &self.run,
            steps: &steps,
            workdir: &self.workdir,
            dirs: &self.dirs,
            read_only: self.read_only.clone(),
            secrets: &self.lane_secrets,
            kubeconfig: None,
            redactor: Redactor::new(&self.secrets).unwrap(),
            network: self.network.clone(),
        };
        lane.run_steps(&slot, &order, events, self.stop.clone()).await
    }

    /// Runs one step and returns its report.
    async fn run(&self, script: &str) -> StepReport {
        self.try_run(&[script], |_| {}).await.unwrap().remove(0)
    }

    /// Runs one step that must succeed and returns what it printed, without the last line end.
    async fn prints(&self, script: &str) -> String {
        let report = self.run(script).await;
        assert_eq!(report.status, StepStatus::Succeeded, "{report:?}");
        report.log.tail.trim_end().to_owned()
    }

    fn state(&self) -> &Path {
        self.folder.path()
    }
}

/// Returns the ids of the processes on this machine whose environment names the run.
fn processes_of(run: &str) -> Vec<i32> {
    let marker = format!("CODEX_BRIEF_RUN={run}\0");
    let marked = |id: &i32| {
        std::fs::read(format!("/proc/{id}/environ"))
            .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(&marker))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(marked)
        .collect()
}

fn assert_gone(run: &str) {
    let left = processes_of(run);
    assert!(left.is_empty(), "processes are left: {left:?}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Starts this test binary again for one test.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command
}

fn assert_passes(command: &mut Command) {
    let output = command.output().unwrap();
    let shown = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && !shown[0].contains("running 0 tests"), "{}{}", shown[0], shown[1]);
}

#[tokio::test]
async fn the_lane_finds_out_that_it_can_work() {
    let rig = Rig::new();
    let probed = ProcessLane::new(rig.config.clone()).probe(rig.runs_root()).await;
    assert!(probed.is_ok(), "these tests need a working bubblewrap: {}", probed.unwrap_err());
}

#[tokio::test]
async fn without_bubblewrap_nothing_runs() {
    let rig = Rig::new();
    let empty = tempfile::tempdir().unwrap();
    let lane = ProcessLane::with_search_path(rig.config.clone(), empty.path().as_os_str());
    let told = lane.probe(rig.runs_root()).await.unwrap_err();
    assert!(told.reason.contains("bwrap") && told.help.contains("apt-get install"), "{told}");
    let steps = [Step::shell("never", "echo ran > ran")];
    let redactor = Redactor::new(&rig.secrets).unwrap();
    let order = StepsOrder {
        run: &rig.run,
        steps: &steps,
        workdir: WORKDIR,
        dirs: &rig.dirs,
        read_only: Vec::new(),
        secrets: &[],
        kubeconfig: None,
        redactor,
        network: NetworkLog::default(),
    };
    let slot = lane.claim_slot().await.unwrap();
    let ran = lane.run_steps(&slot, &order, |_| {}, CancellationToken::new()).await;
    assert!(matches!(ran, Err(LaneError::Unavailable(_))), "{ran:?}");
    assert!(!rig.dirs.checkout.join("ran").exists());
}

#[tokio::test]
async fn a_bubblewrap_that_does_not_work_makes_the_lane_unavailable_and_fails_no_step() {
    let rig = Rig::new();
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let fake = folder.path().join("bwrap");
    let script =
        "#!/bin/sh\n[ \"$1\" = --version ] && exec echo bubblewrap 0.8.0\necho bwrap: no >&2; exit 1\n";
    std::fs::write(&fake, script).unwrap();
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
    let lane = ProcessLane::with_search_path(rig.config.clone(), folder.path().as_os_str());
    let told = lane.probe(rig.runs_root()).await.unwrap_err();
    assert!(told.reason.contains("bwrap: no"), "{told}");
}

#[tokio::test]
async fn steps_run_in_order_and_the_first_that_fails_ends_the_run() {
    let rig = Rig::new();
    let events = Mutex::new(Vec::new());
    let scripts = ["echo one; pwd", "echo two >&2; exit 3", "echo three"];
    let reports = rig.try_run(&scripts, |event| events.lock().unwrap().push(event)).await.unwrap();
    let told: Vec<_> = reports.iter().map(|report| (report.status, report.exit_code)).collect();
    let expected =
        [(StepStatus::Succeeded, Some(0)), (StepStatus::Failed, Some(3)), (StepStatus::Skipped, None)];
    assert_eq!(told, expected);
    assert_eq!(reports[0].log.tail, "one\n/home/codex/work/example\n");
    assert_eq!(reports[1].log.tail, "two\n");
    assert_eq!(std::fs::read_to_string(rig.dirs.step_log(1)).unwrap(), "two\n");
    assert!(!rig.dirs.step_log(2).exists());
    let events = events.into_inner().unwrap();
    assert_eq!(events.first(), Some(&StepEvent::Started { index: 0, name: "step 0".into() }));
    assert!(events.contains(&StepEvent::Output { index: 1, bytes: b"two\n".to_vec() }));
    assert!(matches!(events.last(), Some(StepEvent::Ended { index: 2, .. })));
}

#[rstest]
#[case("~/work/example", "/home/codex/work/example")]
#[case("/srv/vpm-mini", "/srv/vpm-mini")]
#[case("/tmp/x/y", "/tmp/x/y")]
#[tokio::test]
async fn the_checkout_is_where_the_brief_says(#[case] workdir: &str, #[case] inside: &str) {
    let mut rig = Rig::new();
    rig.workdir = workdir.into();
    std::fs::write(rig.dirs.checkout.join("README"), "hello\n").unwrap();
    let script = format!("cd /; cd {inside}; cat README; echo made > made; pwd");
    assert_eq!(rig.prints(&script).await, format!("hello\n{inside}"));
    assert_eq!(std::fs::read_to_string(rig.dirs.checkout.join("made")).unwrap(), "made\n");
}

#[tokio::test]
async fn a_workdir_that_would_cover_the_sandbox_is_refused() {
    let mut rig = Rig::new();
    rig.workdir = "/usr/local/bin".into();
    let ran = rig.try_run(&["true"], |_| {}).await;
    assert!(matches!(ran, Err(LaneError::Workdir { .. })), "{ran:?}");
}

#[tokio::test]
async fn files_carry_over_between_steps_and_processes_do_not() {
    let rig = Rig::new();
    let first = "echo h > ~/h; echo t > /tmp/t; echo c > c; sleep 1000 & echo $! > ~/pid";
    let second = "cat ~/h /tmp/t c; if kill -0 $(cat ~/pid) 2>/dev/null; then echo alive; fi; ls /proc | grep -c '^[0-9]'";
    let reports = rig.try_run(&[first, second], |_| {}).await.unwrap();
    let lines: Vec<&str> = reports[1].log.tail.lines().collect();
    assert_eq!(lines[..3], ["h", "t", "c"], "{reports:?}");
    assert!(lines[3].parse::<u32>().unwrap() <= 6, "{reports:?}");
}

#[tokio::test]
async fn a_link_in_the_way_of_the_next_steps_checkout_is_not_followed() {
    let rig = Rig::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::set_permissions(outside.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let first = format!("cd ~; mv work old; ln -s {} work", outside.path().display());
    let ran = rig.try_run(&[&first, "pwd"], |_| {}).await;
    assert!(matches!(ran, Err(LaneError::Workdir { .. })), "{ran:?}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[rstest]
#[case("exit 7", Some(7), None)]
#[case("false; echo not reached", Some(1), None)]
#[case("false | cat; echo not reached", Some(1), None)]
#[case("kill -KILL $$", Some(137), Some(9))]
#[case("kill -TERM $$", Some(143), Some(15))]
#[case("bash -c 'kill -SEGV $$'", Some(139), Some(11))]
#[case("exit 200", Some(200), None)]
#[case("nosuchprogram", Some(127), None)]
#[case("if then", Some(2), None)]
#[tokio::test]
async fn exit_codes_are_told(
    #[case] script: &str,
    #[case] exit_code: Option<i32>,
    #[case] signal: Option<i32>,
) {
    let report = Rig::new().run(script).await;
    assert_eq!((report.status, report.exit_code, report.signal), (StepStatus::Failed, exit_code, signal));
    assert!(!report.log.tail.contains("not reached"), "{report:?}");
}

#[tokio::test]
async fn a_script_is_text_for_bash_alone() {
    let mut rig = Rig::new();
    let text = "it's \"quoted\" $(id) `id` ; | & > < * ? \\ \u{1F980} -- --args 3 %s {}";
    let script = format!("cat <<'END'\n{text}\nEND\n");
    assert_eq!(rig.prints(&script).await, text);
    rig = Rig::new();
    let reply = rig.prints("#!/bin/false\r\n: --help\ntr '\\0' ' ' < /proc/1/cmdline").await;
    assert!(
        reply.starts_with("/") && reply.contains("bwrap --args ") && !reply.contains("--help"),
        "{reply}"
    );
}

#[tokio::test]
async fn standard_input_is_empty_and_nothing_else_is_open() {
    let rig = Rig::new();
    let listed = rig.prints("cat; for fd in /proc/self/fd/*; do echo ${fd##*/}; done").await;
    // 255 is the script, as bash reads it; the highest but one is the listing itself.
    let open: Vec<u32> = listed.lines().map(|line| line.parse().unwrap()).collect();
    assert!(open.starts_with(&[0, 1, 2]) && open.iter().all(|fd| *fd <= 3 || *fd == 255), "{open:?}");
}

#[tokio::test]
async fn the_environment_is_empty_but_for_what_is_allowed() {
    const TEST: &str = "sandbox::the_environment_is_empty_but_for_what_is_allowed";
    if std::env::var_os("SANDBOX_TEST_ALLOWED").is_none() {
        let mut command = again(TEST);
        command.env("SANDBOX_TEST_ALLOWED", "yes it is").env("SANDBOX_TEST_OTHER", "canary");
        assert_passes(command.envs(environment::CREDENTIALS.map(|name| (name, "canary"))));
        return;
    }
    let mut rig = Rig::with(|config| {
        config.environment = environment::CREDENTIALS.map(String::from).into();
        config.environment.push("SANDBOX_TEST_ALLOWED".into());
    });
    for name in environment::CREDENTIALS {
        assert!(std::env::var_os(name).is_some(), "{name} is not in the server's environment");
    }
    for kind in [SandboxKind::Bubblewrap, SandboxKind::None] {
        rig.config.sandbox = kind;
        rig.dirs = RunDirs::create(&rig.state().join("runs"), &format!("{kind:?}")).unwrap();
        let listed = rig.prints("cat /proc/self/environ | tr '\\0' '\\n' | sort").await;
        let names: Vec<&str> = listed.lines().map(|line| line.split('=').next().unwrap()).collect();
        let expected = "CI CODEX_BRIEF_RUN CODEX_BRIEF_STEP GIT_TERMINAL_PROMPT HOME LANG LOGNAME \
            PATH PWD SANDBOX_TEST_ALLOWED SHELL SHLVL TMPDIR USER _";
        assert_eq!(names.join(" "), expected);
        assert!(!listed.contains("canary") && listed.contains("SANDBOX_TEST_ALLOWED=yes it is"));
    }
}

/// Looks everywhere for the two halves put together; its own text holds only the halves.
const SEARCH: &str = r#"
needle="$1$2"
set +e
for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/task/*/environ; do
  text=$(tr '\0' ' ' < "$file" 2>/dev/null)
  [[ $text == *"$needle"* ]] && echo "found in $file"
done
[[ $(export -p; set | grep -v '^needle=') == *"$needle"* ]] && echo "found in variables"
grep -rIlsa -f /dev/fd/3 / --exclude-dir=proc --exclude-dir=usr --exclude-dir=dev 3<<< "$needle" |
  sed 's/^/found in /'
for root in /proc/[0-9]*/root /proc/[0-9]*/cwd; do
  grep -rlsa -f /dev/fd/3 $root/home $root/etc $root/root $root/var 3<<< "$needle" | sed 's/^/found in /'
done
echo searched
"#;

#[tokio::test]
async fn a_secret_of_the_server_is_not_found_anywhere() {
    const TEST: &str = "sandbox::a_secret_of_the_server_is_not_found_anywhere";
    let (left, right) = ("planted-canary-", "4711-token");
    if std::env::var_os("SANDBOX_TEST_TOKEN").is_none() {
        assert_passes(again(TEST).env("SANDBOX_TEST_TOKEN", format!("{left}{right}")));
        return;
    }
    let rig = Rig::new();
    let secret = rig.state().join("app.key");
    std::fs::write(&secret, format!("{left}{right}")).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(rig.dirs.root.join("order.json"), format!("{left}{right}")).unwrap();
    std::fs::write(rig.dirs.logs.join("old.log"), format!("{left}{right}")).unwrap();
    let script = format!("set -- {left} {right}\n{SEARCH}");
    assert_eq!(rig.prints(&script).await, "searched");

    // The search finds what is there.
    let rig = Rig::new();
    std::fs::write(rig.dirs.home.join("planted"), format!("{left}{right}")).unwrap();
    let found = rig.prints(&script).await;
    assert!(found.contains("found in /home/codex/planted"), "{found}");
}

#[tokio::test]
#[allow(unsafe_code)] // there is no safe way to the kernel's keyrings among the packages
async fn a_key_in_the_servers_keyring_cannot_be_read() {
    use nix::libc;
    if std::env::var_os("SANDBOX_TEST_KEY").is_none() {
        // In a process of its own, where the thread that starts sandboxes inherits the keyring.
        assert_passes(
            again("sandbox::a_key_in_the_servers_keyring_cannot_be_read").env("SANDBOX_TEST_KEY", "1"),
        );
        return;
    }
    // SAFETY: the pointers are to constants that outlive the calls. The keyring is this thread's,
    // and of those that it starts.
    let key = unsafe {
        assert!(libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0) > 0);
        let (kind, name, value) = (c"user".as_ptr(), c"canary".as_ptr(), c"canary".as_ptr());
        libc::syscall(libc::SYS_add_key, kind, name, value, 6, libc::KEY_SPEC_SESSION_KEYRING)
    };
    assert!(key > 0, "no key: {}", std::io::Error::last_os_error());
    let script = format!(
        "python3 -c 'import ctypes; b = ctypes.create_string_buffer(9); \
         print(ctypes.CDLL(None).syscall({}, 11, {key}, b, 9), b.value)'",
        libc::SYS_keyctl
    );
    let read = Command::new("bash").args(["-c", &script]).output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&read), "6 b'canary'\n", "the test itself cannot read it");
    assert_eq!(Rig::new().prints(&script).await, "-1 b''");
}

#[tokio::test]
async fn the_machine_is_not_seen() {
    let rig = Rig::new();
    std::fs::write(rig.state().join("state"), "x").unwrap();
    let state = rig.state().display();
    let script = format!(
        "set +e; for path in {state} {state}/state {} /root /var /sys /etc/shadow /etc/gshadow /etc/ssh \
         /etc/gitconfig /etc/ssl/private /run/docker.sock /run/dbus /run/user /var/run/docker.sock /mnt /media; do \
         [ -e $path ] && echo \"$path is seen\"; done; ls /home; id -un; hostname; cat /etc/passwd | wc -l",
        rig.dirs.logs.display()
    );
    assert_eq!(rig.prints(&script).await, "codex\ncodex\ncodex-brief\n3");
}

#[tokio::test]
async fn the_system_is_read_only() {
    let rig = Rig::new();
    let script = "set +e; for path in /usr/x /usr/local/bin/x /etc/x /etc/passwd /x /opt /dev/x /bin/x \
        /run/codex-brief/step /etc/ssl/certs/x; do [ -d $path ] && path=$path/x; \
        if (: >> $path) 2>/dev/null; then echo \"$path is writable\"; fi; done; \
        mount -o remount,rw / 2>/dev/null && echo remounted; unshare -U true 2>/dev/null && echo unshared; \
        grep -h '^Cap\\(Eff\\|Bnd\\)\\|^NoNewPrivs' /proc/self/status; echo done";
    let expected = "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\ndone";
    assert_eq!(rig.prints(script).await, expected);
}

#[tokio::test]
async fn further_paths_are_seen_and_not_written() {
    let mut rig = Rig::new();
    let objects = rig.state().join("mirror");
    std::fs::create_dir(&objects).unwrap();
    std::fs::write(objects.join("pack"), "objects\n").unwrap();
    rig.read_only = vec![(objects.clone(), "/opt/codex-brief/objects".into())];
    let tools = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(tools.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(tools.path().join("tool"), "tool\n").unwrap();
    rig.config.read_only_paths = vec![tools.path().to_owned()];
    let tools = tools.path().display();
    let script = format!(
        "cat /opt/codex-brief/objects/pack {tools}/tool; \
         for path in /opt/codex-brief/objects {tools}; do if (: > $path/x) 2>/dev/null; then echo written; fi; done"
    );
    assert_eq!(rig.prints(&script).await, "objects\ntool");
}

#[tokio::test]
async fn the_network_is_reached_only_where_the_lane_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            connection.unwrap().write_all(b"reached\n").unwrap();
        }
    });
    let script = format!(
        "set +e; (exec 3<>/dev/tcp/127.0.0.1/{port} && cat <&3) 2>/dev/null; \
         cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' ' | sort | tr '\\n' ' '; \
         [ -s /etc/resolv.conf ] && echo resolver; true"
    );
    assert_eq!(Rig::new().prints(&script).await, "lo");
    let full = Rig::with(|config| config.network = Network::Full).prints(&script).await;
    assert!(full.starts_with("reached\n"), "{full}");
    let resolver = std::fs::metadata("/etc/resolv.conf").is_ok_and(|found| found.len() > 0);
    assert_eq!(full.contains("resolver"), resolver, "{full}");
}

#[tokio::test]
async fn a_loopback_of_its_own_works() {
    let script = "python3 - <<'END'\nimport socket\ns = socket.create_server(('127.0.0.1', 0))\n\
        c = socket.create_connection(s.getsockname()); print('connected')\nEND";
    assert_eq!(Rig::new().prints(script).await, "connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_is_bounded_and_gone() {
    let rig = Rig::limited(|limits| {
        limits.processes = 60;
        limits.wall_seconds = 3;
    });
    let ended = Arc::new(AtomicBool::new(false));
    let most = std::thread::spawn({
        let (run, ended) = (rig.run.clone(), Arc::clone(&ended));
        move || {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(processes_of(&run).len());
            }
            most
        }
    });
    let report = rig.run("bomb() { bomb | bomb & }; bomb; exec sleep 1000").await;
    assert_gone(&rig.run);
    ended.store(true, Ordering::Relaxed);
    let most = most.join().unwrap();
    // A look at /proc takes a while, in which some end and others come.
    assert!((20..=90).contains(&most), "{most} processes at a time; {report:?}");
    assert!(report.log.tail.contains("fork"), "{report:?}");
    let after = Rig::new().prints("echo fine").await;
    assert_eq!(after, "fine");
}

#[tokio::test]
async fn threads_count_as_processes() {
    let rig = Rig::limited(|limits| limits.processes = 40);
    let script = "python3 - <<'END'\nimport threading, time\ncount = 0\ntry:\n  while count < 500:\n    \
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n    count += 1\n\
        except RuntimeError: pass\nprint(count, flush=True)\nimport os; os._exit(0)\nEND";
    let count: u32 = rig.prints(script).await.lines().last().unwrap().parse().unwrap();
    assert!((10..40).contains(&count), "{count} threads");
}

#[rstest]
#[case::bubblewrap(SandboxKind::Bubblewrap)]
#[case::none(SandboxKind::None)]
#[tokio::test]
async fn a_daemon_left_behind_is_gone(#[case] kind: SandboxKind) {
    let rig = Rig::with(|config| config.sandbox = kind);
    // Forked twice, in a session of its own, once with the output closed and once holding it open.
    let script = "touch ~/up; for redirect in /dev/null /dev/stdout; do \
        (setsid nohup bash -c 'trap \"\" TERM HUP; echo up >> ~/up; while :; do sleep 1; done' > $redirect 2>&1 &); done; \
        until [ \"$(wc -l < ~/up 2>/dev/null)\" = 2 ]; do sleep 0.01; done; echo ended";
    let started = Instant::now();
    assert_eq!(rig.prints(script).await, "ended");
    assert_gone(&rig.run);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[rstest]
#[case::bubblewrap(SandboxKind::Bubblewrap)]
#[case::none(SandboxKind::None)]
#[tokio::test]
async fn wall_time_is_bounded(#[case] kind: SandboxKind) {
    let mut rig = Rig::limited(|limits| limits.wall_seconds = 1);
    rig.config.sandbox = kind;
    let script = "trap '' TERM; while :; do echo still; sleep 0.1; done";
    let reports = rig.try_run(&[script, "true"], |_| {}).await.unwrap();
    assert_eq!((reports[0].status, reports[0].exit_code), (StepStatus::WallTimeout, None));
    assert_eq!(reports[1].status, StepStatus::Skipped);
    assert!(reports[0].log.tail.contains("still"));
    // One second, two of grace, and the time to look.
    assert!((1000..8000).contains(&reports[0].duration_ms), "{}", reports[0].duration_ms);
    assert_gone(&rig.run);
}

#[tokio::test]
async fn a_step_can_tidy_up_when_its_time_is_over() {
    let rig = Rig::limited(|limits| limits.wall_seconds = 1);
    let report = rig.run("trap 'echo tidied; exit 0' TERM; sleep 1000 & wait").await;
    assert_eq!(report.status, StepStatus::WallTimeout);
    assert_eq!(report.log.tail, "tidied\n");
    assert!(report.duration_ms < 2900, "the grace was waited for: {}", report.duration_ms);
}

#[tokio::test]
async fn idle_time_is_bounded_and_output_resets_it() {
    let rig = Rig::limited(|limits| limits.idle_seconds = 1);
    let report = rig.run("for i in 1 2 3 4 5; do echo $i; sleep 0.4; done; sleep 1000").await;
    assert_eq!((report.status, report.exit_code), (StepStatus::IdleTimeout, None));
    assert_eq!(report.log.tail, "1\n2\n3\n4\n5\n");
    assert_gone(&rig.run);
}

#[tokio::test]
async fn a_run_can_be_stopped() {
    let rig = Rig::new();
    let stop = rig.stop.clone();
    let stop_at_output = move |event| {
        if matches!(event, StepEvent::Output { .. }) {
            stop.cancel();
        }
    };
    let reports = rig.try_run(&["echo up; sleep 1000", "true"], stop_at_output).await.unwrap();
    let told: Vec<_> = reports.iter().map(|report| report.status).collect();
    assert_eq!(told, [StepStatus::Stopped, StepStatus::Skipped]);
    assert_gone(&rig.run);
    let report = rig.try_run(&["true"], |_| {}).await;
    assert!(report.is_err() || report.unwrap()[0].status == StepStatus::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nobody_waits_for_any_more_is_gone() {
    let rig = Rig::new();
    let (started, begun) = std::sync::mpsc::channel();
    let running = {
        let script = ["trap '' TERM; (setsid sleep 1000 &) ; echo up; sleep 1000"];
        let events = move |event| {
            if matches!(event, StepEvent::Output { .. }) {
                let _ = started.send(());
            }
        };
        let rig = Arc::new(rig);
        let task = tokio::spawn({
            let rig = Arc::clone(&rig);
            async move { rig.try_run(&script, events).await }
        });
        tokio::task::spawn_blocking(move || begun.recv_timeout(Duration::from_secs(20)).unwrap())
            .await
            .unwrap();
        task.abort();
        rig
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while !processes_of(&running.run).is_empty() {
        assert!(Instant::now() < deadline, "{:?} are left", processes_of(&running.run));
        tokio::task::yield_now().await;
    }
}

/// Returns how much memory this process holds now, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[rstest]
#[case::lines("yes 'a line of output that is not very long' | head -c 1G")]
#[case::one_endless_line("head -c 1G /dev/zero | tr '\\0' x")]
#[tokio::test]
async fn a_flood_of_output_takes_constant_memory(#[case] script: &str) {
    let mut rig = Rig::new();
    // What the redactor takes in a debug build, on a machine that does other things.
    rig.config.limits.wall_seconds = 900;
    let before = resident();
    let most = Mutex::new(0);
    let events = |_| {
        let mut most = most.lock().unwrap();
        *most = resident().max(*most);
    };
    let report = rig.try_run(&[&format!("set +o pipefail; {script}")], events).await.unwrap().remove(0);
    assert_eq!(report.status, StepStatus::Succeeded, "{report:?}");
    assert_eq!(report.log.total_bytes, 1 << 30);
    assert_eq!(report.log.omitted_bytes, (1 << 30) - (2 << 20));
    let size = std::fs::metadata(rig.dirs.step_log(0)).unwrap().len();
    assert!(((2 << 20)..(2 << 20) + 100).contains(&size), "{size}");
    assert!(report.log.tail.len() <= 8 << 10);
    let grown = most.into_inner().unwrap().saturating_sub(before);
    assert!(grown < 64 << 10, "grown by {grown} KiB");
}

#[tokio::test]
async fn the_end_of_the_output_is_never_lost() {
    for _ in 0..20 {
        let report = Rig::new().run("head -c 300000 /dev/zero | tr '\\0' x; echo; echo the end").await;
        assert!(report.log.tail.ends_with("the end\n"), "{:?}", report.log);
        assert_eq!(report.log.total_bytes, 300_009);
    }
}

#[tokio::test]
async fn a_secret_is_masked_also_when_it_comes_in_pieces() {
    let mut rig = Rig::new();
    rig.secrets = vec!["a-secret-of-the-server".into()];
    let events = Mutex::new(Vec::new());
    let script = "printf 'x a-secret-of'; sleep 0.2; printf -- '-the-server y\\n'; \
        printf 'ghs_'; sleep 0.2; printf '%s\\n' AAAABBBBCCCCDDDDEEEE-FFFF.GGGG; printf 'a-secret-of'";
    let reports = rig
        .try_run(&[script], |event| {
            if let StepEvent::Output { bytes, .. } = event {
                events.lock().unwrap().extend(bytes);
            }
        })
        .await
        .unwrap();
    let expected = "x *** y\n***\na-secret-of";
    assert_eq!(reports[0].log.tail, expected);
    assert_eq!(std::fs::read_to_string(rig.dirs.step_log(0)).unwrap(), expected);
    assert_eq!(String::from_utf8(events.into_inner().unwrap()).unwrap(), expected);
}

#[tokio::test]
async fn a_secret_in_any_encoding_is_masked_when_it_comes_in_two_writes() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let secret = "p4ss w/+&<\"$x-of-a-lane?>";
    let mut rig = Rig::new();
    rig.secrets = vec![secret.into()];
    let url =
        |space: &str| secret.replace('%', "%25").replace(' ', space).replace('/', "%2F").replace('+', "%2B");
    let url = |space: &str| {
        let text =
            url("\u{0}").replace('&', "%26").replace('<', "%3C").replace('"', "%22").replace('$', "%24");
        text.replace('?', "%3F").replace('>', "%3E").replace('\u{0}', space)
    };
    let json = serde_json::to_string(secret).unwrap();
    let xml = secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;").replace('>', "&gt;");
    let (hex, json) = (hex::encode(secret), json[1..json.len() - 1].to_owned());
    let mut encoded = vec![
        secret.to_owned(),
        json,
        xml,
        url("%20"),
        url("+"),
        url("%20").to_lowercase(),
        hex.to_uppercase(),
        hex,
    ];
    for before in ["", "?", "??"] {
        encoded.extend([&STANDARD, &URL_SAFE].map(|engine| engine.encode(format!("{before}{secret}..."))));
    }
    let halves = encoded.iter().map(|text| {
        let (one, other) = text.split_at(text.len() / 2);
        format!("printf %s '{one}'; sleep 0.05; printf '%s\\n' '{other}'\n")
    });
    let shown = rig.prints(&halves.collect::<String>()).await;
    assert_eq!(shown.lines().count(), encoded.len(), "{shown}");
    for (text, line) in encoded.iter().zip(shown.lines()) {
        // What stands beside a secret in base64 shares a character with it.
        assert!(line.contains("***") && line.len() <= "***".len() + 10, "{text} is shown as {line}");
    }
}

#[tokio::test]
async fn files_open_files_and_cores_are_bounded() {
    let rig = Rig::limited(|limits| {
        limits.file_bytes = 1 << 20;
        limits.open_files = 50;
    });
    let report = rig.run("head -c 2M /dev/zero > big").await;
    assert_eq!(report.status, StepStatus::Failed, "{report:?}");
    assert_eq!(std::fs::metadata(rig.dirs.checkout.join("big")).unwrap().len(), 1 << 20);

    let rig = Rig::limited(|limits| limits.open_files = 50);
    let limits = rig.prints("ulimit -n; ulimit -c; ulimit -Hn; ulimit -n 60 2>/dev/null || echo kept").await;
    assert_eq!(limits, "50\n0\n50\nkept");
}

#[tokio::test]
async fn no_sandbox_runs_only_where_the_operator_wrote_so() {
    assert_eq!(Rig::new().config.sandbox, SandboxKind::Bubblewrap);
    let rig = Rig::with(|config| config.sandbox = SandboxKind::None);
    assert_eq!(rig.prints("pwd").await, rig.dirs.checkout.display().to_string());
    let report = rig.try_run(&["kill -KILL $$"], |_| {}).await;
    assert!(report.is_err(), "a log is never written over");
    let report = Rig::with(|config| config.sandbox = SandboxKind::None).run("kill -KILL $$").await;
    assert_eq!((report.exit_code, report.signal), (None, Some(9)));
}

#[tokio::test]
async fn a_step_owns_its_files_and_nothing_else_on_the_machine() {
    use std::os::unix::fs::MetadataExt;
    let rig = Rig::new();
    rig.prints("echo x > mine").await;
    let uid = std::fs::metadata(rig.dirs.checkout.join("mine")).unwrap().uid();
    if is_root() {
        assert!((2_000_000_000..2_000_001_000).contains(&uid), "{uid}");
    } else {
        assert_eq!(uid, rustix::process::geteuid().as_raw());
    }
    let root = std::fs::metadata(&rig.dirs.root).unwrap().uid();
    assert_eq!(root, rustix::process::geteuid().as_raw());
}

#[tokio::test]
async fn runs_at_a_time_have_users_of_their_own() {
    let rig = Rig::with(|config| config.parallel = 2);
    let lane = ProcessLane::new(rig.config.clone());
    let other = ProcessLane::new(rig.config.clone());
    let slots = [lane.try_claim_slot(), lane.try_claim_slot(), other.try_claim_slot()].map(Option::unwrap);
    assert!(lane.try_claim_slot().is_none());
    let mut numbers = slots.each_ref().map(|slot| slot.number()).to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
    drop(slots);
    assert!(lane.try_claim_slot().is_some());
}

#[test]
fn all_of_this_holds_for_an_ordinary_user() {
    if !is_root() {
        eprintln!(
            "this is an ordinary user; a server that is root is covered only where root runs the tests"
        );
        return;
    }
    // Where the test binary lies, nobody may not go.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let copy = folder.path().join("stories");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut command = Command::new(&copy);
    command
        .args(["sandbox::", "--skip", "an_ordinary_user", "--skip", "a_flood_of_output"])
        .current_dir("/")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").as_deref().unwrap_or(OsStr::new(environment::PATH)))
        .uid(65534)
        .gid(65534);
    assert_passes(&mut command);
}
