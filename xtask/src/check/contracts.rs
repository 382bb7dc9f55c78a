//! Contracts and stored events: the page that lists them, and that what was released stays readable.
//!
//! The files are made by each crate's own test (`stanchion::eventsourcing::testing::Registry`); here they are only
//! compared, with each other and with those of the last tag.

mod compatible;
mod page;

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// The crate of what goes between contexts; the others have events.
const CONTRACTS: &str = "shop/contracts";

/// The crates with golden files and schemas.
const CRATES: [&str; 5] = [
    CONTRACTS,
    "shop/identity",
    "shop/inventory",
    "shop/orders",
    "shop/payments",
];

const PAGE: &str = "docs/contracts.md";

/// Set, it has the page written instead of compared; the crates' tests then write the schemas.
const UPDATE: &str = "REGISTRY_UPDATE";

pub(super) fn check() -> Result<String> {
    let mut wrong = unregistered()?;
    let (page, listed) = page::text()?;
    let file = workspace::root().join(PAGE);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&file, &page)?;
    } else if fs::read_to_string(&file).unwrap_or_default() != page {
        wrong.push(format!(
            "{PAGE} is not what the schemas say: {UPDATE}=1 cargo xtask check contracts"
        ));
    }
    let compared = match last_tag() {
        Some(tag) => compatible::with(&tag, &mut wrong)?,
        None => "nothing is released yet".into(),
    };
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(format!("{listed} listed, {compared}"))
}

/// Stands before items of a release that is only rehearsed (`cargo xtask chaos upgrade`).
const REHEARSED: &str = "#[cfg(feature = \"next\")]\ncontracts!";

/// Contracts that the code names, and the registry does not.
fn unregistered() -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let folder = workspace::root().join(CONTRACTS);
    for file in fs::read_dir(folder.join("src"))? {
        let path = file?.path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        // What only a rehearsed release has is none of this one's.
        let own = text
            .split("\n\n")
            .filter(|item| !item.starts_with(REHEARSED));
        let text: String = own.collect();
        let names = text
            .split('"')
            .skip(1)
            .step_by(2)
            .filter(|text| is_name(text));
        for name in names {
            if !folder.join("schema").join(format!("{name}.json")).exists() {
                wrong.push(format!(
                    "{name} has no schema: name it in {CONTRACTS}/tests/registry.rs"
                ));
            }
        }
    }
    Ok(wrong)
}

/// Whether a text is a contract's name, such as `orders.order_placed.v1`.
fn is_name(text: &str) -> bool {
    let word =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let parts: Vec<&str> = text.split('.').collect();
    let [context, what, version] = parts[..] else {
        return false;
    };
    let version = version.strip_prefix('v').map(str::parse::<u32>);
    word(context) && word(what) && matches!(version, Some(Ok(_)))
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

fn last_tag() -> Option<String> {
    let tag = git(&["describe", "--tags", "--abbrev=0"])?;
    Some(tag.trim().to_owned())
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    let output = command
        .args(arguments)
        .current_dir(workspace::root())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_context_a_thing_and_a_version() {
        assert!(is_name("orders.order_placed.v1") && is_name("a.b.v12"));
        for other in [
            "orders.order_placed",
            "a.b.v",
            "a.b.c",
            "a..v1",
            "A.b.v1",
            "a.b.v1.c",
        ] {
            assert!(!is_name(other), "{other}");
        }
    }
}
