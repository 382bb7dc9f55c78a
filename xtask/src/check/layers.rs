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

/// Contracts are messages: of the facade they may name this module, and the type of a sealed field.
const CONTRACTS_MAY_NAME: [&str; 1] = ["messaging"];
const SEALED_FIELD: [&str; 2] = ["eventsourcing", "Personal"];

pub(super) fn check() -> Result<String> {
    let shop = workspace::root().join("shop");
    let mut wrong = Vec::new();
    let mut files = 0;
    let mut judge = |file: PathBuf, faults: &dyn Fn(&str) -> Vec<(usize, String)>| -> Result<()> {
        files += 1;
        let found = faults(&read(&file)?).into_iter();
        wrong.extend(found.map(|(line, fault)| format!("{}:{line}: {fault}", shown(&file))));
        Ok(())
    };
    for context in CONTEXTS {
        for layer in &LAYERS {
            for file in layer_files(&shop.join(context).join("src"), layer.name)? {
                judge(file, &|source| faults(source, layer))?;
            }
        }
    }
    for file in rust_files(&shop.join("contracts/src"))? {
        judge(file, &contract_faults)?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(format!("{files} files"))
}

/// Line and word of each path segment that the layer may not name.
fn faults(source: &str, layer: &Layer) -> Vec<(usize, String)> {
    let segments = source::segments(source).into_iter();
    let wrong = segments.filter(|segment| layer.forbidden.contains(&segment.name.as_str()));
    wrong
        .map(|segment| {
            (
                segment.line,
                format!("{} names {}", layer.name, segment.name),
            )
        })
        .collect()
}

fn contract_faults(source: &str) -> Vec<(usize, String)> {
    let segments = source::segments(source);
    let name = |at: usize| segments.get(at).map_or("", |segment| segment.name.as_str());
    let named = (1..segments.len()).filter(|at| name(at - 1) == "stanchion");
    let wrong = named.filter(|at| {
        let sealed_field = [name(*at), name(at + 1)] == SEALED_FIELD;
        !sealed_field && !CONTRACTS_MAY_NAME.contains(&name(*at))
    });
    wrong
        .map(|at| {
            let fault = format!("contracts name stanchion::{}", name(at));
            (segments[at].line, fault)
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::{LAYERS, contract_faults, faults};

    #[test]
    fn the_domain_knows_neither_its_users_nor_a_transport_nor_a_store() {
        let source = "use crate::adapters::X;\nuse stanchion::{sql::Db, eventsourcing::Event};\nfn f() { tokio::join!() }";
        let found = faults(source, &LAYERS[0]);
        let words = [
            "domain names adapters",
            "domain names sql",
            "domain names tokio",
        ];
        assert_eq!(
            found,
            [
                (1, words[0].into()),
                (2, words[1].into()),
                (3, words[2].into())
            ]
        );
    }

    #[test]
    fn the_application_asks_ports_and_knows_no_adapter() {
        assert_eq!(faults("use super::super::adapters;", &LAYERS[1]).len(), 1);
        assert!(faults("use crate::domain::Order; use tokio::time;", &LAYERS[1]).is_empty());
    }

    #[test]
    fn contracts_know_of_the_facade_what_a_message_is() {
        assert!(contract_faults("use stanchion::messaging::Contract;").is_empty());
        assert_eq!(contract_faults("use stanchion::sql::Db;").len(), 1);
        assert!(contract_faults("use stanchion::eventsourcing::Personal;").is_empty());
        assert_eq!(
            contract_faults("use stanchion::eventsourcing::Recorded;").len(),
            1
        );
    }
}
