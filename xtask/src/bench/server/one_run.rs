//! One run: a fresh server on one processor, the load on another.

use std::{fs, net::TcpListener, thread};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    contestants::{Case, Contestant, Protocol, placed},
    process::Process,
};
use crate::{
    bench::{cpu, drivers, figures::Measurement, kits},
    shell,
};

/// From this share of its processor on, the load and not the server may have been what was measured.
const LOAD_FULL: f64 = 0.97;

/// What lasts for all runs.
pub(super) struct Bench {
    seconds: f64,
    hasty: bool,
    /// The processors of the server and of the load, where there are two.
    processors: Option<[usize; 2]>,
    /// Takes the sampled traces.
    collector: (String, Process),
}

impl Bench {
    pub(super) fn start(seconds: f64, hasty: bool) -> Result<Self> {
        let has_taskset = fs::exists("/usr/bin/taskset").unwrap_or(false);
        let enough = thread::available_parallelism()?.get() > 1;
        let processors = (has_taskset && enough).then_some([0, 1]);
        let address = free_address()?;
        let program = kits::built("server", "collector").display().to_string();
        let command = [program, address.clone()];
        let mut command = placed(processors.map(|[_, load]| load), &command);
        let mut collector = Process::start(&mut command)?;
        collector.listens_on(&address)?;
        Ok(Self {
            seconds,
            hasty,
            processors,
            collector: (address, collector),
        })
    }

    /// Where everything runs.
    pub(super) fn placed(&self) -> &'static str {
        match self.processors {
            Some(_) => "every server alone on processor 0, load and trace collector on processor 1",
            None => "servers and load share the processors: nothing to publish",
        }
    }
}

/// One run; a disturbed one is repeated.
pub(super) fn take_turn(
    bench: &Bench,
    case: &Case,
    contestant: &Contestant,
) -> Result<Measurement> {
    Measurement::least_disturbed(bench.hasty, || run_once(bench, case, contestant))
}

fn run_once(bench: &Bench, case: &Case, contestant: &Contestant) -> Result<Measurement> {
    let address = free_address()?;
    let command = contestant.command(&address, &bench.collector.0);
    let processor = |which: usize| bench.processors.map(|processors| processors[which]);
    let mut server = Process::start(&mut placed(processor(0), &command))?;
    server.listens_on(&address)?;
    if !bench.hasty {
        cpu::wait_until_quiet()?;
    }
    let protocol = match case.protocol {
        Protocol::Http => "http",
        Protocol::Grpc => "grpc",
    };
    let load = kits::built("server", "load").display().to_string();
    let (connections, seconds) = (case.connections.to_string(), bench.seconds.to_string());
    let command = [load, protocol.to_owned(), address, connections, seconds];
    let watch = cpu::Watch::start(Some(server.id()))?;
    let before = server.processor_seconds()?;
    let line = shell::quiet(&mut placed(processor(1), &command))?;
    let used = server.processor_seconds()? - before;
    let foreign = watch.foreign()?;
    let memory = server.resident_megabytes()?;
    drop(server);
    let measured =
        drivers::measurement(line.trim()).with_context(|| format!("load printed `{line}`"))?;
    let line: Value = serde_json::from_str(line.trim())?;
    let (all, load) = (
        line["all"].as_f64(),
        line["load"].as_f64().unwrap_or_default(),
    );
    ensure!(measured.rate > 0.0, "it answers nothing");
    let cpu_us = all.map(|all| used * 1e6 / all);
    let note = if load > LOAD_FULL {
        ": the load had no time left"
    } else {
        ""
    };
    eprintln!(
        "  {:<36.36} {:>8.0} requests/s, {:>5.2} us of processor each, {memory:.1} MB, others {:.0} %, load {:.0} %{note}",
        contestant.about,
        measured.rate,
        cpu_us.unwrap_or_default(),
        foreign * 100.0,
        load * 100.0,
    );
    Ok(Measurement {
        cpu_us,
        foreign,
        ..measured
    })
}

/// A port that was free a moment ago.
pub(super) fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.to_string())
}
