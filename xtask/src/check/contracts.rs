//! Contracts and stored events: the page that lists them, and that what was released stays readable.
//!
//! The files are made by each crate's own test (`stanchion::eventsourcing::testing::Registry`); here they are only
//! compared, with each other and with those of the last tag.

mod compatible;
mod page;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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

/// Contracts that the code names, and the registry of its crate does not.
fn unregistered() -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for part in CRATES {
        let folder = workspace::root().join(part);
        let mut files = Vec::new();
        sources(&folder.join("src"), &mut files)?;
        for file in files {
            let text = fs::read_to_string(file).unwrap_or_default();
            let names = made_in(part, &text).into_iter();
            let missing = names.filter(|it| !folder.join(format!("schema/{it}.json")).exists());
            wrong.extend(
                missing.map(|it| {
                    format!("{it} has no schema: name it in the test `registry` of {part}")
                }),
            );
        }
    }
    Ok(wrong)
}

/// The Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The contracts that a file of that crate makes: those between contexts, and what a context tells itself, which travels and
/// lies in stores just as long.
fn made_in(part: &str, text: &str) -> Vec<String> {
    if part != CONTRACTS && !text.contains("Contract for") {
        return Vec::new();
    }
    // What only a rehearsed release has is none of this one's.
    let own = text.split("\n\n");
    let own: String = own.filter(|item| !item.starts_with(REHEARSED)).collect();
    let names = own.split('"').filter(|text| is_name(text));
    names.map(str::to_owned).collect()
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

    #[test]
    fn what_a_context_tells_itself_is_a_contract_as_well() {
        let own = "impl Contract for Step {\n    const NAME: &'static str = \"a.step.v1\";\n}";
        let rehearsed = format!("{own}\n\n{REHEARSED} {{ \"a.step.v2\" }}");
        for part in [CONTRACTS, "shop/orders"] {
            assert_eq!(made_in(part, &rehearsed), ["a.step.v1"], "{part}");
        }
        let named = "assert_eq!(message.contract, \"a.step.v1\");";
        assert!(made_in("shop/orders", named).is_empty(), "nothing is made");
    }
}
