//! Where a rule puts what it found.

use crate::facts::Facts;
use crate::model::{Confidence, Finding, Rule, Severity};
use crate::node::Node;
use crate::source::Source;

/// Findings of one rule in one file; a hostile file makes no more.
const FINDINGS_MAX: usize = 200;
/// Characters of a snippet.
const SNIPPET_MAX: usize = 160;

/// The findings of one rule so far.
pub(crate) struct Found<'a> {
    rule: &'a Rule,
    source: Option<&'a Source>,
    with_tests: bool,
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Found<'a> {
    pub(crate) fn new(rule: &'a Rule, source: Option<&'a Source>, with_tests: bool) -> Self {
        Self {
            rule,
            source,
            with_tests,
            findings: Vec::new(),
        }
    }

    /// This node is wrong, as the rule's title says.
    pub(crate) fn at(&mut self, node: Node<'_>) {
        self.at_as(node, self.rule.title, self.rule.confidence);
    }

    /// This node is wrong, said in other words.
    pub(crate) fn at_saying(&mut self, node: Node<'_>, message: &str) {
        self.at_as(node, message, self.rule.confidence);
    }

    /// This node may be wrong.
    pub(crate) fn at_maybe(&mut self, node: Node<'_>, confidence: Confidence) {
        self.at_as(node, self.rule.title, confidence.min(self.rule.confidence));
    }

    /// This node is as the rule says because whoever runs the program may ask for it: a reader should see it, nobody
    /// should be stopped by it.
    pub(crate) fn at_asked_for(&mut self, node: Node<'_>) {
        let before = self.findings.len();
        self.at_as(node, self.rule.title, Confidence::Low);
        for finding in &mut self.findings[before..] {
            finding.severity = Severity::Low;
        }
    }

    fn at_as(&mut self, node: Node<'_>, message: &str, confidence: Confidence) {
        let source = node.source();
        if source.in_test(node.start()) && !self.with_tests {
            return;
        }
        let (line, column) = (source.line_of(node.start()), source.column_of(node.start()));
        self.push(
            &source.path,
            line,
            column,
            source.line(line),
            message,
            confidence,
        );
    }

    /// This line of the file is wrong.
    pub(crate) fn at_line(&mut self, line: u32, message: &str) {
        if let Some(source) = self.source
            && (self.with_tests || !source.is_test)
        {
            let column = source
                .line(line)
                .chars()
                .take_while(|letter| letter.is_whitespace())
                .count()
                + 1;
            let column = u32::try_from(column).unwrap_or(1);
            self.push(
                &source.path,
                line,
                column,
                source.line(line),
                message,
                self.rule.confidence,
            );
        }
    }

    /// A place of a file that is known by its facts only.
    pub(crate) fn at_fact(&mut self, facts: &Facts, line: u32, snippet: &str, message: &str) {
        if self.with_tests || !facts.is_test {
            self.push(&facts.path, line, 1, snippet, message, self.rule.confidence);
        }
    }

    fn push(
        &mut self,
        path: &str,
        line: u32,
        column: u32,
        text: &str,
        message: &str,
        confidence: Confidence,
    ) {
        let same = |finding: &Finding| finding.line == line && finding.path == path;
        if self.findings.len() >= FINDINGS_MAX || self.findings.iter().any(same) {
            return;
        }
        let snippet = printable(text);
        self.findings.push(Finding {
            rule: self.rule.name,
            message: message.to_owned(),
            severity: self.rule.severity,
            confidence,
            point: self.rule.point,
            path: path.to_owned(),
            line,
            column,
            fingerprint: fingerprint(&[self.rule.name, path, &snippet]),
            snippet,
        });
    }
}

/// A line that a terminal shows as it is: a repository under review must not move the cursor or set a title.
pub(crate) fn printable(text: &str) -> String {
    let shown = text.trim().chars().take(SNIPPET_MAX);
    shown
        .map(|letter| if is_hidden(letter) { ' ' } else { letter })
        .collect()
}

/// A path, or a sentence that names one, as long as it is; what cannot be shown is seen to be there.
pub(crate) fn printable_path(path: &str) -> String {
    let shown = path.chars();
    shown
        .map(|letter| {
            if is_hidden(letter) {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}

fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || ('\u{200b}'..='\u{202e}').contains(&letter)
        || ('\u{2066}'..='\u{2069}').contains(&letter)
}

/// FNV-1a over the parts: stable between versions and machines, which the standard hasher does not promise.
pub(crate) fn fingerprint(parts: &[&str]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| {
        part.bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .chain([0])
    }) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
