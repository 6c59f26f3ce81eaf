//! The files of `deploy/` name ports, paths, options and folders that are the program's own.

use std::path::Path;
use std::process::Command;

use codex_brief::config::{Config, ServerConfig};
use serde_json::Value;

use crate::support::{PROGRAM, Town};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns what follows a word on each line that begins with it, comments aside.
fn after<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix(word)).map(str::trim).collect()
}

fn the_one<'t>(text: &'t str, word: &str) -> &'t str {
    let found = after(text, word);
    assert_eq!(found.len(), 1, "`{word}` stands {} times", found.len());
    found[0]
}

fn container() -> Config {
    Config::parse(&read("deploy/container/codex-brief.toml")).unwrap()
}

/// Asserts that a command line of the program is one that it takes.
fn takes(line: &[&str]) {
    let help = Command::new(PROGRAM).args([line[0], "--help"]).output().unwrap();
    assert!(help.status.success(), "there is no command `{}`", line[0]);
    let help = String::from_utf8(help.stdout).unwrap();
    for option in line.iter().filter(|word| word.starts_with("--")) {
        let name = option.split('=').next().unwrap();
        assert!(help.contains(name), "`{}` has no option {name}", line[0]);
    }
}

#[tokio::test]
async fn a_reverse_proxy_lets_through_what_the_server_answers_and_nothing_that_tells_of_tasks() {
    let town = Town::new().await;
    let nginx = read("deploy/nginx.conf");
    let of_nginx: Vec<&str> =
        after(&nginx, "location = ").into_iter().map(|rest| rest.trim_end_matches(" {")).collect();
    let caddy = read("deploy/Caddyfile");
    let of_caddy: Vec<&str> = after(&caddy, "path ").into_iter().flat_map(str::split_whitespace).collect();
    assert_eq!(of_nginx, of_caddy);
    assert_eq!(of_nginx, ["/webhooks/github", "/healthz", "/receipt-keys"]);
    for path in of_nginx {
        let status = reqwest::get(format!("{}{path}", town.server.url())).await.unwrap().status();
        assert_eq!(status.as_u16(), if path.starts_with("/webhooks") { 405 } else { 200 }, "{path}");
    }
    let ServerConfig { listen, body_limit_bytes, .. } = ServerConfig::default();
    assert_eq!(the_one(&nginx, "server 127"), format!("{};", &listen.to_string()[3..]));
    assert_eq!(the_one(&nginx, "client_max_body_size"), format!("{body_limit_bytes};"));
    assert_eq!(the_one(&caddy, "max_size"), body_limit_bytes.to_string());
    assert!(caddy.matches(&format!("{{$UPSTREAM:{listen}}}")).count() == 2);
}

#[tokio::test]
async fn the_container_serves_what_its_health_check_and_its_proxy_ask_for() {
    let town = Town::new().await;
    let (image, compose) = (read("deploy/Dockerfile"), read("deploy/compose.yml"));
    let config = container();
    let port = config.server.listen.port().to_string();
    assert!(config.server.listen.ip().is_unspecified(), "the proxy is in another container");
    assert_eq!(the_one(&image, "EXPOSE"), port);
    assert_eq!(the_one(&compose, "UPSTREAM:"), format!("server:{port}"));
    let check = the_one(&image, "CMD [\"curl\"").split('"').find(|word| word.starts_with("http")).unwrap();
    let path = check.strip_prefix(&format!("http://127.0.0.1:{port}")).unwrap();
    let healthy = async || {
        let answer = reqwest::get(format!("{}{path}", town.server.url())).await.unwrap();
        answer.status() == 200
    };
    town.until(healthy).await;
    let mounts = after(&compose, "- ");
    for folder in [config.server.state_dir.as_path(), config.audit.sink.as_deref().unwrap().parent().unwrap()]
    {
        let folder = folder.to_str().unwrap();
        assert!(the_one(&image, "VOLUME").contains(&format!("\"{folder}\"")), "{folder}");
        assert!(mounts.iter().any(|mount| mount.ends_with(&format!(":{folder}"))), "{folder}");
    }
    for secret in
        [Some(&config.github.private_key), config.github.webhook_secret.as_ref()].into_iter().flatten()
    {
        let file = secret.file.as_deref().unwrap();
        let name = file.strip_prefix("/run/secrets").unwrap().to_str().unwrap();
        assert!(mounts.contains(&name), "{name}");
        assert!(compose.contains(&format!("file: ./container/{name}\n")), "{name}");
        assert!(read("deploy/container/.gitignore").lines().any(|line| line == name), "{name}");
    }
    let command: Vec<&str> = the_one(&image, "CMD [\"serve\"").split('"').filter(|it| it.len() > 2).collect();
    takes(&[&["serve"], &command[..]].concat());
    let mounted = format!(":{}:ro", command.last().unwrap());
    assert!(mounts.iter().any(|mount| mount.ends_with(&mounted)), "{mounted}");
}

#[test]
fn the_containers_filter_of_system_calls_leaves_bubblewrap_what_it_needs() {
    let filter: Value = serde_json::from_str(&read("deploy/container/seccomp.json")).unwrap();
    assert_eq!(filter["defaultAction"], "SCMP_ACT_ALLOW");
    let denied: Vec<&str> = filter["syscalls"][0]["names"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    for needed in
        ["clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "sethostname", "seccomp"]
    {
        assert!(!denied.contains(&needed), "{needed}");
    }
    for refused in ["bpf", "init_module", "kexec_load", "keyctl", "io_uring_setup", "userfaultfd"] {
        assert!(denied.contains(&refused), "{refused}");
    }
}

#[test]
fn the_service_starts_the_program_and_leaves_steps_their_sandbox() {
    let unit = read("deploy/codex-brief.service");
    let start: Vec<&str> = the_one(&unit, "ExecStart=").split(' ').collect();
    assert!(start[0].ends_with("/codex-brief"));
    takes(&start[1..]);
    let example = Config::parse(&read("deploy/codex-brief.example.toml")).unwrap();
    let state = example.server.state_dir;
    assert_eq!(state, Path::new("/var/lib").join(the_one(&unit, "StateDirectory=")));
    let sink = example.audit.sink.unwrap();
    assert!(sink.starts_with(Path::new("/var/log").join(the_one(&unit, "LogsDirectory="))));
    let stop: u64 = the_one(&unit, "TimeoutStopSec=").parse().unwrap();
    assert!(stop > ServerConfig::default().grace_seconds + 20, "steps are ended after the grace");
    // With one of them, bubblewrap cannot make its namespaces, or steps lose control groups or what they run.
    for fatal in [
        "ProtectKernelTunables=",
        "ProtectHostname=",
        "ProtectControlGroups=",
        "ProcSubset=",
        "MemoryDenyWriteExecute=",
        "RestrictSUIDSGID=",
        "RestrictNamespaces=yes",
    ] {
        assert!(after(&unit, fatal).is_empty(), "{fatal}");
    }
    let namespaces: Vec<&str> = the_one(&unit, "RestrictNamespaces=").split(' ').collect();
    for needed in ["user", "mnt", "pid", "net", "ipc", "uts"] {
        assert!(namespaces.contains(&needed), "{needed}");
    }
    // The page tells how the configuration reads what the unit loads.
    let page = read("docs/deploy.md");
    for credential in after(&unit, "LoadCredential=") {
        let name = credential.split(':').next().unwrap();
        assert!(page.contains(&format!("/run/credentials/codex-brief.service/{name}\"")), "{name}");
    }
}

#[test]
fn every_command_of_the_page_is_one_of_the_program() {
    let page = read("docs/deploy.md");
    let lines = page.lines().flat_map(|line| line.split("codex-brief ").skip(1));
    let commands = ["serve", "doctor", "status", "receipt", "setup", "backup", "verify"];
    let mut seen = 0;
    for line in lines {
        let words: Vec<&str> = line.split(['`', '#', '|']).next().unwrap().split_whitespace().collect();
        if words.first().is_some_and(|word| commands.contains(word)) {
            takes(&words);
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen} commands were found; does this test still see them?");
}
