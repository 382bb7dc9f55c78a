//! `cargo xtask bench resilience`: what a call through each policy costs, beside the specialist libraries.

mod gobreaker;

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{cpu, figures::DISTURBED, log, markdown};
use crate::{shell, workspace};

/// The cases of which the second table is made.
const BREAKER: &str = "breaker, closed call";
const CLOCK: &str = "its two clock reads";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// One JSON object a line, `{"case","ours","peer","unit","ratio"}`, instead of a table.
    #[arg(long)]
    json: bool,
    /// Time on the clock instead of time on the processor: for a machine that does nothing else. Waits until it does.
    #[arg(long)]
    wall: bool,
    /// Writes the result as Markdown to this file, between its two marks if it has them, at its end otherwise.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Only the cases with this in their name.
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let program = build()?;
    let mut bench = Command::new(program);
    bench.args(options.wall.then_some("--wall"));
    bench.args(&options.only);
    if options.wall {
        cpu::wait_until_quiet()?;
    }
    let watch = cpu::Watch::start(None)?;
    let measured = shell::quiet(&mut bench)?;
    let foreign = watch.foreign()?;
    let mut lines = parsed(&measured)?;
    lines.extend(breaker(&lines));
    let wanted = options
        .only
        .as_deref()
        .is_none_or(|only| BREAKER.contains(only));
    if wanted {
        match gobreaker::measure() {
            Ok(peers) => lines.extend(gobreaker::beside(&lines, &peers)),
            Err(reason) => eprintln!("{}: not measured: {reason:#}", gobreaker::NAME),
        }
    }
    let conditions = conditions(options.wall, foreign)?;
    conditions.iter().for_each(|line| eprintln!("{line}"));
    if options.json {
        lines.iter().for_each(|line| println!("{line}"));
    } else {
        print!("{}", table(&lines));
    }
    if let Some(file) = &options.markdown {
        let quiet = !options.wall || foreign < DISTURBED;
        ensure!(
            quiet,
            "others used {:.0} % of the machine: nothing to publish",
            foreign * 100.0
        );
        let listed = conditions.iter().map(|line| format!("- {line}\n"));
        let page = listed.collect::<String>() + "\n" + &table(&lines);
        markdown::replace(file, "resilience", &page)?;
    }
    Ok(())
}

fn conditions(wall: bool, foreign: f64) -> Result<Vec<String>> {
    let machine = shell::quiet(Command::new("sh").args(["-c", log::MACHINE]))?;
    let time = if wall {
        "on the clock"
    } else {
        "that threads have run"
    };
    let others = foreign * 100.0;
    Ok(vec![
        machine.trim().to_owned(),
        format!(
            "nanoseconds {time}, medians of 15 rounds; others used {others:.0} % of the machine"
        ),
    ])
}

fn build() -> Result<PathBuf> {
    eprintln!("building benches/resilience for release");
    let folder = workspace::target().join("bench/resilience");
    let mut build = workspace::cargo(&["build", "--quiet", "--locked", "--release"]);
    build.arg("--manifest-path");
    build.arg(workspace::root().join("benches/resilience/Cargo.toml"));
    build.arg("--target-dir").arg(&folder);
    ensure!(
        shell::aloud(&mut build)?,
        "benches/resilience does not compile"
    );
    Ok(folder.join("release/resilience"))
}

fn parsed(lines: &str) -> Result<Vec<Value>> {
    let line = |line| serde_json::from_str(line).context("a line of the bench is no JSON");
    lines.lines().map(line).collect()
}

/// What a breaker adds to its clock reads, and what a second thread adds to it.
fn breaker(lines: &[Value]) -> Vec<Value> {
    let calls = [1, 2].map(|threads| closed_call(lines, threads));
    let mut derived = Vec::new();
    for (threads, call) in [1, 2].into_iter().zip(calls) {
        if let Some([ours, clock]) = call {
            let name = format!("{BREAKER}, {}, above {CLOCK}", on(threads));
            derived.push(line(&name, ours - clock, 25.0));
        }
    }
    if let [Some([alone, _]), Some([together, _])] = calls {
        derived.push(line(
            &format!("{BREAKER}, 2 threads, beside 1 thread"),
            together,
            alone,
        ));
    }
    derived
}

/// Nanoseconds of a call, and of the clock reads in it.
fn closed_call(lines: &[Value], threads: usize) -> Option<[f64; 2]> {
    let name = format!("{BREAKER}, {}, beside {CLOCK}", on(threads));
    let line = lines.iter().find(|line| line["case"] == *name)?;
    Some([line["ours"].as_f64()?, line["peer"].as_f64()?])
}

fn on(threads: usize) -> &'static str {
    if threads == 1 {
        "1 thread"
    } else {
        "2 threads"
    }
}

fn line(name: &str, ours: f64, peer: f64) -> Value {
    let rounded = |value: f64, scale: f64| (value * scale).round() / scale;
    let ratio = rounded(ours / peer, 1_000.0);
    let (ours, peer) = (rounded(ours, 10.0), rounded(peer, 10.0));
    json!({"case": name, "ours": ours, "peer": peer, "unit": "ns", "ratio": ratio})
}

fn table(lines: &[Value]) -> String {
    let rows = lines.iter().map(|line| {
        let name = line["case"].as_str().unwrap_or_default();
        let (ours, peer, ratio) = (&line["ours"], &line["peer"], &line["ratio"]);
        format!("| {name} | {ours} | {peer} | {ratio} |\n")
    });
    let head = "| case | ours, ns | peer, ns | ratio |\n|---|--:|--:|--:|\n";
    rows.fold(head.to_owned(), |table, row| table + &row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Vec<Value> {
        vec![
            line(
                "breaker, closed call, 1 thread, beside its two clock reads",
                70.0,
                50.0,
            ),
            line(
                "breaker, closed call, 2 threads, beside its two clock reads",
                91.0,
                51.0,
            ),
        ]
    }

    #[test]
    fn what_a_breaker_adds_is_told_beside_its_bound() {
        let shown: Vec<_> = breaker(&measured())
            .iter()
            .map(|line| (line["ours"].clone(), line["peer"].clone()))
            .collect();
        let expected = [(20.0, 25.0), (40.0, 25.0), (91.0, 70.0)];
        assert_eq!(
            shown,
            expected.map(|(ours, peer)| (json!(ours), json!(peer)))
        );
        assert!(breaker(&[]).is_empty(), "those cases were not asked for");
    }

    #[test]
    fn a_breaker_in_go_stands_beside_ours_of_as_many_threads() {
        let lines = gobreaker::beside(&measured(), &[Some(140.0), None]);
        assert_eq!(lines.len(), 1);
        assert_eq!(
            (&lines[0]["ours"], &lines[0]["ratio"]),
            (&json!(70.0), &json!(0.5))
        );
    }
}
