//! What a developer runs, in one place: `cargo xtask COMMAND`, a file a command.

mod bench;
mod chaos;
mod check;
mod cluster;
mod compare;
mod coverage;
mod fuzz_api;
mod load;
mod shell;
mod test;
mod tool;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "What a developer runs, in one place.")]
enum Command {
    /// Format, lints, docs, licences, unused dependencies, SBOM, direction, links: everything that needs no test run.
    Check(check::Options),
    /// Our event log beside other event stores and the limits of its database, measured in one session.
    Bench(bench::Options),
    /// The real shop under real load, hurt on purpose, and judged by a separate program.
    Chaos(chaos::Options),
    /// The whole shop as separate services on this machine, with one view of them.
    Cluster(cluster::Options),
    /// The same requests to one process and to four services: the same answers, field by field.
    Compare(compare::Options),
    /// Every test on real throwaway servers, the doc examples and the example programs; one closing summary.
    Test(test::Options),
    /// Line coverage of each library and shop crate.
    Coverage(coverage::Options),
    /// The shop's identity at a fixed rate, on real stores, beside services in other languages.
    Load(load::Options),
    /// Thousands of generated requests against a running shop, judged by its own OpenAPI document.
    FuzzApi(fuzz_api::Options),
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Bench(options) => bench::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Chaos(options) => chaos::run(&options),
        Command::Cluster(options) => cluster::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Coverage(options) => coverage::run(&options),
        Command::Load(options) => load::run(&options),
        Command::FuzzApi(options) => fuzz_api::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
