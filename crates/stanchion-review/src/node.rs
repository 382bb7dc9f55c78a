//! The flat syntax tree: every node of a file in one vector, in the order of the text.
//!
//! A parent is one step away and a subtree is a range, so that no rule recurses and no hostile nesting ends the process.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use tree_sitter::{ParseOptions, ParseState, Parser};

use crate::model::Language;
use crate::source::Source;

/// Nodes deeper than this are left out: no person writes them, and every walk to an ancestor is bounded by it.
pub(crate) const DEPTH_MAX: u32 = 200;
/// Nodes of one file; a file of a megabyte of ordinary code has about 400,000.
pub(crate) const NODES_MAX: usize = 600_000;
/// Steps of the parser, in its own unit of about a hundred operations: ordinary megabytes take a tenth.
const PARSE_STEPS_MAX: u32 = 400_000;

/// A node as it is kept.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    kind: u16,
    field: u16,
    parent: u32,
    /// One past the last node of the subtree.
    after: u32,
    start: u32,
    end: u32,
}

/// The tree of one file.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) entries: Vec<Entry>,
    by_kind: HashMap<u16, Vec<u32>>,
    /// Something was left out: too deep, too many, or the parser gave up.
    pub(crate) cut: bool,
}

/// The names of a grammar's kinds and fields by their number.
struct Names {
    language: tree_sitter::Language,
    kinds: Vec<&'static str>,
    fields: Vec<&'static str>,
    named: Vec<bool>,
}

fn names(language: Language) -> Option<&'static Names> {
    static RUST: OnceLock<Names> = OnceLock::new();
    static GO: OnceLock<Names> = OnceLock::new();
    let load = |language: tree_sitter::Language| Names {
        kinds: ids(language.node_kind_count())
            .map(|id| language.node_kind_for_id(id).unwrap_or(""))
            .collect(),
        fields: ids(language.field_count() + 1)
            .map(|id| language.field_name_for_id(id).unwrap_or(""))
            .collect(),
        named: ids(language.node_kind_count())
            .map(|id| language.node_kind_is_named(id))
            .collect(),
        language,
    };
    match language {
        Language::Rust => Some(RUST.get_or_init(|| load(tree_sitter_rust::LANGUAGE.into()))),
        Language::Go => Some(GO.get_or_init(|| load(tree_sitter_go::LANGUAGE.into()))),
        Language::Docker | Language::Kubernetes | Language::Compose => None,
    }
}

fn ids(count: usize) -> impl Iterator<Item = u16> {
    0..u16::try_from(count).unwrap_or(u16::MAX)
}

/// Parses a text; a text of no grammar has an empty tree.
pub(crate) fn parse(language: Language, text: &str) -> Tree {
    let Some(names) = names(language) else {
        return Tree::default();
    };
    let mut parser = Parser::new();
    if parser.set_language(&names.language).is_err() {
        return Tree {
            cut: true,
            ..Tree::default()
        };
    }
    let mut steps = 0_u32;
    let mut progress = |_: &ParseState| {
        steps += 1;
        if steps > PARSE_STEPS_MAX {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let bytes = text.as_bytes();
    let options = ParseOptions::new().progress_callback(&mut progress);
    let parsed = parser.parse_with_options(
        &mut |at, _| bytes.get(at..).unwrap_or_default(),
        None,
        Some(options),
    );
    match parsed {
        Some(parsed) => flatten(&parsed),
        None => Tree {
            cut: true,
            ..Tree::default()
        },
    }
}

fn flatten(parsed: &tree_sitter::Tree) -> Tree {
    let mut tree = Tree::default();
    let mut cursor = parsed.walk();
    let mut open: Vec<u32> = Vec::new();
    loop {
        if tree.entries.len() >= NODES_MAX {
            tree.cut = true;
            break;
        }
        let node = cursor.node();
        let at = u32::try_from(tree.entries.len()).unwrap_or(u32::MAX);
        let kind = node.kind_id();
        tree.entries.push(Entry {
            kind,
            field: cursor.field_id().map_or(0, Into::into),
            parent: open.last().copied().unwrap_or(at),
            after: at + 1,
            start: u32::try_from(node.start_byte()).unwrap_or(u32::MAX),
            end: u32::try_from(node.end_byte()).unwrap_or(u32::MAX),
        });
        tree.by_kind.entry(kind).or_default().push(at);
        let deep = open.len() >= DEPTH_MAX as usize;
        tree.cut |= deep && node.child_count() > 0;
        if !deep && cursor.goto_first_child() {
            open.push(at);
            continue;
        }
        if !step_over(&mut cursor, &mut open, &mut tree.entries) {
            break;
        }
    }
    let end = u32::try_from(tree.entries.len()).unwrap_or(u32::MAX);
    for at in open {
        tree.entries[at as usize].after = end;
    }
    tree
}

/// Goes to the next node that is not below this one; false at the end.
fn step_over(
    cursor: &mut tree_sitter::TreeCursor<'_>,
    open: &mut Vec<u32>,
    entries: &mut [Entry],
) -> bool {
    loop {
        if cursor.goto_next_sibling() {
            return true;
        }
        let Some(parent) = open.pop() else {
            return false;
        };
        let end = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        entries[parent as usize].after = end;
        cursor.goto_parent();
    }
}

/// A node of a file's tree; cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    source: &'a Source,
    at: u32,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<'a> Node<'a> {
    fn entry(self) -> &'a Entry {
        &self.source.tree.entries[self.at as usize]
    }

    fn names(self) -> &'static Names {
        names(self.source.language).expect("a node comes from a tree, which has a grammar")
    }

    pub(crate) fn kind(self) -> &'static str {
        self.names()
            .kinds
            .get(usize::from(self.entry().kind))
            .copied()
            .unwrap_or("ERROR")
    }

    pub(crate) fn is(self, kind: &str) -> bool {
        self.kind() == kind
    }

    pub(crate) fn is_named(self) -> bool {
        self.names()
            .named
            .get(usize::from(self.entry().kind))
            .copied()
            .unwrap_or(true)
    }

    pub(crate) fn text(self) -> &'a str {
        self.source.slice(self.start(), self.end())
    }

    pub(crate) fn start(self) -> usize {
        self.entry().start as usize
    }

    pub(crate) fn end(self) -> usize {
        self.entry().end as usize
    }

    pub(crate) fn source(self) -> &'a Source {
        self.source
    }

    pub(crate) fn parent(self) -> Option<Self> {
        let parent = self.entry().parent;
        (parent != self.at).then_some(Self { at: parent, ..self })
    }

    /// Its parents, the nearest first.
    pub(crate) fn ancestors(self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), |node| node.parent())
    }

    /// The nearest parent of one of these kinds.
    pub(crate) fn up(self, kinds: &[&str]) -> Option<Self> {
        self.ancestors().find(|node| kinds.contains(&node.kind()))
    }

    /// Every node below it, in the order of the text.
    pub(crate) fn below(self) -> impl Iterator<Item = Self> {
        (self.at + 1..self.entry().after).map(move |at| Self { at, ..self })
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        other.at > self.at && other.at < self.entry().after
    }

    /// Nodes of one kind below it.
    pub(crate) fn each(self, kind: &'a str) -> impl Iterator<Item = Self> + 'a {
        self.below().filter(move |node| node.is(kind))
    }

    /// Its children, anonymous ones (operators, keywords) too.
    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        let end = self.entry().after;
        let first = (self.at + 1 < end).then_some(Self {
            at: self.at + 1,
            ..self
        });
        std::iter::successors(first, move |node| {
            let next = node.entry().after;
            (next < end).then_some(Self { at: next, ..*node })
        })
    }

    /// Its children that the grammar names, without comments.
    pub(crate) fn named(self) -> impl Iterator<Item = Self> {
        self.children()
            .filter(|node| node.is_named() && !node.kind().ends_with("comment"))
    }

    /// The child in that place of the grammar.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        let fields = &self.names().fields;
        self.children().find(|child| {
            fields
                .get(usize::from(child.entry().field))
                .is_some_and(|field| *field == name)
        })
    }

    /// Text of that child, or nothing.
    pub(crate) fn field_text(self, name: &str) -> &'a str {
        self.field(name).map_or("", Self::text)
    }

    /// Whether it holds such an anonymous child: a keyword, an operator.
    pub(crate) fn has_token(self, token: &str) -> bool {
        self.children().any(|child| child.is(token))
    }

    /// Sibling statements after it in its block.
    pub(crate) fn later_siblings(self) -> impl Iterator<Item = Self> {
        let end = self.parent().map_or(0, |parent| parent.entry().after);
        let step = move |node: &Self| {
            let next = node.entry().after;
            (next < end).then_some(Self { at: next, ..*node })
        };
        std::iter::successors(step(&self), step).filter(|node| node.is_named())
    }
}

impl Source {
    /// Nodes of one kind in this file, in the order of the text.
    pub(crate) fn each(&self, kind: &str) -> impl Iterator<Item = Node<'_>> {
        let kinds = names(self.language).map_or(&[][..], |names| &names.kinds);
        let mut found: Vec<u32> = kinds
            .iter()
            .enumerate()
            .filter(|(_, name)| **name == kind)
            .filter_map(|(id, _)| self.tree.by_kind.get(&u16::try_from(id).ok()?))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.into_iter().map(|at| Node { source: self, at })
    }
}
