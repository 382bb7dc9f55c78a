//! `cargo xtask bench`: what is claimed to be fast, measured beside what others offer, on one machine in one session.

mod cases;
mod cluster;
pub(crate) mod cpu;
mod drivers;
pub(crate) mod figures;
pub(crate) mod go;
pub(crate) mod kits;
pub(crate) mod log;
pub(crate) mod markdown;
mod messaging;
mod peers;
mod policies;
mod replay;
mod report;
mod resilience;
mod rows;
mod server;
pub(crate) mod turns;

use anyhow::Result;
use clap::Subcommand;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The event log beside other event stores and beside its database's limits; a PostgreSQL of its own.
    Log(log::Options),
    /// A message's whole way, from the append to the handler's commit, beside its bare stages and other outboxes; servers of
    /// its own.
    Messaging(messaging::Options),
    /// The shop's start on a log of a million events: how long its lists take, and how much memory.
    Replay(replay::Options),
    /// What each policy does over time, drawn into the guide; a test compares the pictures with what is committed.
    Policies(policies::Options),
    /// What a call through each policy costs, beside the specialist libraries.
    Resilience(resilience::Options),
    /// The whole default stack beside bare axum and other languages' servers, gRPC beside bare tonic, an idle service's
    /// memory.
    Server(server::Options),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.what {
        What::Log(options) => log::run(options),
        What::Messaging(options) => messaging::run(options),
        What::Replay(options) => replay::run(options),
        What::Policies(options) => policies::run(options),
        What::Resilience(options) => resilience::run(options),
        What::Server(options) => server::run(options),
    }
}
