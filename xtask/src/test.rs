//! `cargo xtask test`: everything, on real servers, and one closing summary.

mod examples;
mod packages;
mod tally;

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, bail};
use stanchion_testing::servers::Postgres;

use crate::{shell, tool, workspace};
use tally::Tally;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Skip what needs a server instead of failing where none can be had.
    #[arg(long)]
    without_servers: bool,
}

/// Servers of this run, and what tests are told about them.
pub(crate) struct Servers {
    postgres: Option<Postgres>,
    skips: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let servers = if options.without_servers {
        Servers::none()?
    } else {
        Servers::start()?
    };
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for (part, run) in [
        ("tests", tests as fn(&Servers, &mut Tally) -> Result<bool>),
        ("doc tests", doc_tests),
        ("examples", examples::run),
    ] {
        eprintln!("\n== {part} ==");
        let failed = tally.failed;
        let clean = run(&servers, &mut tally).unwrap_or_else(|error| {
            eprintln!("{error:#}");
            false
        });
        if !clean && tally.failed == failed {
            broken.push(part);
        }
    }
    tally.move_skipped(servers.skipped()?);
    println!("\n{tally}");
    if !broken.is_empty() {
        bail!("did not run to their end: {}", broken.join(", "));
    }
    if tally.failed > 0 {
        bail!("{} failed", tally.failed);
    }
    Ok(())
}

impl Servers {
    /// Installs what is missing, and starts one server of each kind for the whole run.
    pub(crate) fn start() -> Result<Self> {
        if !Postgres::available() {
            packages::install("postgresql", "PostgreSQL")?;
        }
        eprintln!("starting a throwaway PostgreSQL");
        Ok(Self {
            postgres: Some(Postgres::start()?),
            skips: skips_file()?,
        })
    }

    fn none() -> Result<Self> {
        Ok(Self {
            postgres: None,
            skips: skips_file()?,
        })
    }

    /// Tells the tests below `command` where the servers are.
    pub(crate) fn announce<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("STANCHION_TEST_SKIPS", &self.skips);
        match &self.postgres {
            Some(postgres) => command
                .env("STANCHION_TEST_SERVERS", "1")
                .env("STANCHION_TEST_POSTGRES", postgres.url()),
            None => command
                .env("STANCHION_TEST_SERVERS", "0")
                .env_remove("STANCHION_TEST_POSTGRES"),
        }
    }

    /// Tests that reported themselves skipped; libtest knows only passed and failed.
    fn skipped(&self) -> Result<u64> {
        let lines = fs::read_to_string(&self.skips)?;
        let lines: std::collections::BTreeSet<&str> = lines.lines().collect();
        lines.iter().for_each(|line| eprintln!("{line}"));
        Ok(lines.len() as u64)
    }
}

fn skips_file() -> Result<PathBuf> {
    let path = workspace::target().join("skipped-tests.txt");
    fs::create_dir_all(workspace::target())?;
    fs::write(&path, "")?;
    Ok(path)
}

fn tests(servers: &Servers, tally: &mut Tally) -> Result<bool> {
    if let Err(error) = tool::NEXTEST.ensure() {
        eprintln!("{error:#}: cargo test in its place");
        let mut test = workspace::cargo(&[
            "test",
            "--no-fail-fast",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
        ]);
        return shell::listen_to_stdout(servers.announce(&mut test), |line| {
            tally.read_libtest(line)
        });
    }
    let mut nextest = workspace::cargo(&["nextest", "run", "--workspace"]);
    nextest.args([
        "--no-tests",
        "pass",
        "--status-level",
        "slow",
        "--final-status-level",
        "fail",
    ]);
    shell::listen_to_stderr(servers.announce(&mut nextest), |line| {
        tally.read_nextest(line)
    })
}

fn doc_tests(servers: &Servers, tally: &mut Tally) -> Result<bool> {
    let mut doc = workspace::cargo(&["test", "--quiet", "--no-fail-fast", "--doc", "--workspace"]);
    shell::listen_to_stdout(servers.announce(&mut doc), |line| tally.read_libtest(line))
}
