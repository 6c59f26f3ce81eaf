//! Steps that fail, hang, flood, cheat or attack: no pull request, a clear comment, nothing left behind.

use std::path::Path;
use std::process::Command;

use codex_brief::lane::environment::CREDENTIALS;
use serde_json::Value;

use crate::support::{LANE, REPO, Town, brief};

fn code(result: &Value) -> &str {
    result["problem"]["code"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn a_failing_step_is_told_and_its_work_is_kept() {
    let town = Town::new().await;
    let steps = [
        ("write", "echo half > half.txt"),
        ("fail", "echo 'the last words'\nexit 7"),
        ("later", "echo never"),
    ];
    let (comment, result) = town.run(&steps, &["half.txt"]).await;
    assert_eq!((result["status"].as_str(), code(&result)), (Some("failure"), "step-failed"));
    assert_eq!(result["steps"][1]["exit_code"], 7);
    assert_eq!(result["steps"][2]["status"], "skipped");
    assert!(comment.body.contains("exit code 7") && comment.body.contains("the last words"));
    assert!(town.sim.pulls(REPO).is_empty());

    let patch = Command::new(env!("CARGO_BIN_EXE_codex-brief"))
        .args(["patch", &result["brief"].as_str().unwrap()[..12], "--config"])
        .arg(town.folder.path().join("codex-brief.toml"))
        .output()
        .unwrap();
    let text = String::from_utf8(patch.stdout).unwrap();
    assert!(text.contains("+++ b/half.txt") && text.contains("+half"), "{text}");
}

#[tokio::test]
async fn a_step_that_takes_too_long_or_falls_silent_is_ended() {
    let limits = "[lane.limits]\nwall_seconds = 3\nidle_seconds = 60\n";
    let idle = "[[lane]]\nname = \"idle\"\n[lane.limits]\nidle_seconds = 1\n";
    let once = ("FAILED_TASK_MAX_RETRY_COUNT", "0");
    let town = Town::with(&format!("{LANE}{limits}{idle}"), &[once]).await;
    let busy = [("busy", "echo x > x.txt\nwhile true; do echo tick; read -t 0.2 < <(:) || true; done")];
    let (_, result) = town.run(&busy, &["x.txt"]).await;
    assert_eq!(code(&result), "step-timeout");
    let text = crate::support::brief_for("idle", REPO, &[("silent", "exec sleep 1000")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Silent", &text).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(code(&result), "step-idle");
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_step_that_takes_too_much_is_ended_and_told_of_what() {
    let memory = "[lane.limits]\nmemory_bytes = 104857600\n";
    let disk = "[[lane]]\nname = \"disk\"\n[lane.limits]\ndisk_bytes = 67108864\n";
    let town = Town::with_lanes(&format!("{LANE}{memory}{disk}")).await;
    let bomb =
        "python3 -c 'import time; x = []\nwhile True: x.append(b\"x\" * (1 << 20)); time.sleep(0.005)'";
    let (comment, result) = town.run(&[("bomb", bomb), ("later", "echo never")], &["x.txt"]).await;
    assert_eq!((code(&result), result["steps"][0]["status"].as_str()), ("step-memory", Some("over_memory")));
    assert!(
        comment.body.contains("over its memory") && comment.body.contains("memory_bytes"),
        "{}",
        comment.body
    );
    let filler = [("filler", "head -c 200M /dev/zero > filler; sleep 50")];
    let text = crate::support::brief_for("disk", REPO, &filler, &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Filler", &text).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!((code(&result), result["steps"][0]["status"].as_str()), ("step-disk", Some("over_disk")));
    assert!(
        comment.body.contains("over its disk space") && comment.body.contains("disk_bytes"),
        "{}",
        comment.body
    );
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_flood_of_output_fits_into_a_comment_and_costs_no_memory() {
    let town = Town::new().await;
    let flood =
        "echo first words\nhead -c 200000000 /dev/zero | tr '\\0' '@'\necho\necho last words\necho x > x.txt";
    let (comment, result) = town.run(&[("flood", flood)], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert!(comment.body.chars().count() <= 65_536 && comment.body.contains("last words"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", town.server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    let kib: u64 = peak.split(' ').next().unwrap().parse().unwrap();
    assert!(kib < 128 << 10, "the server's memory had its peak at {kib} KiB");
}

#[tokio::test]
async fn one_file_too_many_or_too_few_means_no_pull_request() {
    let town = Town::new().await;
    let (comment, result) = town.run(&[("write", "echo x > x.txt\necho y > y.txt")], &["x.txt"]).await;
    assert_eq!(code(&result), "undeclared-changes");
    assert!(comment.body.contains("y.txt"), "{}", comment.body);
    let (comment, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt", "README.md"]).await;
    assert_eq!(code(&result), "declared-unchanged");
    assert!(comment.body.contains("README.md"), "{}", comment.body);
    let (_, result) = town.run(&[("nothing", "true")], &["x.txt"]).await;
    assert_eq!(code(&result), "no-changes");
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn a_link_to_a_file_of_the_machine_is_refused_and_its_content_is_nowhere() {
    let town = Town::new().await;
    let (comment, result) = town.run(&[("link", "ln -s /etc/passwd stolen.txt")], &["stolen.txt"]).await;
    assert_eq!(code(&result), "refused-files", "{}", comment.body);
    assert!(!comment.body.contains("root:x:0:0"), "{}", comment.body);
    assert!(town.sim.pulls(REPO).is_empty());
}

#[tokio::test]
async fn hooks_and_settings_that_a_step_plants_are_never_run() {
    let town = Town::new().await;
    let mark = town.folder.path().join("mark");
    let plant = format!(
        "for hook in pre-commit post-checkout pre-push post-index-change reference-transaction; do\n\
         printf '#!/bin/sh\\ntouch {0}\\n' > .git/hooks/$hook && chmod +x .git/hooks/$hook\ndone\n\
         git config core.fsmonitor 'touch {0}; false'\n\
         git config filter.x.clean 'touch {0}; cat'\n\
         git config core.sshCommand 'touch {0}'\n\
         echo x > x.txt",
        mark.display()
    )
    .replace(".git/hooks/$hook &&", "\"$hooks/$hook\" &&")
    .replace("+x .git/hooks/$hook", "+x \"$hooks/$hook\"");
    let plant = format!("hooks=.git/hooks\nmkdir -p \"$hooks\"\n{plant}");
    let (comment, result) = town.run(&[("plant", &plant)], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert!(!mark.exists());
    assert_eq!(town.sim.files(REPO, town.pull(&result).number).len(), 1);
}

#[tokio::test]
async fn a_search_for_credentials_finds_none() {
    let canary = "canary-b7c1e9d2";
    let names = CREDENTIALS.iter().chain(&["SOME_OTHER_SECRET"]);
    let environment: Vec<(&str, &str)> = names.map(|name| (*name, canary)).collect();
    let town = Town::with(LANE, &environment).await;
    std::fs::create_dir_all(town.state()).unwrap();
    std::fs::write(town.state().join("planted.txt"), canary).unwrap();
    // No pattern matches itself, where the search sees its own text.
    let search = "pattern='canary-b7c1[e]9d2\\|ghs_[A-Za-z0-9]\\|BEGIN [A-Z ]*PRIVATE KEY'\n\
        {\n\
          env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'\n\
          find / -xdev -path /usr -prune -o -path /proc -prune -o -type f -size -2M -exec cat {} + 2>/dev/null\n\
          cat .git/config .git/HEAD 2>/dev/null\n\
        } | grep -a -c \"$pattern\" > found.txt || true\n\
        cat found.txt";
    let (comment, result) = town.run(&[("search", search)], &["found.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let found = town.sim.file_at(REPO, &town.pull(&result).head, "found.txt").unwrap();
    assert_eq!(found.trim(), "0", "{}", comment.body);
}

#[tokio::test]
async fn a_fork_bomb_is_bounded_and_a_daemon_is_gone_when_the_run_ends() {
    let town = Town::with_lanes(&format!("{LANE}[lane.limits]\nwall_seconds = 4\nprocesses = 60\n")).await;
    let text = brief(&[("bomb", "bomb() { bomb | bomb & }\nbomb\nsleep 100")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Bomb", &text).unwrap();
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "failure");

    let name = format!("codex-daemon-{}", std::process::id());
    let daemon = format!(
        "cp /usr/bin/sleep /tmp/{name}\n( setsid nohup /tmp/{name} 1000 >/dev/null 2>&1 & )\necho x > x.txt"
    );
    let (comment, result) = town.run(&[("daemon", &daemon)], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert!(!is_running(&name), "the daemon outlived its run");
    let runs: Vec<_> = std::fs::read_dir(town.state().join("runs")).unwrap().flatten().collect();
    assert!(runs.iter().all(|run| !run.path().join("checkout").exists()), "a checkout is left");
}

fn is_running(name: &str) -> bool {
    let processes = std::fs::read_dir(Path::new("/proc")).unwrap().flatten();
    let mut lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(name))
}
