//! The rules for what a step of each kind is given.

use super::super::codes;
use super::super::step::{Timeout, When};
use super::{Problem, shown};

/// Variables that change which programs make starts, or how it reads its own arguments.
const MAKES_OWN: [&str; 10] = [
    "SHELL",
    "MAKE",
    "MAKEFLAGS",
    "MFLAGS",
    "GNUMAKEFLAGS",
    "MAKEFILES",
    "MAKEFILE_LIST",
    "MAKEOVERRIDES",
    "MAKELEVEL",
    "MAKECMDGOALS",
];

/// Checks a script of the field `name`: not blank. Its size is bounded by the brief's.
///
/// # Errors
/// Tells that it is blank.
pub fn script(name: &str, script: &str) -> Result<(), Problem> {
    if script.trim().is_empty() {
        let what = if name == "shell" { "bash" } else { "Python" };
        return Err(Problem::new(
            codes::EMPTY_VALUE,
            format!("`{name}` is empty."),
            format!("Write a {what} script behind `{name}: |`, indented deeper than `{name}`."),
        ));
    }
    Ok(())
}

/// Checks the interpreter of a Python script: `python3` or `pypy3`, perhaps with a minor version behind it.
///
/// # Errors
/// Tells which there are.
pub fn interpreter(name: &str) -> Result<(), Problem> {
    let minor = |rest: &str| match rest.strip_prefix('.') {
        Some(minor) => (1..=2).contains(&minor.len()) && minor.bytes().all(|byte| byte.is_ascii_digit()),
        None => rest.is_empty(),
    };
    if ["python3", "pypy3"].iter().any(|python| name.strip_prefix(python).is_some_and(minor)) {
        return Ok(());
    }
    Err(Problem::new(
        codes::INTERPRETER,
        format!("{} is not an interpreter for Python scripts.", shown(name)),
        "Write `python3`, or a version that the lane has, such as `python3.11` or `pypy3`.",
    ))
}

/// Reads when a step runs.
///
/// # Errors
/// Tells the three conditions.
pub fn when(text: &str) -> Result<When, Problem> {
    if let Some((_, when)) = When::WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(*when);
    }
    let bare = text.trim().trim_start_matches("${{").trim_end_matches("}}").trim().to_ascii_lowercase();
    let bare = bare.trim_end_matches("()");
    let near = When::WORDS.iter().find(|(word, _)| word.trim_end_matches("()") == bare);
    let help = match near {
        Some((word, _)) => format!("Write `if: {word}`."),
        None => "Write `if: always()`, `if: failure()` or `if: success()`; there are no others.".to_owned(),
    };
    Err(Problem::new(codes::IF, format!("{} is not a condition of a step.", shown(text)), help))
}

/// Reads a step's own time limit.
///
/// # Errors
/// Tells how times are written.
pub fn timeout(text: &str) -> Result<Timeout, Problem> {
    Timeout::read(text).ok_or_else(|| {
        let help = match Timeout::read(&format!("{text}s")) {
            Some(_) => {
                format!("Write `timeout: {text}s` for as many seconds, or `m` or `h` behind the number.")
            }
            None => {
                "Write a number with `s`, `m` or `h` behind it, such as `90s` or `10m`; `24h` is the most."
                    .to_owned()
            }
        };
        Problem::new(codes::TIMEOUT, format!("{} is not a time.", shown(text)), help)
    })
}

/// Checks the name of a variable: letters, digits and `_`, no digit first, 100 characters at most.
///
/// # Errors
/// Tells the shape.
pub fn variable(name: &str) -> Result<(), Problem> {
    let fits = (1..=100).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if fits {
        return Ok(());
    }
    Err(Problem::new(
        codes::VARIABLE,
        format!("{} is not the name of a variable.", shown(name)),
        "Write letters, digits and `_`, and no digit first; 100 characters at most.",
    ))
}

/// Checks a variable that a makefile is given, by name and value.
///
/// # Errors
/// Tells that make would take the name for its own, or change the value.
pub fn make_variable(name: &str, value: &str) -> Result<(), Problem> {
    variable(name)?;
    if MAKES_OWN.contains(&name) {
        return Err(Problem::new(
            codes::VARIABLE,
            format!("`{name}` changes how make itself works."),
            "Set it in the makefile, or run make from a `shell` step.",
        ));
    }
    if value.contains('\n') || value.starts_with([' ', '\t']) {
        return Err(Problem::new(
            codes::MAKE,
            format!("make cannot take the value of `{name}` as it is written."),
            "Write it in one line that does not begin with a space.",
        ));
    }
    Ok(())
}

/// Checks a target of make: one word that is neither an option nor an assignment.
///
/// # Errors
/// Tells where options and variables go.
pub fn make_target(target: &str) -> Result<(), Problem> {
    let wrong = |what: &str, help: &str| {
        Err(Problem::new(codes::MAKE, format!("{} is {what}, and no target.", shown(target)), help))
    };
    if target.is_empty() || target.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("not a single word", "Write each target as an entry of its own: `make: [lint, test]`.");
    }
    if target.starts_with('-') {
        return wrong(
            "an option",
            "Delete it; make gets none here. A `shell` step can run make with options.",
        );
    }
    if target.contains('=') {
        return wrong("an assignment", "Write it under `variables`, such as `variables: { FORMAT: html }`.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_a_fixed_few() {
        for name in ["python3", "python3.9", "python3.14", "pypy3", "pypy3.10"] {
            assert_eq!(interpreter(name), Ok(()), "{name}");
        }
        for name in [
            "python",
            "python2",
            "python3.",
            "python3.x",
            "python3.100",
            "/tmp/python3",
            "python3 -c",
            "sh",
            "",
        ] {
            assert_eq!(interpreter(name).unwrap_err().code, codes::INTERPRETER, "{name}");
        }
    }

    #[test]
    fn conditions_are_three_and_others_find_theirs() {
        assert_eq!(when("always()"), Ok(When::Always));
        for (written, meant) in
            [("${{ failure() }}", "failure()"), ("always", "always()"), ("Success()", "success()")]
        {
            assert_eq!(when(written).unwrap_err().help, format!("Write `if: {meant}`."), "{written}");
        }
        assert!(timeout("90").unwrap_err().help.starts_with("Write `timeout: 90s`"));
        assert!(when("always() && failure()").unwrap_err().help.contains("no others"));
    }

    #[test]
    fn targets_and_variables_of_make() {
        for target in ["all", "docs/index.html", "test-unit", "%.o", "a+b", "ä"] {
            assert_eq!(make_target(target), Ok(()), "{target}");
        }
        for target in ["", "a b", "-j4", "--eval=x", "A=b", "A:=b", "a\tb"] {
            assert_eq!(make_target(target).unwrap_err().code, codes::MAKE, "{target}");
        }
        assert_eq!(make_variable("FORMAT", "$(shell rm) # html "), Ok(()));
        for (name, value) in
            [("SHELL", "x"), ("MAKEFLAGS", "x"), ("A-B", "x"), ("1A", "x"), ("A", " x"), ("A", "x\ny")]
        {
            assert!(make_variable(name, value).is_err(), "{name}={value}");
        }
    }
}
