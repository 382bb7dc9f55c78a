//! `cargo xtask bench messaging`: from an append to the handler's commit, beside the bare stages and other outboxes.

mod contestants;
mod servers;

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use self::{
    contestants::{Broker, Case, Contestant, all},
    servers::Servers,
};
use super::{
    cpu,
    drivers::{self, Job},
    figures::{Comparison, Figure, Measurement, compare},
    kits::Kits,
    log, markdown,
    report::{self, Row},
    rows::FAILED,
    turns::{self, Pair, Played, Turn},
};
use crate::shell;

/// What the figures of ours and of the others do not have in common.
const PROCESSES: &str = "ours: one process, writers, relay and consumer in it; each outbox of others: three of them, \
                         faststream-outbox without a broker two";

/// So many append at once; stages as well.
const WRITERS: usize = 64;

const FIGURES: [Figure; 3] = [Figure::Rate, Figure::P50, Figure::P99];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Lines for programs on standard output, one a row: {"case","ours","peer","unit","ratio"} and more; the table
    /// goes to standard error.
    #[arg(long)]
    json: bool,
    /// Only these cases, comma-separated; a name that ends in `*` takes all that begin so.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// How long each phase of a run is counted: as much as goes, then half of it.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often each pair is run.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Writes the result as Markdown to this file, between its two marks if it has them, at its end otherwise.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Neither waits for a quiet machine nor repeats a disturbed run: shows whether everything runs, not how fast.
    /// Nothing to publish.
    #[arg(long, conflicts_with = "markdown")]
    hasty: bool,
}

struct Session<'a> {
    options: &'a Options,
    kits: Kits,
    servers: Servers,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = chosen(options)?;
    let mut session = Session {
        options,
        kits: Kits::default(),
        servers: Servers::start()?,
    };
    let conditions = session.conditions()?;
    eprintln!("{}", conditions.join("\n"));
    let mut rows = Vec::new();
    for case in &chosen {
        let measured = session.measure(case);
        if options.json {
            measured.iter().for_each(|row| println!("{}", row.json()));
        }
        eprintln!("{}", report::table(&measured));
        rows.extend(measured);
    }
    if !options.json {
        println!("{}", report::table(&rows));
    }
    if let Some(file) = &options.markdown {
        markdown::write(file, "messaging", &conditions, &rows)?;
    }
    let ours_failed = rows.iter().any(|row| row.case.ends_with(FAILED));
    ensure!(!ours_failed, "our own driver failed, see above");
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<Case>> {
    let all = all();
    let names: Vec<&str> = all.iter().map(|case| case.name).collect();
    for wanted in &options.cases {
        let known = names.iter().any(|name| log::takes(wanted, name));
        ensure!(known, "no case {wanted}; there are {}", names.join(", "));
    }
    let wanted = |case: &Case| {
        let mut wanted = options.cases.iter();
        options.cases.is_empty() || wanted.any(|wanted| log::takes(wanted, case.name))
    };
    Ok(all.into_iter().filter(wanted).collect())
}

impl Session<'_> {
    /// What the figures belong to.
    fn conditions(&self) -> Result<Vec<String>> {
        let machine = shell::quiet(Command::new("sh").args(["-c", log::MACHINE]))?;
        let (rounds, seconds) = (self.options.rounds, self.options.seconds);
        Ok(vec![
            machine.trim().to_owned(),
            self.servers.versions()?,
            format!(
                "{rounds} rounds, {WRITERS} writers, each phase counted for {seconds} s after half a second"
            ),
            PROCESSES.to_owned(),
        ])
    }

    /// The rows of a case: one for each peer and figure, and how we compare with the slowest stage, with all of them in turn and with the best peer.
    fn measure(&mut self, case: &Case) -> Vec<Row> {
        eprintln!("{}", case.name);
        let played = turns::play(case.peers.len(), self.options.rounds, |turn| match turn {
            Turn::Ours => self.take_turn(case.broker, &case.ours),
            Turn::Peer(peer) => self.take_turn(case.broker, &case.peers[peer]),
        });
        match played {
            Ok(Played { pairs, failed }) => rows(case, &pairs, &failed),
            Err(error) => vec![ours_failed(case, &error)],
        }
    }

    /// One run; a disturbed one is repeated.
    fn take_turn(&mut self, broker: Broker, contestant: &Contestant) -> Result<Measurement> {
        let kit = contestant.driver.kit();
        self.kits.ensure(kit).map_err(anyhow::Error::msg)?;
        let hasty = self.options.hasty;
        let measured = Measurement::least_disturbed(hasty, || self.run_once(broker, contestant))?;
        let took = measured.p99_us.map_or(String::new(), |p99| {
            let p50 = measured.p50_us.unwrap_or_default();
            format!(", p50 {:.1} ms, p99 {:.1} ms", p50 / 1e3, p99 / 1e3)
        });
        eprintln!(
            "  {:<30} {:>8.0} messages/s{took}, others {:.0} %",
            contestant.about,
            measured.rate,
            measured.foreign * 100.0
        );
        Ok(measured)
    }

    /// On a database and a broker of its own, once the machine is quiet.
    fn run_once(&mut self, broker: Broker, contestant: &Contestant) -> Result<Measurement> {
        let mut command = contestant.driver.command();
        let database = self.servers.fresh(broker, &mut command)?;
        if !self.options.hasty {
            cpu::wait_until_quiet()?;
        }
        let job = Job {
            case: contestant.word,
            writers: WRITERS,
            seconds: self.options.seconds,
            events: 0,
        };
        let watch = cpu::Watch::of_descendants()?;
        let mut measured = drivers::run(&mut command, &database.url(), job)?;
        measured.foreign = watch.foreign()?;
        if contestant.stage {
            // Of one call, not of the whole way.
            (measured.p50_us, measured.p99_us) = (None, None);
        }
        Ok(measured)
    }
}

fn ours_failed(case: &Case, error: &anyhow::Error) -> Row {
    let name = format!("{}{FAILED}", case.name);
    row(&name, Figure::Rate, "all", "", Err(format!("{error:#}")))
}

fn rows(case: &Case, pairs: &[Vec<Pair<Measurement>>], failed: &[Option<String>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for figure in FIGURES {
        let (mut stages, mut outboxes) = (Vec::new(), Vec::new());
        for ((peer, pairs), failed) in case.peers.iter().zip(pairs).zip(failed) {
            let result = match (compare(pairs, figure), failed) {
                (Some(comparison), _) => Ok(comparison),
                (None, Some(reason)) if figure == Figure::Rate => Err(reason.clone()),
                // It gives no such figure, or its failure is reported already.
                (None, _) => continue,
            };
            if let Ok(comparison) = &result {
                let of = if peer.stage {
                    &mut stages
                } else {
                    &mut outboxes
                };
                of.push((peer, comparison.clone()));
            }
            rows.push(row(case.name, figure, peer.about, peer.order, result));
        }
        if let Some(all) = in_turn(case, pairs).filter(|_| figure == Figure::Rate) {
            rows.push(row(
                case.name,
                figure,
                "all stages in turn",
                "none",
                Ok(all),
            ));
        }
        let slowest = stages.iter().min_by(|a, b| by_peer(&a.1, &b.1));
        let best = match figure {
            Figure::Rate => outboxes.iter().max_by(|a, b| by_peer(&a.1, &b.1)),
            // Less is better.
            _ => outboxes.iter().min_by(|a, b| by_peer(&a.1, &b.1)),
        };
        for (title, found) in [("slowest", slowest), ("best outbox", best)] {
            let Some((peer, comparison)) = found else {
                continue;
            };
            let name = format!("{title}: {}", peer.about.trim_start_matches("stage: "));
            let comparison = Ok(comparison.clone());
            rows.push(row(case.name, figure, &name, peer.order, comparison));
        }
    }
    rows
}

/// What all stages allow that have one machine together: the time of a message in each of them, added up.
fn in_turn(case: &Case, pairs: &[Vec<Pair<Measurement>>]) -> Option<Comparison> {
    let stages = case.peers.iter().zip(pairs);
    let stages: Vec<_> = stages.filter(|(peer, _)| peer.stage).collect();
    let rounds = stages.iter().map(|(_, pairs)| pairs.len()).min()?;
    let together = (0..rounds).filter_map(|round| {
        let played: Vec<_> = stages.iter().map(|(_, pairs)| pairs[round]).collect();
        let foreign = played.iter().map(|it| it.peer.foreign).fold(0.0, f64::max);
        let seconds: f64 = played.iter().map(|it| it.peer.rate.recip()).sum();
        let peer = Measurement {
            rate: seconds.recip(),
            foreign,
            ..Measurement::default()
        };
        let ours = played.last()?.ours;
        Some(Pair { ours, peer })
    });
    compare(&together.collect::<Vec<_>>(), Figure::Rate)
}

fn by_peer(one: &Comparison, other: &Comparison) -> std::cmp::Ordering {
    one.peer.median.total_cmp(&other.peer.median)
}

fn row(
    case: &str,
    figure: Figure,
    peer: &str,
    order: &'static str,
    result: Result<Comparison, String>,
) -> Row {
    Row {
        case: case.to_owned(),
        figure,
        peer: peer.to_owned(),
        order,
        unit: if figure == Figure::Rate {
            "messages/s"
        } else {
            "us"
        },
        result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_stands_beside_the_slowest_stage_and_the_best_outbox() {
        let case = &all()[1];
        let measured = |rate: f64, stage: bool| Measurement {
            rate,
            p99_us: (!stage).then_some(1e6 / rate),
            ..Measurement::default()
        };
        let rates = [900.0, 300.0, 500.0, 50.0, 100.0];
        let pairs: Vec<Vec<Pair<Measurement>>> = rates
            .iter()
            .zip(&case.peers)
            .map(|(rate, peer)| {
                let (ours, peer) = (measured(150.0, false), measured(*rate, peer.stage));
                vec![Pair { ours, peer }]
            })
            .collect();
        let rows = rows(case, &pairs, &vec![None; case.peers.len()]);
        let ratio = |peer: &str, figure: Figure| {
            let mut found = rows
                .iter()
                .filter(|row| row.peer == peer && row.figure == figure);
            found
                .next()
                .map(|row| row.result.as_ref().unwrap().ratio.median)
        };
        assert_eq!(ratio("slowest: inbox and effect", Figure::Rate), Some(0.5));
        // 1/900 and 1/300 and 1/500 of a second: 155 messages in one.
        let in_turn = ratio("all stages in turn", Figure::Rate).unwrap();
        let together = (1.0 / 900.0 + 1.0 / 300.0 + 1.0 / 500.0_f64).recip();
        assert!((in_turn - 150.0 / together).abs() < 1e-9, "{in_turn}");
        let best = "best outbox: pg-transactional-outbox";
        assert_eq!(ratio(best, Figure::Rate), Some(1.5));
        let p99 = ratio(best, Figure::P99).unwrap();
        assert!((p99 - 2.0 / 3.0).abs() < 1e-9, "{p99}");
        assert_eq!(ratio("stage: durable append", Figure::P99), None);
    }
}
