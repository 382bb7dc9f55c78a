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
    ("stanchion-mail", &[]),
    ("stanchion-messaging", &[]),
    ("stanchion-resilience", &[]),
    ("stanchion-cache", &["stanchion-resilience"]),
    // The architect reads services and imports nothing of them.
    ("stanchion-review", &[]),
    // For users' services as well: it knows HTTP and nothing of what it loads.
    ("stanchion-load", &[]),
    ("stanchion-cli", &["stanchion-review"]),
    ("stanchion-client", &["stanchion-resilience"]),
    (
        "stanchion-redis",
        &["stanchion-cache", "stanchion-resilience"],
    ),
    ("stanchion-nats", &["stanchion-messaging"]),
    ("stanchion-rabbitmq", &["stanchion-messaging"]),
    ("stanchion-kafka", &["stanchion-messaging"]),
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
            "stanchion-resilience",
        ],
    ),
    (
        "stanchion",
        &[
            "stanchion-auth",
            "stanchion-cache",
            "stanchion-client",
            "stanchion-eventsourcing",
            "stanchion-kafka",
            "stanchion-mail",
            "stanchion-messaging",
            "stanchion-nats",
            "stanchion-rabbitmq",
            "stanchion-redis",
            "stanchion-resilience",
            "stanchion-server",
            "stanchion-sql",
        ],
    ),
    (
        "stanchion-testing",
        &[
            "stanchion-cache",
            "stanchion-eventsourcing",
            "stanchion-messaging",
        ],
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
    ("shop-history", &["stanchion"]),
    // For outside users: the public contract and a client, nothing else of the library.
    ("shop-client", &["stanchion-client"]),
    // It starts the binary and knows none of its code.
    ("shop-cluster", &["stanchion-testing"]),
    ("shop-load", &[]),
    ("shop-rolling", &["stanchion", "shop-contracts"]),
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
    // The judge of the log shares no code with it: not even the facade.
    ("log-load", &["stanchion"]),
    ("log-auditor", &[]),
    // Small, so that it is optimised alone.
    (
        "overload",
        &[
            "stanchion-resilience",
            "stanchion-runtime",
            "stanchion-server",
            "stanchion-telemetry",
        ],
    ),
    ("grpc-interop", &["stanchion"]),
    // It speaks to ours and to its peers over the wire alone.
    ("auth-load", &["stanchion-load"]),
    // Beside them.
    ("patterns", &["stanchion"]),
    ("hello", &["stanchion"]),
    ("hello-tonic", &["stanchion"]),
    // It meets the log by SQL alone.
    ("foreign-append", &[]),
    ("xtask", &["shop-cluster", "stanchion-testing"]),
];

const BASE: &[&str] = &[
    "stanchion-runtime",
    "stanchion-config",
    "stanchion-telemetry",
];
const CONTEXT: &[&str] = &["stanchion", "shop-kernel", "shop-contracts"];

/// What tests may use beyond the arrows.
const TESTS: &[&str] = &[
    "stanchion-testing",
    "shop-sandbox",
    "shop-auditor",
    "shop-client",
    "shop-cluster",
];

/// What one crate's tests may use beyond them: the client's need somebody to be called, the shop's
/// what stands in for Kafka.
const TEST_ARROWS: &[(&str, &str)] = &[
    ("stanchion-client", "stanchion-server"),
    ("shop", "stanchion-kafka"),
];

/// Crates of others that only one of ours may know, and the judge that must not trust ours.
const PRIVATE: &[(&str, &str)] = &[
    ("tokio-postgres", "stanchion-sql"),
    ("deadpool-postgres", "stanchion-sql"),
    ("tokio-postgres-rustls", "stanchion-sql"),
    ("rusqlite", "stanchion-sql"),
    ("redis", "stanchion-redis"),
    ("async-nats", "stanchion-nats"),
    ("lapin", "stanchion-rabbitmq"),
    ("krafka", "stanchion-kafka"),
    ("lettre", "stanchion-mail"),
];
const JUDGE: &str = "log-auditor";

/// The kernel does no input or output: it may know these and nothing else.
const KERNEL: &[&str] = &["serde", "serde_json", "uuid", "thiserror", "utoipa", "jiff"];

pub(super) fn check() -> Result<String> {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let packages = packages()?;
    let wrong: Vec<String> = packages
        .iter()
        .flat_map(|package| faults(package, &arrows))
        .collect();
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

fn faults(package: &Package, arrows: &BTreeMap<&str, &[&str]>) -> Vec<String> {
    let from = package.name.as_str();
    let Some(allowed) = arrows.get(from) else {
        return vec![format!("{from} has no row in xtask/src/check/direction.rs")];
    };
    let test_only = |to: &Dependency| to.kind == DependencyKind::Development;
    let uses = package.dependencies.iter();
    uses.filter_map(|to| fault(from, allowed, &to.name, test_only(to)))
        .collect()
}

fn fault(from: &str, allowed: &[&str], to: &str, test_only: bool) -> Option<String> {
    let private = PRIVATE
        .iter()
        .find(|(name, home)| *name == to && *home != from && from != JUDGE);
    if let Some((_, home)) = private {
        return Some(format!("{from} uses {to}, which only {home} may know"));
    }
    if from == "shop-kernel" && !ours(to) && !test_only && !KERNEL.contains(&to) {
        return Some(format!(
            "{from} uses {to}: the kernel does no input or output"
        ));
    }
    let granted = allowed.contains(&to)
        || (may_use_base(from) && BASE.contains(&to))
        || (test_only && (TESTS.contains(&to) || TEST_ARROWS.contains(&(from, to))));
    (ours(to) && !granted && to != from)
        .then(|| format!("{from} uses {to}: no such arrow in section 2 of the design"))
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

#[cfg(test)]
mod tests {
    use super::{ARROWS, fault};

    fn refused(from: &str, to: &str, test_only: bool) -> bool {
        let row = ARROWS.iter().find(|(name, _)| *name == from);
        fault(from, row.expect("a row").1, to, test_only).is_some()
    }

    #[test]
    fn contexts_never_import_each_other() {
        assert!(refused("shop-orders", "shop-payments", false));
        assert!(refused("shop-orders", "shop-payments", true));
        assert!(!refused("shop-orders", "shop-contracts", false));
    }

    #[test]
    fn the_shop_knows_the_facade_alone() {
        assert!(refused("shop-identity", "stanchion-auth", false));
        assert!(refused("shop", "stanchion-runtime", false));
        assert!(!refused("shop-identity", "stanchion", false));
    }

    #[test]
    fn testing_is_for_tests() {
        assert!(refused("stanchion-sql", "stanchion-testing", false));
        assert!(!refused("stanchion-sql", "stanchion-testing", true));
    }

    #[test]
    fn one_crate_knows_the_drivers_and_the_kernel_does_no_io() {
        assert!(refused("shop-orders", "rusqlite", true));
        assert!(!refused("stanchion-sql", "rusqlite", false));
        assert!(!refused("log-auditor", "rusqlite", false));
        assert!(refused("log-auditor", "stanchion-sql", false));
        assert!(refused("shop-kernel", "tokio", false));
    }

    #[test]
    fn no_leaf_uses_what_stands_on_it() {
        assert!(refused("stanchion-config", "stanchion-telemetry", false));
        assert!(refused(
            "stanchion-messaging",
            "stanchion-eventsourcing",
            false
        ));
        assert!(!refused("stanchion-auth", "stanchion-config", false));
    }
}
