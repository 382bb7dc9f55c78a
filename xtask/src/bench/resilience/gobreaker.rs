//! Go's `gobreaker`, where Debian has it.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{BREAKER, closed_call, line, on};
use crate::{bench::go, shell, test::packages, workspace};

pub(super) const NAME: &str = "breaker, closed call, beside Go's gobreaker";
const PACKAGE: &str = "golang-github-sony-gobreaker-dev";
const SOURCE: &str = "github.com/sony/gobreaker";

/// Nanoseconds of a call on one thread, and on two.
pub(super) fn measure() -> Result<[Option<f64>; 2]> {
    if !fs::exists(format!("{}/src/{SOURCE}", go::LIBRARIES))? {
        // Not every release of Debian has it.
        let known =
            shell::quiet(Command::new("apt-cache").args(["show", "--no-all-versions", PACKAGE]));
        if known.is_err() {
            bail!("this system has no package {PACKAGE}");
        }
        packages::install(&["golang-go", PACKAGE], "gobreaker")?;
    }
    let program = go::built("gobreaker");
    let mut build = go::command();
    build.args(["build", "-o"]).arg(&program).arg("./gobreaker");
    shell::quiet(build.current_dir(workspace::root().join("benches/resilience/go")))?;
    let text = shell::quiet(&mut Command::new(program))?;
    let line: Value = serde_json::from_str(text.trim()).context("it printed no JSON")?;
    Ok(["1", "2"].map(|threads| line[threads].as_f64()))
}

/// Its figures beside ours of as many threads.
pub(super) fn beside(lines: &[Value], peers: &[Option<f64>; 2]) -> Vec<Value> {
    let pairs = [1, 2].into_iter().zip(peers).filter_map(|(threads, peer)| {
        let [ours, _] = closed_call(lines, threads)?;
        let name = format!("{BREAKER}, {}, beside gobreaker", on(threads));
        Some(line(&name, ours, (*peer)?))
    });
    pairs.collect()
}
