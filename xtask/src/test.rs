//! `cargo xtask test`: everything, on real servers, and one closing summary.

mod examples;
pub(crate) mod packages;
mod tally;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use stanchion_testing::servers::{PgBouncer, Postgres, RabbitMq, Redis};

use crate::{
    chaos::{log, log_programs::LogPrograms},
    shell, tool, workspace,
};
use tally::Tally;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Skip what needs a server instead of failing where none can be had.
    #[arg(long)]
    without_servers: bool,
    /// Only the tests of these packages, without the examples.
    #[arg(long = "package", short)]
    packages: Vec<String>,
}

/// The parts of a run, in the order they run.
const PARTS: [Part; 5] = [
    Part {
        name: "tests",
        run: tests,
    },
    Part {
        name: "doc tests",
        run: doc_tests,
    },
    Part {
        name: "examples",
        run: examples,
    },
    Part {
        name: "generated services",
        run: generated,
    },
    Part {
        name: "the log under faults",
        run: chaos,
    },
];

struct Part {
    name: &'static str,
    /// False when something failed, counted or not.
    run: fn(&Options, &Servers, &mut Tally) -> Result<bool>,
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
        Servers::start().context("--without-servers skips what needs one")?
    };
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for part in &PARTS {
        eprintln!("\n== {} ==", part.name);
        let counted = tally.failed;
        let clean = (part.run)(options, &servers, &mut tally).unwrap_or_else(|error| {
            eprintln!("{error:#}");
            false
        });
        // A part that does not compile fails without a failed test.
        if !clean && tally.failed == counted {
            broken.push(part.name);
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
        packages::for_services()?;
        if !Path::new("/usr/bin/chromium").exists() || !Path::new("/usr/bin/chromedriver").exists()
        {
            packages::install(
                &["chromium", "chromium-driver"],
                "Chromium, which reads /docs,",
            )?;
        }
        if !PgBouncer::available() {
            packages::install(&["pgbouncer"], "PgBouncer")?;
        }
        if !Redis::available() {
            packages::install(&["redis-server"], "Redis")?;
        }
        if !RabbitMq::available() {
            packages::install(&["rabbitmq-server"], "RabbitMQ")?;
        }
        for (tool, what) in [
            ("faketime", "faketime, which gives a process another clock,"),
            ("sqlite3", "sqlite3, which copies a store for a test,"),
            ("openssl", "openssl, which makes certificates for a test,"),
        ] {
            if !Path::new("/usr/bin").join(tool).exists() {
                packages::install(&[tool], what)?;
            }
        }
        if !has_python_venv()? {
            packages::install(
                &["python3", "python3-venv"],
                "Python, which receives traces,",
            )?;
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

fn tests(options: &Options, servers: &Servers, tally: &mut Tally) -> Result<bool> {
    if let Err(error) = tool::NEXTEST.ensure() {
        eprintln!("{error:#}: cargo test in its place");
        let mut test = workspace::cargo(&[
            "test",
            "--no-fail-fast",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
        ]);
        test.args(selection(&options.packages));
        return shell::listen_to_stdout(servers.announce(&mut test), |line| {
            tally.read_libtest(line)
        });
    }
    let mut nextest = workspace::cargo(&["nextest", "run", "--no-tests", "pass"]);
    nextest
        .args(["--status-level", "slow", "--final-status-level", "flaky"])
        .args(selection(&options.packages));
    shell::listen_to_stderr(servers.announce(&mut nextest), |line| {
        tally.read_nextest(line)
    })
}

fn doc_tests(options: &Options, servers: &Servers, tally: &mut Tally) -> Result<bool> {
    let mut doc = workspace::cargo(&["test", "--quiet", "--no-fail-fast", "--doc"]);
    doc.args(selection(&options.packages));
    shell::listen_to_stdout(servers.announce(&mut doc), |line| tally.read_libtest(line))
}

fn examples(options: &Options, servers: &Servers, tally: &mut Tally) -> Result<bool> {
    if !options.packages.is_empty() {
        eprintln!("not with --package");
        return Ok(true);
    }
    examples::run(servers, tally)
}

/// Services as `stanchion new` makes them. By themselves: they are compiled, which tests beside them would feel.
fn generated(options: &Options, servers: &Servers, tally: &mut Tally) -> Result<bool> {
    let wanted = |package: &String| package == "stanchion-cli";
    if !options.packages.is_empty() && !options.packages.iter().any(wanted) {
        eprintln!("not with these packages");
        return Ok(true);
    }
    let before = tally.passed + tally.failed;
    let mut test = workspace::cargo(&["test", "--package", "stanchion-cli", "--test", "templates"]);
    test.args(["--", "--ignored", "--test-threads", "1"]);
    let clean =
        shell::listen_to_stdout(servers.announce(&mut test), |line| tally.read_libtest(line))?;
    // They were skipped among the tests.
    let ran = tally.passed + tally.failed - before;
    tally.skipped = tally.skipped.saturating_sub(ran);
    Ok(clean)
}

/// The short run of `cargo xtask chaos log`, a new seed each time: what it finds is repeated with the seed it prints.
fn chaos(options: &Options, servers: &Servers, tally: &mut Tally) -> Result<bool> {
    if !options.packages.is_empty() || servers.postgres.is_none() {
        eprintln!("skipped: not with --package, not without servers");
        tally.skipped += 1;
        return Ok(true);
    }
    let programs = LogPrograms::built(false)?;
    let outcome = log::play(&log::Options::short(), &programs);
    tally.count("the log under faults", &outcome);
    outcome.map(|()| true)
}

/// Whether Python can make an environment of its own for the receiver of traces.
fn has_python_venv() -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(folder.path().join("venv"));
    Ok(make.output().is_ok_and(|made| made.status.success()))
}

/// Arguments that choose these packages, or the whole workspace when none is named.
pub(crate) fn selection(packages: &[String]) -> Vec<String> {
    if packages.is_empty() {
        return vec!["--workspace".to_owned()];
    }
    packages
        .iter()
        .flat_map(|package| ["--package".to_owned(), package.clone()])
        .collect()
}
