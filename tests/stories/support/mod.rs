//! What every story needs: a simulated GitHub, a real server process, and people.

pub(crate) mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use github_sim::{Comment, GithubSim, Permission, PullRequest, Subject};
use serde_json::Value;
use server::ServerProcess;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// The repository of the stories.
pub(crate) const REPO: &str = "octo/example";

/// The time in which a story's next event must come, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// The lane of most stories.
pub(crate) const LANE: &str = "[[lane]]\nname = \"devbox-codex\"\nparallel = 2\n";

/// A simulated GitHub with a server. Maria may write, Olga too; Rob may only read.
pub(crate) struct Town {
    pub(crate) sim: GithubSim,
    pub(crate) server: ServerProcess,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: PathBuf,
}

impl Town {
    pub(crate) async fn new() -> Self {
        Self::with_lanes(LANE).await
    }

    pub(crate) async fn with_lanes(lanes: &str) -> Self {
        Self::with(lanes, &[]).await
    }

    /// Starts a town with more settings of the section `[github]`, TOML.
    pub(crate) async fn with_github(github: &str, lanes: &str) -> Self {
        // The section of the lanes follows that of GitHub.
        Self::with(&format!("{github}\n{lanes}"), &[]).await
    }

    pub(crate) async fn with(lanes: &str, environment: &[(&str, &str)]) -> Self {
        let sim = GithubSim::start().await.unwrap();
        let files =
            [("README.md", "# Example\n"), ("data/numbers.txt", "1\n2\n3\n"), (".gitignore", "*.o\n")];
        sim.create_repository(REPO, &files).unwrap();
        for (login, permission) in
            [("maria", Permission::Write), ("olga", Permission::Write), ("rob", Permission::Read)]
        {
            sim.add_user(login);
            sim.set_permission(REPO, login, permission).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let config = server::write_config(folder.path(), &sim, lanes).unwrap();
        let server = start(&sim, &config, environment);
        Self { sim, server, folder, config }
    }

    /// Kills the server and starts another on the same state.
    pub(crate) fn crash_and_restart(self) -> Self {
        self.restart_with(&[])
    }

    /// Kills the server unless it is dead already, and starts another on the same state with variables.
    pub(crate) fn restart_with(mut self, environment: &[(&str, &str)]) -> Self {
        self.server.kill();
        self.server = start(&self.sim, &self.config, environment);
        self
    }

    /// Kills the server, lets people go on meanwhile, and starts another on the same state once GitHub has
    /// tried to deliver all of it.
    pub(crate) async fn while_down(mut self, deeds: impl AsyncFnOnce(&Self)) -> Self {
        self.sim.settled(SOON).await.unwrap();
        self.server.kill();
        deeds(&self).await;
        self.sim.settled(SOON).await.unwrap();
        self.server = start(&self.sim, &self.config, &[]);
        self
    }

    /// Tells the server to end, and starts another on the same state.
    pub(crate) async fn end_and_restart(mut self) -> Self {
        assert!(self.server.terminate().await.unwrap().success());
        self.server = start(&self.sim, &self.config, &[]);
        self
    }

    /// Tells the server to end, and waits until it has; nothing serves until [`Self::start_again`].
    pub(crate) async fn end(&mut self) {
        self.server.tell_to_end().unwrap();
        assert!(self.server.ended(SOON).await.unwrap().success());
    }

    /// Runs a command of the operator and returns its exit code, what it printed and what it told.
    pub(crate) async fn operator(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = tokio::process::Command::new(PROGRAM);
        let told = command.args(arguments).arg("--config").arg(&self.config).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (told.status.code().unwrap_or(-1), text(told.stdout), text(told.stderr))
    }

    /// Kills the server; nothing serves until [`Self::start_again`].
    pub(crate) fn crash(&mut self) {
        self.server.kill();
    }

    /// Starts a server on the same state.
    pub(crate) fn start_again(&mut self) {
        self.start_as(Path::new(PROGRAM));
    }

    /// Starts a server on the same state, by a program of the story's own.
    pub(crate) fn start_as(&mut self, program: &Path) {
        self.server = ServerProcess::start(program, &self.config, &self.sim, &[], |_| {}).unwrap();
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Waits for the nth result comment of a thread, counted from 1, and returns it with its JSON.
    pub(crate) async fn result(&self, thread: u64, nth: usize) -> (Comment, Value) {
        let found = self.sim.wait_for(SOON, |world| {
            let comments = world.comments(REPO, thread).into_iter();
            comments.filter(is_result).nth(nth - 1)
        });
        let comment = match found.await {
            Ok(comment) => comment,
            Err(error) => panic!("no result {nth} in #{thread}: {error}\n{}", self.server.log()),
        };
        let result = hidden_json(&comment.body);
        (comment, result)
    }

    /// Waits for a comment of the App that holds a text.
    pub(crate) async fn told(&self, thread: u64, text: &str) -> Comment {
        let found = self.sim.wait_for(SOON, |world| {
            let mut comments = world.comments(REPO, thread).into_iter();
            comments.find(|comment| comment.by_app && comment.body.contains(text))
        });
        match found.await {
            Ok(comment) => comment,
            Err(error) => panic!("nothing in #{thread} tells `{text}`: {error}\n{}", self.server.log()),
        }
    }

    /// Waits until a thread shows that its brief was seen.
    pub(crate) async fn seen(&self, thread: u64) {
        let found = self.sim.wait_for(SOON, |world| {
            world.reactions(REPO, Subject::Issue(thread)).iter().any(|it| it.content == "eyes").then_some(())
        });
        assert!(found.await.is_ok(), "#{thread} was not seen:\n{}", self.server.log());
    }

    /// Waits until the server's log holds a text.
    pub(crate) async fn logged(&self, text: &str) {
        let logged = self.server.logged(text, SOON).await;
        assert!(logged.is_ok(), "`{text}` is not in:\n{}", self.server.log());
    }

    /// Waits until everything delivered was looked at, everything owed written, and that delivered as well.
    pub(crate) async fn quiet(&self) {
        let left = "SELECT (SELECT COUNT(*) FROM deliveries WHERE state = 'pending') + \
                    (SELECT COUNT(*) FROM effects WHERE state = 'owed')";
        self.until(async || {
            self.sim.settled(SOON).await.unwrap();
            let mut store = self.store().await;
            let quiet = sqlx::query_scalar::<_, i64>(left).fetch_one(&mut store).await.unwrap() == 0;
            quiet && self.sim.settled(Duration::ZERO).await.is_ok()
        })
        .await;
    }

    /// Runs another brief to its end: whatever came in before has been looked at by then.
    pub(crate) async fn everything_else_is_done(&self) {
        let marker = brief(&[("mark", "echo done > marker.txt")], &["marker.txt"]);
        let issue = self.sim.open_issue(REPO, "maria", "Marker", &marker).unwrap();
        self.result(issue.number, 1).await;
        // Also the webhook of that comment is on its way no more.
        self.sim.settled(SOON).await.unwrap();
    }

    /// Opens the server's store beside the server.
    pub(crate) async fn store(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.state().join("codex-brief.sqlite"));
        options.busy_timeout(SOON).connect().await.unwrap()
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, mut holds: impl AsyncFnMut() -> bool) {
        let held = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(SOON, held).await.is_ok(), "it never came:\n{}", self.server.log());
    }

    /// Runs another of the program's commands with the server's configuration, and returns what it printed.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new(PROGRAM);
        command.args(arguments).arg("--config").arg(&self.config).output().unwrap()
    }

    pub(crate) fn own_comments(&self, thread: u64) -> Vec<Comment> {
        self.sim.comments(REPO, thread).into_iter().filter(|comment| comment.by_app).collect()
    }

    /// Opens an issue with a brief as Maria, and returns its result.
    pub(crate) async fn run(&self, steps: &[(&str, &str)], files: &[&str]) -> (Comment, Value) {
        let issue = self.sim.open_issue(REPO, "maria", "Do it", &brief(steps, files)).unwrap();
        self.result(issue.number, 1).await
    }

    /// Returns the pull request that a result names.
    pub(crate) fn pull(&self, result: &Value) -> PullRequest {
        let number = result["pull_request"].as_u64();
        let pulls = self.sim.pulls(REPO);
        pulls.into_iter().find(|pull| Some(pull.number) == number).expect("the result names a pull request")
    }
}

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_codex-brief");

fn start(sim: &GithubSim, config: &Path, environment: &[(&str, &str)]) -> ServerProcess {
    // A folder of its own shows what a server leaves there.
    let tmp = config.with_file_name("tmp");
    std::fs::create_dir_all(&tmp).unwrap();
    let environment = [&[("TMPDIR", tmp.to_str().unwrap())], environment].concat();
    ServerProcess::start(Path::new(PROGRAM), config, sim, &environment, |_| {}).unwrap()
}

/// Tells whether a comment is a brief's and holds its result: until then it shows how the brief goes on.
pub(crate) fn is_result(comment: &Comment) -> bool {
    is_living(comment) && comment.body.lines().nth(1).is_some_and(|line| line.starts_with("<!-- {"))
}

/// Tells whether a comment is the one of a brief, from its acceptance to its result.
pub(crate) fn is_living(comment: &Comment) -> bool {
    comment.by_app && comment.body.starts_with("<!-- codex-brief:result:")
}

/// Reads the result that programs find in a comment.
pub(crate) fn hidden_json(body: &str) -> Value {
    let line = body.lines().find(|line| line.starts_with("<!-- {")).expect("hidden JSON");
    let json = &line[line.find('{').expect("an object")..=line.rfind('}').expect("an object")];
    serde_json::from_str(json).expect("the hidden JSON parses")
}

/// Writes a brief for [`REPO`] as a fenced block.
pub(crate) fn brief(steps: &[(&str, &str)], files: &[&str]) -> String {
    brief_for("devbox-codex", REPO, steps, files)
}

/// Writes a brief for any lane and repository as a fenced block.
pub(crate) fn brief_for(lane: &str, repo: &str, steps: &[(&str, &str)], files: &[&str]) -> String {
    let mut text = format!(
        "Please do this.\n\n```codex-brief\nexecutor: {lane}\nrepo: {repo}\nbranch: main\n\
         workdir: ~/work/example\nsteps:\n"
    );
    for (name, shell) in steps {
        text.push_str(&format!("  - name: {name}\n    shell: |\n"));
        for line in shell.lines() {
            text.push_str(&format!("      {line}\n"));
        }
    }
    text.push_str("outputs:\n  - type: pr\n    title: \"Reports: add it\"\n");
    text.push_str("    commit_message: \"reports: add it\"\n    link_issue: 1\n    files:\n");
    for file in files {
        text.push_str(&format!("      - {file}\n"));
    }
    text.push_str("```\n\nThank you.\n");
    text
}
