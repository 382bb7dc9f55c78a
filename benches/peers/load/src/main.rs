//! Load on a service that issues and checks tokens: `auth-load run PLAN.json`, `auth-load draw …`.
//!
//! The mix: access tokens checked, tokens issued to clients, refresh tokens rotated, each used once. Before anything is
//! measured the service must pass a small conformance check: what does not revoke a reused family is no comparison.
//! `cargo xtask load auth` starts the services and writes the plans; a line of JSON on standard output for each event.

mod conform;
mod dialect;
mod draw;
mod mix;
mod plan;
mod setup;
mod state;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::json;
use stanchion_load::{Load, Report, Search, Target};

use plan::Plan;
use state::State;

#[derive(Parser)]
#[command(about = "Load on a service that issues and checks tokens.")]
enum Command {
    /// Prepares, checks and loads the service that the plan names.
    Run {
        /// A JSON file.
        plan: PathBuf,
    },
    /// Draws reports of earlier runs.
    Draw(draw::Options),
}

/// A search ends after so many steps, as far as it has come.
const STEPS_MAX: usize = 24;
/// So far beyond the limit no other run of the same rate would be within it.
const HOPELESS: f64 = 3.0;
/// Between two steps of a search: what piled up before must not be felt after.
const REST: Duration = Duration::from_millis(500);

// One thread: the service has the other processor.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    match Command::parse() {
        Command::Run { plan } => {
            let text = std::fs::read(&plan).with_context(|| plan.display().to_string())?;
            run(&serde_json::from_slice(&text)?).await
        }
        Command::Draw(options) => draw::run(&options),
    }
}

async fn run(plan: &Plan) -> Result<()> {
    let target = Target::parse(&plan.url)?;
    let state = Arc::new(setup::prepare(plan, &target).await?);
    conform::check(plan, &target, &state).await?;
    event("conforms", json!({"families": state.families()}));
    let Some(search) = &plan.search else {
        let report = measure(plan, &target, &state, plan.rate).await?;
        let held = plan.criteria().are_met_by(&report);
        event("report", json!({"held": held, "report": report}));
        return Ok(());
    };
    let mut search =
        Search::between(search.from, search.to, search.precision).starting_at(plan.rate);
    for _ in 0..STEPS_MAX {
        let Some(rate) = search.next() else { break };
        let report = measure(plan, &target, &state, rate).await?;
        let held = plan.criteria().are_met_by(&report);
        event("step", json!({"held": held, "report": report}));
        if !held && is_hopeless(plan, &report) {
            search.rule_out(rate);
        } else {
            search.tell(rate, held);
        }
        tokio::time::sleep(REST).await;
        // An overload may have cost families: they end when an answer is lost.
        setup::replenish(plan, &target, &state).await?;
    }
    event("found", json!({"held": search.held()}));
    Ok(())
}

fn is_hopeless(plan: &Plan, report: &Report) -> bool {
    report.latency.p99_us as f64 > plan.p99_ms * 1_000.0 * HOPELESS
}

async fn measure(plan: &Plan, target: &Target, state: &Arc<State>, rate: f64) -> Result<Report> {
    let load = Load::new(target.clone())
        .rate(rate)
        .arrivals(plan.arrivals)
        .warm_up(Duration::from_secs_f64(plan.warm_up_seconds))
        .duration(Duration::from_secs_f64(plan.seconds))
        .connections(plan.connections)
        .request_timeout(Duration::from_secs_f64(plan.timeout_seconds))
        .seed(plan.seed)
        .when_begun(move || event("begun", json!({"rate": rate})));
    let load = mix::scenarios(plan, state)
        .into_iter()
        .fold(load, |load, (name, weight, scenario)| {
            load.shared_scenario(name, weight, scenario)
        });
    Ok(load.run().await?)
}

/// For whoever started us.
fn event(what: &str, content: serde_json::Value) {
    println!("{}", json!({"event": what, "content": content}));
}
