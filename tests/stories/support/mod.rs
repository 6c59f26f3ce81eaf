//! What every story needs: a simulated GitHub, a real server process, and people.

pub(crate) mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use github_sim::{Comment, GithubSim, Permission, PullRequest, Subject};
use serde_json::Value;
use server::ServerProcess;

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
    config: PathBuf,
}

impl Town {
    pub(crate) async fn new() -> Self {
        Self::with_lanes(LANE).await
    }

    pub(crate) async fn with_lanes(lanes: &str) -> Self {
        Self::with(lanes, &[]).await
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
    pub(crate) fn crash_and_restart(mut self) -> Self {
        self.server.kill();
        self.server = start(&self.sim, &self.config, &[]);
        self
    }

    /// Tells the server to end, and starts another on the same state.
    pub(crate) async fn end_and_restart(mut self) -> Self {
        assert!(self.server.terminate().await.unwrap().success());
        self.server = start(&self.sim, &self.config, &[]);
        self
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

    /// Runs another brief to its end: whatever came in before has been looked at by then.
    pub(crate) async fn everything_else_is_done(&self) {
        let marker = brief(&[("mark", "echo done > marker.txt")], &["marker.txt"]);
        let issue = self.sim.open_issue(REPO, "maria", "Marker", &marker).unwrap();
        self.result(issue.number, 1).await;
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

fn start(sim: &GithubSim, config: &Path, environment: &[(&str, &str)]) -> ServerProcess {
    let program = Path::new(env!("CARGO_BIN_EXE_codex-brief"));
    ServerProcess::start(program, config, sim, environment, |_| {}).unwrap()
}

fn is_result(comment: &Comment) -> bool {
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
