//! One dependency hangs; what does not need it goes on.

use anyhow::{Context, Result};

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

pub(super) async fn judge(
    sheet: &mut Sheet,
    programs: &Programs,
    served: &Served,
    capacity: f64,
) -> Result<()> {
    let work = || Load::new(&served.url, SECONDS).load("/work", capacity / 2.0);
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    let (mut sent, mut ok) = (0, 0);
    for _ in 0..TURNS {
        quiet.push(programs.ask(&work()).await?[0].ok_ms.p99);
        let asked = programs.ask(&work().load("/hung", HUNG)).await?;
        beside.push(asked[0].ok_ms.p99);
        sent += asked[0].sent;
        ok += asked[0].ok;
    }
    println!("p99 without what hangs: {quiet:.1?}, beside it: {beside:.1?}");
    let peak = asked::get(&format!("{}/hanging", served.stub_url)).await?;
    let peak: f64 = peak
        .rsplit_once("\"peak\":")
        .and_then(|(_, rest)| rest.split('}').next()?.trim().parse().ok())
        .context("the stub tells its peak")?;
    sheet.at_most("C7 calls at a time to what hangs", SLOTS, peak);
    let slower = median(&mut beside) / median(&mut quiet);
    sheet.at_most("C7 p99 of the others, times without", 1.05, slower);
    sheet.at_least(
        "C7 share of the others answered",
        0.999,
        ok as f64 / sent as f64,
    );
    Ok(())
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
