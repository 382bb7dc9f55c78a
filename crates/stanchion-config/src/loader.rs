use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::given::Given;
use crate::{Loaded, Outline, Problems, Reader, Settings};

/// Gathers the sources and reads a configuration from them.
///
/// Nothing is read before [`load`](Loader::load). Its `Debug` shows no value.
#[derive(Clone)]
pub struct Loader {
    prefix: String,
    files: Vec<PathBuf>,
    variables: BTreeMap<String, Option<String>>,
    arguments: Vec<(String, String, String)>,
}

impl Loader {
    /// A loader whose variables begin with `prefix` and two underscores, `SHOP__`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Loader {
            prefix,
            files: Vec::new(),
            variables: BTreeMap::new(),
            arguments: Vec::new(),
        }
    }

    /// Adds a TOML file that must exist; a later file wins over an earlier one.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Adds a TOML file if there is one at that path; one that is there but unreadable is still a problem.
    #[must_use]
    pub fn file_if_present(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if path.try_exists().unwrap_or(true) {
            self.file(path)
        } else {
            self
        }
    }

    /// Adds variables; those without the prefix are ignored.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables
            .extend(variables.into_iter().map(|(name, text)| (name, Some(text))));
        self
    }

    /// Adds the variables of this process; one with the prefix that is not UTF-8 is a problem.
    #[must_use]
    pub fn process_environment(mut self) -> Self {
        let named =
            std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text)));
        self.variables
            .extend(named.map(|(name, text)| (name, text.into_string().ok())));
        self
    }

    /// Adds a command-line argument that sets `key` to `text`; the strongest source.
    ///
    /// `argument` is how the user wrote it, `--role`; a `key` nobody knows is ignored.
    #[must_use]
    pub fn argument(mut self, argument: &str, key: &str, text: &str) -> Self {
        self.arguments
            .push((argument.to_owned(), key.to_owned(), text.to_owned()));
        self
    }

    /// Reads a configuration over the type's own defaults.
    ///
    /// # Errors
    /// Everything that is wrong, in all sources together.
    pub fn load<T: Settings>(self) -> Result<Loaded<T>, Problems> {
        self.load_over(T::default())
    }

    /// Reads a configuration over other defaults.
    ///
    /// # Errors
    /// Everything that is wrong, in all sources together.
    pub fn load_over<T: Settings>(self, defaults: T) -> Result<Loaded<T>, Problems> {
        let outline = Outline::of(&defaults);
        let mut given = Given::new(&self.prefix, &outline);
        self.files.iter().for_each(|path| given.file(path));
        given.environment(&self.variables);
        for (argument, key, text) in &self.arguments {
            given.argument(argument, key, text);
        }
        let mut reader = Reader::new(&self.prefix, given);
        let value = defaults.read(&mut reader);
        let (entries, problems) = reader.finish();
        problems.or(Loaded { value, entries })
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("prefix", &self.prefix)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
