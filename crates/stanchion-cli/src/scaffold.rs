//! Sets up services and lets them grow: templates that are real files, names put in, lines added at marks.
//!
//! A template names what changes by words such as `__service__` and `__Thing__`, so that it is still Rust, SQL or YAML. What
//! grows has marks, `// <name>` and `// </name>`; lines are added before the closing one. No file is ever overwritten.

mod grow;
mod names;
mod plan;
mod upgrade;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

pub(crate) use grow::{Growth, grow};
pub(crate) use names::Names;
pub(crate) use plan::Plan;
pub(crate) use upgrade::upgrade;

use crate::root::Root;

/// The templates in this binary, by their paths.
const TEMPLATES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The file in which a service says what it was made of.
pub(crate) const MANIFEST: &str = "stanchion.toml";

/// How a context keeps what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Style {
    /// An aggregate: the log of what happened is the truth.
    EventSourced,
    /// A table: rows in a unit of work, and an event for what others must know.
    State,
}

impl Style {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EventSourced => "event-sourced",
            Self::State => "state",
        }
    }
}

/// How the new service depends on stanchion.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A version of the registry.
    Registry(String),
    /// A tag of a repository.
    Git { url: String, tag: Option<String> },
    /// A folder of this machine, absolute.
    Path(PathBuf),
}

impl Source {
    /// What stands behind `stanchion =` in the manifest.
    fn dependency(&self) -> String {
        let of = match self {
            Self::Registry(version) => format!("version = \"{version}\""),
            Self::Git {
                url,
                tag: Some(tag),
            } => format!("git = \"{url}\", tag = \"{tag}\""),
            Self::Git { url, tag: None } => format!("git = \"{url}\""),
            Self::Path(path) => format!("path = {:?}", path.display().to_string()),
        };
        format!("{{ {of}, features = [\"nats\"] }}")
    }
}

/// Every file of a new service, with its text.
pub(crate) fn service(
    names: &Names,
    style: Style,
    source: &Source,
    date: &str,
) -> Vec<(PathBuf, String)> {
    let extra = [
        ("stanchion", source.dependency()),
        ("style", style.name().to_owned()),
        ("date", date.to_owned()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("crate_version", "0.1.0".to_owned()),
    ];
    let files = TEMPLATES
        .iter()
        .filter_map(|(path, text)| Some((chosen(path, style)?, text)));
    files
        .map(|(path, text)| {
            (
                PathBuf::from(renamed(&names.put(path, &extra))),
                names.put(text, &extra),
            )
        })
        .collect()
}

/// The files of a context alone: its sources, its contract, its tables, its tests.
fn context(names: &Names, style: Style) -> Vec<(PathBuf, String)> {
    let own = ["src/__context__", "proto/", "migrations/", "tests/"];
    let files = TEMPLATES
        .iter()
        .filter_map(|(path, text)| Some((chosen(path, style)?, text)));
    let files = files.filter(|(path, _)| own.iter().any(|own| path.starts_with(own)));
    files
        .map(|(path, text)| (PathBuf::from(names.put(path, &[])), names.put(text, &[])))
        .collect()
}

/// The path below the style's folder; a style's own file takes the place of the common one.
fn chosen(path: &str, style: Style) -> Option<&str> {
    let (folder, path) = path.split_once('/')?;
    if folder == style.name() {
        return Some(path);
    }
    let own = format!("{}/{path}", style.name());
    let hidden = TEMPLATES.iter().any(|(other, _)| *other == own);
    (folder == "common" && !hidden).then_some(path)
}

/// Templates that tools of this repository would take for their own have another name here.
fn renamed(path: &str) -> String {
    match path {
        "_Cargo.toml" => "Cargo.toml".into(),
        "_gitignore" => ".gitignore".into(),
        other => other.into(),
    }
}

/// What a service says of itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Made {
    /// The version of the templates.
    pub(crate) version: String,
    pub(crate) style: Style,
    pub(crate) service: String,
    pub(crate) context: String,
    pub(crate) thing: String,
    pub(crate) date: String,
}

/// Reads what a service was made of.
pub(crate) fn made(root: &Root) -> anyhow::Result<Made> {
    #[derive(Deserialize)]
    struct Manifest {
        template: Option<Made>,
    }
    let text = root
        .read(Path::new(MANIFEST))
        .context("this is no folder of a service that `stanchion new` made")?;
    let manifest: Manifest = toml::from_str(&text).context(MANIFEST)?;
    match manifest.template {
        Some(made) => Ok(made),
        None => bail!("{MANIFEST} does not say `[template]`"),
    }
}
