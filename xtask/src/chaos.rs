//! `cargo xtask chaos`: the real shop under real load, hurt on purpose, and judged by somebody else.

mod kill;
mod programs;

use anyhow::Result;
use clap::Subcommand;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Subcommand)]
enum Fault {
    /// `kill -9` at random moments under a load of orders, a restart after each, and an audit of the stores.
    Kill(kill::Options),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.fault {
        Fault::Kill(options) => kill::run(options),
    }
}
