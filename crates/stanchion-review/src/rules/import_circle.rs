use super::prelude::*;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) static RULE: Rule = Rule {
    name: "import-circle",
    title: "Two areas import each other",
    why: "Areas in a circle are one area: neither can be understood, tested or taken out alone.",
    source: "Robert C. Martin, Clean Architecture, chapter 14: the acyclic dependencies principle",
    mend: "Move what both need into a third area, or turn one arrow round by a port.",
    point: Point::Dependencies,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::Project(check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "//- src/orders/place.rs\nuse crate::stock::free;\n//- src/stock/count.rs\nuse crate::orders::open;\n",
            good: "//- src/orders/place.rs\nuse crate::stock::free;\n//- src/stock/count.rs\nuse crate::kernel::Sku;\n",
        },
        Example {
            language: Language::Go,
            bad: "//- go.mod\nmodule shop\n//- internal/orders/place.go\npackage orders\n\nimport \"shop/internal/stock/api\"\n//- internal/stock/count.go\npackage stock\n\nimport \"shop/internal/orders/api\"\n",
            good: "//- go.mod\nmodule shop\n//- internal/orders/place.go\npackage orders\n\nimport \"shop/internal/stock/api\"\n//- internal/stock/count.go\npackage stock\n\nimport \"shop/internal/kernel\"\n",
        },
    ],
};

/// Areas are folders: a module folder of a crate, a folder under `internal`, `pkg` or the root of a Go module.
fn check(project: &Project, found: &mut Found) {
    let mut arrows: BTreeMap<(String, String), (usize, u32, String)> = BTreeMap::new();
    for (index, edge) in project.edges().enumerate() {
        if wires(&edge.from.path) {
            continue;
        }
        let (Some(from), Some(to)) = (area(&edge.from.path), area(&format!("{}/x", edge.to))) else { continue };
        if from != to {
            arrows.entry((from, to)).or_insert((index, edge.import.line, edge.import.path.clone()));
        }
    }
    let mut told = BTreeSet::new();
    let edges: Vec<_> = project.edges().collect();
    for ((from, to), (index, line, path)) in &arrows {
        let back = arrows.contains_key(&(to.clone(), from.clone()));
        if back && told.insert((from.min(to), from.max(to))) {
            found.at_fact(edges[*index].from, *line, path, &format!("`{from}` and `{to}` import each other"));
        }
    }
}

/// Whether a Go package is none of an area's own, or puts the others together: it may import all of them, and the compiler forbids circles of packages.
fn wires(path: &str) -> bool {
    // Outside of these a folder of packages is a library's way to name things.
    if path.ends_with(".go") && !["internal/", "pkg/", "modules/"].iter().any(|areas| path.contains(areas)) {
        return true;
    }
    let mut parts = path.rsplit('/').skip(1);
    path.ends_with(".go") && parts.next().is_some_and(|package| ["server", "app", "cmd", "main", "router", "routes", "wiring", "di", "registry", "bootstrap", "cli", "service", "driver"].contains(&package))
}

fn area(path: &str) -> Option<String> {
    let (root, rest) = match path.find("src/") {
        Some(at) => (&path[..at + 4], &path[at + 4..]),
        None => ("", path),
    };
    let mut parts = rest.split('/');
    let first = parts.next()?;
    let second = parts.next()?;
    match first {
        "internal" | "pkg" => {
            parts.next()?;
            Some(format!("{root}{first}/{second}"))
        }
        _ => Some(format!("{root}{first}")),
    }
}
