//! One dependency hangs; what does not need it goes on.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::asked::{self, Load};
use super::peers::{Programs, Served};
use super::sheet::Sheet;

/// Turns of quiet and hanging: chance strikes both.
const TURNS: usize = 7;
const SECONDS: f64 = 4.0;
/// Requests a second that need what hangs.
const HUNG: f64 = 50.0;
/// Slots of a bulkhead unless somebody says otherwise.
const SLOTS: f64 = 25.0;
/// Fewer calls at a time, and nothing hung that a bulkhead would have to bound.
const HANGING_MIN: f64 = 20.0;
const SAMPLED_EVERY: Duration = Duration::from_millis(20);

pub(super) async fn judge(
    sheet: &mut Sheet,
    programs: &Programs,
    served: &Served,
    capacity: f64,
) -> Result<()> {
    let work = || Load::new(&served.url, SECONDS).load("/work", capacity / 2.0);
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    let (mut sent, mut ok, mut peak) = (0, 0, 0.0_f64);
    for _ in 0..TURNS {
        quiet.push(programs.ask(&work()).await?[0].ok_ms.p99);
        let load = work().load("/hung", HUNG);
        let (asked, running) = tokio::join!(programs.ask(&load), most_running(served));
        let asked = asked?;
        peak = peak.max(running?);
        beside.push(asked[0].ok_ms.p99);
        sent += asked[0].sent;
        ok += asked[0].ok;
    }
    println!("p99 without what hangs: {quiet:.1?}, beside it: {beside:.1?}");
    sheet.at_most("C7 calls at a time to what hangs", SLOTS, peak);
    sheet.at_least("C7 calls that hung at a time", HANGING_MIN, peak);
    let slower = median(&mut beside) / median(&mut quiet);
    sheet.at_most("C7 p99 of the others, times without", 1.05, slower);
    sheet.at_least(
        "C7 share of the others answered",
        0.999,
        ok as f64 / sent as f64,
    );
    Ok(())
}

/// The most calls in the bulkhead, as the service says: the stub hears late of those that were given up.
async fn most_running(served: &Served) -> Result<f64> {
    let (mut most, end) = (None, Instant::now() + Duration::from_secs_f64(SECONDS));
    while Instant::now() < end {
        let shown = asked::get(&format!("{}/debug/policies", served.admin_url)).await;
        let running = shown.ok().as_deref().and_then(running_in);
        most = most.max(running);
        sleep(SAMPLED_EVERY).await;
    }
    // What nobody could read is no small number.
    most.map(f64::from)
        .context("no bulkhead on /debug/policies")
}

fn running_in(shown: &str) -> Option<u32> {
    let (_, bulkhead) = shown.split_once("\"bulkhead\":")?;
    let (_, running) = bulkhead.split_once("\"running\":")?;
    running.split([',', '}']).next()?.trim().parse().ok()
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::running_in;

    #[test]
    fn the_bulkhead_is_found_behind_what_else_runs() {
        let shown = r#"{"data":{"admission":{"running":40},"policies":[
            {"bulkhead":{"running":25,"slots":25,"waiting":1},"dependency":"hanging"}]}}"#;
        assert_eq!(running_in(shown), Some(25));
        assert_eq!(running_in(r#"{"data":{"policies":[]}}"#), None);
    }
}
