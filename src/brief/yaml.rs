//! Reads the part of YAML that a brief may use into a tree of values with their places.
//!
//! The events of granit-parser are taken one by one, so that anchors, aliases, tags, markers and
//! duplicate keys are told instead of being resolved, and so that depth and size are bounded before
//! memory is spent. `docs/decisions/0001-yaml.md` tells why no serde front end is used.

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError};

use super::characters::{STAND_IN, quote};
use super::report::{Position, Report, Span};
use super::{MAX_DEPTH, MAX_NODES, codes};

/// A value of a brief with its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar {
        text: String,
        /// Tells whether the value is written without quotes and not as a block.
        plain: bool,
    },
    List(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
    /// Stands for an alias, which was told already.
    Alias,
}

/// Reads one document; `None` when it holds nothing or is not YAML, which was told then.
pub(crate) fn read(text: &str, report: &mut Report<'_>) -> Option<Node> {
    let options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                if !builder.event(event, &span, text, report) {
                    return None;
                }
            }
            Err(error) => {
                tell(&error, report);
                return None;
            }
        }
    }
    builder.root
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    start: Span,
    /// Keys and values in turn for a mapping.
    nodes: Vec<Node>,
    is_mapping: bool,
}

impl Builder {
    /// Takes one event; `false` ends the reading.
    fn event(
        &mut self,
        event: Event<'_>,
        at: &granit_parser::Span,
        text: &str,
        report: &mut Report<'_>,
    ) -> bool {
        let span = span_of(at);
        if event.is_node() {
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                let message = format!("The brief holds more than {MAX_NODES} values.");
                report.add(span, codes::TOO_MANY_VALUES, message, "Split the work into several briefs.");
                return false;
            }
        }
        if event.tag().is_some() {
            let place = at.tag_span().map_or(span, |tag| span_of(&tag));
            report.add(
                place,
                codes::YAML_TAG,
                "A brief uses no YAML tags.",
                "Delete the tag; quote a value to make it a text.",
            );
        }
        match event {
            Event::DocumentStart(explicit, _) => return self.document(explicit, span, report),
            Event::DocumentEnd => document_end(at, text, report),
            Event::Anchor(..) => report.add(
                span,
                codes::ANCHOR,
                "A brief uses no YAML anchors.",
                "Delete it, and write the value where it is needed.",
            ),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                report.add(
                    span,
                    codes::ALIAS,
                    "A brief uses no YAML aliases.",
                    "Write the value out; put quotes around a text that begins with `*`.",
                );
                self.push(Node { span, value: Value::Alias });
            }
            Event::Scalar(value, style, ..) => {
                let written = at.slice(text).unwrap_or("");
                let text = scalar_text(&value, written, style, span, report);
                let plain = style == ScalarStyle::Plain;
                self.push(Node { span, value: Value::Scalar { text, plain } });
            }
            Event::SequenceStart(..) => self.open(span, false),
            Event::MappingStart(..) => self.open(span, true),
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            _ => {}
        }
        true
    }

    fn document(&mut self, explicit: bool, span: Span, report: &mut Report<'_>) -> bool {
        self.documents += 1;
        if self.documents > 1 {
            report.add(
                span,
                codes::SEVERAL_DOCUMENTS,
                "A second YAML document begins here; a brief is one document.",
                "Write each brief in a fence of its own.",
            );
            return false;
        }
        if explicit {
            report.add(
                span,
                codes::DOCUMENT_MARKER,
                "A brief has no `---` line.",
                "Delete the line; the fence marks where the brief begins and ends.",
            );
        }
        true
    }

    fn open(&mut self, start: Span, is_mapping: bool) {
        self.open.push(Open { start, nodes: Vec::new(), is_mapping });
    }

    fn close(&mut self, end: Span) {
        let Some(open) = self.open.pop() else { return };
        let span = Span { start: open.start.start, end: end.end };
        let value = if open.is_mapping {
            let mut nodes = open.nodes.into_iter();
            let mut entries = Vec::new();
            while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
                entries.push((key, value));
            }
            Value::Mapping(entries)
        } else {
            Value::List(open.nodes)
        };
        self.push(Node { span, value });
    }

    fn push(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.root = Some(node),
        }
    }
}

/// Returns the value that later rules see: nothing where nothing is written (the parser says `~`), and
/// a stand-in where an escape made a refused character, which is told here.
fn scalar_text(
    value: &str,
    written: &str,
    style: ScalarStyle,
    span: Span,
    report: &mut Report<'_>,
) -> String {
    let unwritten = style == ScalarStyle::Plain && span.start == span.end;
    let refused = style == ScalarStyle::DoubleQuoted && !report.check_decoded(value, written, span);
    if unwritten {
        String::new()
    } else if refused {
        STAND_IN.to_string()
    } else {
        value.to_owned()
    }
}

fn document_end(at: &granit_parser::Span, text: &str, report: &mut Report<'_>) {
    if at.slice(text).is_some_and(|marker| marker.starts_with("...")) {
        report.add(
            span_of(at),
            codes::DOCUMENT_MARKER,
            "A brief has no `...` line.",
            "Delete the line; the fence marks where the brief begins and ends.",
        );
    }
}

fn span_of(span: &granit_parser::Span) -> Span {
    Span { start: position_of(&span.start), end: position_of(&span.end) }
}

fn position_of(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() }
}

const TAB_MESSAGE: &str = "A tab is used for indentation, which YAML does not allow.";
const TAB_HELP: &str = "Indent with spaces; inside a script, tabs may follow the spaces.";

/// Finds a tab in the indentation of the line at which reading failed, or of the next one: the parser
/// often stumbles before it gets to the tab.
fn tab_near(line: usize, report: &Report<'_>) -> Option<Span> {
    (line..=line + 1).find_map(|number| {
        let source = report.source_line(number);
        let indentation = source.len() - source.trim_start_matches([' ', '\t']).len();
        let tab = source.get(..indentation)?.find('\t')?;
        Some(Span::line(number, tab, 1))
    })
}

/// Tells why a text is not YAML, in the words of this house where the case is a common one.
fn tell(error: &ScanError, report: &mut Report<'_>) {
    let start = position_of(error.marker());
    if let Some(tab) = tab_near(start.line, report) {
        report.add(tab, codes::TAB, TAB_MESSAGE, TAB_HELP);
        return;
    }
    let span = Span::line(start.line, start.column, 1);
    let (code, message, help) = match error.kind() {
        ErrorKind::RecursionLimitExceeded => (
            codes::TOO_DEEP,
            format!("The brief nests more than {MAX_DEPTH} lists and mappings in each other."),
            "A brief needs four levels; quote a text that holds many brackets.",
        ),
        ErrorKind::DirectiveDisallowed | ErrorKind::MissingDocumentEndBeforeDirective => {
            (codes::DIRECTIVE, "A brief uses no YAML directives.".to_owned(), "Delete the line.")
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => (codes::TAB, TAB_MESSAGE.to_owned(), TAB_HELP),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => (
            codes::YAML,
            "A quoted text has no closing quote.".to_owned(),
            "Close the quote, or write a long text as a block behind `|`.",
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            let open = quote(&open.to_string(), 1);
            (codes::YAML, format!("A {open} is never closed."), "Close it, or quote the text that holds it.")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            let character = quote(&character.to_string(), 1);
            (
                codes::YAML,
                format!("A value cannot begin with {character} in YAML."),
                "Put the value in quotes, or write it as a block behind `|`.",
            )
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            codes::YAML,
            "A colon stands here where YAML allows none.".to_owned(),
            "Quote a value that holds a colon and a space, as in `title: \"Reports: add one\"`.",
        ),
        ErrorKind::InvalidQuotedScalarIndent => (
            codes::YAML,
            "A quoted text goes on over this line.".to_owned(),
            "Close the quote where the text ends; write a long text as a block behind `|`.",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            codes::YAML,
            "This line is neither `field: value` nor a part of the value before it.".to_owned(),
            "Write `field: value` with a space behind the colon, and indent a script deeper than `shell:`.",
        ),
        _ => (
            codes::YAML,
            format!("The brief is not YAML here: {}.", visible(&error.info())),
            "Mind the indentation, and quote a text that holds a colon and a space, or that begins with a special character.",
        ),
    };
    report.add(span, code, message, help);
}

/// Makes the parser's own words fit for a message, since they may repeat a part of the text.
fn visible(info: &str) -> String {
    quote(info, 200).trim_matches('`').to_owned()
}
