//! What a lane's trial step looks at from inside its sandbox, before the lane takes work.
//!
//! These are the few things without which nothing else counts, looked at by bash alone, so that it is quick.
//! `codex-brief doctor` tries the rest.

use std::path::Path;

use super::LaneUnavailable;
use crate::config::{LaneConfig, Network};

/// Begins what a failed self-test prints.
pub(super) const FAILED: &str = "self-test: ";

/// Names of namespaces that are the step's own in every lane; the network is where the lane has none.
pub(super) const NAMESPACES: [&str; 5] = ["user", "pid", "mnt", "ipc", "uts"];

const SCRIPT: &str = r#"
fail() { echo "self-test: $1"; exit 1; }
filter=
while read -r key value _; do
  case $key in
    NoNewPrivs:) [ "$value" = 1 ] || fail "programs can gain rights" ;;
    CapEff:|CapBnd:) [ "$value" = 0000000000000000 ] || fail "steps have capabilities" ;;
    Seccomp:) [ "$value" = 2 ] && filter=1 ;;
    Seccomp_filters:) [ "$value" -gt "$filters" ] || filter= ;;
  esac
done < /proc/self/status
[ -n "$filter" ] || fail "no filter of system calls is in force"
for place in $namespaces; do
  [ "$(readlink "/proc/self/ns/${place%%=*}")" != "${place#*=}" ] || fail "the ${place%%=*} namespace is the machine's"
done
if [ -n "$closed" ]; then
  while IFS=: read -r interface rest; do
    [ -z "$rest" ] || [ "${interface// /}" = lo ] || [ "${interface%%|*}" != "$interface" ] || fail "the network is open by ${interface// /}"
  done < /proc/net/dev
fi
[ ! -e "$state" ] || fail "the state directory can be seen"
"#;

/// Returns the script for a lane whose runs lie below `runs_root`.
pub(super) fn script(config: &LaneConfig, runs_root: &Path) -> String {
    let closed = config.network != Network::Full;
    let namespaces = namespaces(closed).into_iter().map(|(name, link)| format!("{name}={link}"));
    let words = [
        ("namespaces", namespaces.collect::<Vec<_>>().join(" ")),
        ("closed", if closed { "1".to_owned() } else { String::new() }),
        ("filters", filters().to_string()),
        ("state", runs_root.display().to_string()),
    ];
    let set = words.map(|(name, value)| format!("{name}={}\n", quoted(&value)));
    format!("{}{SCRIPT}", set.concat())
}

/// Returns the links of this process's namespaces, by their names.
pub(super) fn namespaces(with_network: bool) -> Vec<(String, String)> {
    let names = NAMESPACES.into_iter().chain(with_network.then_some("net"));
    let link = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).ok();
    names.filter_map(|name| Some((name.to_owned(), link(name)?.display().to_string()))).collect()
}

/// Counts the filters of system calls that this process has itself, as in a container; 0 where the kernel
/// does not tell.
pub(super) fn filters() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Makes the answer of a lane whose sandbox does not hold.
pub(super) fn failed(told: &str) -> LaneUnavailable {
    LaneUnavailable {
        reason: format!("The sandbox's {told}."),
        help: "Run `codex-brief doctor` as the server's user: it tells what holds and what does not.".into(),
    }
}

/// Quotes a word for bash.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(script: &str) -> String {
        let output = Command::new("bash").args(["-c", script]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[test]
    fn outside_of_a_sandbox_it_fails() {
        let told = run(&script(&LaneConfig::named("x"), Path::new("/nowhere/runs")));
        assert!(told.starts_with(FAILED), "{told}");
        assert!(failed(&told).to_string().contains("doctor"));
    }

    #[test]
    fn each_thing_that_does_not_hold_is_named() {
        let config = LaneConfig::named("x");
        let whole = script(&config, Path::new("/nowhere/runs"));
        // As if everything that stands before it held.
        let without = |text: &str, cut: &[&str]| {
            text.lines()
                .filter(|line| !cut.iter().any(|cut| line.contains(cut)))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let status = ["NoNewPrivs:)", "CapEff:"];
        assert!(run(&without(&whole, &status)).contains("no filter of system calls"));
        let later = [&status[..], &["[ -n \"$filter\" ]"]].concat();
        assert!(run(&without(&whole, &later)).contains("the user namespace is the machine's"));
        let seen = script(&config, Path::new("/usr/bin"))
            .replace("namespaces=", "others=")
            .replace("closed=", "was=");
        assert!(run(&without(&seen, &later)).contains("state directory"));
    }

    #[test]
    fn a_word_is_one_word_whatever_is_in_it() {
        let word = "it's $(id) \"x\" \\ `y`";
        assert_eq!(run(&format!("printf %s {}", quoted(word))), word);
    }
}
