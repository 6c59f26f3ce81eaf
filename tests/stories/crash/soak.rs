//! Kills by chance, faults by chance, and briefs that keep coming: each ends once.
//!
//! `SOAK_KILLS`, `SOAK_SECONDS` and `SOAK_SEED` bound it and repeat it; `make soak` asks for 200 kills.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use codex_brief::crash::POINTS;
use github_sim::{Fault, FaultKind, PullRequest};
use serde_json::json;
use sqlx::Row;

use super::invariants;
use super::random::Random;
use crate::support::{REPO, Town, brief_for};

/// One lane in a sandbox and one without, and a queue that does not wait.
const LANES: &str = "[queue]\nfailed_task_retry_cooldown_ms = 100\n\n\
    [[lane]]\nname = \"devbox-codex\"\nparallel = 2\n\n[[lane]]\nname = \"bare\"\nsandbox = \"none\"\n";

/// The time in which everything must end after the last start; retries wait for longer and longer.
const WITHIN: Duration = Duration::from_secs(240);

/// How many faults wait for a request at most: a fetch is given up after four in a row.
const MOST_FAULTS: usize = 3;

/// A text on GitHub, whose newest brief must be known and end.
struct Text {
    thread: u64,
    /// Is the comment's id, or `None` for the issue's own text.
    comment: Option<u64>,
    /// Names the file that its newest brief writes.
    mark: String,
}

struct Soak {
    town: Town,
    random: Random,
    texts: Vec<Text>,
    briefs: usize,
}

impl Soak {
    /// Makes the next brief, and returns it with the name of the file that it writes.
    fn brief(&mut self) -> (String, String) {
        self.briefs += 1;
        let mark = format!("f-{}.txt", self.briefs);
        let lane = self.random.pick(&["devbox-codex", "devbox-codex", "bare"]);
        let slow = ["true", "sleep 0.2", "(exec setsid sleep 1000) & sleep 0.5"];
        let write = format!("echo x > {mark}\n{}", self.random.pick(&slow));
        (brief_for(lane, REPO, &[("write", &write), ("check", &format!("test -s {mark}"))], &[&mark]), mark)
    }

    /// Does what a person may do: a new issue, a new comment, or another text in place of an old one.
    fn act(&mut self) {
        let (text, mark) = self.brief();
        let sim = &self.town.sim;
        match self.random.below(4) {
            0 if !self.texts.is_empty() => {
                let at = self.random.below(self.texts.len());
                let edited = &mut self.texts[at];
                match edited.comment {
                    Some(id) => sim.edit_comment(REPO, id, "maria", &text).unwrap(),
                    None => sim.edit_issue(REPO, edited.thread, "maria", &text).unwrap(),
                }
                edited.mark = mark;
            }
            1 if !self.texts.is_empty() => {
                let thread = self.random.pick(&self.texts).thread;
                let comment = sim.comment(REPO, thread, "olga", &text).unwrap();
                self.texts.push(Text { thread, comment: Some(comment.id), mark });
            }
            _ => {
                let thread = sim.open_issue(REPO, "maria", "Soak", &text).unwrap().number;
                self.texts.push(Text { thread, comment: None, mark });
            }
        }
    }

    /// Lets GitHub fail, deliver something again, or forget its tokens.
    fn disturb(&mut self) {
        let sim = &self.town.sim;
        if sim.faults_left() < MOST_FAULTS {
            let calls = [
                ("POST", "/pulls"),
                ("POST", "/comments"),
                ("POST", "/reactions"),
                ("GET", "/permission"),
                ("POST", "/access_tokens"),
                ("*", ".git/"),
                ("*", ""),
            ];
            let (method, path) = *self.random.pick(&calls);
            let silence = FaultKind::Answer {
                status: 429,
                body: json!({"message": "too many requests"}),
                headers: BTreeMap::from([("retry-after".to_owned(), "1".to_owned())]),
            };
            let kinds = [
                FaultKind::AnswerAfterEffect(502),
                FaultKind::DropAfterEffect,
                FaultKind::Drop,
                FaultKind::Delay(Duration::from_millis(300)),
                silence,
            ];
            sim.fault(Fault::new(method, path).kind(self.random.pick(&kinds).clone()));
        }
        match self.random.below(6) {
            0 => sim.expire_tokens(),
            1 | 2 => {
                let deliveries = sim.deliveries();
                if !deliveries.is_empty() {
                    sim.redeliver(&self.random.pick(&deliveries).guid).unwrap();
                }
            }
            _ => {}
        }
    }

    /// Starts the next server, lets people and GitHub act while it lives for a while by chance, and lets
    /// it die: by itself at a crash point, or else by the kill before the next start.
    async fn live_and_die(mut self) -> Self {
        let point = format!("{}#{}", self.random.pick(&POINTS), 1 + self.random.below(3));
        let at_point = self.random.below(2) == 0;
        let environment = [("CODEX_BRIEF_CRASH_AT", point.as_str())];
        self.town = self.town.restart_with(if at_point { environment.as_slice() } else { &[] });
        let served = self.town.server.served_after();
        assert!(served < super::SERVES_WITHIN, "it served after {served:?}");
        for _ in 0..self.random.below(3) {
            self.act();
        }
        if self.random.below(3) > 0 {
            self.disturb();
        }
        if self.random.below(2) == 0 {
            invariants::redeliver(&self.town.sim);
        }
        let life = Duration::from_millis(self.random.below(if at_point { 2_000 } else { 2_500 }) as u64);
        if let Ok(status) = self.town.server.ended(life).await {
            assert_eq!(status.signal(), Some(9), "it ended by {status}:\n{}", self.town.server.log());
        }
        self
    }

    /// Returns how many tasks ended in each state, and what on GitHub is not what they say.
    async fn compare(&self) -> (BTreeMap<String, usize>, Vec<String>) {
        let (mut states, mut wrong) = (BTreeMap::<String, usize>::new(), Vec::new());
        let mut store = invariants::connect(&self.town).await;
        let query = "SELECT tasks.state, briefs.id, briefs.text, thread_number,
                         EXISTS (SELECT 1 FROM runs WHERE task_id = tasks.id AND runs.state = 'finished')
                     FROM tasks JOIN briefs ON briefs.id = brief_id";
        let rows = sqlx::query(query).fetch_all(&mut store).await.unwrap();
        let pulls = self.town.sim.pulls(REPO);
        let message = |pull: &PullRequest| self.town.sim.commit_message(REPO, &pull.head).unwrap_or_default();
        let commits: Vec<String> = pulls.iter().map(message).collect();
        for row in &rows {
            let (state, brief): (String, String) = (row.get(0), row.get(1));
            *states.entry(state.clone()).or_default() += 1;
            let comments = self.town.own_comments(row.get::<i64, _>(3) as u64);
            let results = comments.iter().filter(|it| it.body.contains(&format!("result:{brief}"))).count();
            let opened = commits.iter().filter(|message| message.contains(&brief)).count();
            let expected = match state.as_str() {
                "done" => (1, 1),
                // What an edit withdrew is told where it had run, and nowhere else.
                "cancelled" => (usize::from(row.get::<bool, _>(4)), 0),
                _ => (1, 0),
            };
            if (results, opened) != expected {
                wrong.push(format!("{brief} is {state}: {results} results, {opened} pull requests"));
            }
        }
        let done = states.get("done").copied().unwrap_or_default();
        if pulls.len() != done {
            wrong.push(format!("{} pull requests for {done} tasks that are done", pulls.len()));
        }
        let checks = self.town.sim.check_runs(REPO);
        let runs: BTreeSet<_> = checks.iter().map(|check| check.external_id.clone()).collect();
        if runs.len() != checks.len() {
            wrong.push(format!("{} check runs of {} runs", checks.len(), runs.len()));
        }
        let known = |mark: &str| rows.iter().any(|row| row.get::<&str, _>(2).contains(mark));
        let lost = self.texts.iter().filter(|text| !known(&text.mark));
        wrong.extend(lost.map(|text| format!("the brief of {} was lost", text.mark)));
        (states, wrong)
    }
}

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok().filter(|text| !text.is_empty());
    set.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_and_faults_by_chance_lose_nothing_and_repeat_nothing() {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("SOAK_SEED", u64::from(time.subsec_nanos()));
    let most_kills = number("SOAK_KILLS", 10);
    let length = Duration::from_secs(number("SOAK_SECONDS", 20));
    super::tell(&format!("soak: SOAK_SEED={seed}, at most {most_kills} kills within {length:?}\n"));
    let town = Town::with_lanes(LANES).await;
    let mut soak = Soak { town, random: Random::new(seed), texts: Vec::new(), briefs: 0 };
    let (begun, mut kills) = (Instant::now(), 0);
    while kills < most_kills && begun.elapsed() < length {
        soak = soak.live_and_die().await;
        kills += 1;
    }
    soak.town.sim.clear_faults();
    soak.town = soak.town.crash_and_restart();
    invariants::redeliver_failed(&soak.town, WITHIN).await;
    let ended = invariants::all_ended(&soak.town, WITHIN).await;
    let ended = ended.unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}", soak.town.server.log()));
    let (states, mut wrong) = soak.compare().await;
    wrong.extend(invariants::violations(&soak.town).await);
    super::tell(&format!(
        "soak: {kills} kills in {:.0?}, then everything ended in {ended:.1?}; {} texts, {} briefs written, {} runs, \
         {} of them lost, tasks: {}\n",
        begun.elapsed() - ended,
        soak.texts.len(),
        soak.briefs,
        invariants::counts(&soak.town).await[2],
        invariants::lost_runs(&soak.town).await,
        states.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", "),
    ));
    assert!(wrong.is_empty(), "seed {seed}:\n{}\n{}", wrong.join("\n"), soak.town.server.log());
}
