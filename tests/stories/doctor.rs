//! `codex-brief doctor` tells the truth: on this machine, on one without bubblewrap, and on one that
//! allows no user namespaces.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::PROGRAM;

const LANE: &str = "[[lane]]\nname = \"one\"\n";

/// A configuration in a folder of its own, for this user or for `nobody`.
struct Place {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Place {
    fn new(lanes: &str) -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let config = folder.path().join("codex-brief.toml");
        for name in ["app.pem", "hook"] {
            write(&folder.path().join(name), "secret", 0o600);
        }
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        std::fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
        let github = "app_id = 1\nprivate_key = { file = \"app.pem\" }\nwebhook_secret = { file = \"hook\" }";
        let text = format!("[server]\nstate_dir = \"state\"\n[github]\n{github}\n{lanes}");
        write(&config, &text, 0o600);
        Self { folder, config }
    }

    fn doctor(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["doctor", "--offline", "--config"]).arg(&self.config);
        command
    }

    fn json(&self, command: &mut Command) -> (i32, Value) {
        let output = command.arg("--json").output().unwrap();
        let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(std::fs::read_dir(self.folder.path().join("state/runs")).map_or(0, Iterator::count), 0);
        (output.status.code().unwrap(), told)
    }

    /// Makes a folder for PATH in which `bwrap` is this script.
    fn with_bwrap(&self, script: &str) -> String {
        let folder = self.folder.path().join("bin");
        std::fs::create_dir(&folder).unwrap();
        write(&folder.join("bwrap"), script, 0o755);
        // Where the user of a step can go, whoever it is.
        std::fs::set_permissions(self.folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display())
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn findings(told: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let all = told["lanes"][0]["findings"].as_array().unwrap();
    all.iter().map(|finding| (word(&finding["attempt"]), word(&finding["verdict"]))).collect()
}

fn assert_all_held(code: i32, told: &Value) {
    let found = findings(told);
    let not: Vec<_> = found.iter().filter(|(_, verdict)| verdict != "held").collect();
    assert!(not.is_empty() && code == 0 && told["held"] == true, "{not:?} {told:#}");
    assert!(found.len() >= 28, "{found:?}");
}

#[test]
fn on_this_machine_everything_holds() {
    let place = Place::new(LANE);
    let (code, told) = place.json(&mut place.doctor());
    assert_all_held(code, &told);
    let output = place.doctor().output().unwrap();
    let told = text(&output);
    assert!(told.contains("bubblewrap 0.") && told.contains("held       mount a file system"), "{told}");
    assert!(told.contains("  memory     4096 MiB, ") && told.ends_with("Everything holds.\n"), "{told}");
}

#[test]
fn an_ordinary_user_is_told_the_same() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("this is an ordinary user, whom the other story covers");
    }
    let place = Place::new(LANE);
    let program = place.folder.path().join("codex-brief");
    std::fs::copy(PROGRAM, &program).unwrap();
    let nobody = Command::new("chown").args(["-R", "65534:65534"]).arg(place.folder.path()).status();
    assert!(nobody.unwrap().success());
    let mut command = Command::new(&program);
    command
        .args(["doctor", "--offline", "--config"])
        .arg(&place.config)
        .current_dir("/")
        .uid(65534)
        .gid(65534);
    let (code, told) = place.json(&mut command);
    assert_all_held(code, &told);
}

#[test]
fn without_bubblewrap_nothing_is_said_to_hold() {
    let place = Place::new(LANE);
    let (code, told) = place.json(place.doctor().env("PATH", "/nowhere"));
    assert_eq!((code, &told["held"]), (1, &Value::Bool(false)), "{told:#}");
    assert!(
        told["lanes"][0]["unavailable"].as_str().unwrap().contains("apt-get install bubblewrap"),
        "{told:#}"
    );
    assert!(findings(&told).iter().all(|(_, verdict)| verdict == "not_tried"), "{told:#}");
    assert_eq!(told["machine"][0]["verdict"], "not_held", "git is missing, too: {told:#}");
    let output = place.doctor().env("PATH", "/nowhere").output().unwrap();
    assert!(text(&output).contains("It takes no work: The program `bwrap`"), "{output:?}");
}

#[test]
fn without_user_namespaces_nothing_is_said_to_hold() {
    let place = Place::new(LANE);
    // Each user namespace has a bound of its own on those inside it: to what runs in this one, the kernel
    // refuses them as it would where the operator had switched them off.
    let switched_off = "echo 0 > /proc/sys/user/max_user_namespaces && \
                        exec setpriv --inh-caps=-all --ambient-caps=-all \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-user=1000",
        "--keep-caps",
        "sh",
        "-c",
        switched_off,
        PROGRAM,
        "doctor",
        "--config",
    ]);
    let (code, told) = place.json(command.arg(&place.config));
    assert_eq!((code, &told["held"]), (1, &Value::Bool(false)), "{told:#}");
    let why = told["lanes"][0]["unavailable"].as_str().unwrap();
    for told in ["This machine allows no user namespaces", "bwrap: ", "sysctl -w user.max_user_namespaces"] {
        assert!(why.contains(told), "{told:?} is not in {why}");
    }
    assert!(findings(&told).iter().all(|(_, verdict)| verdict == "not_tried"), "{told:#}");
}

#[test]
fn a_sandbox_without_a_filter_or_without_a_namespace_is_found_out() {
    // Passes on all options but one.
    for (left_out, told_as) in [
        ("--add-seccomp-fd", "no filter of system calls is in force"),
        ("--unshare-net", "net namespace"),
        ("--unshare-ipc", "ipc namespace"),
    ] {
        let place = Place::new(LANE);
        let script = format!(
            "#!/usr/bin/python3\nimport os, sys\nif sys.argv[1] == '--version': print('bubblewrap 0.8.0'); sys.exit()\n\
             at = sys.argv.index('--args'); fd = int(sys.argv[at + 1])\n\
             words = os.fdopen(os.dup(fd), 'rb').read().split(b'\\0')[:-1]\nkept, skip = [], False\n\
             for word in words:\n    if skip: skip = False\n    elif word == b'{left_out}': skip = word == b'--add-seccomp-fd'\n    \
             else: kept.append(word)\n\
             new = os.memfd_create('options', 0); os.write(new, b''.join(word + b'\\0' for word in kept)); os.lseek(new, 0, 0)\n\
             os.execv('/usr/bin/bwrap', ['/usr/bin/bwrap', '--args', str(new)] + sys.argv[at + 2:])\n"
        );
        let path = place.with_bwrap(&script);
        let (code, told) = place.json(place.doctor().env("PATH", path));
        assert_eq!(code, 1, "{left_out}: {told:#}");
        let why = told["lanes"][0]["unavailable"].as_str().unwrap_or_default();
        assert!(why.contains(told_as) && why.contains("self-test"), "{left_out}: {told:#}");
    }
}

#[test]
fn what_the_operator_opened_is_told() {
    let lanes = "[[lane]]\nname = \"bare\"\nsandbox = \"none\"\n[[lane]]\nname = \"open\"\nnetwork = \"full\"\n\
        [lane.limits]\nmemory_bytes = 0\ndisk_bytes = 0\n";
    let place = Place::new(lanes);
    std::fs::set_permissions(place.folder.path().join("hook"), PermissionsExt::from_mode(0o644)).unwrap();
    let output = place.doctor().output().unwrap();
    let told = text(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for line in [
        "NOT held   break out: `sandbox = \"none\"`",
        "open       reach the network",
        "NOT held   use more memory than the lane allows: `memory_bytes = 0`",
        "NOT held   use more disk space",
        "hook can be read by others (mode 644)",
        "Not everything holds",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let output = place.doctor().args(["--lane", "no-such"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[lane-unknown]"), "{output:?}");
}
