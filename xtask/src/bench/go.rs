//! Programs in Go, compiled without a module proxy where Debian has their libraries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::kits;
use crate::{shell, test::packages, workspace};

/// The compiler, and the libraries that the servers are made of.
const PACKAGES: [&str; 5] = [
    "golang-go",
    "golang-github-gin-gonic-gin-dev",
    "golang-github-labstack-echo-dev",
    "golang-github-prometheus-client-golang-dev",
    "golang-github-google-uuid-dev",
];
/// Where Debian puts libraries.
pub(super) const LIBRARIES: &str = "/usr/share/gocode";

/// The servers, each a folder.
const SERVERS: [&str; 3] = ["net_http", "gin", "echo"];

/// Where sources of the servers are, in all languages.
pub(super) fn sources() -> PathBuf {
    workspace::root().join("benches/server")
}

/// The program of that name.
pub(crate) fn built(name: &str) -> PathBuf {
    kits::folder().join("go").join(name)
}

/// Compiles the servers; installs what they need.
pub(super) fn build() -> Result<()> {
    let needed = [
        "gin-gonic/gin",
        "labstack/echo",
        "prometheus/client_golang",
        "google/uuid",
    ];
    let is_there = |library: &&str| {
        fs::exists(format!("{LIBRARIES}/src/github.com/{library}")).unwrap_or(false)
    };
    let has_go = shell::quiet(Command::new("go").arg("version")).is_ok();
    if !has_go || !needed.iter().all(is_there) {
        packages::install(&PACKAGES, "Go")?;
    }
    eprintln!("building benches/server/go");
    for server in SERVERS {
        let mut build = command();
        build.args(["build", "-o"]).arg(built(server));
        build
            .arg(format!("./{server}"))
            .current_dir(sources().join("go"));
        shell::quiet(&mut build)?;
    }
    Ok(())
}

/// What the service that issues tokens is made of.
const AUTH_PACKAGES: [&str; 5] = [
    "golang-go",
    "golang-github-jackc-pgx-v4-dev",
    "golang-github-gomodule-redigo-dev",
    "golang-github-golang-jwt-jwt-dev",
    "golang-github-google-uuid-dev",
];

/// Compiles the service that issues tokens; installs what it needs.
pub(super) fn build_auth(source: &Path) -> Result<()> {
    let needed = ["jackc/pgx", "gomodule/redigo", "golang-jwt/jwt"];
    let is_there = |library: &&str| {
        fs::exists(format!("{LIBRARIES}/src/github.com/{library}")).unwrap_or(false)
    };
    let has_go = shell::quiet(Command::new("go").arg("version")).is_ok();
    if !has_go || !needed.iter().all(is_there) {
        packages::install(&AUTH_PACKAGES, "Go")?;
    }
    eprintln!("building {}", source.display());
    let mut build = command();
    build.args(["build", "-o"]).arg(built("auth-go")).arg(".");
    shell::quiet(build.current_dir(source)).map(drop)
}

/// `go`, with Debian's libraries, and everything that it makes below `target/bench`.
pub(super) fn command() -> Command {
    let mut command = Command::new("go");
    command.env("GOCACHE", kits::folder().join("go/cache"));
    // Libraries are Debian's; nothing is asked of a module proxy.
    command.env("GO111MODULE", "off").env("GOPATH", LIBRARIES);
    command
}
