//! The example programs: each pattern must end well by itself, each `hello` must serve and stop in good order, what has
//! tests must pass them, and the first program that a new user runs passes the doctor.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, Package, Target};
use stanchion_testing::process::Launch;

use super::{Servers, tally::Tally};
use crate::{shell, workspace};

/// From start to ready, and from SIGTERM to the end, each.
const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn run(servers: &Servers, tally: &mut Tally) -> Result<bool> {
    let patterns = patterns(servers, tally)?;
    let own = own(servers, tally)?;
    Ok(patterns && own)
}

/// The program that `stanchion doctor` examines, and a path that it serves.
const EXAMINED: (&str, &str) = ("hello", "/hello/world");

/// Built with the whole workspace: `-p patterns` alone would choose other features and compile dependencies again.
fn patterns(servers: &Servers, tally: &mut Tally) -> Result<bool> {
    let metadata = workspace::metadata()?;
    let Some(package) = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == "patterns")
        .cloned()
    else {
        return Ok(true);
    };
    let built = workspace::programs(&["patterns"], false)?;
    let mut clean = true;
    for program in programs(&package) {
        let path = built.join(folder(program)).join(&program.name);
        let passed = shell::quiet(servers.announce(&mut Command::new(&path)));
        clean &= report(
            tally,
            &format!("patterns: {}", program.name),
            passed.map(drop),
        );
    }
    Ok(clean)
}

fn programs(package: &Package) -> impl Iterator<Item = &Target> {
    package
        .targets
        .iter()
        .filter(|target| target.is_bin() || target.is_example())
}

fn folder(program: &Target) -> &'static str {
    if program.is_example() { "examples" } else { "" }
}

/// Packages of their own, as a user's would be. What has tests says by them what it does.
fn own(servers: &Servers, tally: &mut Tally) -> Result<bool> {
    let mut clean = true;
    for manifest in workspace::own_manifests() {
        let package = package(&manifest)?;
        let (does, done) = if package.targets.iter().any(Target::is_test) {
            ("passes its tests", test(servers, &manifest))
        } else {
            (
                "serves and stops in good order",
                serve_once(&manifest, &package),
            )
        };
        clean &= report(tally, &format!("{} {does}", package.name), done);
    }
    Ok(clean)
}

fn test(servers: &Servers, manifest: &Path) -> Result<()> {
    let mut test = alone("test", manifest)?;
    shell::quiet(servers.announce(&mut test)).map(drop)
}

fn serve_once(manifest: &Path, package: &Package) -> Result<()> {
    let mut build = alone("build", manifest)?;
    ensure!(shell::aloud(&mut build)?, "it does not compile");
    let folder = workspace::metadata()?.target_directory;
    let binary = folder.join("debug").join(package.name.as_str());
    // Forty lines have no room for settings: it listens where every service does unless told otherwise.
    let launch = Launch::new(binary).ready_when("http://127.0.0.1:8080/ready");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (examined, status) = runtime.block_on(async {
        let mut process = launch.start(DEADLINE).await?;
        let examined = examined(package.name.as_str());
        let status = process.terminate(DEADLINE).await?;
        anyhow::Ok((examined, status))
    })?;
    ensure!(status.success(), "after SIGTERM: {status}");
    examined
}

/// What the architect says of it, if it is to be asked: built with the workspace's programs.
fn examined(name: &str) -> Result<()> {
    let (program, path) = EXAMINED;
    if name != program {
        return Ok(());
    }
    let folder = workspace::metadata()?.target_directory;
    let mut doctor = Command::new(folder.join("debug/stanchion"));
    doctor.args(["doctor", "http://127.0.0.1:8080", "--path", path]);
    doctor.args(["--admin", "http://127.0.0.1:9090"]);
    shell::quiet(&mut doctor).map(drop).context("its doctor")
}

/// A cargo command on a package of its own, into the workspace's folder and with its profile, so that what
/// both use is compiled once.
fn alone(command: &str, manifest: &Path) -> Result<Command> {
    let folder = workspace::metadata()?.target_directory;
    let mut cargo = workspace::cargo(&[command, "--quiet", "--manifest-path"]);
    cargo.arg(manifest).arg("--target-dir").arg(&folder);
    cargo.arg("--config").arg(workspace_profile()?);
    Ok(cargo)
}

/// The workspace's development profile as a file of cargo's configuration.
fn workspace_profile() -> Result<PathBuf> {
    let manifest = fs::read_to_string(workspace::root().join("Cargo.toml"))?;
    let mut manifest: toml::Table = manifest.parse()?;
    manifest.retain(|table, _| table == "profile");
    let path = workspace::target().join("workspace-profile.toml");
    fs::write(&path, manifest.to_string())?;
    Ok(path)
}

fn package(manifest: &Path) -> Result<Package> {
    let own = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()?;
    let package = own.packages.into_iter().next();
    package.context("a manifest names a package")
}

fn report(tally: &mut Tally, name: &str, outcome: Result<()>) -> bool {
    tally.count(name, &outcome);
    match &outcome {
        Ok(()) => eprintln!("ok      {name}"),
        Err(error) => eprintln!("FAILED  {name}: {error:#}"),
    }
    outcome.is_ok()
}
