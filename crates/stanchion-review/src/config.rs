//! `stanchion.toml`: what a repository declares about itself.

use serde::Deserialize;

/// What a repository tells the review.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// What to review.
    pub review: ReviewConfig,
    /// What the code should look like; empty declares nothing.
    pub architecture: Architecture,
}

/// What to review.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReviewConfig {
    /// Files and folders to leave out, from the root.
    pub exclude: Vec<String>,
    /// Rules that are not asked; an unknown name is an error.
    pub disable: Vec<String>,
}

/// The declared architecture.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Architecture {
    /// Layers, checked against each other.
    pub layer: Vec<Layer>,
    /// Bounded contexts, checked against each other.
    pub context: Vec<Layer>,
    /// Arrows that may be: `adapters -> domain`; `*` is any.
    pub allow: Vec<String>,
}

/// An area of the source: a layer or a context.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Its name in arrows.
    pub name: String,
    /// Where it is: paths from the root, `*` stands for one part.
    pub paths: Vec<String>,
}

/// Why a `stanchion.toml` was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, or a field that is not known.
    #[error("stanchion.toml: {0}")]
    Form(#[from] toml::de::Error),
    /// An arrow that is not `a -> b` of known names.
    #[error("stanchion.toml: the arrow `{0}` is not `one -> other` of declared names")]
    Arrow(String),
    /// A rule that does not exist.
    #[error("stanchion.toml: there is no rule `{0}`")]
    Rule(String),
}

impl Config {
    /// Reads and checks the text of a `stanchion.toml`. Tables of other tools in it are left alone.
    ///
    /// # Errors
    /// [`ConfigError`], which names the place.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        for arrow in &config.architecture.allow {
            let known = |name: &str| {
                name == "*" || config.architecture.areas().any(|area| area.name == name)
            };
            if !split(arrow).is_some_and(|(from, to)| known(from) && known(to)) {
                return Err(ConfigError::Arrow(arrow.clone()));
            }
        }
        match config
            .review
            .disable
            .iter()
            .find(|name| crate::rules::by_name(name).is_none())
        {
            Some(name) => Err(ConfigError::Rule(name.clone())),
            None => Ok(config),
        }
    }
}

impl Architecture {
    fn areas(&self) -> impl Iterator<Item = &Layer> {
        self.layer.iter().chain(&self.context)
    }

    /// Whether an arrow between two areas may be.
    pub(crate) fn allows(&self, from: &str, to: &str) -> bool {
        self.allow
            .iter()
            .filter_map(|arrow| split(arrow))
            .any(|(one, other)| (one == "*" || one == from) && (other == "*" || other == to))
    }
}

fn split(arrow: &str) -> Option<(&str, &str)> {
    arrow
        .split_once("->")
        .map(|(from, to)| (from.trim(), to.trim()))
}

impl Layer {
    /// Whether a path lies in this area.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.paths.iter().any(|pattern| under(pattern, path))
    }
}

/// Whether a path is at or below a pattern; `domain` is also `domain.rs`.
fn under(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    pattern.trim_matches('/').split('/').all(|wanted| {
        parts.next().is_some_and(|part| {
            wanted == "*" || part == wanted || part.strip_suffix(".rs") == Some(wanted)
        })
    })
}
