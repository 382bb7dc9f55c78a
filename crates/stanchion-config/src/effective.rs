use crate::reader::{Checks, Entry, source_of};
use crate::{Problems, Source};

/// A configuration that was read without a problem, and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    pub(crate) entries: Vec<Entry>,
}

impl<T> Loaded<T> {
    /// Every key with its value and source, as TOML, one a line; secrets are `"***"`, unset keys are comments.
    #[must_use]
    pub fn effective(&self) -> String {
        let line = |entry: &Entry| match &entry.shown {
            Some(shown) => format!("{} = {shown}  # {}\n", entry.key, one_line(&entry.source)),
            None => format!("# {} is unset  # {}\n", entry.key, one_line(&entry.source)),
        };
        self.entries.iter().map(line).collect()
    }

    /// Where the value of `key` (such as `server.listen`) came from; `None` when there is no such key.
    #[must_use]
    pub fn source(&self, key: &str) -> Option<&Source> {
        source_of(&self.entries, key)
    }

    /// Whether `key` was given at all, rather than left at its default.
    #[must_use]
    pub fn is_given(&self, key: &str) -> bool {
        self.source(key)
            .is_some_and(|source| *source != Source::Default)
    }

    /// Lets `check` judge the whole, for rules across sections.
    ///
    /// # Errors
    /// Everything `check` refused.
    pub fn check(self, check: impl FnOnce(&T, &mut Checks<'_>)) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        check(&self.value, &mut Checks::new(&self.entries, &mut problems));
        problems.or(self)
    }
}

/// A path may hold a line break; a comment may not.
fn one_line(source: &Source) -> String {
    source.to_string().escape_debug().to_string()
}
