//! Cargo subcommands we need: the machine's own first, else installed once below `target/tools`.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{shell, workspace};

/// A subcommand and the version that is known to work.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Licences, bans, sources, advisories.
pub(crate) const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};
/// Unused dependencies.
pub(crate) const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
};
/// Tests in processes of their own.
pub(crate) const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9.143",
};
/// Coverage from rustc's own instrumentation.
pub(crate) const LLVM_COV: Tool = Tool {
    name: "cargo-llvm-cov",
    version: "0.9.1",
};

impl Tool {
    /// Makes `cargo NAME` work. Takes minutes where it has to be compiled, and nothing the next time.
    ///
    /// # Errors
    /// When it is missing and cannot be installed.
    pub(crate) fn ensure(&self) -> Result<()> {
        if self.found().is_some() {
            return Ok(());
        }
        let wanted = format!("{}@{}", self.name, self.version);
        eprintln!("installing {wanted} below target/tools (once)");
        let mut install = workspace::cargo(&[
            "install",
            "--locked",
            "--quiet",
            // Their own optimised build takes minutes and saves seconds.
            "--debug",
            "--root",
            "target/tools",
            &wanted,
        ]);
        // One crate's warnings setting must not break another project's build.
        install.env_remove("RUSTFLAGS");
        ensure!(
            shell::aloud(&mut install)?,
            "{wanted} could not be installed"
        );
        self.found()
            .map(drop)
            .with_context(|| format!("{wanted} was installed and cannot be found"))
    }

    fn found(&self) -> Option<PathBuf> {
        let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home =
            cargo_home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        let folders = env::split_paths(&workspace::path())
            .chain(cargo_home.map(|home| home.join("bin")))
            .collect::<Vec<_>>();
        folders
            .into_iter()
            .map(|folder| folder.join(self.name))
            .find(|path| path.is_file())
    }
}
