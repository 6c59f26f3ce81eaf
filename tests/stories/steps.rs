//! Steps of each kind, and the conditions under which they run.

pub(crate) mod cluster;
pub(crate) mod kubectl;

use serde_json::Value;

use crate::support::{LANE, REPO, Town};

/// Writes a brief whose steps are YAML, as a fenced block.
pub(crate) fn brief_of(steps: &str, files: &[&str]) -> String {
    let steps: String = steps.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "```codex-brief\nexecutor: devbox-codex\nrepo: {REPO}\nbranch: main\nworkdir: ~/work/example\nsteps:\n{steps}\
         outputs:\n  - type: pr\n    title: \"Reports: add it\"\n    commit_message: \"reports: add it\"\n    \
         files: [{}]\n```\n",
        files.join(", ")
    )
}

/// Runs a brief with these steps, and returns its comment and its JSON.
async fn ran(town: &Town, steps: &str, files: &[&str]) -> (String, Value) {
    let issue = town.sim.open_issue(REPO, "maria", "Do it", &brief_of(steps, files)).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    (comment.body, result)
}

/// Returns the status of each step.
fn statuses(result: &Value) -> Vec<&str> {
    result["steps"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect()
}

/// No wait before a run is made again.
const AT_ONCE: (&str, &str) = ("FAILED_TASK_RETRY_COOLDOWN_MS", "0");

#[tokio::test]
async fn a_python_step_runs_its_script_by_the_interpreter_that_it_names() {
    let town = Town::new().await;
    let steps = "\
- name: count
  python: |
    import pathlib, sys
    numbers = [int(line) for line in pathlib.Path('data/numbers.txt').read_text().split()]
    pathlib.Path('sum.txt').write_text(f'{sum(numbers)} $(id) {sys.argv[1:]}\\n')
    pathlib.Path('helper.py').write_text('x = 1')
    sys.path.insert(0, '.')
    import helper
    pathlib.Path('helper.py').unlink()
";
    let (body, result) = ran(&town, steps, &["sum.txt"]).await;
    assert_eq!(result["status"], "success", "{body}");
    let head = town.pull(&result).head;
    assert_eq!(town.sim.file_at(REPO, &head, "sum.txt").unwrap(), "6 $(id) []\n");
    let (body, result) =
        ran(&town, "- name: count\n  python: print(1)\n  interpreter: pypy3.99\n", &["sum.txt"]).await;
    assert_eq!(result["steps"][0]["exit_code"], 127, "{body}");
    assert!(body.contains("pypy3.99: not found"), "{body}");
    let (body, result) = ran(&town, "- name: fail\n  python: |\n    raise SystemExit(3)\n", &["x"]).await;
    assert_eq!(result["steps"][0]["exit_code"], 3, "{body}");
}

#[tokio::test]
async fn a_make_step_makes_targets_with_variables_that_stay_texts() {
    let town = Town::new().await;
    let makefile = "out.txt:\n\t@printf '%s\\n' '$(WHAT)' > out.txt\n\t@$(MAKE) --no-print-directory inner\n\
                    inner:\n\t@printf '%s\\n' '$(WHAT)' >> out.txt\nagain:\n\t@echo again >> out.txt\n";
    town.sim.push_commit(REPO, "maria", "main", &[("Makefile", makefile)], "Make it").unwrap();
    let steps = "\
- name: make it
  make: [out.txt, again]
  variables:
    WHAT: \"a $(shell touch pwned) $HOME #b; touch pwned\"
";
    let (body, result) = ran(&town, steps, &["out.txt"]).await;
    assert_eq!(result["status"], "success", "{body}");
    let head = town.pull(&result).head;
    let what = "a $(shell touch pwned) $HOME #b; touch pwned\n";
    assert_eq!(town.sim.file_at(REPO, &head, "out.txt").unwrap(), format!("{what}{what}again\n"));
    let (body, result) = ran(&town, "- name: none\n  make: nothing\n", &["x"]).await;
    assert_eq!(
        (result["steps"][0]["exit_code"].as_u64(), result["status"].as_str()),
        (Some(2), Some("failure"))
    );
    assert!(body.contains("No rule to make target"), "{body}");
}

#[tokio::test]
async fn clean_up_steps_run_after_a_failure_and_the_first_failure_is_told() {
    let town = Town::with(LANE, &[AT_ONCE]).await;
    let steps = "\
- name: fine
  shell: echo x > x.txt
- name: broken
  shell: exit 7
- name: never
  shell: echo never-printed
- name: mend
  shell: echo mended-after-$?
  if: failure()
- name: tidy
  shell: exit 137
  if: always()
";
    let (body, result) = ran(&town, steps, &["x.txt"]).await;
    assert_eq!(statuses(&result), ["succeeded", "failed", "skipped", "succeeded", "failed"], "{body}");
    assert_eq!(result["problem"]["code"], "step-failed");
    assert!(body.contains("step 2 of 5") && body.contains("exit code 7"), "{body}");
    assert!(body.contains("mended-after-0") && !body.contains("never-printed"), "{body}");
    assert_eq!(result["pull_request"], Value::Null);
    // A failure is not made again because a clean-up step ended with 137, and one that is interrupted is made
    // again in spite of a clean-up step that fails.
    assert_eq!(town.server.log().matches("run begins").count(), 1);
    let steps = "- name: die\n  shell: exit 137\n- name: tidy\n  shell: exit 1\n  if: always()\n";
    let (body, result) = ran(&town, steps, &["x.txt"]).await;
    assert_eq!(result["problem"]["code"], "retries-exhausted", "{body}");
    assert_eq!(town.server.log().matches("run begins").count(), 3);
}

#[tokio::test]
async fn a_run_without_a_failure_leaves_out_what_is_for_failures_and_succeeds() {
    let town = Town::new().await;
    let steps = "\
- name: try
  shell: exit 130
  continue_on_error: true
- name: work
  shell: echo x > x.txt
  if: success()
- name: mend
  shell: exit 9
  if: failure()
- name: tidy
  shell: echo tidied
  if: always()
";
    let (body, result) = ran(&town, steps, &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{body}");
    assert_eq!(statuses(&result), ["failed", "succeeded", "skipped", "succeeded"]);
    assert_eq!(
        (&result["steps"][0]["tolerated"], &result["steps"][1]["tolerated"]),
        (&true.into(), &Value::Null)
    );
    for shown in ["⚠️ failed, and the run went on | 130", "| 3 | mend | ➖ skipped | – | – |"] {
        assert!(body.contains(shown), "{shown}: {body}");
    }
    town.pull(&result);
    assert_eq!(town.server.log().matches("run begins").count(), 1);
}

#[tokio::test]
async fn a_steps_own_time_counts_and_the_lanes_bounds_it() {
    let town = Town::with(&format!("{LANE}[lane.limits]\nwall_seconds = 3\n"), &[AT_ONCE]).await;
    let steps = "\
- name: tolerated
  shell: sleep 60
  timeout: 1s
  continue_on_error: true
- name: slow
  shell: sleep 60
  timeout: 2s
- name: tidy
  shell: echo tidied > x.txt
  if: always()
";
    let (body, result) = ran(&town, steps, &["x.txt"]).await;
    assert_eq!(statuses(&result), ["wall_timeout", "wall_timeout", "succeeded"], "{body}");
    assert!(body.contains("after 2 s, by its own `timeout`"), "{body}");
    assert_eq!(result["problem"]["code"], "retries-exhausted", "a time-out is tried once more");
    let (body, _) = ran(&town, "- name: slow\n  shell: sleep 60\n  timeout: 1h\n", &["x.txt"]).await;
    assert!(body.contains("after 3 s, the lane's limit"), "{body}");
}

#[tokio::test]
async fn nothing_runs_after_a_stop_or_a_honeytoken() {
    let town = Town::new().await;
    let tidy = "- name: tidy\n  shell: touch ~/tidied; echo tidied-up\n  if: always()\n";
    let steps = format!("- name: slow\n  shell: echo busy; sleep 600\n{tidy}");
    let issue = town.sim.open_issue(REPO, "maria", "Stop it", &brief_of(&steps, &["x.txt"])).unwrap();
    town.logged("step begins").await;
    town.sim.comment(REPO, issue.number, "olga", "/stop").unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "run-stopped", "{}", comment.body);
    assert_eq!(statuses(&result), ["stopped", "skipped"]);
    let steps = format!("- name: thief\n  shell: cat ~/.git-credentials\n{tidy}");
    let issue = town.sim.open_issue(REPO, "maria", "Thief", &brief_of(&steps, &["x.txt"])).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["problem"]["code"], "honeytoken-seen", "{}", comment.body);
    assert!(!town.server.log().contains("name=\"tidy\""), "{}", town.server.log());
}

#[tokio::test]
async fn a_step_sets_the_variables_that_its_lane_lets_through() {
    let town =
        Town::with_lanes("[[lane]]\nname = \"devbox-codex\"\nenvironment = [\"GREETING\", \"TZ\"]\n").await;
    let steps = "\
- name: set
  shell: printf '%s|%s' \"$GREETING\" \"${TZ-unset}\" > x.txt
  env: { GREETING: \"$(id) `id` ${{ secrets.X }}\" }
- name: does not carry over
  shell: test -z \"${GREETING-}\"
";
    let (body, result) = ran(&town, steps, &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{body}");
    let head = town.pull(&result).head;
    assert_eq!(town.sim.file_at(REPO, &head, "x.txt").unwrap(), "$(id) `id` ${{ secrets.X }}|unset");
    for name in ["PATH", "LD_PRELOAD", "GITHUB_TOKEN", "OTHER"] {
        let steps = format!("- name: set\n  shell: env\n  env: {{ {name}: x }}\n");
        let issue = town.sim.open_issue(REPO, "maria", "Set it", &brief_of(&steps, &["x.txt"])).unwrap();
        let told = town.told(issue.number, "variable-not-allowed").await;
        assert!(told.body.contains("`GREETING`, `TZ`"), "{}", told.body);
    }
    assert_eq!(town.server.log().matches("run begins").count(), 1);
}
