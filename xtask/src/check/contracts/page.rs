//! `docs/contracts.md`, made of the schemas.

use std::{collections::BTreeSet, fmt::Write, fs};

use anyhow::Result;
use serde_json::Value;

use super::{CONTRACTS, CRATES, json};
use crate::workspace;

const HEAD: &str = "# Contracts and stored events

What contexts tell and ask each other, and what each of them stores. Made of the code: do not edit.

- **Golden files** are written by hand when a contract or an event is made, and never change once they are released. Every
  later version of the code reads them: each crate's test `registry` does.
- **Schemas** are made by asking the code what it takes: `REGISTRY_UPDATE=1 cargo test -p shop-orders registry` writes those
  of a crate, and then `REGISTRY_UPDATE=1 cargo xtask check contracts` this page.
- **A version** never loses a field or a word of an enum, nor gets a field that must be there: that is the next version.
  `cargo xtask check contracts` compares with the last tag.

How to change one is told in [evolving events](guide/evolving-events.md).
";

/// The page, and how many it lists.
pub(super) fn text() -> Result<(String, usize)> {
    let (mut page, mut listed) = (String::from(HEAD), 0);
    for part in CRATES {
        let (title, what) = match part {
            CONTRACTS => ("Contracts".to_owned(), "contract"),
            _ => (format!("Events of {}", part.replace("shop/", "")), "event"),
        };
        write!(
            page,
            "\n## {title}\n\n| {what} | must have | may have | as |\n|---|---|---|---|\n"
        )?;
        for name in names(part)? {
            let schema = json(&workspace::root().join(format!("{part}/schema/{name}.json")))?;
            let (must, may) = fields(&schema);
            let file = |kind: &str| format!("[{kind}](../{part}/{kind}/{name}.json)");
            let files = format!("{}, {}", file("schema"), file("golden"));
            writeln!(page, "| `{name}` | {must} | {may} | {files} |")?;
            listed += 1;
        }
    }
    Ok((page, listed))
}

/// The names of a crate's schemas.
fn names(part: &str) -> Result<BTreeSet<String>> {
    let files = fs::read_dir(workspace::root().join(part).join("schema"));
    let mut names = BTreeSet::new();
    // None yet: the crate's test says what is missing.
    for file in files.into_iter().flatten() {
        let path = file?.path();
        names.extend(
            path.file_stem()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    Ok(names)
}

/// The fields that must be there, and those that may; of an event, of its content.
fn fields(schema: &Value) -> (String, String) {
    let is_event = schema["properties"]["type"]["const"].is_string();
    let of = if is_event {
        &schema["properties"]["data"]
    } else {
        schema
    };
    let required: Vec<&str> = of["required"].as_array().map_or_else(Vec::new, |names| {
        names.iter().filter_map(Value::as_str).collect()
    });
    let all = of["properties"].as_object();
    let all = all.map_or_else(Vec::new, |properties| {
        properties.keys().map(String::as_str).collect()
    });
    let may: Vec<&str> = all
        .into_iter()
        .filter(|name| !required.contains(name))
        .collect();
    (required.join(", "), may.join(", "))
}
