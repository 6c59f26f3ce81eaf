//! GitHub, or somebody, delivers the same again and again: each brief runs once.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::task::JoinSet;

use super::invariants;
use super::random::Random;
use crate::support::{REPO, Town, brief};
use crate::webhook::sign;

/// How many briefs there are, and how often each is delivered.
const BRIEFS: usize = 100;
const TIMES: usize = 100;

/// How many deliveries are on their way at a time.
const AT_A_TIME: usize = 32;

/// The time in which all briefs must have run.
const WITHIN: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_deliveries_of_a_hundred_guids_make_a_hundred_runs() {
    let town = Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\nparallel = 4\n").await;
    let url = format!("{}/webhooks/github", town.server.url());
    // GitHub's own deliveries go nowhere; the test delivers.
    town.sim.set_webhook_url("http://127.0.0.1:1/");
    let text = brief(&[("write", "echo x > x.txt")], &["x.txt"]);
    let issues: Vec<u64> =
        (0..BRIEFS).map(|_| town.sim.open_issue(REPO, "maria", "Storm", &text).unwrap().number).collect();
    let deliveries = town.sim.deliveries();
    // The server may have asked already for what it finds to be missing.
    let opened: Vec<_> =
        deliveries.iter().filter(|it| it.action.as_deref() == Some("opened") && !it.redelivery).collect();
    assert_eq!(opened.len(), BRIEFS);
    let signatures: Vec<String> = opened.iter().map(|it| sign(&town.sim, &it.body)).collect();
    let mut order: Vec<usize> = (0..BRIEFS * TIMES).map(|number| number % BRIEFS).collect();
    Random::new(100).shuffle(&mut order);
    let (client, begun) = (Client::new(), Instant::now());
    let mut busy = JoinSet::new();
    let mut taken = 0;
    for at in order {
        if busy.len() == AT_A_TIME {
            taken += usize::from(busy.join_next().await.unwrap().unwrap());
        }
        let request = client
            .post(&url)
            .header("x-github-delivery", &opened[at].guid)
            .header("x-github-event", &opened[at].event)
            .header("x-hub-signature-256", &signatures[at])
            .body(opened[at].body.clone());
        busy.spawn(async move { request.send().await.is_ok_and(|answer| answer.status() == 202) });
    }
    while let Some(done) = busy.join_next().await {
        taken += usize::from(done.unwrap());
    }
    let delivered = begun.elapsed();
    assert_eq!(taken, BRIEFS * TIMES, "each is answered with 202");
    invariants::all_ended(&town, WITHIN).await.unwrap();
    super::tell(&format!(
        "{} deliveries of {BRIEFS} GUIDs taken in {delivered:.1?}, all briefs ended after {:.1?}\n",
        BRIEFS * TIMES,
        begun.elapsed()
    ));
    assert_eq!(invariants::violations(&town).await, Vec::<String>::new());
    let counts = invariants::counts(&town).await;
    assert_eq!(counts, [BRIEFS; 3], "deliveries, briefs and runs in the store");
    assert_eq!(town.sim.pulls(REPO).len(), BRIEFS);
    for issue in issues {
        assert_eq!(town.own_comments(issue).len(), 1, "#{issue}");
    }
}
