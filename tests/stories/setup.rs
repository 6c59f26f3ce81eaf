//! `codex-brief setup`: from nothing to an App that is installed, however often it is interrupted.

mod browser;
mod chromium;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use github_sim::{Fault, GithubSim, Permission};
use serde_json::Value;

use crate::support::server::ServerProcess;
use crate::support::{PROGRAM, REPO, SOON};
use browser::{Page, Setup};

/// A GitHub with a repository on which no App of ours is installed, and an empty folder.
struct Nothing {
    sim: GithubSim,
    folder: tempfile::TempDir,
}

impl Nothing {
    async fn new() -> Self {
        let sim = GithubSim::start().await.unwrap();
        sim.create_repository(REPO, &[("README.md", "# Example\n")]).unwrap();
        sim.set_permission(REPO, "maria", Permission::Write).unwrap();
        sim.set_installed(REPO, false).unwrap();
        Self { sim, folder: tempfile::tempdir().unwrap() }
    }

    fn setup(&self, more: &[&str]) -> Setup {
        let url = self.sim.url();
        let arguments = [&["--github-url", url.as_str()], more].concat();
        Setup::start(self.folder.path(), &arguments)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("codex-brief-app/setup.json")).unwrap()).unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// Presses both buttons.
async fn click(address: &str) -> Page {
    let page = Page::open(address).await;
    let github = page.press("Create the App on GitHub", &[]).await;
    assert_eq!(github.status, 200, "{}", github.html);
    github.press("Create GitHub App", &[]).await
}

async fn install(page: &Page) {
    let page = page.follow("Install the App").await;
    let done = page.press("Install", &[]).await;
    assert!(done.html.contains("is installed"), "{}", done.html);
}

#[tokio::test]
async fn from_nothing_to_the_first_pull_request() {
    let nothing = Nothing::new().await;
    let mut setup = nothing.setup(&[]);
    let there = click(&setup.address().await).await;
    assert!(there.html.contains("The App is there"), "{}", there.html);
    install(&there).await;
    let (code, printed, told) = setup.end().await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(
        (mode(&nothing.path("codex-brief-app")), mode(&nothing.path("codex-brief.toml"))),
        (0o700, 0o600)
    );
    for name in ["codex-brief-app/app.pem", "codex-brief-app/setup.json"] {
        assert_eq!(mode(&nothing.path(name)), 0o600, "{name}");
    }
    assert_eq!(nothing.read("codex-brief-app/app.pem"), nothing.sim.private_key_pem());
    let key_lines = nothing.sim.private_key_pem().lines().filter(|line| line.len() == 64);
    for line in key_lines {
        assert!(
            ![&printed, &told, &there.html, &nothing.kept().to_string()]
                .iter()
                .any(|text| text.contains(line))
        );
    }
    assert!(!nothing.path("codex-brief-app/webhook-secret").exists(), "a server that polls needs none");
    let config = nothing.path("codex-brief.toml");
    let check = tokio::process::Command::new(PROGRAM)
        .args(["serve", "--check-config", "--config"])
        .arg(&config)
        .output();
    assert!(check.await.unwrap().status.success());
    // A story has no minute to wait, and no port of its own.
    let text = nothing.read("codex-brief.toml");
    let text =
        text.replace("# poll_seconds = 60", "poll_seconds = 1").replace("127.0.0.1:8080", "127.0.0.1:0");
    std::fs::write(&config, text).unwrap();
    let server = ServerProcess::start(Path::new(PROGRAM), &config, &nothing.sim, &[], |_| {}).unwrap();
    let brief = printed.split_once("write permission:\n\n").unwrap().1;
    nothing.sim.open_issue(REPO, "maria", "The first", brief).unwrap();
    let pull =
        nothing.sim.wait_for(SOON, |world| world.pulls(REPO).into_iter().find(|pull| pull.by_app)).await;
    let pull = pull.unwrap_or_else(|error| panic!("{error}\n{}", server.log()));
    assert_eq!(pull.title, "Reports: lines of each file");
}

#[tokio::test]
async fn an_interrupted_set_up_goes_on_from_each_point() {
    let nothing = Nothing::new().await;
    let mut first = nothing.setup(&[]);
    let address = first.address().await;
    let open = Page::open(&address).await;
    first.interrupt().await;
    // Nobody clicked; the page that is open goes on counting.
    let mut second = nothing.setup(&[]);
    second.tells("Going on with what you said before: nobody has clicked yet.").await;
    assert_eq!(second.address().await, address);
    let github = open.press("Create the App on GitHub", &[]).await;
    nothing.sim.fault(Fault::new("POST", "/app-manifests/").status(502).times(5));
    let back = github.press("Create GitHub App", &[]).await;
    assert!(back.status == 502 && back.html.contains("run the same command again"), "{}", back.html);
    let (code, _, told) = second.end().await;
    assert!(code == 2 && told.contains("[setup-github]") && told.contains("trying again in 10 s"), "{told}");
    assert!(nothing.kept()["stage"]["returned"]["code"].is_string());
    let secret = nothing.kept()["stage"]["returned"]["code"].as_str().unwrap().to_owned();
    assert!(!told.contains(&secret) && !back.html.contains(&secret), "the code is told: {told}");
    // The code was not exchanged.
    let mut third = nothing.setup(&[]);
    third.tells("its key is fetched now").await;
    third.tells("/installations/new").await;
    let told = third.interrupt().await;
    assert!(!told.contains("/setup/"), "nobody has to click again: {told}");
    // The App was not installed.
    let mut fourth = nothing.setup(&["--json"]);
    fourth.tells("is there, with its key").await;
    let told = fourth.tells("/installations/new").await;
    let page = told.split_whitespace().find(|word| word.ends_with("/installations/new")).unwrap();
    Page::open(page).await.press("Install", &[]).await;
    let (code, printed, _) = fourth.end().await;
    let done: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (code, &done["repositories"][0], &done["installed_on"][0]),
        (0, &Value::from(REPO), &Value::from("octo"))
    );
    // All is there.
    let (code, printed, _) = nothing.setup(&[]).end().await;
    assert!(code == 0 && printed.contains("is installed on octo and reaches octo/example"), "{printed}");
}

#[tokio::test]
async fn what_died_between_the_answer_and_its_files_is_not_lost() {
    let nothing = Nothing::new().await;
    let mut setup = nothing.setup(&[]);
    let there = click(&setup.address().await).await;
    install(&there).await;
    assert_eq!(setup.end().await.0, 0);
    let (kept, key) = (nothing.kept(), nothing.read("codex-brief-app/app.pem"));
    // What lies on the disk when it dies there; GitHub told the key once.
    let registered = &kept["stage"]["registered"];
    let converted = serde_json::json!({
        "id": registered["app_id"], "slug": registered["slug"], "html_url": "x", "pem": key, "webhook_secret": null,
    });
    let mut before = kept.clone();
    before["stage"] = serde_json::json!({ "converted": converted });
    std::fs::write(nothing.path("codex-brief-app/setup.json"), before.to_string()).unwrap();
    let config = nothing.read("codex-brief.toml");
    for left in ["codex-brief-app/app.pem", "codex-brief.toml"] {
        std::fs::remove_file(nothing.path(left)).unwrap();
        std::fs::write(nothing.path("codex-brief-app/setup.json"), before.to_string()).unwrap();
        let (code, _, told) = nothing.setup(&[]).end().await;
        assert_eq!(code, 0, "{told}");
        assert_eq!(
            (nothing.read("codex-brief-app/app.pem"), nothing.read("codex-brief.toml")),
            (key.clone(), config.clone())
        );
        assert_eq!(nothing.kept(), kept, "the key lies in its file alone");
    }
}

#[tokio::test]
async fn a_spent_code_is_told_and_another_click_helps() {
    let nothing = Nothing::new().await;
    let mut setup = nothing.setup(&[]);
    // GitHub takes the code, and its answer never comes.
    nothing.sim.fault(Fault::new("POST", "/app-manifests/").status_after_effect(502));
    let back = click(&setup.address().await).await;
    assert!(back.html.contains("does not take the code any more"), "{}", back.html);
    let (code, _, told) = setup.end().await;
    assert!(
        code == 2 && told.contains("[setup-code-refused]") && told.contains("/settings/apps lists"),
        "{told}"
    );
    let mut again = nothing.setup(&["--name", "another name"]);
    let there = click(&again.address().await).await;
    assert!(there.html.contains("The App is there"), "{}", there.html);
    install(&there).await;
    let (code, printed, _) = again.end().await;
    assert!(code == 0 && printed.starts_with("The App another-name is installed"), "{printed}");
}

#[tokio::test]
async fn an_organizations_app_hears_by_its_webhook_and_its_address_can_change() {
    let nothing = Nothing::new().await;
    let mut setup = nothing.setup(&["--organization", "octo", "--webhook-url", "http://127.0.0.1:9"]);
    let page = Page::open(&setup.address().await).await;
    for shown in
        ["codex-brief-octo", "pull_requests: write", "issue_comment", "http://127.0.0.1:9/webhooks/github"]
    {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    let github = page.press("Create the App on GitHub", &[]).await;
    assert!(github.html.contains("Create GitHub App for octo"), "{}", github.html);
    // The name is somebody's already, which only GitHub knows.
    let taken = github.press("Create GitHub App", &[("name", "codex-brief")]).await;
    assert!(taken.status == 422 && taken.html.contains("Name is already taken"), "{}", taken.html);
    let there = taken.press("Create GitHub App", &[("name", "Briefs for octo")]).await;
    install(&there).await;
    let (code, _, told) = setup.end().await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(nothing.read("codex-brief-app/webhook-secret"), nothing.sim.webhook_secret());
    assert_eq!(mode(&nothing.path("codex-brief-app/webhook-secret")), 0o600);
    let config = nothing.read("codex-brief.toml").replace("127.0.0.1:8080", "127.0.0.1:0");
    assert!(config.contains("mode = \"push\"") && config.contains("briefs-for-octo"), "{config}");
    std::fs::write(nothing.path("codex-brief.toml"), config).unwrap();
    // It serves, and its address is told to GitHub.
    let server = ServerProcess::start(
        Path::new(PROGRAM),
        &nothing.path("codex-brief.toml"),
        &nothing.sim,
        &[],
        |_| {},
    );
    let server = server.unwrap();
    nothing.sim.set_webhook_url("http://127.0.0.1:9/webhooks/github");
    let (code, _, told) = nothing.setup(&["--webhook-url", &server.url()]).end().await;
    assert!(code == 0 && told.contains("GitHub sends webhooks to"), "{told}");
    let issue = nothing.sim.open_issue(REPO, "maria", "Stop", "/work status").unwrap();
    let answered = nothing.sim.wait_for(SOON, |world| {
        world.comments(REPO, issue.number).into_iter().find(|comment| comment.by_app)
    });
    assert!(answered.await.is_ok(), "{}", server.log());
    let (code, _, told) = nothing.setup(&["--polling"]).end().await;
    assert!(code == 2 && told.contains("[setup-other]"), "{told}");
}

#[tokio::test]
async fn strangers_get_nothing_from_the_page() {
    let nothing = Nothing::new().await;
    let mut setup = nothing.setup(&[]);
    let address = setup.address().await;
    let (origin, key) = address.split_once("/setup/").unwrap();
    let port = origin.rsplit(':').next().unwrap();
    let get = async |url: &str, host: Option<&str>| {
        let request = reqwest::Client::new().get(url);
        let request = host.into_iter().fold(request, |request, host| request.header("host", host));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
    };
    let (status, headers, html) = get(&address, Some(&format!("localhost:{port}"))).await;
    assert!(status == 200 && html.contains("<form"), "{html}");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'")
            && policy.ends_with(&format!("form-action {}", nothing.sim.url()))
    );
    assert!(headers["referrer-policy"] == "no-referrer" && headers["cache-control"] == "no-store");
    // A page of another site that got here by a name of its own, and one that knows the port alone.
    for host in ["evil.example.com", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example.com"] {
        let (status, _, html) = get(&address, Some(host)).await;
        assert!(status == 421 && !html.contains(key) && !html.contains("<form"), "{host}: {html}");
    }
    for path in ["/", "/setup/", "/setup/0123", "/setup"] {
        let (status, _, html) = get(&format!("{origin}{path}"), None).await;
        assert!(status == 404 && !html.contains("<form"), "{path}: {html}");
    }
    for query in
        ["?code=abc", "?code=abc&state=", "?code=abc&state=0123456789abcdef0123456789abcdef", "?state=x"]
    {
        assert_eq!(get(&format!("{origin}/callback{query}"), None).await.0, 403, "{query}");
    }
    setup.tells("[setup-wrong-state]").await;
    let state = nothing.kept()["stage"]["asked"]["state"].as_str().unwrap().to_owned();
    for code in ["", "..%2Fapp", "a%20b", "a/b"] {
        let (status, ..) = get(&format!("{origin}/callback?state={state}&code={code}"), None).await;
        assert_eq!(status, 400, "{code}");
    }
    assert!(nothing.sim.requests().is_empty(), "GitHub was asked: {:?}", nothing.sim.requests());
    // It still waits for the one who was asked.
    install(&click(&address).await).await;
    assert_eq!(setup.end().await.0, 0);
}

#[tokio::test]
async fn nothing_that_is_there_is_written_over_unasked() {
    let nothing = Nothing::new().await;
    std::fs::write(nothing.path("codex-brief.toml"), "mine").unwrap();
    let (code, _, told) = nothing.setup(&[]).end().await;
    assert!(
        code == 2 && told.contains("[setup-exists]") && told.contains("codex-brief.toml is there already"),
        "{told}"
    );
    let mut setup = nothing.setup(&["--replace"]);
    let address = setup.address().await;
    let aside = |name: &str| {
        let mut names =
            std::fs::read_dir(nothing.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.find(|found| found.to_string_lossy().starts_with(name)).unwrap()
    };
    let mine = nothing.path("x").with_file_name(aside("codex-brief.toml.before-"));
    assert_eq!(std::fs::read_to_string(mine).unwrap(), "mine");
    // Somebody else comes meanwhile.
    let (code, _, told) = nothing.setup(&[]).end().await;
    assert!(code == 2 && told.contains("[setup-busy]"), "{told}");
    std::fs::write(nothing.path("codex-brief.toml"), "mine again").unwrap();
    let back = click(&address).await;
    assert!(back.status == 502 && back.html.contains("is there already"), "{}", back.html);
    let (code, _, told) = setup.end().await;
    assert!(code == 2 && told.contains("[setup-exists]"), "{told}");
    assert_eq!(nothing.read("codex-brief.toml"), "mine again");
    // The App and its key are not lost by that.
    std::fs::remove_file(nothing.path("codex-brief.toml")).unwrap();
    let mut on = nothing.setup(&[]);
    on.tells("/installations/new").await;
    assert!(nothing.read("codex-brief.toml").contains("app_id"));
}

#[tokio::test]
async fn what_cannot_be_is_told_before_anybody_clicks() {
    let nothing = Nothing::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = nothing.path("a-file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("x.toml");
    for (arguments, code) in [
        (vec!["--port", port.as_str()], "[setup-port]"),
        (vec!["--github-url", "http://github.com"], "[setup-option]"),
        (
            vec!["--github-url", "https://github.com", "--webhook-url", "http://127.0.0.1:8080"],
            "[setup-option]",
        ),
        (vec!["--name", "a name that is longer than 34 chars"], "[setup-option]"),
        (vec!["--config", below.to_str().unwrap()], "[setup-unwritable]"),
        (vec!["--credentials", below.to_str().unwrap()], "[setup-unwritable]"),
    ] {
        let (ended, _, told) = Setup::start(nothing.folder.path(), &arguments).end().await;
        assert!(ended == 2 && told.contains(code), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn a_wait_that_is_in_vain_ends_and_says_how_to_go_on() {
    let (unclicked, uninstalled) = (Nothing::new().await, Nothing::new().await);
    let first = unclicked.setup(&["--wait-minutes", "1"]);
    let mut second = uninstalled.setup(&["--wait-minutes", "1"]);
    click(&second.address().await).await;
    let ((one, _, first), (two, _, second)) = tokio::join!(first.end(), second.end());
    assert!(one == 2 && first.contains("[setup-unclicked]"), "{first}");
    assert!(two == 2 && second.contains("[setup-uninstalled]"), "{second}");
}
