//! Sets up services and lets them grow: templates that are real files, names put in, lines added at marks.
//!
//! A template names what changes by words such as `__service__` and `__Thing__`, so that it is still Rust, SQL or YAML. What
//! grows has marks, `// <name>` and `// </name>`; lines are added before the closing one. No file is ever overwritten.

mod format;
mod grow;
mod names;
mod plan;
mod source;
mod upgrade;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

pub(crate) use grow::{Growth, Whereto, grow};
pub(crate) use names::Names;
pub(crate) use plan::Plan;
pub(crate) use source::Source;
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

/// The files of an aggregate beside the first of its context: its rules, use cases and ways in, in folders of its own. Its
/// contract is a package of its own.
fn aggregate(names: &Names) -> Vec<(PathBuf, String)> {
    let files = TEMPLATES
        .iter()
        .filter_map(|(path, text)| Some((chosen(path, Style::EventSourced)?, text)));
    let own = files.filter_map(|(path, text)| Some((beside(path)?, text)));
    own.map(|(path, text)| {
        let text = text
            .replace("use super::domain::", "use crate::__context__::domain::")
            .replace(
                "crate::__context__::application::",
                "crate::__context__::application::__things__::",
            )
            .replace("pub(crate) mod announce;\n", "")
            .replace("__context__.v1", "__things__.v1");
        // The module's own operations are called after its functions already.
        let text = ["open", "get", "rename", "close"]
            .iter()
            .fold(text, |text, name| {
                let named = format!("_words__\", {name}).id(\"__things___{name}\")");
                text.replace(&format!("_words__\", {name})"), &named)
            });
        (PathBuf::from(names.put(&path, &[])), names.put(&text, &[]))
    })
    .collect()
}

/// Where a file of a context stands for an aggregate beside the first; none for what the context has once.
fn beside(path: &str) -> Option<String> {
    let inside = path.strip_prefix("src/__context__/");
    Some(match inside {
        Some("domain.rs" | "adapters/announce.rs") => return None,
        Some("application.rs" | "adapters.rs") => path.replace(".rs", "/__things__.rs"),
        Some(inside) if inside.starts_with("domain/") => path.to_owned(),
        Some(inside) => {
            let (layer, file) = inside.split_once('/')?;
            format!("src/__context__/{layer}/__things__/{file}")
        }
        None if path.starts_with("proto/") || path.starts_with("tests/") => {
            // Of the test only the file's name: what it mounts is the context.
            path.replace("__context__", "__things__")
        }
        None => return None,
    })
}

/// The text of one template as that style has it.
///
/// # Panics
/// There is none of that path: the tests of whoever asks for it see to that.
fn template(style: Style, wanted: &str) -> &'static str {
    let mut files = TEMPLATES.iter();
    let found = files.find(|(path, _)| chosen(path, style) == Some(wanted));
    found
        .map(|(_, text)| *text)
        .expect("a path of a template that is there")
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
