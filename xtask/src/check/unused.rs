//! Dependencies nobody uses: of a crate (cargo-machete), and of the workspace's table.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::{shell, tool, workspace};

pub(super) fn check() -> Result<String> {
    tool::MACHETE.ensure()?;
    let crates = shell::quiet(&mut workspace::cargo(&["machete", "--skip-target-dir"]));
    let rows = unused_rows()?;
    let nobody = "no crate uses these rows of [workspace.dependencies]";
    match (crates, rows.is_empty()) {
        (Err(error), false) => bail!("{error:#}\n{nobody}: {}", rows.join(", ")),
        (Ok(_), false) => bail!("{nobody}: {}", rows.join(", ")),
        (outcome, true) => outcome.map(drop)?,
    }
    Ok(String::new())
}

fn unused_rows() -> Result<Vec<String>> {
    let root = workspace::root();
    let table = manifest(&root.join("Cargo.toml"))?;
    let rows = table["workspace"]["dependencies"]
        .as_table()
        .context("[workspace.dependencies]")?;
    let mut used = BTreeSet::new();
    for package in workspace::metadata()?.workspace_packages() {
        used.extend(
            package
                .dependencies
                .iter()
                .map(|dependency| dependency.name.clone()),
        );
    }
    Ok(rows
        .keys()
        .filter(|name| !used.contains(*name))
        .cloned()
        .collect())
}

fn manifest(path: &Path) -> Result<toml::Table> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}
