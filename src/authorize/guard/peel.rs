//! Commands that run another command, which their arguments hold.

use super::word::{Value, Word};

/// What a command runs besides itself.
#[derive(Debug)]
pub(super) enum Inner {
    /// Nothing.
    None,
    /// The command that begins at this argument.
    Command {
        /// Counts the arguments before it.
        at: usize,
        /// Counts the arguments up to its end.
        end: usize,
        /// Tells that it gets further arguments that only the run knows.
        more: bool,
    },
    /// A script.
    Script(String),
    /// Something that only the run knows; tells what.
    Unknown(String),
}

/// How the options of a command end that runs the rest of its words.
struct Wrapper {
    /// The short options that take a value.
    values: &'static str,
    /// The short options that take none.
    switches: &'static str,
    /// The long options that take a value as the next word.
    long_values: &'static [&'static str],
    /// The long options that take none, or one behind `=`.
    long_switches: &'static [&'static str],
    /// How many words of its own stand before the command.
    own: usize,
}

const PLAIN: Wrapper = Wrapper { values: "", switches: "", long_values: &[], long_switches: &[], own: 0 };

fn wrapper(name: &str) -> Option<Wrapper> {
    Some(match name {
        "coproc" | "nohup" | "builtin" => PLAIN,
        "time" => Wrapper { values: "fo", switches: "pavq", ..PLAIN },
        "command" => Wrapper { switches: "p", ..PLAIN },
        "exec" => Wrapper { values: "a", switches: "cl", ..PLAIN },
        "setsid" => Wrapper { switches: "cfw", long_switches: &["--ctty", "--fork", "--wait"], ..PLAIN },
        "nice" => Wrapper { values: "n", long_values: &["--adjustment"], ..PLAIN },
        "ionice" => Wrapper { values: "cn", switches: "t", ..PLAIN },
        "stdbuf" => Wrapper { values: "ioe", ..PLAIN },
        "timeout" => Wrapper {
            values: "ks",
            switches: "v",
            long_values: &["--kill-after", "--signal"],
            long_switches: &["--foreground", "--preserve-status", "--verbose"],
            own: 1,
        },
        "sudo" | "doas" => Wrapper {
            values: "CDghpRrTtuU",
            switches: "AbEHknPS",
            long_values: &["--user", "--group", "--chdir", "--chroot", "--host", "--prompt"],
            long_switches: &["--preserve-env", "--set-home", "--non-interactive", "--stdin", "--background"],
            own: 0,
        },
        "env" => Wrapper {
            values: "uC",
            switches: "i0v",
            long_values: &["--unset", "--chdir"],
            long_switches: &["--ignore-environment", "--null", "--debug"],
            own: 0,
        },
        "xargs" => Wrapper {
            values: "adEILnPs",
            switches: "0oprtx",
            long_values: &[
                "--arg-file",
                "--delimiter",
                "--max-lines",
                "--max-args",
                "--max-procs",
                "--max-chars",
            ],
            long_switches: &[
                "--null",
                "--no-run-if-empty",
                "--verbose",
                "--open-tty",
                "--exit",
                "--interactive",
            ],
            own: 0,
        },
        _ => return None,
    })
}

/// Commands that run others in ways that are not looked into.
const OPAQUE: [&str; 21] = [
    "parallel",
    "watch",
    "strace",
    "ltrace",
    "gdb",
    "su",
    "ssh",
    "script",
    "flock",
    "unshare",
    "nsenter",
    "chroot",
    "entr",
    "busybox",
    "setpriv",
    "runuser",
    "systemd-run",
    "expect",
    "bwrap",
    "tmux",
    "screen",
];

/// Interpreters of other languages, with the options behind which a program stands.
const INTERPRETERS: [(&str, &[&str]); 7] = [
    ("python", &["-c"]),
    ("python3", &["-c"]),
    ("perl", &["-e", "-E"]),
    ("ruby", &["-e"]),
    ("node", &["-e", "-p", "--eval", "--print"]),
    ("php", &["-r"]),
    ("lua", &["-e"]),
];

/// Tells what a command runs; `name` is the last part of its path, `input` the text of its standard input,
/// when that stands in the script.
pub(super) fn inner(name: &str, args: &[Word], input: Option<&str>) -> Inner {
    match name {
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash" => return shell(name, args, input),
        "find" => return find(args),
        "trap" => return trap(args),
        "command"
            if args.first().is_some_and(|arg| matches!(arg.text(), Some("-v" | "-V" | "-pv" | "-pV"))) =>
        {
            return Inner::None;
        }
        _ if OPAQUE.contains(&name) => {
            return Inner::Unknown(format!("`{name}` runs other commands in a way that is not looked into"));
        }
        _ => {}
    }
    let program = |(tool, options): &(&str, &[&str])| {
        *tool == name && args.iter().any(|arg| arg.text().is_some_and(|text| options.contains(&text)))
    };
    if INTERPRETERS.iter().any(program) {
        return Inner::Unknown(format!("`{name}` runs a program that is not looked into"));
    }
    let Some(wrapper) = wrapper(name) else { return Inner::None };
    match begin(&wrapper, args) {
        Ok(mut at) => {
            if name == "env" || name == "sudo" {
                at += args[at.min(args.len())..].iter().take_while(|arg| arg.assignment().is_some()).count();
            }
            if at < args.len() {
                Inner::Command { at, end: args.len(), more: name == "xargs" }
            } else {
                Inner::None
            }
        }
        Err(option) => Inner::Unknown(format!("what `{name}` runs cannot be told behind `{option}`")),
    }
}

/// Returns where the command begins that a wrapper runs, or the option that is not known.
fn begin(wrapper: &Wrapper, args: &[Word]) -> Result<usize, String> {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        let Some(text) = arg.text() else { return Err(arg.shown.clone()) };
        if text == "--" {
            return Ok(at + 1 + wrapper.own);
        }
        if !text.starts_with('-') || text == "-" {
            return Ok(at + wrapper.own);
        }
        at += 1;
        let known = if text.starts_with("--") {
            let (name, value) =
                text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let takes = wrapper.long_values.contains(&name);
            at += usize::from(takes && value.is_none());
            takes || wrapper.long_switches.contains(&name)
        } else {
            let letters = text[1..].trim_start_matches(|c| wrapper.switches.contains(c));
            let takes = letters.chars().next().is_some_and(|c| wrapper.values.contains(c));
            at += usize::from(takes && letters.len() == 1);
            takes || letters.is_empty()
        };
        if !known {
            return Err(text.to_owned());
        }
    }
    Ok(at)
}

fn shell(name: &str, args: &[Word], input: Option<&str>) -> Inner {
    let (mut at, mut script) = (0, false);
    while let Some(arg) = args.get(at) {
        let Some(text) = arg.text() else {
            return Inner::Unknown(format!("what `{name}` runs is only known in the run"));
        };
        if !text.starts_with(['-', '+']) || text == "-" {
            break;
        }
        at += 1;
        match text {
            "--" => break,
            "--norc" | "--noprofile" | "--posix" | "--login" => {}
            _ if text.starts_with("--") => {
                return Inner::Unknown(format!("what `{name}` runs cannot be told behind `{text}`"));
            }
            _ => {
                script |= text.starts_with('-') && text.contains('c');
                at += usize::from(text.contains(['o', 'O']));
            }
        }
    }
    match (args.get(at), input) {
        (Some(Word { value: Value::Literal(text), .. }), _) if script => Inner::Script(text.clone()),
        (Some(_), _) if script => Inner::Unknown(format!("`{name} -c` runs a text that only the run knows")),
        (Some(word), _) => {
            Inner::Unknown(format!("`{name}` runs `{}`, which does not stand in the brief", word.shown))
        }
        (None, Some(text)) => Inner::Script(text.to_owned()),
        (None, None) => Inner::Unknown(format!("`{name}` runs what its standard input says")),
    }
}

fn find(args: &[Word]) -> Inner {
    let runs = |arg: &Word| matches!(arg.text(), Some("-exec" | "-execdir" | "-ok" | "-okdir"));
    let Some(at) = args.iter().position(runs) else {
        return match args.iter().find(|arg| arg.text().is_none()) {
            Some(arg) => {
                Inner::Unknown(format!("`{}` may be an option of `find` that runs a command", arg.shown))
            }
            None => Inner::None,
        };
    };
    let rest = &args[at + 1..];
    if rest.iter().any(runs) {
        return Inner::Unknown("`find` runs more than one command".to_owned());
    }
    match rest.iter().position(|arg| matches!(arg.text(), Some(";" | "+"))) {
        Some(end) if end > 0 => Inner::Command { at: at + 1, end: at + 1 + end, more: false },
        _ => Inner::Unknown("where the command ends that `find` runs cannot be told".to_owned()),
    }
}

fn trap(args: &[Word]) -> Inner {
    let args = if args.first().is_some_and(|arg| arg.text() == Some("--")) { &args[1..] } else { args };
    match args {
        [] => Inner::None,
        [first, ..] => match first.text() {
            Some("" | "-" | "-l" | "-p" | "-P") => Inner::None,
            // One argument alone resets a signal.
            Some(_) if args.len() == 1 => Inner::None,
            Some(text) => Inner::Script(text.to_owned()),
            None => Inner::Unknown("`trap` runs a text that only the run knows".to_owned()),
        },
    }
}
