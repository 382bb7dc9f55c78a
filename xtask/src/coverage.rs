//! `cargo xtask coverage`: lines that the tests reach, for each library and shop crate.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    shell,
    test::{Servers, selection},
    tool, workspace,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The least coverage of all lines together, in percent.
    #[arg(long, default_value_t = 85.0)]
    min: f64,
    /// Measure only these packages, with their own tests.
    #[arg(long = "package", short)]
    packages: Vec<String>,
}

#[derive(Default, Clone, Copy)]
struct Lines {
    all: u64,
    reached: u64,
}

/// Folders whose crates are measured; tools and examples are not.
const MEASURED: [&str; 2] = ["crates", "shop"];

/// Where cargo-llvm-cov leaves its report; the tests' own output stays on the terminal.
const REPORT: &str = "target/coverage.json";

pub(crate) fn run(options: &Options) -> Result<()> {
    tool::NEXTEST.ensure()?;
    tool::LLVM_COV.ensure()?;
    let llvm = LlvmTools::find()?;
    let servers = Servers::start()?;
    let mut tests = workspace::cargo(&[
        "llvm-cov",
        "nextest",
        "--json",
        "--summary-only",
        "--output-path",
        REPORT,
    ]);
    tests
        .args(["--status-level", "slow", "--final-status-level", "fail"])
        .args(selection(&options.packages));
    ensure!(
        shell::aloud(llvm.announce(servers.announce(&mut tests)))?,
        "coverage counts only when every test passes"
    );
    let report = std::fs::read_to_string(workspace::root().join(REPORT)).context(REPORT)?;
    judge(&by_crate(&serde_json::from_str(&report)?)?, options.min)
}

/// The two programs that read what instrumented tests wrote: their version must be that of rustc's LLVM.
struct LlvmTools(Option<[(&'static str, PathBuf); 2]>);

impl LlvmTools {
    /// Those named in the environment, else the toolchain's own, else Debian's of the same version.
    fn find() -> Result<Self> {
        let given = env::var_os("LLVM_COV").is_some() && env::var_os("LLVM_PROFDATA").is_some();
        if given || bundled()? {
            return Ok(Self(None));
        }
        let version = llvm_version()?;
        let debian = ["llvm-cov", "llvm-profdata"]
            .map(|name| PathBuf::from(format!("/usr/bin/{name}-{version}")));
        if debian.iter().all(|program| program.is_file()) {
            let [cov, profdata] = debian;
            return Ok(Self(Some([("LLVM_COV", cov), ("LLVM_PROFDATA", profdata)])));
        }
        bail!(
            "llvm-tools of this toolchain are missing: `rustup component add llvm-tools`, or on Debian \
             `apt-get install llvm-{version}`, or name tools of that LLVM version in LLVM_COV and LLVM_PROFDATA"
        )
    }

    fn announce<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.0.clone().into_iter().flatten())
    }
}

fn llvm_version() -> Result<String> {
    let version = shell::quiet(Command::new("rustc").arg("-vV"))?;
    let llvm = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    let major = llvm.and_then(|version| version.split('.').next());
    major
        .map(str::to_owned)
        .context("rustc -vV names its LLVM version")
}

fn bundled() -> Result<bool> {
    let root = shell::quiet(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let libraries = PathBuf::from(root.trim());
    Ok(libraries
        .with_file_name("bin")
        .join("llvm-profdata")
        .is_file())
}

fn by_crate(report: &Value) -> Result<BTreeMap<String, Lines>> {
    let files = report["data"][0]["files"]
        .as_array()
        .context("the report lists files")?;
    let mut crates = BTreeMap::<String, Lines>::new();
    for file in files {
        let Some(name) = file["filename"].as_str().and_then(crate_of) else {
            continue;
        };
        let count = |key: &str| file["summary"]["lines"][key].as_u64().unwrap_or(0);
        let lines = crates.entry(name).or_default();
        lines.all += count("count");
        lines.reached += count("covered");
    }
    Ok(crates)
}

/// `crates/stanchion-sql` of a file below its `src`.
fn crate_of(file: &str) -> Option<String> {
    let path = Path::new(file).strip_prefix(workspace::root()).ok()?;
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    let (group, name, source) = (parts.next()?, parts.next()?, parts.next()?);
    (MEASURED.contains(&group.as_ref()) && source == "src").then(|| format!("{group}/{name}"))
}

fn judge(crates: &BTreeMap<String, Lines>, min: f64) -> Result<()> {
    let mut total = Lines::default();
    println!(
        "\n{:<32} {:>8} {:>8} {:>8}",
        "line coverage", "lines", "reached", "percent"
    );
    for (name, lines) in crates {
        lines.print(name);
        total.all += lines.all;
        total.reached += lines.reached;
    }
    total.print("total");
    if total.percent() < min {
        bail!(
            "{:.1} % of the lines are reached, {min:.1} % are asked for",
            total.percent()
        );
    }
    Ok(())
}

impl Lines {
    fn print(self, name: &str) {
        println!(
            "{name:<32} {:>8} {:>8} {:>7.1}%",
            self.all,
            self.reached,
            self.percent()
        );
    }

    fn percent(self) -> f64 {
        if self.all == 0 {
            100.0
        } else {
            self.reached as f64 * 100.0 / self.all as f64
        }
    }
}
