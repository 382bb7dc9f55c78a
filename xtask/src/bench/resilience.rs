//! `cargo xtask bench resilience`: what a call through each policy costs, beside the specialist libraries.

use std::{fmt::Write, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// One JSON object a line, `{"case","ours","peer","unit","ratio"}`, instead of a table.
    #[arg(long)]
    json: bool,
    /// Time on the clock instead of time on the processor: for a machine that does nothing else.
    #[arg(long)]
    wall: bool,
    /// Only the cases with this in their name.
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let program = build()?;
    let mut bench = Command::new(program);
    bench.args(options.wall.then_some("--wall"));
    bench.args(&options.only);
    let lines = shell::quiet(&mut bench)?;
    if options.json {
        print!("{lines}");
    } else {
        print!("{}", table(&lines)?);
    }
    Ok(())
}

fn build() -> Result<std::path::PathBuf> {
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

fn table(lines: &str) -> Result<String> {
    let mut table = String::from("| case | ours, ns | peer, ns | ratio |\n|---|---|---|---|\n");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).context("a line of the bench is no JSON")?;
        let name = line["case"].as_str().unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "| {name} | {} | {} | {} |",
            line["ours"], line["peer"], line["ratio"]
        );
    }
    Ok(table)
}
