//! Where we are, and cargo as this tool calls it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::shell;

pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Where our own files go.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// `cargo ARGUMENTS` at the root, with the tools of [`crate::tool`] in reach.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(root())
        .env("PATH", path());
    for (name, _) in env::vars_os().filter(|(name, _)| describes_xtask(name)) {
        command.env_remove(name);
    }
    command
}

/// Builds programs of the workspace; their folder. Always with the whole workspace: a package alone would choose other
/// features, and everything below it would be compiled once for each choice.
pub(crate) fn programs(names: &[&str], release: bool) -> Result<PathBuf> {
    programs_with(names, release, &[])
}

/// The same with features.
pub(crate) fn programs_with(names: &[&str], release: bool, features: &[&str]) -> Result<PathBuf> {
    let mut build = cargo(&["build", "--quiet", "--workspace"]);
    build.args(features.iter().flat_map(|feature| ["--features", *feature]));
    if release {
        build.arg("--release");
        build.args(names.iter().flat_map(|name| ["--bin", *name]));
    } else {
        // As tests build them: examples bring the features of tests.
        build.args(["--bins", "--examples"]);
    }
    ensure!(
        shell::aloud(&mut build)?,
        "{} cannot be compiled",
        names.join(", ")
    );
    let profile = if release { "release" } else { "debug" };
    Ok(metadata()?.target_directory.join(profile).into())
}

/// The workspace and everything it depends on.
pub(crate) fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .current_dir(root())
        .exec()
        .context("cargo metadata")
}

/// PATH with the tools that we installed behind those of the machine.
pub(crate) fn path() -> OsString {
    let given = env::var_os("PATH").unwrap_or_default();
    let ours = target().join("tools/bin");
    env::join_paths(env::split_paths(&given).chain([ours])).unwrap_or(given)
}

/// `cargo run` describes the xtask package to us; a build script below us would take it for a change of itself.
fn describes_xtask(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// Packages outside the workspace, as a user's project would be.
pub(crate) fn own_manifests() -> Vec<PathBuf> {
    ["hello", "hello-tonic", "foreign-append"]
        .map(|name| root().join("examples").join(name).join("Cargo.toml"))
        .into_iter()
        .filter(|path| path.is_file())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With several binaries and none of them named so, cargo asks which one is meant.
    #[test]
    fn cargo_run_at_the_root_means_the_shop() {
        let metadata = metadata().unwrap();
        let members = metadata.workspace_default_packages();
        let meant: Vec<&str> = members
            .iter()
            .filter_map(|member| member.default_run.as_deref())
            .collect();
        assert_eq!(meant, ["shop"]);
    }
}
