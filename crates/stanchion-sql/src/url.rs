use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where data is kept: `sqlite://DIR` (a file a module) or `postgres://…` (a schema a module).
///
/// A password in it is never printed.
#[derive(Clone)]
pub struct DatabaseUrl(Place);

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded SQLite.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

#[derive(Clone)]
pub(crate) enum Place {
    Folder(PathBuf),
    Server(SecretString),
}

/// A database URL that is neither of the two known kinds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a database URL is `sqlite://DIR` or `postgres://USER:PASSWORD@HOST/DATABASE`: {0}")]
pub struct InvalidDatabaseUrl(String);

impl DatabaseUrl {
    /// A folder with one SQLite file a module.
    pub fn sqlite(folder: impl Into<PathBuf>) -> Self {
        Self(Place::Folder(folder.into()))
    }

    /// Which database it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.0 {
            Place::Folder(_) => Engine::Sqlite,
            Place::Server(_) => Engine::Postgres,
        }
    }

    /// The folder of the SQLite files.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match &self.0 {
            Place::Folder(folder) => Some(folder),
            Place::Server(_) => None,
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason: &str| Err(InvalidDatabaseUrl(reason.to_owned()));
        if let Some(folder) = text.strip_prefix("sqlite://") {
            return match folder {
                "" => invalid("the folder is missing"),
                folder => Ok(Self::sqlite(folder)),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            crate::postgres::parse(text).map_err(|error| InvalidDatabaseUrl(error.to_string()))?;
            return Ok(Self(Place::Server(text.into())));
        }
        // The text itself is not shown: it may hold a password.
        invalid("unknown scheme")
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Folder(folder) => write!(f, "sqlite://{}", folder.display()),
            Place::Server(url) => f.write_str(&without_password(url.expose_secret())),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for DatabaseUrl {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Place::Folder(one), Place::Folder(two)) => one == two,
            (Place::Server(one), Place::Server(two)) => one.expose_secret() == two.expose_secret(),
            _ => false,
        }
    }
}

impl Serialize for DatabaseUrl {
    /// As displayed: without the password.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn without_password(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return "***".into();
    };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:***@{host}")
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let url: DatabaseUrl = "postgres://shop:s3cret@db.example:5432/shop?sslmode=disable"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "postgres://shop:***@db.example:5432/shop postgres://shop:***@db.example:5432/shop"
        );
        let refused = "mysql://root:s3cret@db".parse::<DatabaseUrl>().unwrap_err();
        assert!(!refused.to_string().contains("s3cret"));
    }

    #[test]
    fn the_scheme_chooses_the_database() {
        let sqlite: DatabaseUrl = "sqlite://data/store".parse().unwrap();
        assert_eq!(sqlite.folder(), Some(Path::new("data/store")));
        let absolute: DatabaseUrl = "sqlite:///var/lib/shop".parse().unwrap();
        assert_eq!(absolute.folder(), Some(Path::new("/var/lib/shop")));
        let server: DatabaseUrl = "postgresql://localhost/shop".parse().unwrap();
        assert_eq!(server.engine(), Engine::Postgres);
        assert!("sqlite://".parse::<DatabaseUrl>().is_err());
        assert!(
            "postgres://localhost/shop?sslmode=perhaps"
                .parse::<DatabaseUrl>()
                .is_err()
        );
    }
}
