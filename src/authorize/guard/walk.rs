//! Goes through the syntax tree of a step and finds each simple command, wherever it stands.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::call::{Call, Folder};
use super::parse::{Budget, doubts};
use super::peel::{Inner, inner};
use super::rules::{Meaning, Rules, base};
use super::script::{Script, moves};
use super::word::Word;
use super::{MAX_ROWS, Row, Verdict};
use crate::brief::Work;

/// How many statements, expansions and commands may nest, over all scripts within scripts.
const MAX_DEPTH: usize = 100;
/// How many scripts may nest, as `bash -c` within `bash -c` does.
const MAX_SCRIPTS: usize = 4;

/// Finds the commands of the steps of one brief.
pub(super) struct Walk<'r, 'c> {
    rules: &'r Rules<'c>,
    budget: Budget,
    step: usize,
    depth: usize,
    scripts: usize,
    pub rows: Vec<Row>,
    full: bool,
}

impl<'r, 'c> Walk<'r, 'c> {
    pub(super) fn new(rules: &'r Rules<'c>) -> Self {
        Self { rules, budget: Budget::new(), step: 0, depth: 0, scripts: 0, rows: Vec::new(), full: false }
    }

    /// Goes through the script of a step; steps count from 1.
    pub(super) fn step(&mut self, step: usize, source: &str) {
        self.step = step;
        self.script(source, None, &Folder::Known(self.rules.root.clone()));
        self.end_step();
    }

    fn end_step(&mut self) {
        if self.full && self.rows.len() == MAX_ROWS {
            self.rows.push(self.undecided(1, "there are more commands than are listed"));
        }
    }

    /// Judges the one command of a step that is no shell script, with the variables that it sets.
    pub(super) fn program(&mut self, step: usize, work: &Work, env: &BTreeMap<String, String>) {
        self.step = step;
        let call = Call {
            line: 1,
            words: work.words().iter().map(|word| Word::literal(word)).collect(),
            assigned: env.keys().cloned().collect(),
            odd: match work {
                Work::Python { .. } => Some("what a Python script does is only known in the run"),
                _ => None,
            },
            external: true,
            ..Call::default()
        };
        if let Some(row) =
            self.rules.judge(step, &call, &Folder::Known(self.rules.root.clone()), Meaning::Program)
        {
            self.push(row);
        }
        self.end_step();
    }

    fn script(&mut self, source: &str, line: Option<usize>, folder: &Folder) {
        if self.scripts == MAX_SCRIPTS {
            return self.doubt(line.unwrap_or(1), "too many scripts run scripts");
        }
        let tree = match self.budget.parse(source) {
            Ok(tree) => tree,
            Err(why) => return self.doubt(line.unwrap_or(1), why),
        };
        for (at, why) in doubts(&tree, source) {
            self.doubt(line.unwrap_or(at), why);
        }
        let script = Script::new(&tree, source, line);
        let depth = std::mem::take(&mut self.depth);
        self.scripts += 1;
        self.visit(tree.root_node(), &script, folder);
        self.scripts -= 1;
        self.depth = depth;
    }

    /// Visits a node and what is in it. Returns the folder of what comes after it.
    pub(super) fn visit(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) -> Folder {
        if self.full
            || (node.child_count() == 0 && !matches!(node.kind(), "command" | "redirected_statement"))
        {
            return folder.clone();
        }
        if self.depth == MAX_DEPTH {
            self.doubt(script.line_of(node), "the script nests too deeply");
            return Folder::Unknown;
        }
        self.depth += 1;
        let after = self.visit_kind(node, script, folder);
        self.depth -= 1;
        after
    }

    fn visit_kind(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) -> Folder {
        match node.kind() {
            "program" | "do_group" | "compound_statement" | "negated_command" => {
                self.sequence(node, script, folder)
            }
            "list" => self.list(node, script, folder),
            "command"
            | "declaration_command"
            | "unset_command"
            | "test_command"
            | "variable_assignment"
            | "variable_assignments"
            | "file_redirect" => self.simple(node, None, script, folder),
            "redirected_statement" => self.redirected(node, script, folder),
            "for_statement" | "c_style_for_statement" => {
                if let Some(name) = node.child_by_field_name("variable") {
                    let call = Call { assigned: vec![script.text(name).to_owned()], ..script.call(node) };
                    self.call(call, script, folder);
                }
                self.branches(node, script, folder)
            }
            "while_statement" | "if_statement" | "case_statement" => self.branches(node, script, folder),
            "function_definition" => {
                let inside = if script.moves { &Folder::Unknown } else { folder };
                self.parts(node, script, inside);
                folder.clone()
            }
            "expansion" => {
                self.expansion(node, script, folder);
                self.parts(node, script, folder);
                folder.clone()
            }
            "subshell" | "command_substitution" | "process_substitution" => {
                self.sequence(node, script, folder);
                folder.clone()
            }
            _ => {
                self.parts(node, script, folder);
                folder.clone()
            }
        }
    }

    /// Visits what runs one after the other.
    fn sequence(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) -> Folder {
        let mut folder = folder.clone();
        let mut cursor = node.walk();
        let mut children = node.children(&mut cursor).peekable();
        while let Some(child) = children.next() {
            let after = self.visit(child, script, &folder);
            // What runs in the background has a folder of its own.
            if children.peek().is_none_or(|next| next.kind() != "&") {
                folder = after;
            }
        }
        folder
    }

    /// Visits `a && b || c`, which the tree nests to the left as deep as it is long.
    fn list(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) -> Folder {
        let mut parts = Vec::new();
        let mut left = node;
        while left.kind() == "list" {
            let mut cursor = left.walk();
            let children: Vec<Node<'_>> = left.children(&mut cursor).collect();
            let Some((first, rest)) = children.split_first() else { break };
            parts.extend(rest.iter().rev().copied());
            left = *first;
        }
        parts.push(left);
        let mut now = folder.clone();
        for part in parts.into_iter().rev() {
            match part.kind() {
                // What ran before failed, so where it led to is not known.
                "||" if now != *folder => now = Folder::Unknown,
                _ => now = self.visit(part, script, &now),
            }
        }
        if now == *folder { now } else { Folder::Unknown }
    }

    /// Visits what runs now and then, or several times.
    fn branches(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) -> Folder {
        let folder = if moves(script.text(node)) { &Folder::Unknown } else { folder };
        self.parts(node, script, folder);
        folder.clone()
    }

    /// Visits each part of a node in the same folder, as of a pipeline or an expression.
    pub(super) fn parts(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) {
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            self.visit(child, script, folder);
        }
    }

    fn expansion(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) {
        let text = script.text(node);
        let line = script.line_of(node);
        if text.contains("@P") {
            self.doubt(line, "`@P` runs what stands in a variable");
        }
        // `${!list[@]}` lists indexes and `${!start@}` names.
        let lists =
            text.ends_with("@}") || text.ends_with("*}") || text.ends_with("@]}") || text.ends_with("*]}");
        if text.starts_with("${!") && !lists {
            self.doubt(line, "which variable `${!…}` names is only known in the run");
        }
        if let Some((name, _)) = text.trim_start_matches("${").split_once('=') {
            let name = name.trim_end_matches(':').to_owned();
            if super::word::is_name(&name) {
                let call = Call { assigned: vec![name], ..script.call(node) };
                self.call(call, script, folder);
            }
        }
    }

    /// Visits a statement with redirections behind it.
    fn redirected(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder) -> Folder {
        let simple = |body: &Node<'_>| {
            matches!(
                body.kind(),
                "command" | "declaration_command" | "unset_command" | "test_command" | "variable_assignment"
            )
        };
        match node.child_by_field_name("body") {
            Some(body) if !simple(&body) => {
                let after = self.visit(body, script, folder);
                self.simple(node, Some(body.id()), script, folder);
                after
            }
            _ => self.simple(node, None, script, folder),
        }
    }

    /// Reads a simple command, or the redirections around another statement, whose node is left out.
    fn simple(
        &mut self,
        node: Node<'_>,
        without: Option<usize>,
        script: &Script<'_>,
        folder: &Folder,
    ) -> Folder {
        let at = self.rows.len();
        let mut call = script.call(node);
        self.gather(node, without, script, folder, &mut call);
        if without.is_some() && !call.words.is_empty() {
            call.odd = Some("words behind the end of a statement");
        }
        // What is substituted into a command has its rows behind it, although it runs first.
        let inside = self.rows.split_off(at.min(self.rows.len()));
        let after = self.call(call, script, folder);
        let room = MAX_ROWS.saturating_sub(self.rows.len());
        self.full |= inside.len() > room;
        self.rows.extend(inside.into_iter().take(room));
        after
    }

    /// Judges a command, and what it runs in turn. Returns the folder of what comes after it.
    fn call(&mut self, mut call: Call, script: &Script<'_>, folder: &Folder) -> Folder {
        call.settle();
        let function = call.name().filter(|_| !call.external).and_then(|name| script.functions.get(name));
        let meaning = match function {
            None => Meaning::Program,
            Some(function) if function.certain && function.end <= call.start => Meaning::Function,
            Some(_) => Meaning::Either,
        };
        if let Some(row) = self.rules.judge(self.step, &call, folder, meaning) {
            self.push(row);
        }
        if function.is_some_and(|function| function.moves) {
            return Folder::Unknown;
        }
        let Some(name) = call.name() else { return folder.clone() };
        if matches!(name, "cd" | "pushd" | "popd") && !call.external && meaning == Meaning::Program {
            return self.rules.moved(&call, folder);
        }
        match inner(base(name), call.args(), call.input.as_deref()) {
            Inner::None => folder.clone(),
            Inner::Unknown(why) => {
                // Where the program itself is refused, that says enough.
                if let Some(row) = self.rows.last_mut().filter(|row| row.verdict == Verdict::Allowed) {
                    (row.verdict, row.reason) = (Verdict::Undecided, why);
                }
                folder.clone()
            }
            Inner::Script(text) => {
                // A trap runs later, wherever the script is by then.
                let later = name == "trap" && script.moves;
                self.script(&text, Some(call.line), if later { &Folder::Unknown } else { folder });
                folder.clone()
            }
            Inner::Command { at, end, more } => {
                if self.depth == MAX_DEPTH {
                    self.doubt(call.line, "too many commands run commands");
                    return folder.clone();
                }
                let args = call.args();
                let inner = Call {
                    assigned: args[..at].iter().filter_map(Word::assignment).map(str::to_owned).collect(),
                    words: args[at..end].to_vec(),
                    redirects: Vec::new(),
                    input: call.input.clone().filter(|_| !more),
                    more,
                    external: !matches!(name, "command" | "builtin" | "time" | "coproc"),
                    ..call.clone()
                };
                self.depth += 1;
                let after = self.call(inner, script, folder);
                self.depth -= 1;
                if matches!(name, "coproc") { folder.clone() } else { after }
            }
        }
    }

    fn doubt(&mut self, line: usize, why: &str) {
        let row = self.undecided(line, why);
        self.push(row);
    }

    fn undecided(&self, line: usize, why: &str) -> Row {
        Row {
            step: self.step,
            line,
            binary: None,
            subcommand: None,
            flags: Vec::new(),
            paths: Vec::new(),
            redirections: Vec::new(),
            verdict: Verdict::Undecided,
            reason: why.to_owned(),
        }
    }

    fn push(&mut self, row: Row) {
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        } else {
            self.full = true;
        }
    }
}
