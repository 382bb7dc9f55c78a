//! `cargo xtask bench log`: every case in turn, rows as they come, one table at the end.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::PathBuf,
    process::Command,
};

use anyhow::{Result, ensure};

use super::{
    cases::{self, Case, Store},
    cluster::{self, Cluster, Disk},
    cpu,
    drivers::{self, Job},
    figures::Measurement,
    kits::{self, Kits},
    markdown,
    peers::Contestant,
    report::{self, Row},
    rows::{self, FAILED},
    turns::{self, Played, Turn},
};
use crate::{shell, test::packages};

/// Day, processors, system, disk.
pub(crate) const MACHINE: &str = "echo \"$(date -u +%F), $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), \
                       $(free -g | awk '/^Mem/ {print $2}') GiB, $(uname -sr), $(df --output=fstype /tmp | tail -1)\"";

/// In haste, reading cases have so much less to read.
const HASTE: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Lines for programs on standard output, one a row: {"case","ours","peer","unit","ratio"} and more; the table
    /// goes to standard error.
    #[arg(long)]
    json: bool,
    /// Only these cases, comma-separated; a name that ends in `*` takes all that begin so.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// How long each run is counted.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often each pair is run.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Writes the result as Markdown to this file, between its two marks if it has them, at its end otherwise.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Neither waits for a quiet machine nor repeats a disturbed run, and reads a tenth: shows whether everything runs,
    /// not how fast. Nothing to publish.
    #[arg(long, conflicts_with = "markdown")]
    hasty: bool,
}

/// What lasts for the whole session.
struct Session<'a> {
    options: &'a Options,
    kits: Kits,
    clusters: BTreeMap<Disk, Cluster>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = chosen(options)?;
    if !fs::exists("/usr/lib/postgresql")? {
        packages::install(&["postgresql"], "PostgreSQL")?;
    }
    let mut session = Session {
        options,
        kits: Kits::default(),
        clusters: BTreeMap::new(),
    };
    let conditions = session.conditions()?;
    eprintln!("{}", conditions.join("\n"));
    let mut rows = Vec::new();
    for case in &chosen {
        let measured = session.measure(case);
        for row in &measured {
            if options.json {
                println!("{}", row.json());
            }
        }
        eprintln!("{}", report::table(&measured));
        rows.extend(measured);
    }
    if !options.json {
        println!("{}", report::table(&rows));
    }
    if let Some(file) = &options.markdown {
        markdown::write(file, "log", &conditions, &rows)?;
    }
    let ours_failed = rows.iter().any(|row| row.case.ends_with(FAILED));
    ensure!(!ours_failed, "our own driver failed, see above");
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<Case>> {
    let all = cases::all();
    let names: Vec<&str> = all.iter().map(|case| case.name).collect();
    for wanted in &options.cases {
        ensure!(
            names.iter().any(|name| takes(wanted, name)),
            "no case {wanted}; there are {}",
            names.join(", ")
        );
    }
    let wanted = |case: &Case| options.cases.iter().any(|wanted| takes(wanted, case.name));
    let chosen = all
        .into_iter()
        .filter(|case| options.cases.is_empty() || wanted(case));
    Ok(chosen.collect())
}

pub(super) fn takes(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == wanted,
    }
}

impl Session<'_> {
    /// What the figures belong to.
    fn conditions(&mut self) -> Result<Vec<String>> {
        let machine = shell::quiet(Command::new("sh").args(["-c", MACHINE]))?;
        let server = self.cluster(Disk::Own)?.version()?;
        let settings = cluster::SETTINGS.join(" ");
        let (rounds, seconds) = (self.options.rounds, self.options.seconds);
        Ok(vec![
            machine.trim().to_owned(),
            format!("PostgreSQL {server}, {settings}"),
            format!("{rounds} rounds, each run counted for {seconds} s after half a second"),
        ])
    }

    fn cluster(&mut self, disk: Disk) -> Result<&mut Cluster> {
        Ok(match self.clusters.entry(disk) {
            Entry::Occupied(started) => started.into_mut(),
            Entry::Vacant(place) => place.insert(Cluster::start(disk)?),
        })
    }

    /// The rows of a case: one for each peer and figure, and how we compare with the best.
    fn measure(&mut self, case: &Case) -> Vec<Row> {
        eprintln!("{}", case.name);
        let played = turns::play(case.peers.len(), self.options.rounds, |turn| match turn {
            Turn::Ours => self.take_turn(case, &case.ours),
            Turn::Peer(peer) => self.take_turn(case, &case.peers[peer]),
        });
        match played {
            Ok(Played { pairs, failed }) => rows::of(case, &pairs, &failed),
            Err(error) => vec![rows::ours_failed(case, &error)],
        }
    }

    /// One run; a disturbed one is repeated.
    fn take_turn(&mut self, case: &Case, contestant: &Contestant) -> Result<Measurement> {
        let kit = contestant.driver.kit();
        self.kits.ensure(kit).map_err(anyhow::Error::msg)?;
        let hasty = self.options.hasty;
        let measured = Measurement::least_disturbed(hasty, || self.run_once(case, contestant))?;
        eprintln!(
            "  {:<34} {:>12.0} {}, others {:.0} %",
            contestant.name,
            measured.rate,
            case.unit,
            measured.foreign * 100.0
        );
        Ok(measured)
    }

    /// In a fresh database, once the machine is quiet.
    fn run_once(&mut self, case: &Case, contestant: &Contestant) -> Result<Measurement> {
        let word = contestant.case(case.word);
        let events = match contestant.events {
            0 => case.events,
            own => own,
        };
        let job = Job {
            case: &word,
            writers: case.writers,
            seconds: self.options.seconds,
            events: if self.options.hasty {
                events / HASTE
            } else {
                events
            },
        };
        let mut command = contestant.driver.command();
        let (url, server, _folder) = match case.store {
            Store::Postgres(disk) => {
                let cluster = self.cluster(disk)?;
                let database = cluster.fresh_database()?;
                database.announce(&mut command)?;
                (database.url(), Some(cluster.process()), None)
            }
            Store::Sqlite => {
                fs::create_dir_all(kits::folder())?;
                let folder = tempfile::tempdir_in(kits::folder())?;
                let url = format!("sqlite://{}", folder.path().display());
                (url, None, Some(folder))
            }
        };
        if !self.options.hasty {
            cpu::wait_until_quiet()?;
        }
        let watch = cpu::Watch::start(server)?;
        let mut measured = drivers::run(&mut command, &url, job)?;
        measured.foreign = watch.foreign()?;
        Ok(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_takes_all_that_begin_so() {
        assert!(takes("append*", "append-64"));
        assert!(!takes("append*", "slow-append"));
        assert!(takes("feed", "feed"));
        assert!(!takes("fee", "feed"));
    }
}
