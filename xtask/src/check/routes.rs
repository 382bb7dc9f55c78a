//! Every route of the shop states who may call it: a permission, a policy, any caller, or the public.
//!
//! A described handler or a gRPC method that states nothing does not compile; what is left is a router that was mounted as it
//! is, a method of the `.proto` files that no service has, and a gRPC service without `grpc_methods!`, whose methods are told of from
//! outside. All are found here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::{shell, workspace};

/// A split process serves what the whole shop does not: `identity.v1`.
const PROCESSES: [&[&str]; 2] = [&["routes"], &["--modules", "identity", "routes"]];

/// Where the shop's packages are.
const SHOP: &str = "shop";

/// Where the contracts of the gRPC services are.
const PROTOS: &str = "shop/contracts/proto";

pub(crate) fn check() -> Result<String> {
    let mut listed = String::new();
    for arguments in PROCESSES {
        let mut run = workspace::cargo(&["run", "--quiet", "-p", "shop", "--"]);
        listed += &shell::quiet(run.args(arguments))?;
    }
    let mut wrong = unstated(&listed);
    let served = served(&listed);
    let promised = promised()?;
    wrong.extend(
        promised
            .difference(&served)
            .map(|path| format!("{path}: no service serves it")),
    );
    wrong.extend(told_of_from_outside()?);
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let routes = listed.lines().filter(|line| is_route(line)).count();
    ensure!(routes > 0, "`shop routes` lists nothing");
    Ok(format!("{routes} routes, {} gRPC methods", promised.len()))
}

/// The lines that do not say who may call.
fn unstated(listed: &str) -> Vec<String> {
    let lines = listed.lines().filter(|line| {
        let says = line.split_whitespace().nth(2).is_some_and(states);
        line.starts_with("router ") || is_route(line) && !says
    });
    lines
        .map(|line| format!("it states no access: {line}"))
        .collect()
}

/// A worker is no route.
fn is_route(line: &str) -> bool {
    line.split_whitespace()
        .nth(1)
        .is_some_and(|path| path.starts_with('/'))
}

/// A permission, `policy(permission)`, `authenticated`, `public` or what begins so.
fn states(access: &str) -> bool {
    let permission = access
        .strip_prefix("policy(")
        .and_then(|rest| rest.strip_suffix(')'));
    let is_word = |word: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-*".contains(c);
        !word.is_empty() && word.chars().all(plain)
    };
    let parts = permission.unwrap_or(access).split_once(':');
    let is_permission =
        parts.is_some_and(|(resource, action)| is_word(resource) && is_word(action));
    is_permission
        || permission.is_none() && matches!(access, "authenticated" | "public" | "public,")
}

/// The paths of gRPC methods that are served.
fn served(listed: &str) -> BTreeSet<String> {
    let lines = listed
        .lines()
        .filter(|line| line.trim_end().ends_with(" gRPC"));
    let paths = lines.filter_map(|line| line.split_whitespace().nth(1));
    paths.map(str::to_owned).collect()
}

/// The paths of the methods in the `.proto` files.
fn promised() -> Result<BTreeSet<String>> {
    let files = below(&workspace::root().join(PROTOS), "proto")?;
    let methods = files.iter().flat_map(|(_, text)| methods(text));
    Ok(methods.collect())
}

/// Services of the shop that implement tonic's trait by hand: what their methods ask for stands in another list than who may call
/// them.
fn told_of_from_outside() -> Result<Vec<String>> {
    let root = workspace::root();
    let mut wrong = Vec::new();
    for package in fs::read_dir(root.join(SHOP)).context(SHOP)? {
        let sources = package?.path().join("src");
        if !sources.is_dir() {
            continue;
        }
        for (file, text) in below(&sources, "rs")? {
            let shown = file.strip_prefix(&root).unwrap_or(&file).display();
            let lines = by_hand(&text).into_iter();
            wrong.extend(lines.map(|line| {
                format!("{shown}:{line}: its methods state no access themselves: put it into grpc_methods!")
            }));
        }
    }
    Ok(wrong)
}

/// The lines in which a service of tonic's is implemented without `grpc_methods!`, from 1.
fn by_hand(source: &str) -> Vec<usize> {
    let lines = source.lines().enumerate();
    let found = lines.filter(|(_, line)| {
        line.trim() == "#[tonic::async_trait]"
            || line.trim() == "#[async_trait]" && source.contains("tonic::async_trait;")
    });
    found.map(|(at, _)| at + 1).collect()
}

/// Files with that extension below a folder, with their texts.
fn below(folder: &Path, wanted: &str) -> Result<Vec<(PathBuf, String)>> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == wanted)
            {
                let text = fs::read_to_string(&path);
                let text = text.with_context(|| path.display().to_string())?;
                files.push((path, text));
            }
        }
    }
    Ok(files)
}

fn methods(proto: &str) -> Vec<String> {
    let (mut package, mut service, mut paths) = ("", "", Vec::new());
    for line in proto.lines().map(str::trim) {
        let word = |keyword: &str| {
            let rest = line.strip_prefix(keyword)?.strip_prefix(' ')?;
            rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.')
                .next()
        };
        if let Some(name) = word("package") {
            package = name;
        } else if let Some(name) = word("service") {
            service = name;
        } else if let Some(name) = word("rpc") {
            paths.push(format!("/{package}.{service}/{name}"));
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\
GET    /health            public                   -          Alive
GET    /orders/{id}       policy(order:read)       orders     Get an order
GET    /products          public, or authenticated inventory  List products
PUT    /users/{id}/roles  admin:*                  identity   Set roles
POST   /a.v1.B/Get        authenticated            orders     gRPC
worker orders/relay
";

    #[test]
    fn what_states_its_access_passes() {
        assert_eq!(unstated(LISTED), [""; 0]);
        assert_eq!(served(LISTED), BTreeSet::from(["/a.v1.B/Get".to_owned()]));
    }

    #[test]
    fn a_route_that_states_none_and_a_router_of_its_own_are_found() {
        let more = "GET    /debug  -  orders  Look inside\nGET /x policy() orders X\nrouter orders: its access is its own\n";
        assert_eq!(unstated(&format!("{LISTED}{more}")).len(), 3);
    }

    #[test]
    fn a_service_that_is_implemented_by_hand_is_found() {
        let by_hand_told = by_hand("a\n#[tonic::async_trait]\nimpl Orders for Api {}\n");
        assert_eq!(by_hand_told, [2]);
        let imported = "use tonic::async_trait;\n#[async_trait]\nimpl Orders for Api {}\n";
        assert_eq!(by_hand(imported), [2]);
        let ours = "use async_trait::async_trait;\n#[async_trait]\nimpl Port for Api {}\n";
        assert!(by_hand(ours).is_empty());
        assert!(by_hand("grpc_methods! {\n    impl Orders for Api {}\n}\n").is_empty());
    }

    #[test]
    fn methods_are_found_in_proto_files() {
        let proto = "package a.v1;\nservice B {\n  // rpc Not(this)\n  rpc Get(In) returns (Out);\n  rpc Put (In) returns (Out) {\n";
        assert_eq!(methods(proto), ["/a.v1.B/Get", "/a.v1.B/Put"]);
    }
}
