//! The rules for the arguments of kubectl: which cluster and whose credential is for the lane to say.

use super::super::codes;
use super::{Problem, shown};

/// Flags that choose the cluster, the account or how it is proved, and flags that start other programs,
/// which would run beside the credential, or that put files into what is printed: the credential is one. Read off `kubectl options` and `kubectl kustomize --help` of 1.32.
const REFUSED: [&str; 27] = [
    "--as",
    "--as-group",
    "--as-uid",
    "--as-user-extra",
    "--cache-dir",
    "--certificate-authority",
    "--client-certificate",
    "--client-key",
    "--cluster",
    "--context",
    "--enable-alpha-plugins",
    "--enable-exec",
    "--enable-helm",
    "--enable-star",
    "--from-env-file",
    "--from-file",
    "--helm-command",
    "--insecure-skip-tls-verify",
    "--kubeconfig",
    "--kuberc",
    "--load-restrictor",
    "--password",
    "--server",
    "--tls-server-name",
    "--token",
    "--user",
    "--username",
];

/// Letters of short flags that take the rest of their word, or the next one, as their value, in every verb.
const WITH_VALUE: [char; 5] = ['n', 'o', 'l', 'L', 'v'];

/// Tells the arguments that a step may not give, each by its place from 0, and why.
pub fn kubectl(arguments: &[&str]) -> Vec<(usize, Problem)> {
    let mut problems = Vec::new();
    let verb = arguments.first().copied().unwrap_or_default();
    let is_verb = verb.starts_with(|first: char| first.is_ascii_lowercase())
        && verb.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if !is_verb {
        problems.push((
            0,
            Problem::new(
                codes::KUBECTL,
                format!("{} is not a verb of kubectl.", shown(verb)),
                "Write the verb first, and flags behind it: `kubectl: [get, pods, -n, web]`.",
            ),
        ));
    }
    for (at, argument) in arguments.iter().enumerate() {
        // Behind an option `--` may be its value, and then what follows is read for options again.
        if *argument == "--" && at > 0 && !arguments[at - 1].starts_with('-') {
            break;
        }
        if let Some(problem) = refuse(argument) {
            problems.push((at, problem));
        }
    }
    problems
}

fn refuse(argument: &str) -> Option<Problem> {
    const CHOSEN: &str = "Delete it: the lane's operator chooses the cluster, the account and the programs.";
    let name = argument.split_once('=').map_or(argument, |(name, _)| name);
    // kubectl reads `_` in the name of a flag as `-`.
    if REFUSED.contains(&name.replace('_', "-").as_str()) {
        return Some(Problem::new(
            codes::KUBECTL,
            format!("{} is not for a brief to say.", shown(name)),
            CHOSEN,
        ));
    }
    let letters = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-'))?;
    let server = letters.chars().take_while(|letter| *letter != '=' && !WITH_VALUE.contains(letter));
    if !server.into_iter().any(|letter| letter == 's') {
        return None;
    }
    let message = format!("{} names a server, by `-s`.", shown(argument));
    let help = match letters.len() {
        1 => CHOSEN.to_owned(),
        _ => format!(
            "{CHOSEN} If it is the value of another flag, write that apart: `- -f`, `- services.yaml`."
        ),
    };
    Some(Problem::new(codes::KUBECTL, message, help))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(line: &str) -> Vec<usize> {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        kubectl(&arguments).into_iter().map(|(at, _)| at).collect()
    }

    #[test]
    fn ordinary_calls_are_taken() {
        for line in [
            "get pods -n web -o json",
            "get pods -ojsonpath={.items} -A",
            "logs -f deploy/web --since=1h",
            "apply -f services.yaml --dry-run=server --server-side",
            "rollout status deploy/web",
            "exec pod -- curl -s --token x",
            "get pods -lapp=web -Lsize -nsystem -v=6",
            "create secret generic x --from-literal=a=--server",
            "get --sort-by=.metadata.name pods --show-labels",
        ] {
            assert_eq!(refused(line), Vec::<usize>::new(), "{line}");
        }
    }

    #[test]
    fn what_is_the_operators_is_refused_however_it_is_written() {
        for (line, at) in [
            ("get --context other pods", 1),
            ("get pods --context=other", 2),
            ("get pods --kubeconfig /tmp/k", 2),
            ("get pods --token=x", 2),
            ("get pods --server https://evil.example", 2),
            ("get pods -s https://evil.example", 2),
            ("get pods -shttps://evil.example", 2),
            ("get pods -s=https://evil.example", 2),
            ("get pods -As https://evil.example", 2),
            ("logs x -fs https://evil.example", 2),
            ("apply -fservices.yaml", 1),
            ("get pods --as admin", 2),
            ("get pods --as-group=system:masters", 2),
            ("get pods --insecure-skip-tls-verify", 2),
            ("get pods --insecure_skip_tls_verify=true", 2),
            ("kustomize --enable-helm --helm-command=./x", 1),
            ("create configmap x --from-file=k=/run/codex-brief/kubeconfig --dry-run=client -o json", 3),
            ("create secret generic x --from_env_file link", 4),
            ("apply -k . --load-restrictor LoadRestrictionsNone", 3),
            ("get -n -- --server=https://evil.example pods", 3),
        ] {
            assert_eq!(refused(line).first(), Some(&at), "{line}");
        }
    }

    /// Returns the arguments that kubectl may read as flags, whichever of those before take the next one as
    /// their value.
    fn flags(arguments: &[&'static str]) -> Vec<&'static str> {
        let (mut found, mut open) = (Vec::new(), std::collections::BTreeSet::from([1]));
        while let Some(at) = open.pop_first() {
            match arguments.get(at) {
                None | Some(&"--") => {}
                Some(flag) if flag.starts_with('-') => {
                    found.push(*flag);
                    open.extend([at + 1, at + 2]);
                }
                Some(_) => drop(open.insert(at + 1)),
            }
        }
        found
    }

    proptest! {
        #[test]
        fn no_call_that_is_taken_holds_a_refused_flag_however_kubectl_reads_it(
            rest in prop::collection::vec(
                prop::sample::select(vec!["-n", "web", "--", "-it", "-A", "-o", "-s", "-As", "--context", "--token=x", "--watch"]),
                0..8,
            ),
        ) {
            let arguments = [vec!["get"], rest].concat();
            if kubectl(&arguments).is_empty() {
                for flag in flags(&arguments) {
                    prop_assert!(!["-s", "-As", "--context", "--token=x"].contains(&flag), "{arguments:?}");
                }
            }
        }
    }

    #[test]
    fn the_verb_comes_first() {
        for line in ["-n web get pods", "./x get", "", "Get pods", "1get"] {
            assert_eq!(refused(line).first(), Some(&0), "{line}");
        }
    }
}
