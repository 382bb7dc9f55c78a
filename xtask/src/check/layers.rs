//! Inside a context: `adapters → application → domain → kernel`, by what each layer's files name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::source;
use crate::workspace;

/// A folder (or file) of a context's `src` and the words no path in it may have.
struct Layer {
    name: &'static str,
    forbidden: &'static [&'static str],
}

const LAYERS: [Layer; 2] = [
    Layer {
        name: "domain",
        forbidden: &[
            "application",
            "adapters",
            "axum",
            "http",
            "reqwest",
            "server",
            "sql",
            "tokio",
        ],
    },
    Layer {
        name: "application",
        forbidden: &["adapters", "axum", "reqwest"],
    },
];

const CONTEXTS: [&str; 4] = ["identity", "inventory", "orders", "payments"];

/// Contracts are messages: of the facade they may name this module only.
const CONTRACTS_MAY_NAME: [&str; 1] = ["messaging"];

pub(super) fn check() -> Result<String> {
    let shop = workspace::root().join("shop");
    let mut wrong = Vec::new();
    let mut files = 0;
    for context in CONTEXTS {
        for layer in &LAYERS {
            for file in layer_files(&shop.join(context).join("src"), layer.name)? {
                files += 1;
                wrong.extend(faults(&file, layer)?);
            }
        }
    }
    for file in rust_files(&shop.join("contracts/src"))? {
        files += 1;
        wrong.extend(contract_faults(&file)?);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(format!("{files} files"))
}

fn faults(file: &Path, layer: &Layer) -> Result<Vec<String>> {
    let segments = source::segments(&read(file)?);
    let wrong = segments
        .iter()
        .filter(|segment| layer.forbidden.contains(&segment.name.as_str()));
    Ok(wrong
        .map(|segment| {
            format!(
                "{}:{}: {} names {}",
                shown(file),
                segment.line,
                layer.name,
                segment.name
            )
        })
        .collect())
}

fn contract_faults(file: &Path) -> Result<Vec<String>> {
    let segments = source::segments(&read(file)?);
    let pairs = segments
        .windows(2)
        .filter(|pair| pair[0].name == "stanchion");
    let wrong = pairs.filter(|pair| !CONTRACTS_MAY_NAME.contains(&pair[1].name.as_str()));
    Ok(wrong
        .map(|pair| {
            format!(
                "{}:{}: contracts name stanchion::{}",
                shown(file),
                pair[1].line,
                pair[1].name
            )
        })
        .collect())
}

/// `src/domain.rs` and everything below `src/domain/`.
fn layer_files(src: &Path, layer: &str) -> Result<Vec<PathBuf>> {
    let mut files = rust_files(&src.join(layer))?;
    files.extend(Some(src.join(format!("{layer}.rs"))).filter(|path| path.is_file()));
    Ok(files)
}

/// Test modules in files of their own are no part of the layer.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir().into_iter().flatten() {
        let path = entry?.path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if is_test {
            continue;
        }
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn shown(file: &Path) -> String {
    file.strip_prefix(workspace::root())
        .unwrap_or(file)
        .display()
        .to_string()
}
