//! `cargo xtask compare`: a recorded run of requests to one process and to four services, compared field by field.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{shell, test::packages, workspace};

/// The test that does it; a plain test run does some hundred requests of it.
const TEST: &str = "same_answers::one_process_and_four_services_give_the_same_answers";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many requests.
    #[arg(long, default_value_t = 10_000)]
    requests: u64,
    /// Which: the same seed gives the same run.
    #[arg(long, default_value_t = 20_260_718)]
    seed: u64,
    /// How long it may take, in minutes, once it is compiled.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// The optimised build.
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    packages::for_services()?;
    // Not by nextest: it ends tests that take minutes.
    // With the whole workspace, as every build of ours: its programs are there, with the features of its tests.
    let mut arguments = vec!["test", "--workspace", "--test", "shop", TEST];
    if options.release {
        arguments.push("--release");
    }
    let mut command: Command = workspace::cargo(&arguments);
    command.args(["--", "--exact", "--nocapture"]);
    command.env("SHOP_COMPARE_REQUESTS", options.requests.to_string());
    command.env("SHOP_COMPARE_SEED", options.seed.to_string());
    command.env("SHOP_COMPARE_MINUTES", options.minutes.to_string());
    // What is missing is no reason to say that the answers are the same.
    command.env("STANCHION_TEST_SERVERS", "1");
    ensure!(
        shell::aloud(&mut command)?,
        "the answers differ, it took too long, or somebody did not start"
    );
    Ok(())
}
