use std::fmt;
use std::path::PathBuf;

/// Where a value came from, weakest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The default in the type.
    Default,
    /// A line of a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 when the file as a whole is meant.
        line: usize,
    },
    /// An environment variable of that name.
    Variable(String),
    /// The file that an environment variable names.
    SecretFile {
        /// The variable, ending in `_FILE`.
        variable: String,
        /// The file it names.
        path: PathBuf,
    },
    /// A command-line argument, as the user writes it.
    Argument(String),
}

impl Source {
    /// Whether what came from here must never be shown.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self, Source::SecretFile { .. })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File { path, line: 0 } => write!(f, "{}", path.display()),
            Source::File { path, line } => write!(f, "{}:{line}", path.display()),
            Source::Variable(name) | Source::Argument(name) => f.write_str(name),
            Source::SecretFile { variable, path } => write!(f, "{variable} ({})", path.display()),
        }
    }
}
