//! Which word of a command is its subcommand.

use super::word::Word;

/// A program that has subcommands.
struct Tool {
    name: &'static str,
    /// The options before the subcommand that take the next word as their value.
    values: &'static [&'static str],
}

const TOOLS: [Tool; 24] = [
    Tool {
        name: "codex",
        values: &[
            "-c",
            "--config",
            "-m",
            "--model",
            "-p",
            "--profile",
            "-s",
            "--sandbox",
            "-a",
            "--ask-for-approval",
            "-C",
            "--cd",
            "-i",
            "--image",
            "--add-dir",
            "--enable",
            "--disable",
            "--local-provider",
        ],
    },
    Tool { name: "git", values: &["-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env"] },
    Tool {
        name: "kubectl",
        values: &[
            "-n",
            "--namespace",
            "--context",
            "--cluster",
            "--user",
            "--kubeconfig",
            "-s",
            "--server",
            "--token",
        ],
    },
    Tool { name: "docker", values: &["-H", "--host", "-c", "--context", "--config", "-l", "--log-level"] },
    Tool { name: "podman", values: &["--root", "--runroot", "--url", "--connection", "-c"] },
    Tool { name: "helm", values: &["-n", "--namespace", "--kube-context", "--kubeconfig"] },
    Tool { name: "gh", values: &["-R", "--repo"] },
    Tool { name: "cargo", values: &["-C", "-Z", "--config", "--color"] },
    Tool { name: "npm", values: &["--prefix", "-w", "--workspace"] },
    Tool { name: "pnpm", values: &["-C", "--dir", "--filter", "-F"] },
    Tool { name: "yarn", values: &["--cwd"] },
    Tool { name: "pip", values: &[] },
    Tool { name: "pip3", values: &[] },
    Tool { name: "uv", values: &["--directory", "--project"] },
    Tool { name: "poetry", values: &["-C", "-P"] },
    Tool { name: "go", values: &["-C"] },
    Tool { name: "terraform", values: &[] },
    Tool { name: "systemctl", values: &["-H", "-M", "-t"] },
    Tool { name: "apt", values: &["-o", "-c", "-t"] },
    Tool { name: "apt-get", values: &["-o", "-c", "-t"] },
    Tool { name: "aws", values: &["--profile", "--region", "--output", "--endpoint-url"] },
    Tool { name: "gcloud", values: &["--project", "--account", "--configuration"] },
    Tool { name: "az", values: &["--subscription"] },
    Tool { name: "dotnet", values: &[] },
];

/// Flags of many programs that take no value.
const SWITCHES: [&str; 12] = [
    "-h",
    "--help",
    "-v",
    "--verbose",
    "-V",
    "--version",
    "-q",
    "--quiet",
    "--no-pager",
    "-y",
    "--full-auto",
    "--oss",
];

/// What is known of a subcommand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subcommand {
    /// The program is not known to have any.
    Untold,
    /// It is this one; empty for none.
    Named(String),
    /// Only the run knows it, or its place cannot be told; holds the word in question.
    Unknown(String),
}

/// Finds the subcommand among the arguments of a program; `listed` tells that the operator lists some for it.
pub(super) fn find(binary: &str, args: &[Word], listed: bool) -> Subcommand {
    let name = binary.rsplit('/').next().unwrap_or(binary);
    let tool = TOOLS.iter().find(|tool| tool.name == name);
    if tool.is_none() && !listed {
        return Subcommand::Untold;
    }
    let values = tool.map_or(&[][..], |tool| tool.values);
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        let Some(text) = arg.text() else { return Subcommand::Unknown(arg.shown.clone()) };
        at += 1;
        if !text.starts_with('-') {
            return Subcommand::Named(if name == "codex" && is_prompt(text) { "" } else { text }.to_owned());
        }
        if text == "--" {
            // What follows is a prompt of Codex, never a subcommand; of others nobody knows.
            return if name == "codex" {
                Subcommand::Named(String::new())
            } else {
                Subcommand::Unknown("--".to_owned())
            };
        }
        if values.contains(&text) {
            at += 1;
        } else if !SWITCHES.contains(&text) && !text.contains('=') && !values.iter().any(|v| glued(text, v)) {
            // It may take the next word as its value, or not.
            if args.get(at).is_some_and(|next| !next.text().is_some_and(|next| next.starts_with('-'))) {
                return Subcommand::Unknown(text.to_owned());
            }
        }
    }
    Subcommand::Named(String::new())
}

/// Tells whether a text is a short option with its value, such as `-C../x`.
fn glued(text: &str, option: &str) -> bool {
    option.len() == 2 && !text.starts_with("--") && text.len() > 2 && text.starts_with(option)
}

/// Tells whether a word of Codex is what it shall do, rather than a subcommand's name.
fn is_prompt(text: &str) -> bool {
    !text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("codex", "exec --json", "exec")]
    #[case("codex", "-m gpt exec", "exec")]
    #[case("codex", "", "")]
    #[case("codex", "--full-auto login", "login")]
    #[case("git", "-C ../x push", "push")]
    #[case("git", "-c user.name=x --no-pager log", "log")]
    #[case("kubectl", "--namespace=a delete pod", "delete")]
    #[case("tool", "deploy now", "deploy")]
    fn the_subcommand_is_found_behind_options(#[case] tool: &str, #[case] args: &str, #[case] wanted: &str) {
        let args: Vec<Word> = args.split_whitespace().map(Word::literal).collect();
        assert_eq!(find(tool, &args, true), Subcommand::Named(wanted.to_owned()));
    }

    #[test]
    fn a_word_that_may_be_the_value_of_an_option_is_no_subcommand() {
        let args = [Word::literal("--unheard-of"), Word::literal("exec")];
        assert_eq!(find("codex", &args, false), Subcommand::Unknown("--unheard-of".to_owned()));
        assert_eq!(find("grep", &[Word::literal("x")], false), Subcommand::Untold);
        let prompt = [Word::literal("Fix the test.")];
        assert_eq!(find("codex", &prompt, false), Subcommand::Named(String::new()));
    }
}
