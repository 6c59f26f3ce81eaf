//! What the builtins of bash do that matters: run texts, set variables, change what names mean.

use super::call::Call;
use super::word::{Value, Word};

/// Builtins that start no program and set no variable.
const PLAIN: [&str; 41] = [
    ":", "true", "false", "echo", "printf", "pwd", "exit", "return", "break", "continue", "shift", "set",
    "wait", "shopt", "hash", "type", "times", "ulimit", "umask", "jobs", "kill", "fg", "bg", "disown",
    "suspend", "logout", "dirs", "caller", "help", "history", "test", "[", "[[", "cd", "pushd", "popd",
    "trap", "exec", "command", "builtin", "alias",
];

/// Builtins that set or remove the variables that they name.
const SETTERS: [&str; 11] = [
    "read",
    "mapfile",
    "readarray",
    "getopts",
    "let",
    "unset",
    "export",
    "declare",
    "typeset",
    "readonly",
    "local",
];

/// Words with which no command begins.
const RESERVED: [&str; 20] = [
    "{", "}", "!", "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac",
    "select", "function", "in", "]]", "((",
];

/// Variables that decide what is run, or how a script is read.
const SENSITIVE: [&str; 49] = [
    "PATH",
    "ENV",
    "IFS",
    "SHELLOPTS",
    "BASHOPTS",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS4",
    "CDPATH",
    "GLOBIGNORE",
    "EXECIGNORE",
    "HOME",
    "SHELL",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "MANPAGER",
    "BROWSER",
    "CODEX_HOME",
    "XDG_CONFIG_HOME",
    "KUBECONFIG",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PERL5OPT",
    "PERL5LIB",
    "PERL5DB",
    "RUBYOPT",
    "RUBYLIB",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "MAKEFLAGS",
    "MAKEFILES",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "CC",
    "CXX",
    "TAR_OPTIONS",
    "LESSOPEN",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "GCONV_PATH",
];

/// Tells whether a variable decides what is run, or how a script is read.
pub(super) fn is_sensitive(name: &str) -> bool {
    SENSITIVE.contains(&name) || ["LD_", "DYLD_", "GIT_", "BASH_"].iter().any(|start| name.starts_with(start))
}

/// Tells whether a name is a builtin of bash.
pub(super) fn is_builtin(word: &Word) -> bool {
    let Some(name) = word.text() else { return false };
    // `\time` is the program, `time` the keyword.
    let keyword = !word.quoted && matches!(name, "time" | "coproc");
    keyword || PLAIN.contains(&name) || SETTERS.contains(&name) || runs_text(name) || changes_names(name)
}

/// Tells whether a word is a keyword where a command should begin.
pub(super) fn is_reserved(word: &Word) -> bool {
    !word.quoted && word.text().is_some_and(|text| RESERVED.contains(&text))
}

fn runs_text(name: &str) -> bool {
    matches!(name, "eval" | "." | "source")
}

fn changes_names(name: &str) -> bool {
    matches!(name, "enable" | "bind" | "complete" | "compgen" | "compopt" | "fc")
}

/// Returns what cannot be decided about a builtin; `listed` tells whether a script is on the allow list.
pub(super) fn doubts(call: &Call, listed: impl Fn(&str) -> bool) -> Vec<String> {
    let (Some(name), args) = (call.name(), call.args()) else { return Vec::new() };
    let mut out = Vec::new();
    let has = |wanted: &[&str]| args.iter().any(|arg| arg.text().is_some_and(|text| wanted.contains(&text)));
    let letter = |letters: &[char]| {
        args.iter().filter_map(Word::text).any(|arg| arg.starts_with('-') && arg.contains(letters))
    };
    match name {
        "eval" => out.push("`eval` runs a text that is made in the run".to_owned()),
        "." | "source" => {
            let file = args.iter().find(|arg| arg.text() != Some("--"));
            if !file.and_then(Word::text).is_some_and(listed) {
                let shown = file.map_or("nothing", |file| &file.shown);
                out.push(format!("`{name}` runs `{shown}`, which does not stand in the brief"));
            }
        }
        "alias" if !args.is_empty() => out.push("an alias changes what a name means".to_owned()),
        _ if changes_names(name) && !args.is_empty() => {
            out.push(format!("`{name}` changes what a name means"))
        }
        "hash" if letter(&['p']) => out.push("`hash -p` changes what a name means".to_owned()),
        "shopt"
            if has(&["expand_aliases", "extglob", "extdebug"])
                || args.iter().any(|arg| arg.text().is_none()) =>
        {
            out.push("`shopt` changes how the script is read".to_owned());
        }
        "export" | "unset" if letter(&['f']) => out.push(format!("`{name} -f` changes what a name means")),
        "declare" | "typeset" | "local" | "export" if letter(&['n']) => {
            out.push("a variable is another name of one".to_owned());
        }
        "declare" | "typeset" | "local" | "readonly" if letter(&['i']) => {
            out.push("values are evaluated as arithmetic".to_owned());
        }
        "mapfile" | "readarray" if letter(&['C']) => out.push(format!("`{name} -C` runs a text")),
        "test" | "[" | "[[" => out.extend(tested(args)),
        _ => {}
    }
    let set: &[Word] = match name {
        _ if SETTERS.contains(&name) => args,
        "printf" => named_by("-v", args),
        "wait" => named_by("-p", args),
        _ => &[],
    };
    out.extend(set.iter().filter_map(set_variable));
    out
}

/// Returns the argument that follows an option, which names a variable.
fn named_by<'a>(option: &str, args: &'a [Word]) -> &'a [Word] {
    match args.iter().position(|arg| arg.text().is_none_or(|text| text.starts_with(option))) {
        Some(0) if args[0].text() == Some(option) => args.get(1..2).unwrap_or_default(),
        // `-vPATH`, or something that may be it.
        Some(0) => &args[..1],
        _ => &[],
    }
}

fn set_variable(arg: &Word) -> Option<String> {
    let Value::Literal(text) = &arg.value else {
        return Some(format!("`{}` names a variable that only the run knows", arg.shown));
    };
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let name = text.strip_prefix("-v").filter(|name| !name.is_empty()).unwrap_or(&text[..end]);
    if is_sensitive(name) {
        return Some(sets(name));
    }
    let index = text.split_once('[').map(|(_, index)| index);
    index
        .is_some_and(|index| index.contains(['$', '`']))
        .then(|| "an index is evaluated once more".to_owned())
}

/// Tells that a variable is set that decides what is run.
pub(super) fn sets(name: &str) -> String {
    format!("`{name}` is set, which can decide what runs")
}

fn tested(args: &[Word]) -> Option<String> {
    let at = args.iter().position(|arg| matches!(arg.text(), Some("-v" | "-R")))?;
    let operand = args.get(at + 1)?;
    let evaluated = operand.text().is_none_or(|text| text.contains('['));
    evaluated.then(|| "an index is evaluated once more".to_owned())
}

/// Returns the operands of `test` that name files.
pub(super) fn tested_files(args: &[Word]) -> Vec<&Word> {
    const BEFORE: [&str; 22] = [
        "-a", "-b", "-c", "-d", "-e", "-f", "-g", "-h", "-k", "-p", "-r", "-s", "-u", "-w", "-x", "-G", "-L",
        "-N", "-O", "-S", "-nt", "-ot",
    ];
    let named = |at: usize| args.get(at).and_then(Word::text).is_some_and(|text| BEFORE.contains(&text));
    let newer = |at: usize| matches!(args.get(at).and_then(Word::text), Some("-nt" | "-ot" | "-ef"));
    let files = (0..args.len()).filter(|at| (*at > 0 && named(at - 1)) || newer(at + 1));
    files.map(|at| &args[at]).collect()
}
