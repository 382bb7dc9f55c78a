//! `cargo xtask load auth`: the highest rate that the shop's identity holds, with Redis killed in the middle, beside peers.

mod session;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::contestants::{self, Contestant, PEERS};
use super::driver::{Job, Setting};
use super::page::{self, Page};
use super::stores::Stores;
use crate::bench::kits::Kits;
use session::Session;

/// Not counted, at the start of each measured run and of each step of a search.
const WARM_UP_SECONDS: f64 = 5.0;
const STEP_WARM_UP_SECONDS: f64 = 1.0;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Requests a second that should be held; if they are not, the highest rate held is looked for.
    #[arg(long, default_value_t = 10_000.0)]
    rate: f64,
    /// How long each rate has to be held.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Who is loaded.
    #[arg(long, value_enum, default_value = "shop")]
    target: Contestant,
    /// Also finds the highest rate that services in Go, Node and Python hold, in turns with ours.
    #[arg(long)]
    peers: bool,
    /// Only these of them.
    #[arg(long, value_enum, value_delimiter = ',', requires = "peers")]
    only: Vec<Contestant>,
    /// Also runs at 80 % of what was held with Redis killed and restarted in the middle.
    #[arg(long)]
    redis_kill: bool,
    /// Also looks where the processor time of the service goes, by `perf`.
    #[arg(long)]
    profile: bool,
    /// Only the peers, their turns and ours: not the run at a fixed rate.
    #[arg(long, requires = "peers")]
    peers_only: bool,
    /// How often each pair is run.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// How long each step of a search is counted.
    #[arg(long, default_value_t = 4.0)]
    step_seconds: f64,
    /// p99 has to be within so many milliseconds, from the intended start.
    #[arg(long, default_value_t = 25.0)]
    p99_ms: f64,
    /// The most requests under way; the others wait in the load, and their waiting counts.
    #[arg(long, default_value_t = 40)]
    connections: usize,
    /// Sessions, each with a chain of refresh tokens.
    #[arg(long, default_value_t = 256)]
    families: usize,
    /// Clients that ask for tokens and about tokens.
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A constant rate instead of Poisson arrivals.
    #[arg(long)]
    constant: bool,
    /// Writes the result as Markdown to this file, between its two marks, and the pictures to `pictures` beside it.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The programs as they were built before.
    #[arg(long)]
    no_build: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        contestants::build()?;
    }
    let mut kits = Kits::default();
    let mut peers = Vec::new();
    for peer in PEERS.into_iter().filter(|peer| options.takes(*peer)) {
        match peer.install(&mut kits) {
            Ok(()) => peers.push(peer),
            Err(error) => eprintln!("{} cannot be had: {error:#}", peer.about()),
        }
    }
    let mut session = Session {
        options,
        stores: Stores::start()?,
        setting: options.setting(),
    };
    let mut page = Page::new(session.conditions()?);
    eprintln!("{}", page.conditions.join("\n"));
    if !options.peers_only {
        session.measure_ours(&mut page)?;
    }
    if options.peers {
        page.peers = session.beside(&peers)?;
    }
    println!("{}", page.text());
    if let Some(file) = &options.markdown {
        page::write(&page, file)?;
    }
    ensure!(
        page.is_good(),
        "not everything was as it should be, see above"
    );
    Ok(())
}

impl Options {
    fn takes(&self, peer: Contestant) -> bool {
        self.peers && (self.only.is_empty() || self.only.contains(&peer))
    }

    fn setting(&self) -> Setting {
        Setting {
            seed: self.seed,
            clients: self.clients,
            families: self.families,
            connections: self.connections,
            poisson: !self.constant,
        }
    }

    fn steady(&self, rate: f64) -> Job {
        Job {
            rate,
            seconds: self.minutes * 60.0,
            warm_up_seconds: WARM_UP_SECONDS,
            p99_ms: self.p99_ms,
            search: false,
        }
    }

    fn search(&self, from: f64) -> Job {
        Job {
            rate: from,
            seconds: self.step_seconds,
            warm_up_seconds: STEP_WARM_UP_SECONDS,
            p99_ms: self.p99_ms,
            search: true,
        }
    }
}
