//! `cargo xtask chaos`: the real shop and the event log under it, hurt on purpose, and judged by somebody else.

mod broker;
mod full;
mod kill;
pub(crate) mod log;
pub(crate) mod log_programs;
mod notes;
mod overload;
mod power;
mod programs;
mod rolling;
mod split;
mod upgrade;

use anyhow::Result;
use clap::Subcommand;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Subcommand)]
enum Fault {
    /// The shop in services on NATS: the broker is killed for a while under a load of orders, then acknowledgements are
    /// lost, connections cut and answers late; an audit of stores and customers' answers.
    Broker(broker::Options),
    /// `kill -9` at random moments under a load of orders, a restart after each, and an audit of the stores.
    Kill(kill::Options),
    /// A disk without room and a disk that fails, under writers, on SQLite and PostgreSQL.
    Full(full::Options),
    /// The event log alone: writers, followers, server and network are hurt by a schedule, and the books are audited.
    Log(log::Options),
    /// Ten times the load that a service can take, a hanging dependency and a frozen database; a number missed is a failure.
    Overload(overload::Options),
    /// Power cuts under writers, on SQLite and PostgreSQL: an image of the disk as the device has it, and an audit.
    Power(power::Options),
    /// Two instances restarted in turn under a steady load over every protocol, directly and behind HAProxy.
    Rolling(rolling::Options),
    /// The shop in services on NATS: process after process becomes the next release under a load of orders, and back.
    Upgrade(upgrade::Options),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.fault {
        Fault::Broker(options) => broker::run(options),
        Fault::Kill(options) => kill::run(options),
        Fault::Full(options) => full::run(options),
        Fault::Log(options) => log::run(options),
        Fault::Overload(options) => overload::run(options),
        Fault::Power(options) => power::run(options),
        Fault::Rolling(options) => rolling::run(options),
        Fault::Upgrade(options) => upgrade::run(options),
    }
}
