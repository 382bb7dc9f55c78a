//! `cargo xtask bench policies`: what each policy does over time, as the pictures of the guide.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder the pictures go to, from seeds and virtual time: the same on every run.
    #[arg(long, default_value = "docs/guide/pictures")]
    draw: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = std::path::absolute(&options.draw)?;
    let mut draw = workspace::cargo(&["run", "--quiet", "-p", "stanchion-resilience"]);
    draw.args(["--example", "policies", "--"]).arg(folder);
    ensure!(shell::aloud(&mut draw)?, "the pictures were not drawn");
    Ok(())
}
