//! Strict reading of mappings, lists and texts: everything that is wrong is told, nothing is guessed.

use super::characters::{STAND_IN, quote};
use super::codes;
use super::report::{Report, Span};
use super::yaml::{Node, Value};

/// How many characters of a stranger's value a message quotes.
pub(crate) const QUOTED: usize = 80;

/// A field that a mapping may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    /// Lists fields of which one may stand in its place.
    pub(crate) instead: &'static [&'static str],
}

/// Names that people give a field in other systems, and names of later versions of the protocol.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("lane", "executor"),
    ("agent", "executor"),
    ("repository", "repo"),
    ("base", "branch"),
    ("ref", "branch"),
    ("cwd", "workdir"),
    ("dir", "workdir"),
    ("working_directory", "workdir"),
    ("run", "shell"),
    ("script", "shell"),
    ("command", "shell"),
    ("cmd", "shell"),
    ("bash", "shell"),
    ("py", "python"),
    ("target", "make"),
    ("targets", "make"),
    ("vars", "variables"),
    ("environment", "env"),
    ("when", "if"),
    ("condition", "if"),
    ("timeout_minutes", "timeout"),
    ("timeout_seconds", "timeout"),
    ("ignore_errors", "continue_on_error"),
    ("tasks", "steps"),
    ("output", "outputs"),
    ("message", "commit_message"),
    ("commit", "commit_message"),
    ("paths", "files"),
    ("issue", "link_issue"),
    ("head", "branch_name"),
    ("text", "body"),
    ("file", "body_file"),
    ("file", "path"),
    ("context", "context_header"),
    ("note", "notes"),
    ("description", "notes"),
];

/// The values of a mapping by field, after unknown, duplicate and missing fields were told.
pub(crate) struct Fields<'n> {
    found: Vec<(&'static str, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.found.iter().find(|(field, _)| *field == name).map(|(_, node)| *node)
    }
}

/// Reads the mapping `what` (such as "a step") that may have `fields`.
pub(crate) fn mapping<'n>(
    node: &'n Node,
    what: &str,
    fields: &'static [Field],
    report: &mut Report<'_>,
) -> Option<Fields<'n>> {
    let Value::Mapping(entries) = &node.value else {
        let names = list_of(fields.iter().filter(|field| field.required));
        wrong_type(node, what, &format!("Write `field: value` lines with {names}."), report);
        return None;
    };
    let mut found: Vec<(&'static str, &Node)> = Vec::new();
    let mut seen: Vec<(&str, Span)> = Vec::new();
    let mut slips: Vec<&'static str> = Vec::new();
    let mut told_about_keys = false;
    for (key, value) in entries {
        let Some(name) = field_name(key, report) else {
            told_about_keys = true;
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
            let line = report.comment_line(first.start);
            let message = format!("{} is given twice; line {line} has it first.", quote(name, QUOTED));
            report.add(key.span, codes::DUPLICATE_FIELD, message, "Delete one of the two.");
            continue;
        }
        // Bounded by the number of values of a brief, so the quadratic look-up stays small for
        // known names; unknown ones are not kept past the first few.
        if seen.len() < 64 {
            seen.push((name, key.span));
        }
        match fields.iter().find(|field| field.name == name) {
            Some(field) => found.push((field.name, value)),
            None => slips.extend(unknown_field(name, key.span, what, fields, report)),
        }
    }
    // A field that was probably meant by an unknown name is not told a second time.
    let given =
        |field: &Field| slips.contains(&field.name) || found.iter().any(|(name, _)| *name == field.name);
    let missing = |field: &&Field| {
        let other = |name: &&'static str| given(&Field { name, required: true, instead: &[] });
        field.required && !given(field) && !field.instead.iter().any(other)
    };
    let missing: Vec<&Field> = fields.iter().filter(missing).collect();
    if !missing.is_empty() && !told_about_keys {
        missing_fields(node, what, &missing, report);
    }
    Some(Fields { found })
}

/// Returns a field's name; tells what is no name.
pub(crate) fn field_name<'n>(key: &'n Node, report: &mut Report<'_>) -> Option<&'n str> {
    match &key.value {
        Value::Scalar { text, plain: true } if text == "<<" => {
            report.add(
                key.span,
                codes::MERGE_KEY,
                "A brief uses no YAML merge keys.",
                "Write the fields out.",
            );
            None
        }
        Value::Scalar { text, .. } if text.contains(STAND_IN) => None,
        Value::Scalar { text, .. } => Some(text),
        Value::Alias => None,
        Value::List(_) | Value::Mapping(_) => {
            report.add(
                key.span,
                codes::FIELD_NAME,
                "A field's name is a word, not a list or a mapping.",
                "Write `field: value`; put quotes around a value that holds `{`, `[` or `?`.",
            );
            None
        }
    }
}

/// Tells that a field does not exist, and returns the one that was probably meant.
fn unknown_field(
    name: &str,
    span: Span,
    what: &str,
    fields: &'static [Field],
    report: &mut Report<'_>,
) -> Option<&'static str> {
    let all = list_of(fields.iter());
    let near = nearest(name, fields);
    let is_later_kind = name == "codex" && what == "a step";
    let help = match near {
        Some(near) => format!("Write `{near}`? {} has the fields {all}.", capital(what)),
        None if is_later_kind => {
            "Steps that run Codex come with a later version; write `shell`, `python`, `make` or `kubectl`."
                .to_owned()
        }
        None if name == "dry_run" => {
            "A dry run is not served in a brief; `codex-brief check` reads a brief and runs nothing."
                .to_owned()
        }
        None => format!("Delete it; {what} has the fields {all}."),
    };
    let message = format!("{} is not a field of {what}.", quote(name, QUOTED));
    report.add(span, codes::UNKNOWN_FIELD, message, help);
    // That the step lacks another kind goes without saying.
    if is_later_kind { Some("shell") } else { near }
}

/// Finds the field that the author probably meant.
fn nearest(name: &str, fields: &'static [Field]) -> Option<&'static str> {
    // Longer names are no slip of a short one, and comparing them costs.
    if name.chars().count() > 40 {
        return None;
    }
    let plain = name.trim().to_lowercase().replace(['-', ' '], "_");
    let known = |wanted: &str| fields.iter().find(|field| field.name == wanted).map(|field| field.name);
    if let Some(field) = known(&plain) {
        return Some(field);
    }
    if let Some(field) =
        OTHER_NAMES.iter().filter(|(other, _)| *other == plain).find_map(|(_, own)| known(own))
    {
        return Some(field);
    }
    let distance = |field: &Field| strsim::damerau_levenshtein(&plain, field.name);
    let best = fields.iter().min_by_key(|field| distance(field))?;
    (distance(best) <= (best.name.len() / 3).max(1)).then_some(best.name)
}

fn missing_fields(node: &Node, what: &str, missing: &[&Field], report: &mut Report<'_>) {
    let names = list_of(missing.iter().copied());
    // The carets stand under the whole of the first line.
    let start = node.span.start;
    let width = usize::MAX - start.column;
    let message = format!("{} lacks {names}.", capital(what));
    let examples: Vec<String> = missing.iter().map(|field| example(field.name)).collect();
    let help = format!("Add {}.", examples.join(", "));
    report.add(Span::line(start.line, start.column, width), codes::MISSING_FIELD, message, help);
}

fn example(field: &str) -> String {
    let value = match field {
        "executor" => " devbox-codex",
        "repo" => " owner/name",
        "branch" => " main",
        "workdir" => " ~/work/name",
        "name" => " build the report",
        "shell" => " make report",
        "type" => " pr",
        "path" => " reports/status.md",
        "title" | "commit_message" => " \"Add the report\"",
        _ => "",
    };
    format!("`{field}:{value}`")
}

/// Reads a list; tells when it is something else or empty.
pub(crate) fn list<'n>(
    node: &'n Node,
    name: &str,
    entry: &str,
    report: &mut Report<'_>,
) -> Option<&'n [Node]> {
    let help = format!("Write each entry on a line of its own: `- {entry}`.");
    match &node.value {
        Value::List(nodes) if nodes.is_empty() => {
            report.add(node.span, codes::EMPTY_VALUE, format!("`{name}` is an empty list."), help);
            None
        }
        Value::List(nodes) => Some(nodes),
        _ => {
            wrong_type(node, &format!("`{name}` as a list"), &help, report);
            None
        }
    }
}

/// Reads the text of the field `name`. A value that YAML would read as a number, a truth value or nothing is refused, so
/// that no two readers of one brief disagree about it.
pub(crate) fn text<'n>(node: &'n Node, name: &str, report: &mut Report<'_>) -> Option<&'n str> {
    text_as(node, &format!("`{name}`"), report)
}

/// Reads a text as [`text`] does; `what` names it in messages.
pub(crate) fn text_as<'n>(node: &'n Node, what: &str, report: &mut Report<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Scalar { text, plain } => {
            if *plain && text.is_empty() {
                const HELP: &str = "Write a value, or delete the line if it is optional.";
                report.add(node.span, codes::EMPTY_VALUE, format!("{} has no value.", capital(what)), HELP);
                return None;
            }
            if let Some(kind) = plain.then(|| not_a_text(text)).flatten() {
                let message = format!("YAML reads {} as {kind}, but {what} is a text.", quote(text, QUOTED));
                let help = format!("Quote it: `\"{}\"`.", quote(text, QUOTED).trim_matches('`'));
                report.add(node.span, codes::UNQUOTED, message, help);
                return None;
            }
            // A value with a stand-in was told already.
            (!text.contains(STAND_IN)).then_some(text)
        }
        _ => {
            let help = "Write one value behind the colon, or several lines behind `|`.";
            wrong_type(node, &format!("{what} as a text"), help, report);
            None
        }
    }
}

/// Tells that `node` is not what is wanted.
pub(crate) fn wrong_type(node: &Node, wanted: &str, help: &str, report: &mut Report<'_>) {
    let found = match &node.value {
        Value::Scalar { text, plain: true } if text.is_empty() => "nothing".to_owned(),
        Value::Scalar { text, plain } => match plain.then(|| not_a_text(text)).flatten() {
            Some(kind) => format!("{kind}, {}", quote(text, QUOTED)),
            None => format!("the text {}", quote(text, QUOTED)),
        },
        Value::List(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Alias => return,
    };
    let message = format!("Here stands {found}, where {wanted} is wanted.");
    report.add(node.span, codes::WRONG_TYPE, message, help);
}

/// Tells what YAML 1.1 or 1.2 takes an unquoted value for when that is not a text.
pub(crate) fn not_a_text(value: &str) -> Option<&'static str> {
    let lower = value.to_ascii_lowercase();
    match lower.as_str() {
        "~" | "null" => return Some("nothing"),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" => return Some("a truth value"),
        ".inf" | "+.inf" | "-.inf" | ".nan" => return Some("a number"),
        _ => {}
    }
    is_number(&lower).then_some("a number")
}

fn is_number(value: &str) -> bool {
    let unsigned = value.strip_prefix(['+', '-']).unwrap_or(value);
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|c| c == '_' || c.is_digit(radix));
        }
    }
    let (mantissa, exponent) = match unsigned.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.chars().all(|c| c == '_' || c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digit = mantissa.chars().any(|c| c.is_ascii_digit()) && !mantissa.starts_with('_');
    has_digit
        && digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

fn list_of<'f>(fields: impl Iterator<Item = &'f Field>) -> String {
    let names: Vec<String> = fields.map(|field| format!("`{}`", field.name)).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_takes_for_something_else_is_known() {
        for value in
            ["1", "-1", "+1.5", "1.0", ".5", "5.", "1e3", "1_000", "0x1F", "0o17", "0b10", "1e-3", "007"]
        {
            assert_eq!(not_a_text(value), Some("a number"), "{value}");
        }
        for value in ["true", "No", "ON", "off", "Y"] {
            assert_eq!(not_a_text(value), Some("a truth value"), "{value}");
        }
        for value in ["~", "null", "Null"] {
            assert_eq!(not_a_text(value), Some("nothing"), "{value}");
        }
        for value in
            ["main", "1.0.0", "v1", "-", "e3", ".", "_1", "1.2.3-rc", "2026-01-02", "0x", "1e", "truely"]
        {
            assert_eq!(not_a_text(value), None, "{value}");
        }
    }

    #[test]
    fn slips_and_names_of_other_systems_find_their_field() {
        const FIELDS: &[Field] = &[
            Field { name: "executor", required: true, instead: &[] },
            Field { name: "shell", required: true, instead: &[] },
            Field { name: "link_issue", required: false, instead: &[] },
        ];
        for (slip, meant) in [
            ("excutor", "executor"),
            ("Executor", "executor"),
            ("link-issue", "link_issue"),
            ("run", "shell"),
            ("shel", "shell"),
        ] {
            assert_eq!(nearest(slip, FIELDS), Some(meant), "{slip}");
        }
        assert_eq!(nearest("timeout", FIELDS), None);
        assert_eq!(nearest(&"x".repeat(10_000), FIELDS), None);
    }
}
