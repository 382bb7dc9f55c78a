//! The software bill of materials of the shop's binary: CycloneDX JSON in `target/sbom.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId};
use serde_json::{Value, json};

use crate::{shell, workspace};

/// What ships.
const BINARY: &str = "shop";

pub(super) fn write() -> Result<String> {
    let metadata = metadata_of_this_platform()?;
    let sbom = bill(&metadata, &checksums()?)?;
    let path = workspace::target().join("sbom.json");
    fs::create_dir_all(workspace::target())?;
    fs::write(&path, serde_json::to_string_pretty(&sbom)?)
        .with_context(|| path.display().to_string())?;
    let count = sbom["components"].as_array().map_or(0, Vec::len);
    Ok(format!("target/sbom.json, {count} components"))
}

/// Without the filter the bill would name what only other platforms compile.
fn metadata_of_this_platform() -> Result<Metadata> {
    let about = shell::quiet(std::process::Command::new("rustc").arg("-vV"))?;
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names its host")?;
    let filter = ["--filter-platform".to_owned(), host.to_owned()];
    MetadataCommand::new()
        .current_dir(workspace::root())
        .other_options(filter)
        .exec()
        .context("cargo metadata")
}

fn bill(metadata: &Metadata, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let nodes = nodes(metadata)?;
    let root = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == BINARY);
    let root = root.with_context(|| format!("no package {BINARY}"))?;
    let shipped = reachable(&nodes, &root.id);
    let components = shipped
        .iter()
        .filter(|id| **id != &root.id)
        .map(|id| component(&metadata[id], checksums));
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": component(root, checksums) },
        "components": components.collect::<Vec<_>>(),
        "dependencies": shipped.iter().map(|id| edges(metadata, nodes[id])).collect::<Vec<_>>(),
    }))
}

fn nodes(metadata: &Metadata) -> Result<BTreeMap<&PackageId, &Node>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo metadata resolves")?;
    Ok(resolve.nodes.iter().map(|node| (&node.id, node)).collect())
}

fn reachable<'a>(
    nodes: &BTreeMap<&'a PackageId, &'a Node>,
    root: &'a PackageId,
) -> BTreeSet<&'a PackageId> {
    let mut found = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        open.extend(shipping(nodes[id]).filter(|id| found.insert(id)));
    }
    found
}

/// What is compiled into the binary, or runs while it is built; not what its tests use.
fn shipping(node: &Node) -> impl Iterator<Item = &PackageId> {
    let for_tests = |kind: &cargo_metadata::DepKindInfo| kind.kind == DependencyKind::Development;
    node.deps
        .iter()
        .filter(move |dependency| !dependency.dep_kinds.iter().all(for_tests))
        .map(|dependency| &dependency.pkg)
}

fn component(package: &Package, checksums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (package.name.to_string(), package.version.to_string());
    let mut component = json!({
        "type": if name == BINARY { "application" } else { "library" },
        "bom-ref": reference(package),
        "name": name,
        "version": version,
        "purl": reference(package),
    });
    if let Some(licence) = &package.license {
        // Old manifests write `A/B` for `A OR B`.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if let Some(checksum) = checksums.get(&(name, version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn edges(metadata: &Metadata, node: &Node) -> Value {
    let to: BTreeSet<String> = shipping(node).map(|id| reference(&metadata[id])).collect();
    json!({ "ref": reference(&metadata[&node.id]), "dependsOn": to })
}

fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

/// SHA-256 of each crate's archive, as Cargo.lock pins it.
fn checksums() -> Result<BTreeMap<(String, String), String>> {
    let lock: toml::Table = fs::read_to_string(workspace::root().join("Cargo.lock"))?.parse()?;
    let packages = lock["package"]
        .as_array()
        .context("Cargo.lock lists packages")?;
    let text = |package: &toml::Value, key: &str| {
        package
            .get(key)
            .and_then(toml::Value::as_str)
            .map(str::to_owned)
    };
    Ok(packages
        .iter()
        .filter_map(|package| {
            Some((
                (text(package, "name")?, text(package, "version")?),
                text(package, "checksum")?,
            ))
        })
        .collect())
}
