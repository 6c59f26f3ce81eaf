use proptest::prelude::*;

use super::*;

const LANE: &str = "devbox-codex";

fn repository() -> RepoName {
    RepoName { owner: "octo".to_owned(), name: "example".to_owned() }
}

fn facts() -> Facts {
    Facts {
        visibility: Visibility::Private,
        source: TextSource::Issue,
        from_fork: false,
        accounts: vec![person("maria", 7, Permission::Write, &[])],
        bots: Vec::new(),
    }
}

fn person(login: &str, id: u64, permission: Permission, teams: &[&str]) -> Account {
    let teams = teams.iter().map(|team| Team::try_from((*team).to_owned()).unwrap()).collect();
    Account::Person { login: login.to_owned(), id, permission, teams }
}

fn sections(toml: &str) -> RepositoryFile {
    RepositoryFile::parse(toml).unwrap()
}

/// Returns the policy of the lane under server's sections and a repository's file, both TOML.
fn policy(server: &str, file: Option<&str>) -> Policy {
    let mut lane = LaneConfig::named(LANE);
    lane.network = Network::Full;
    let (server, file) = (sections(server), file.map(RepositoryFile::parse));
    Policy::of(Written {
        authorize: &AuthorizeConfig::default(),
        policies: &server.policies,
        lane: Some(&lane),
        repository: &repository(),
        file: file.as_ref(),
    })
}

fn refused(policy: &Policy, facts: &Facts) -> (&'static str, String) {
    let decision = policy.decide(facts);
    (decision.verdict.unwrap_err().code, decision.rule)
}

#[test]
fn without_a_policy_whoever_may_push_runs_in_a_private_repository() {
    let policy = policy("", None);
    let decision = policy.decide(&facts());
    assert_eq!(
        (decision.verdict, decision.rule.as_str()),
        (Ok(()), "server: [authorize] minimum_permission")
    );
    assert_eq!((decision.bounds.approval, decision.bounds.network), (Approval::None, Network::Full));
    let public = Facts { visibility: Visibility::Public, ..facts() };
    assert_eq!(refused(&policy, &public).0, "repository-public");
    let fork = Facts { from_fork: true, ..facts() };
    assert_eq!(refused(&policy, &fork).0, "fork-not-allowed");
    let stranger = Facts { accounts: vec![person("rob", 9, Permission::Triage, &[])], ..facts() };
    assert_eq!(refused(&policy, &stranger).0, "permission-missing");
}

#[test]
fn every_refusal_names_the_rule_and_where_it_is_written() {
    let server = "[[policy]]\nsources = [\"issue\"]\nminimum_permission = \"maintain\"\n";
    let file = "lanes = [\"devbox-codex\"]\n\n[[policy]]\nusers = [8]\n";
    let policy = policy(server, Some(file));
    let (code, rule) = refused(&policy, &facts());
    assert_eq!((code, rule.as_str()), ("permission-missing", "server: [[policy]] 1 minimum_permission"));
    let maintainer = Facts { accounts: vec![person("maria", 7, Permission::Maintain, &[])], ..facts() };
    let (code, rule) = refused(&policy, &maintainer);
    assert_eq!(
        (code, rule.as_str()),
        ("user-not-named", ".github/codex-brief.toml: [[policy]] 1 users, teams")
    );
    let comment = Facts { source: TextSource::ReviewComment, ..maintainer };
    assert_eq!(refused(&policy, &comment), ("source-not-allowed", "server: [[policy]] 1 sources".to_owned()));
    let elsewhere = self::policy("", Some("lanes = []\n"));
    assert_eq!(refused(&elsewhere, &facts()).0, "lane-kept-out");
}

#[test]
fn whoever_is_named_or_in_a_named_team_may_and_both_accounts_must() {
    let policy = policy("[[policy]]\nusers = [7]\nteams = [\"octo/release:42\"]\n", None);
    assert_eq!(policy.teams().len(), 1);
    assert!(policy.decide(&facts()).verdict.is_ok());
    let member = person("olga", 8, Permission::Write, &["octo/release:42"]);
    let other = person("paul", 9, Permission::Write, &["octo/release"]);
    let both = |one: &Account, two: &Account| Facts { accounts: vec![one.clone(), two.clone()], ..facts() };
    assert!(policy.decide(&both(&facts().accounts[0], &member)).verdict.is_ok());
    assert_eq!(refused(&policy, &both(&member, &other)).0, "user-not-named");
}

#[test]
fn signed_commits_are_asked_for_and_never_taken_back() {
    let commit = |server: &str, file: &str| {
        let policy = policy(server, Some(file));
        let bounds = policy.decide(&facts()).bounds;
        (bounds.commit, bounds.commit_rule, policy.widened.len())
    };
    let (api, git) = ("[[policy]]\ncommit = \"api\"\n", "[[policy]]\ncommit = \"git\"\n");
    assert_eq!(
        commit("", api),
        (CommitWay::Api, ".github/codex-brief.toml: [[policy]] 1 commit".to_owned(), 0)
    );
    assert_eq!(commit(api, git), (CommitWay::Api, "server: [[policy]] 1 commit".to_owned(), 1));
    assert_eq!(commit("", git).0, CommitWay::Git);
}

#[test]
fn a_bot_counts_by_name_and_id_together() {
    let policy = policy("[[policy]]\nbots = [\"renovate[bot]\"]\n", None);
    let bot = |login: &str, id, own| Facts {
        accounts: vec![Account::Bot { login: login.to_owned(), id, own }],
        bots: vec![("renovate[bot]".to_owned(), 29)],
        ..facts()
    };
    assert!(policy.decide(&bot("renovate[bot]", 29, false)).verdict.is_ok());
    for (login, id, own) in [
        ("renovate[bot]", 30, false),
        ("x-renovate[bot]", 29, false),
        ("renovate", 29, false),
        ("renovate[bot]", 29, true),
    ] {
        assert_eq!(refused(&policy, &bot(login, id, own)).0, "bot-not-named", "{login} {id}");
    }
    // A person of that name is a person.
    let named_so = Facts { accounts: vec![person("renovate", 29, Permission::Read, &[])], ..facts() };
    assert_eq!(refused(&policy, &named_so).0, "permission-missing");
    assert_eq!(refused(&self::policy("", None), &bot("renovate[bot]", 29, false)).0, "bot-not-named");
}

#[test]
fn a_repository_narrows_and_what_it_would_widen_is_told() {
    let server = "[[policy]]\nnetwork = \"none\"\napproval = \"required\"\nusers = [7]\nsources = [\"issue\"]\n\
                  limits = { wall_seconds = 60 }\nbudget = { user_per_day = 3 }\n";
    let file = "[[policy]]\nnetwork = \"full\"\napproval = \"none\"\nusers = [7, 8]\n\
                sources = [\"issue\", \"review\"]\nforks = true\nbots = [\"renovate[bot]\"]\n\
                minimum_permission = \"write\"\nprotected_paths = [\"/ci/\"]\n\
                limits = { wall_seconds = 90, idle_seconds = 5 }\nbudget = { user_per_day = 9, user_at_a_time = 1 }\n";
    let policy = policy(server, Some(file));
    let place = ".github/codex-brief.toml: [[policy]] 1 ";
    let told: Vec<&str> = policy.widened.iter().map(|told| told.strip_prefix(place).unwrap()).collect();
    let wider = [
        "users: 8",
        "sources: \"review\"",
        "forks = true",
        "bots: \"renovate[bot]\"",
        "approval = \"none\"",
        "network = \"full\"",
        "limits.wall_seconds",
        "budget.user_per_day",
    ];
    assert_eq!(told, wider);
    let bounds = policy.decide(&facts()).bounds;
    assert_eq!((bounds.network, bounds.approval), (Network::None, Approval::Required));
    assert_eq!((bounds.limits.wall_seconds, bounds.limits.idle_seconds), (60, 5));
    assert_eq!((bounds.budget.user_per_day, bounds.budget.user_at_a_time), (Some(3), Some(1)));
    assert_eq!(bounds.protected_paths, ["/ci/"]);
    let eight = Facts { accounts: vec![person("olga", 8, Permission::Admin, &[])], ..facts() };
    assert_eq!(refused(&policy, &eight).0, "user-not-named");
    let fork = Facts { from_fork: true, ..facts() };
    assert_eq!(refused(&policy, &fork).0, "fork-not-allowed");
}

#[test]
fn a_file_that_cannot_be_read_lets_nothing_run() {
    let policy = policy("", Some("[[policy]]\nnetwrk = \"none\"\n"));
    assert_eq!(refused(&policy, &facts()).0, "policy-file-invalid");
}

#[test]
fn a_section_holds_for_its_lanes_and_repositories_only() {
    let written = |toml: &str| {
        let mut lane = LaneConfig::named(LANE);
        lane.approval = Approval::Required;
        let all: Vec<PolicySection> =
            toml::from_str::<toml::Table>(toml).unwrap()["policy"].clone().try_into().unwrap();
        Policy::of(Written {
            authorize: &AuthorizeConfig::default(),
            policies: &all,
            lane: Some(&lane),
            repository: &repository(),
            file: None,
        })
    };
    for (section, held) in [
        ("lanes = [\"other\"]", false),
        ("lanes = [\"other\", \"devbox-codex\"]", true),
        ("repositories = [\"acme/*\"]", false),
        ("repositories = [\"OCTO/*\"]", true),
    ] {
        let policy = written(&format!("[[policy]]\n{section}\nforks = true\n"));
        let fork = Facts { from_fork: true, ..facts() };
        assert_eq!(policy.decide(&fork).verdict.is_ok(), held, "{section}");
        assert_eq!(policy.decide(&facts()).bounds.approval, Approval::Required, "the lane's own");
    }
}

#[test]
fn anything_written_changes_the_version_and_nothing_else_does() {
    let plain = policy("", None).version;
    assert_eq!(plain, policy("", None).version);
    assert_eq!(plain.len(), 64);
    let mut seen = vec![plain];
    for (server, file) in [
        ("[[policy]]\nforks = false\n", None),
        ("", Some("")),
        ("", Some("[[policy]]\nforks = false\n")),
        ("", Some("broken")),
    ] {
        let version = policy(server, file).version;
        assert!(!seen.contains(&version), "{server} {file:?}");
        seen.push(version);
    }
}

#[test]
fn the_time_until_a_budget_is_free_is_told() {
    let told = |ms| budget_spent("`maria`", 3, ms).help;
    assert!(told(1).contains("in 1 min,"), "{}", told(1));
    assert!(told(3_600_000).contains("in 1 h,"));
    assert!(told(5_460_000).contains("in 1 h 31 min,"));
}

fn section() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("network = \"none\"".to_owned()),
        Just("network = \"full\"".to_owned()),
        Just("approval = \"none\"".to_owned()),
        Just("approval = \"second-person\"".to_owned()),
        Just("minimum_permission = \"write\"".to_owned()),
        Just("minimum_permission = \"admin\"".to_owned()),
        Just("forks = true".to_owned()),
        Just("forks = false".to_owned()),
        Just("bots = [\"renovate[bot]\"]".to_owned()),
        Just("bots = []".to_owned()),
        prop::collection::vec(6..9_u64, 0..3).prop_map(|ids| format!("users = {ids:?}")),
        Just("sources = [\"issue\", \"review\"]".to_owned()),
        Just("sources = [\"review\"]".to_owned()),
        (1..4000_u64).prop_map(|seconds| format!("limits = {{ wall_seconds = {seconds} }}")),
        (0..9_u32).prop_map(|most| format!("budget = {{ user_per_day = {most} }}")),
        prop::sample::select(vec!["none", "enabled", "auto"]).prop_map(|gate| format!("gate = \"{gate}\"")),
    ];
    prop::collection::vec(line, 0..8).prop_map(|lines| {
        let mut lines = lines;
        let key = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        lines.sort();
        lines.dedup_by_key(|line| key(line));
        format!("[[policy]]\n{}\n", lines.join("\n"))
    })
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let permission = prop_oneof![Just(Permission::Read), Just(Permission::Write), Just(Permission::Admin)];
    (any::<bool>(), any::<bool>(), any::<bool>(), 6..9_u64, permission).prop_map(
        |(from_fork, review, bot, id, permission)| Facts {
            from_fork,
            source: if review { TextSource::Review } else { TextSource::Issue },
            accounts: vec![match bot {
                true => Account::Bot { login: "renovate[bot]".to_owned(), id, own: false },
                false => person("maria", id, permission, &[]),
            }],
            bots: vec![("renovate[bot]".to_owned(), 7)],
            ..facts()
        },
    )
}

proptest! {
    /// Whatever a repository's file says, nothing may run that might not without it, nor with more.
    #[test]
    fn a_repositorys_file_can_only_narrow(server in section(), file in section(), facts in any_facts()) {
        let without = policy(&server, None).decide(&facts);
        let with = policy(&server, Some(&file)).decide(&facts);
        prop_assert!(with.verdict.is_err() || without.verdict.is_ok(), "{server}{file}");
        let (with, without) = (with.bounds, without.bounds);
        prop_assert!(with.approval >= without.approval);
        prop_assert!(with.gate >= without.gate);
        prop_assert!(with.network == Network::None || without.network == Network::Full);
        prop_assert!(with.limits.wall_seconds <= without.limits.wall_seconds);
        let most = |bound: Option<u32>| bound.unwrap_or(u32::MAX);
        prop_assert!(most(with.budget.user_per_day) <= most(without.budget.user_per_day));
    }
}
