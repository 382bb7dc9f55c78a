//! `cargo xtask load`: real programs on real stores under an open-loop load.

mod auth;
mod contestants;
mod driver;
mod page;
mod processes;
mod profile;
mod stores;

use anyhow::Result;
use clap::Subcommand;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Access tokens checked (80 %), issued (15 %) and rotated (5 %) on PostgreSQL and Redis.
    Auth(auth::Options),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.what {
        What::Auth(options) => auth::run(options),
    }
}
