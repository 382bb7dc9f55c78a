//! Where PostgreSQL's programs are.

use std::{env, ffi::OsString, fs, path::PathBuf};

use anyhow::{Context, Result};

/// Debian keeps the server's programs out of the path, a folder a major version.
const VERSIONS: &str = "/usr/lib/postgresql";

pub(super) fn installed() -> bool {
    ["initdb", "postgres", "psql"]
        .iter()
        .all(|program| find(program).is_ok())
}

pub(super) fn find(program: &str) -> Result<PathBuf> {
    let found = folders()
        .into_iter()
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!("{program} is neither in PATH nor below {VERSIONS}: install postgresql")
    })
}

/// PATH with the folders of PostgreSQL's programs behind those of the machine.
pub(super) fn path() -> Result<OsString> {
    Ok(env::join_paths(folders())?)
}

/// The folders of PATH, then Debian's, newest version first.
fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<u32> = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let debian = versions
        .into_iter()
        .map(|version| PathBuf::from(format!("{VERSIONS}/{version}/bin")));
    env::split_paths(&path).chain(debian).collect()
}
