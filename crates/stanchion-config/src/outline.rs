use std::collections::BTreeSet;

use crate::given::joined;
use crate::suggest::nearest;
use crate::{Rule, Setting, Settings};

/// Every key of a configuration with its documentation and default.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    section: String,
    leaves: Vec<Leaf>,
    sections: Vec<Section>,
    leaf_keys: BTreeSet<String>,
    section_keys: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Leaf {
    section: String,
    name: String,
    docs: Vec<String>,
    expected: String,
    shown: Option<String>,
    secret: bool,
}

#[derive(Debug, Clone)]
struct Section {
    key: String,
    docs: Vec<String>,
}

/// A TOML file with every key at its default, explained by the doc comments; it parses back to the defaults.
#[must_use]
pub fn default_file<T: Settings>() -> String {
    default_file_over(&T::default())
}

/// The same for defaults other than the type's own.
#[must_use]
pub fn default_file_over<T: Settings>(defaults: &T) -> String {
    Outline::of(defaults).file()
}

impl Outline {
    /// The keys and defaults of `settings`.
    pub fn of<T: Settings>(settings: &T) -> Self {
        let mut outline = Outline::default();
        settings.describe(&mut outline);
        outline
    }

    /// Adds one value to the section at hand.
    pub fn leaf<T: Setting>(&mut self, name: &str, docs: &[&str], default: &T, rule: &Rule<T>) {
        let range = rule
            .text()
            .map(|range| format!(", {range}"))
            .unwrap_or_default();
        let leaf = Leaf {
            section: self.section.clone(),
            name: name.to_owned(),
            docs: lines(docs),
            expected: format!("{}{range}", T::expected()),
            shown: default.show(),
            secret: T::SECRET,
        };
        self.leaf_keys.insert(joined(&self.section, name));
        self.leaves.push(leaf);
    }

    /// Adds a section below the one at hand.
    pub fn section<T: Settings>(&mut self, name: &str, docs: &[&str], defaults: &T) {
        let key = joined(&self.section, name);
        self.section_keys.insert(key.clone());
        self.sections.push(Section {
            key: key.clone(),
            docs: lines(docs),
        });
        let outer = std::mem::replace(&mut self.section, key);
        defaults.describe(self);
        self.section = outer;
    }

    /// Every key of a value, in dotted form.
    pub fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.leaf_keys.iter().map(String::as_str)
    }

    pub(crate) fn has_leaf(&self, key: &str) -> bool {
        self.leaf_keys.contains(key)
    }

    pub(crate) fn has_section(&self, key: &str) -> bool {
        self.section_keys.contains(key)
    }

    pub(crate) fn nearest(&self, key: &str) -> Option<&str> {
        nearest(
            key,
            self.keys()
                .chain(self.section_keys.iter().map(String::as_str))
                .collect::<Vec<_>>()
                .into_iter(),
        )
    }

    fn file(&self) -> String {
        let mut text = String::new();
        self.write_leaves_of("", &mut text);
        for section in &self.sections {
            blank_line(&mut text);
            section
                .docs
                .iter()
                .for_each(|line| comment(line, &mut text));
            text.push_str(&format!("[{}]\n", section.key));
            self.write_leaves_of(&section.key, &mut text);
        }
        text
    }

    fn write_leaves_of(&self, section: &str, text: &mut String) {
        for leaf in self.leaves.iter().filter(|leaf| leaf.section == section) {
            leaf.docs.iter().for_each(|line| comment(line, text));
            match &leaf.shown {
                Some(shown) if !leaf.secret => text.push_str(&format!("{} = {shown}\n", leaf.name)),
                _ => text.push_str(&format!("# {} =    # {}\n", leaf.name, leaf.expected)),
            }
        }
    }
}

/// Doc comments as the macro gets them: each line begins with the space after `///`.
fn lines(docs: &[&str]) -> Vec<String> {
    docs.iter()
        .flat_map(|doc| doc.lines())
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned())
        .collect()
}

fn comment(line: &str, text: &mut String) {
    let line = format!("# {line}");
    text.push_str(line.trim_end());
    text.push('\n');
}

fn blank_line(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}
