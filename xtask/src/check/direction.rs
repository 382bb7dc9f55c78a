//! Section 2 of the design as a test: which crate may use which. No other arrow may appear.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use cargo_metadata::{Dependency, DependencyKind, MetadataCommand, Package};

use crate::workspace;

/// A crate of ours and those of ours it may use. A new crate gets a row; a new arrow is an architectural change.
const ARROWS: &[(&str, &[&str])] = &[
    // Everyone may use these three.
    ("stanchion-runtime", &[]),
    ("stanchion-config", &["stanchion-runtime"]),
    ("stanchion-telemetry", BASE),
    // The library.
    ("stanchion-auth", &[]),
    ("stanchion-messaging", &[]),
    ("stanchion-eventsourcing", &["stanchion-messaging"]),
    (
        "stanchion-sql",
        &["stanchion-eventsourcing", "stanchion-messaging"],
    ),
    (
        "stanchion-server",
        &[
            "stanchion-auth",
            "stanchion-eventsourcing",
            "stanchion-messaging",
        ],
    ),
    (
        "stanchion",
        &[
            "stanchion-auth",
            "stanchion-eventsourcing",
            "stanchion-messaging",
            "stanchion-server",
            "stanchion-sql",
        ],
    ),
    (
        "stanchion-testing",
        &["stanchion-eventsourcing", "stanchion-messaging"],
    ),
    // The shop: the facade alone; contexts never import each other.
    ("shop-kernel", &[]),
    ("shop-contracts", &["stanchion", "shop-kernel"]),
    ("shop-identity", CONTEXT),
    ("shop-inventory", CONTEXT),
    ("shop-orders", CONTEXT),
    ("shop-payments", CONTEXT),
    ("shop-sandbox", &["stanchion"]),
    // The judge shares no rule with what it judges, and the customers know the public contract alone.
    ("shop-auditor", &["stanchion"]),
    ("shop-load", &[]),
    (
        "shop",
        &[
            "stanchion",
            "shop-kernel",
            "shop-contracts",
            "shop-identity",
            "shop-inventory",
            "shop-orders",
            "shop-payments",
            "shop-sandbox",
        ],
    ),
    // Beside them.
    ("patterns", &["stanchion"]),
    ("hello", &["stanchion"]),
    ("xtask", &["stanchion-testing"]),
];

const BASE: &[&str] = &[
    "stanchion-runtime",
    "stanchion-config",
    "stanchion-telemetry",
];
const CONTEXT: &[&str] = &["stanchion", "shop-kernel", "shop-contracts"];

/// What tests may use beyond the arrows.
const TESTS: &[&str] = &["stanchion-testing", "shop-sandbox", "shop-auditor"];

/// Crates of others that only one of ours may know.
const PRIVATE: &[(&str, &str)] = &[
    ("tokio-postgres", "stanchion-sql"),
    ("deadpool-postgres", "stanchion-sql"),
    ("tokio-postgres-rustls", "stanchion-sql"),
    ("rusqlite", "stanchion-sql"),
];

/// The kernel does no input or output: it may know these and nothing else.
const KERNEL: &[&str] = &["serde", "serde_json", "uuid", "thiserror", "utoipa", "jiff"];

pub(super) fn check() -> Result<String> {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    let packages = packages()?;
    for package in &packages {
        match arrows.get(package.name.as_str()) {
            Some(allowed) => wrong.extend(
                package
                    .dependencies
                    .iter()
                    .filter_map(|to| fault(package, allowed, to)),
            ),
            None => wrong.push(format!(
                "{} has no row in xtask/src/check/direction.rs",
                package.name
            )),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(format!("{} crates", packages.len()))
}

fn packages() -> Result<Vec<Package>> {
    let workspace = workspace::metadata()?;
    let mut packages: Vec<Package> = workspace
        .workspace_packages()
        .into_iter()
        .cloned()
        .collect();
    for manifest in workspace::own_manifests() {
        let own = MetadataCommand::new()
            .manifest_path(manifest)
            .no_deps()
            .exec()?;
        packages.extend(own.packages);
    }
    Ok(packages)
}

fn fault(package: &Package, allowed: &[&str], to: &Dependency) -> Option<String> {
    let (from, name) = (package.name.as_str(), to.name.as_str());
    let test_only = to.kind == DependencyKind::Development;
    if let Some((_, home)) = PRIVATE
        .iter()
        .find(|(private, home)| *private == name && *home != from)
    {
        return Some(format!("{from} uses {name}, which only {home} may know"));
    }
    if from == "shop-kernel" && !ours(name) && !test_only && !KERNEL.contains(&name) {
        return Some(format!(
            "{from} uses {name}: the kernel does no input or output"
        ));
    }
    let granted = allowed.contains(&name)
        || (may_use_base(from) && BASE.contains(&name))
        || (test_only && TESTS.contains(&name));
    (ours(name) && !granted && name != from)
        .then(|| format!("{from} uses {name}: no such arrow in section 2 of the design"))
}

/// The library's crates; the shop has them through the facade.
fn may_use_base(from: &str) -> bool {
    let leaf = ["stanchion-runtime", "stanchion-config"].contains(&from);
    from.starts_with("stanchion") && !leaf
}

fn ours(name: &str) -> bool {
    ARROWS.iter().any(|(crate_, _)| *crate_ == name)
        || name.starts_with("stanchion-")
        || name.starts_with("shop-")
}
