use std::fmt;

use crate::given::{Given, joined, variable_name};
use crate::setting::Value;
use crate::{Outline, Problem, Problems, Rule, Setting, Source};

/// A section of the configuration; made by [`settings!`](crate::settings), seldom by hand.
pub trait Settings: Clone + Default + fmt::Debug {
    /// Tells every key below, with `self` as the defaults.
    fn describe(&self, outline: &mut Outline);

    /// Reads every key below, with `self` as the defaults.
    fn read(self, reader: &mut Reader<'_>) -> Self;
}

/// Hands out values by key and collects what is wrong with them.
pub struct Reader<'a> {
    prefix: &'a str,
    section: String,
    given: Given<'a>,
    pub(crate) entries: Vec<Entry>,
}

/// One key as it was resolved.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) shown: Option<String>,
    pub(crate) source: Source,
}

/// Collects what is wrong with a section as a whole; every key is relative to that section.
#[derive(Debug)]
pub struct Checks<'a> {
    section: &'a str,
    entries: &'a [Entry],
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(prefix: &'a str, given: Given<'a>) -> Self {
        Reader {
            prefix,
            section: String::new(),
            given,
            entries: Vec::new(),
        }
    }

    /// The value of `name` in the section at hand, or `default` when none is given or the given one is wrong.
    pub fn leaf<T: Setting>(&mut self, name: &str, default: T, rule: &Rule<T>) -> T {
        let key = joined(&self.section, name);
        let (value, source) = match self.given.values.remove(&key) {
            None => (default, Source::Default),
            Some((given, source)) => match read_value(&given, &source, rule) {
                Ok(value) => (value, source),
                Err(what) => {
                    self.refuse::<T>(source, &key, what, rule);
                    return default;
                }
            },
        };
        let hidden = || Some("\"***\"".to_owned());
        let shown = value.show().and_then(|shown| {
            if source.is_secret() {
                hidden()
            } else {
                Some(shown)
            }
        });
        self.entries.push(Entry { key, shown, source });
        value
    }

    /// The section `name` below the one at hand.
    pub fn section<T: Settings>(&mut self, name: &str, defaults: T) -> T {
        let key = joined(&self.section, name);
        let outer = std::mem::replace(&mut self.section, key);
        let value = defaults.read(self);
        self.section = outer;
        value
    }

    /// How many problems were found so far.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.given.problems.len()
    }

    /// Lets `check` judge a section that was read without a problem.
    pub fn check<T>(&mut self, value: &T, check: impl FnOnce(&T, &mut Checks<'_>)) {
        let section = &self.section;
        check(
            value,
            &mut Checks {
                section,
                entries: &self.entries,
                problems: &mut self.given.problems,
            },
        );
    }

    pub(crate) fn finish(self) -> (Vec<Entry>, Problems) {
        (self.entries, self.given.problems)
    }

    fn refuse<T: Setting>(&mut self, source: Source, key: &str, what: String, rule: &Rule<T>) {
        let name = match &source {
            Source::File { .. } => format!("`{key}`"),
            Source::Argument(argument) => argument.clone(),
            _ => variable_name(self.prefix, key),
        };
        let range = rule
            .text()
            .map(|range| format!(", {range}"))
            .unwrap_or_default();
        let mend = format!("give {name} {}{range}", T::expected());
        self.given.problems.push(Problem {
            source,
            key: key.to_owned(),
            what,
            mend,
        });
    }
}

impl<'a> Checks<'a> {
    pub(crate) fn new(entries: &'a [Entry], problems: &'a mut Problems) -> Self {
        Checks {
            section: "",
            entries,
            problems,
        }
    }

    /// Reports that the value of `key` (such as `idle`, or `cors.origins` for one in a section below) cannot be:
    /// `what` is wrong with it, and how to `mend` that. Neither may repeat a secret.
    pub fn refuse(&mut self, key: &str, what: impl Into<String>, mend: impl Into<String>) {
        let key = joined(self.section, key);
        let source = source_of(self.entries, &key)
            .cloned()
            .unwrap_or(Source::Default);
        self.problems.push(Problem {
            source,
            key,
            what: what.into(),
            mend: mend.into(),
        });
    }

    /// Where the value of `key` came from; `None` when there is no such key.
    #[must_use]
    pub fn source(&self, key: &str) -> Option<&Source> {
        source_of(self.entries, &joined(self.section, key))
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("section", &self.section)
            .finish_non_exhaustive()
    }
}

pub(crate) fn source_of<'e>(entries: &'e [Entry], key: &str) -> Option<&'e Source> {
    entries
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.source)
}

/// The typed value, or what is wrong with it in words that repeat no secret.
fn read_value<T: Setting>(given: &Value, source: &Source, rule: &Rule<T>) -> Result<T, String> {
    let read = match (given, source) {
        (value, Source::File { .. }) => T::from_value(value),
        (Value::Text(text), _) => T::parse(text),
        (value, _) => T::from_value(value),
    };
    let ruled = read.and_then(|value| match rule.holds(&value) {
        true => Ok(value),
        false => Err(format!(
            "{} is not allowed",
            value.show().unwrap_or_default()
        )),
    });
    let secret = T::SECRET || source.is_secret();
    ruled.map_err(|what| {
        if secret {
            "the value (not shown here) is wrong".to_owned()
        } else {
            what
        }
    })
}
