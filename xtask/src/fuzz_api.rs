//! `cargo xtask fuzz-api`: generated requests against a real shop, judged by its own OpenAPI document.
//!
//! All of schemathesis's checks are on. What it cannot know of the shop is told by the files beside this one:
//! `hooks.py` and what that imports, `schemathesis.toml`; whatever they narrow is said there, with the reason.

mod report;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use stanchion_testing::process::{Launch, free_port};

use crate::{shell, workspace};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The least number of requests that counts as a run.
    #[arg(long, default_value_t = 5_000)]
    cases: u64,
    /// Generated requests for one operation, in each phase.
    #[arg(long, default_value_t = 100)]
    per_operation: u32,
    /// Makes a run repeatable.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The shop's binary; built in debug when not given.
    #[arg(long)]
    binary: Option<PathBuf>,
}

const PACKAGE: &str = "schemathesis>=4,<5";
const HOOKS: &str = "xtask/src/fuzz_api/hooks.py";
const CONFIG: &str = "xtask/src/fuzz_api/schemathesis.toml";
const PHASES: &str = "examples,coverage,fuzzing,stateful";
/// Longer than the longest answer, which is an order that is waited for.
const REQUEST_SECONDS_MAX: &str = "40";
/// What schemathesis says of the run, and what the hooks counted.
const REPORT: &str = "report.json";
const COUNTS: &str = "counts.json";
const ADMIN_PASSWORD: &str = "fuzzing-the-api-on-loopback";
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn run(options: &Options) -> Result<()> {
    let schemathesis = schemathesis()?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            workspace::programs(&["shop"], false)?.join(format!("shop{}", env::consts::EXE_SUFFIX))
        }
    };
    // It is started in a folder of its own.
    let binary = binary
        .canonicalize()
        .with_context(|| binary.display().to_string())?;
    let folder = tempfile::Builder::new().prefix("shop-fuzz-").tempdir()?;
    let data = folder.path().join("data");
    let (public, admin) = (free_port()?, free_port()?);
    let url = format!("http://127.0.0.1:{public}");
    let launch = Launch::new(binary)
        .folder(folder.path())
        .env("SHOP__SERVER__LISTEN", format!("127.0.0.1:{public}"))
        .env("SHOP__ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
        .env(
            "SHOP__DATABASE__URL",
            format!("sqlite://{}", data.display()),
        )
        .env("SHOP__IDENTITY__ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("SHOP__TELEMETRY__FORMAT", "json")
        .ready_when(format!("{url}/ready"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut shop = runtime.block_on(launch.start(READY_WITHIN))?;
    let clean = fuzz(&schemathesis, &url, &data, options)?;
    let alive = shop.exited()?.is_none();
    keep_log(&shop.stdout(), &shop.stderr())?;
    let status = runtime.block_on(shop.terminate(STOPPED_WITHIN))?;
    let report = report::read(&output().join(REPORT), &output().join(COUNTS))?;
    println!("\n{report}");
    ensure!(
        alive && status.success(),
        "the shop ended with {status}; its log is in target/fuzz-api/shop.log"
    );
    ensure!(
        clean,
        "schemathesis found failures; the shop's log is in target/fuzz-api/shop.log"
    );
    ensure!(
        report.cases >= options.cases,
        "{} cases ran, {} are asked for: raise --per-operation",
        report.cases,
        options.cases
    );
    Ok(())
}

fn fuzz(schemathesis: &Path, url: &str, data: &Path, options: &Options) -> Result<bool> {
    for stale in [REPORT, COUNTS] {
        // What is not there need not go.
        let _ = fs::remove_file(output().join(stale));
    }
    let per_operation = options.per_operation.to_string();
    let mut fuzz = Command::new(schemathesis);
    fuzz.arg("--config-file")
        .arg(workspace::root().join(CONFIG))
        .args(["run", &format!("{url}/openapi.json"), "--checks", "all"])
        .args(["--phases", PHASES, "--mode", "all"])
        .args(["--max-examples", &per_operation])
        .args(["--seed", &options.seed.to_string()])
        .args(["--continue-on-failure", "--no-color"])
        .args(["--request-timeout", REQUEST_SECONDS_MAX])
        .args(["--generation-database", "none"])
        .args(["--suppress-health-check", "all"])
        .args(["--report", "json", "--report-json-path"])
        .arg(output().join(REPORT))
        .current_dir(output())
        .env("SCHEMATHESIS_HOOKS", workspace::root().join(HOOKS))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SHOP_URL", url)
        .env("SHOP_DATA", data)
        .env("SHOP_ADMIN_PASSWORD", ADMIN_PASSWORD)
        .env("SHOP_FUZZ_COUNTS", output().join(COUNTS));
    shell::aloud(&mut fuzz)
}

/// The program, in a Python environment below `target` that is made once.
fn schemathesis() -> Result<PathBuf> {
    let venv = output().join("venv");
    let program = venv.join("bin/schemathesis");
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(output())?;
    eprintln!("installing {PACKAGE} below target/fuzz-api/venv (once)");
    let made = shell::quiet(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    made.context("a Python with venv is needed: on Debian `apt-get install python3-venv`")?;
    shell::quiet(Command::new(venv.join("bin/pip")).args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        PACKAGE,
    ]))?;
    Ok(program)
}

fn keep_log(stdout: &str, stderr: &str) -> Result<()> {
    fs::write(output().join("shop.log"), format!("{stdout}{stderr}"))
        .context("target/fuzz-api/shop.log")
}

fn output() -> PathBuf {
    workspace::target().join("fuzz-api")
}
