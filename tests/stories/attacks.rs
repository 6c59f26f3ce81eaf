//! Attacks that a user would notice, told whole: by words, by paths, by forged comments, on a terminal.

use std::path::Path;
use std::process::Command;

use github_sim::Fault;

use crate::support::{LANE, PROGRAM, REPO, Town, brief};

/// Returns every file below a folder that has this name.
fn named(folder: &Path, name: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_name() == name {
            found.push(entry.path());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(named(&entry.path(), name));
        }
    }
    found
}

#[tokio::test]
async fn words_for_a_shell_in_title_path_and_branch_stay_words() {
    let town = Town::new().await;
    let file = "'$(touch pwned); touch pwned `touch pwned` | x.txt'";
    let words = "'; touch pwned; $(touch pwned) `touch pwned` | tee pwned && --upload-pack=touch'";
    let step = format!("echo x > {file}");
    let text = brief(&[("write", &step)], &[file]);
    let title = "x\"; touch pwned; $(touch pwned) `touch pwned`";
    let text = text.replace("\"Reports: add it\"", words).replace("\"reports: add it\"", words);
    let issue = town.sim.open_issue(REPO, "maria", title, &text).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let head = town.pull(&result).head;
    let path = file.trim_matches('\'');
    assert_eq!(town.sim.file_at(REPO, &head, path).as_deref(), Some("x\n"));
    assert!(head.bytes().all(|b| b.is_ascii_alphanumeric() || b"-/".contains(&b)), "{head}");
    let branch = brief(&[("x", "true")], &["x.txt"]).replace("branch: main", "branch: $(touch${IFS}pwned)");
    let issue = town.sim.open_issue(REPO, "maria", "Branch", &branch).unwrap();
    assert_eq!(town.result(issue.number, 1).await.1["problem"]["code"], "branch-not-found");
    assert_eq!(named(town.folder.path(), "pwned"), Vec::<std::path::PathBuf>::new());
    assert!(!Path::new("pwned").exists());
}

#[tokio::test]
async fn protected_paths_stay_and_a_new_mode_is_shown() {
    let town = Town::with_lanes(&format!("{LANE}protected_paths = [\"deploy\"]\n")).await;
    let (comment, result) = town.run(&[("own", "echo '* @maria' > CODEOWNERS")], &["CODEOWNERS"]).await;
    assert_eq!(result["problem"]["code"], "protected-paths", "{}", comment.body);
    assert_eq!(result["steps"][0]["status"], "skipped");
    let steps = [("write", "mkdir deploy\necho x > deploy/key\necho x > x.txt")];
    let (comment, result) = town.run(&steps, &["x.txt"]).await;
    assert_eq!(result["problem"]["code"], "protected-paths", "{}", comment.body);
    assert!(comment.body.contains("A  deploy/key"), "it is shown: {}", comment.body);
    assert!(town.sim.pulls(REPO).is_empty());
    let (comment, result) = town.run(&[("mode", "chmod +x README.md")], &["README.md"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let body = town.pull(&result).body;
    for text in [comment.body, body] {
        assert!(text.contains("mode 100644 → 100755"), "{text}");
    }
}

#[tokio::test]
async fn a_comment_that_looks_like_ours_is_not_taken_for_it() {
    let town = Town::new().await;
    let text = brief(&[("slow", "sleep 4\necho x > x.txt")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Slow", &text).unwrap();
    town.logged("step begins").await;
    let (_, told, _) = town.operator(&["status", "--json"]).await;
    let tasks: serde_json::Value = serde_json::from_str(&told).unwrap();
    let marker = format!("<!-- codex-brief:result:{} -->", tasks[0]["brief"].as_str().unwrap());
    // GitHub looks the comment up only where a first try failed.
    town.sim.fault(Fault::new("POST", "/comments").status(502));
    town.sim.add_user("codex-brief-bot");
    town.sim.comment(REPO, issue.number, "codex-brief-bot", &format!("{marker}\nAll is well.")).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!((result["status"].as_str(), comment.by_app), (Some("success"), true));
    let all = town.sim.comments(REPO, issue.number);
    let forged = all.iter().find(|comment| comment.body.ends_with("All is well.")).unwrap();
    assert!(!forged.by_app && forged.id != comment.id, "the forged one is left alone");
    assert_eq!(town.sim.faults_left(), 0);
}

#[tokio::test]
async fn git_asks_nobody_for_a_password_inside_a_step() {
    let ask = "printf 'protocol=https\\nhost=github.com\\n\\n' | timeout 30 git credential fill > out.txt 2>&1 \
        || echo \"ended with $?\" >> out.txt";
    let marks = tempfile::tempdir().unwrap();
    let helper = marks.path().join("askpass");
    std::fs::write(&helper, format!("#!/bin/sh\ntouch {}/asked\necho secret\n", marks.path().display()))
        .unwrap();
    std::fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let helper = helper.to_str().unwrap();
    let town = Town::with(LANE, &[("GIT_ASKPASS", helper), ("SSH_ASKPASS", helper)]).await;
    let (comment, result) = town.run(&[("ask", ask)], &["out.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let told = town.sim.file_at(REPO, &town.pull(&result).head, "out.txt").unwrap();
    assert!(told.contains("could not read Username") || told.contains("terminal prompts disabled"), "{told}");
    assert!(told.contains("ended with 128") && !told.contains("password="), "{told}");
    assert!(!marks.path().join("asked").exists(), "the server's own helper was asked");
}

#[test]
fn a_terminal_obeys_nothing_that_a_step_prints() {
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(folder.path()).args([
            "-c",
            "user.name=octo",
            "-c",
            "user.email=octo@example.com",
        ]);
        assert!(command.args(args).output().unwrap().status.success(), "git {args:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["commit", "-q", "--allow-empty", "-m", "base"]);
    let print = "printf '\\033]0;owned\\007\\033[2J\\033[8mhidden\\rshown \\302\\2331m\\342\\200\\256 end\\n' | tee x.txt";
    let file = folder.path().join("issue.md");
    std::fs::write(&file, brief(&[("print", print)], &["x.txt"])).unwrap();
    let told =
        Command::new(PROGRAM).arg("run").arg(&file).arg("--repository").arg(folder.path()).output().unwrap();
    for told in [&told.stdout, &told.stderr] {
        let text = String::from_utf8(told.clone()).unwrap();
        assert!(text.contains("hidden") && text.contains("shown"), "{text}");
        let acts = |c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}';
        assert!(!text.contains(acts), "{text:?}");
    }
    // Neither does it obey what a file says that is only checked.
    std::fs::write(&file, "```codex-brief\nexecutor: \"a\u{9b}2J\u{202e}\"\n```\n").unwrap();
    for arguments in [&["check"][..], &["check", "--json"]] {
        let told = Command::new(PROGRAM).args(arguments).arg(&file).output().unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        assert!(text.contains("executor") && !text.contains(['\u{9b}', '\u{202e}']), "{text:?}");
    }
}
