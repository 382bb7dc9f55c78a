//! `cargo xtask bench server`: the whole default stack beside bare axum, other languages' servers and bare tonic.

mod contestants;
mod memory;
mod one_run;
mod process;

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use self::{
    contestants::{Case, Contestant},
    one_run::{Bench, take_turn},
};
use super::{
    figures::{Figure, Measurement, compare},
    kits::{Kit, Kits},
    log, markdown,
    report::{self, Row},
    turns::{self, Pair, Played, Turn},
};
use crate::shell;

/// What stands in the case's name when our own server could not be measured.
const FAILED: &str = " (ours failed)";

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
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often each pair is run.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Writes the result as Markdown to this file, between its two marks if it has them, at its end otherwise.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Neither waits for a quiet machine nor repeats a disturbed run: shows whether everything runs, not how fast.
    /// Nothing to publish.
    #[arg(long, conflicts_with = "markdown")]
    hasty: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let all = contestants::all();
    let names: Vec<&str> = all
        .iter()
        .map(|case| case.name)
        .chain([memory::CASE])
        .collect();
    for wanted in &options.cases {
        let known = names.iter().any(|name| log::takes(wanted, name));
        ensure!(known, "no case {wanted}; there are {}", names.join(", "));
    }
    let chosen = |name: &str| {
        let mut wanted = options.cases.iter();
        options.cases.is_empty() || wanted.any(|wanted| log::takes(wanted, name))
    };
    let mut kits = Kits::default();
    kits.ensure(Kit::Servers).map_err(anyhow::Error::msg)?;
    let bench = Bench::start(options.seconds, options.hasty)?;
    let conditions = conditions(options, &bench)?;
    eprintln!("{}", conditions.join("\n"));
    let mut rows = Vec::new();
    let mut add = |measured: Vec<Row>| {
        if options.json {
            measured.iter().for_each(|row| println!("{}", row.json()));
        }
        eprintln!("{}", report::table(&measured));
        rows.extend(measured);
    };
    for case in all.iter().filter(|case| chosen(case.name)) {
        add(measure(case, &bench, &mut kits, options.rounds));
    }
    if chosen(memory::CASE) {
        add(vec![memory::measure(&mut kits)]);
    }
    if !options.json {
        println!("{}", report::table(&rows));
    }
    if let Some(file) = &options.markdown {
        markdown::write(file, "server", &conditions, &rows)?;
    }
    let ours_failed = rows.iter().any(|row| row.case.ends_with(FAILED));
    ensure!(!ours_failed, "our own server failed, see above");
    Ok(())
}

/// What the figures belong to.
fn conditions(options: &Options, bench: &Bench) -> Result<Vec<String>> {
    let machine = shell::quiet(Command::new("sh").args(["-c", log::MACHINE]))?;
    let (rounds, seconds) = (options.rounds, options.seconds);
    let version = |program: &str, arguments: &[&str]| {
        let version = shell::quiet(Command::new(program).args(arguments));
        version.map_or_else(|_| format!("no {program}"), |text| text.trim().to_owned())
    };
    Ok(vec![
        machine.trim().to_owned(),
        format!(
            "{}, {}, Node {}",
            version("rustc", &["--version"]),
            version("go", &["version"]),
            version("node", &["--version"]),
        ),
        format!("{rounds} rounds, each run counted for {seconds} s after half a second"),
        bench.placed().to_owned(),
        format!("ours: {}", contestants::FULL),
    ])
}

/// The rows of a case: one for each peer and figure.
fn measure(case: &Case, bench: &Bench, kits: &mut Kits, rounds: usize) -> Vec<Row> {
    eprintln!("{}: {}", case.name, case.ours.about);
    let played = turns::play(case.peers.len(), rounds, |turn| {
        let contestant = contestant(case, turn);
        let kit = kits.ensure(contestant.kit).map_err(anyhow::Error::msg);
        kit.and_then(|()| take_turn(bench, case, contestant))
    });
    match played {
        Ok(Played { pairs, failed }) => rows(case, &pairs, &failed),
        Err(error) => {
            let name = format!("{}{FAILED}", case.name);
            vec![row(&name, Figure::Rate, "all", Err(format!("{error:#}")))]
        }
    }
}

fn contestant(case: &Case, turn: Turn) -> &Contestant {
    match turn {
        Turn::Ours => &case.ours,
        Turn::Peer(peer) => &case.peers[peer],
    }
}

fn rows(case: &Case, pairs: &[Vec<Pair<Measurement>>], failed: &[Option<String>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for figure in case.figures {
        for ((peer, pairs), failed) in case.peers.iter().zip(pairs).zip(failed) {
            match (compare(pairs, *figure), failed) {
                (Some(comparison), _) => {
                    rows.push(row(case.name, *figure, peer.about, Ok(comparison)));
                }
                (None, Some(reason)) if *figure == case.figures[0] => {
                    rows.push(row(case.name, *figure, peer.about, Err(reason.clone())));
                }
                // Its failure is reported already.
                (None, _) => {}
            }
        }
    }
    rows
}

fn row(
    case: &str,
    figure: Figure,
    peer: &str,
    result: Result<super::figures::Comparison, String>,
) -> Row {
    Row {
        case: case.to_owned(),
        figure,
        peer: peer.to_owned(),
        order: "",
        unit: if figure == Figure::Rate {
            "requests/s"
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
    fn a_peer_that_cannot_be_had_is_one_line_with_the_reason() {
        let case = &contestants::all()[0];
        let measured = |rate| Measurement {
            rate,
            cpu_us: Some(1e6 / rate),
            ..Measurement::default()
        };
        let pair = Pair {
            ours: measured(80.0),
            peer: measured(100.0),
        };
        let mut pairs = vec![vec![pair]; case.peers.len()];
        let mut failed = vec![None; case.peers.len()];
        pairs[1].clear();
        failed[1] = Some("Go is not installed".to_owned());
        let rows = rows(case, &pairs, &failed);
        let of = |peer: usize| {
            rows.iter()
                .filter(move |row| row.peer == case.peers[peer].about)
        };
        assert_eq!(of(1).count(), 1);
        assert_eq!(
            of(1).next().unwrap().json()["failed"],
            "Go is not installed"
        );
        let first = of(0).next().unwrap().json();
        assert_eq!(
            (&first["case"], &first["ratio"]),
            (&"http-json".into(), &0.8.into())
        );
        assert_eq!(of(0).next_back().unwrap().json()["case"], "http-json-cpu");
    }
}
