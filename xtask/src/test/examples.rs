//! The example programs: each pattern must end well by itself, `hello` must serve and stop in good order.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{MetadataCommand, Package, Target};
use stanchion_testing::process::Launch;

use super::{Servers, tally::Tally};
use crate::{shell, workspace};

/// From start to ready, and from SIGTERM to the end, each.
const HELLO_DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn run(servers: &Servers, tally: &mut Tally) -> Result<bool> {
    let patterns = patterns(servers, tally)?;
    let hello = hello(tally)?;
    Ok(patterns && hello)
}

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
    let mut build = workspace::cargo(&["build", "--quiet", "--workspace", "--bins", "--examples"]);
    ensure!(shell::aloud(&mut build)?, "the examples do not compile");
    let mut clean = true;
    for program in programs(&package) {
        let path = metadata
            .target_directory
            .join("debug")
            .join(folder(program))
            .join(&program.name);
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

/// A package of its own, as a user's would be.
fn hello(tally: &mut Tally) -> Result<bool> {
    let mut clean = true;
    for manifest in workspace::own_manifests() {
        let served = serve_once(&manifest);
        clean &= report(tally, "hello serves and stops in good order", served);
    }
    Ok(clean)
}

fn serve_once(manifest: &PathBuf) -> Result<()> {
    let binary = build_alone(manifest)?;
    // Forty lines have no room for settings: it listens where every service does unless told otherwise.
    let launch = Launch::new(binary).ready_when("http://127.0.0.1:8080/ready");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(async {
        let mut process = launch.start(HELLO_DEADLINE).await?;
        process.terminate(HELLO_DEADLINE).await
    })?;
    ensure!(status.success(), "after SIGTERM: {status}");
    Ok(())
}

/// Into the workspace's folder, so that what both use is compiled once.
fn build_alone(manifest: &PathBuf) -> Result<PathBuf> {
    let folder = workspace::metadata()?.target_directory;
    let mut build = workspace::cargo(&["build", "--quiet", "--manifest-path"]);
    ensure!(
        shell::aloud(build.arg(manifest).arg("--target-dir").arg(&folder))?,
        "it does not compile"
    );
    let own = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()?;
    let package = own.packages.first().context("a manifest names a package")?;
    Ok(folder.join("debug").join(package.name.as_str()).into())
}

fn report(tally: &mut Tally, name: &str, outcome: Result<()>) -> bool {
    tally.count(outcome.is_ok());
    match &outcome {
        Ok(()) => eprintln!("ok      {name}"),
        Err(error) => eprintln!("FAILED  {name}: {error:#}"),
    }
    outcome.is_ok()
}
