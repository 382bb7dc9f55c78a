//! Five hundred logins a second from many addresses, and everybody else, who should not feel it.
//!
//! Quiet spans and spans under attack take turns, so that what else the machine does meets both; the middle one of each
//! counts. Nobody has the names that are tried: that hashes as much as a wrong password of somebody.
//!
//! Between the two is a span beside processes of the lowest priority that do nothing but count, as many as passwords are
//! hashed at the same time: what the machine itself takes from everybody else when so many processors are never idle.

use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Result, ensure};
use stanchion_testing::process::{Kept, free_port};

use super::asked::{Asked, Load};
use super::freeze::product;
use super::peers::Programs;
use super::sheet::Sheet;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// The attack, a second.
const LOGINS: f64 = 500.0;
/// What everybody else asks, a second.
const OTHERS: f64 = 100.0;
/// Spans of each kind.
const SPANS: usize = 3;
/// How much slower everybody else may be, at the 99th percentile.
const SLOWER_MAX: f64 = 1.2;

pub(super) async fn judge(sheet: &mut Sheet, programs: &Programs, seconds: u64) -> Result<()> {
    let place = tempfile::tempdir()?;
    let (public, admin) = (free_port()?, free_port()?);
    let url = format!("http://127.0.0.1:{public}");
    let mut shop = programs
        .shop()
        .folder(place.path())
        .env("SHOP__SERVER__LISTEN", format!("127.0.0.1:{public}"))
        .env("SHOP__ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
        // What the load says of its addresses is believed.
        .env("SHOP__SERVER__TRUSTED_PROXIES", "127.0.0.1")
        .env("SHOP__TELEMETRY__FORMAT", "json")
        .env("RUST_LOG", "warn")
        .ready_when(format!("{url}/ready"))
        .spawn()?;
    shop.ready(READY_WITHIN).await?;
    let others = [product(&url).await?, "/api/v1/products?limit=20".to_owned()];
    let (mut quiet, mut counting, mut attacked) = (Vec::new(), Vec::new(), Vec::new());
    span(programs, &url, &others, 5.0, false).await?;
    for _ in 0..SPANS {
        quiet.push(span(programs, &url, &others, seconds as f64, false).await?);
        let counters = Counters::start()?;
        counting.push(span(programs, &url, &others, seconds as f64, false).await?);
        drop(counters);
        attacked.push(span(programs, &url, &others, seconds as f64, true).await?);
    }
    for (nth, other) in others.iter().enumerate() {
        let p99 = |spans: &[Vec<Asked>]| middle(spans.iter().map(|span| span[nth].ok_ms.p99));
        let (before, beside, under) = (p99(&quiet), p99(&counting), p99(&attacked));
        println!(
            "{other}: p99 {before:.2} ms quiet, {beside:.2} ms beside what counts, {under:.2} ms under attack"
        );
        let what = format!("p99 beside the logins, times the quiet one ({nth})");
        sheet.at_most(&what, SLOWER_MAX, under / before);
        let what = format!("the same, times that beside what counts ({nth})");
        sheet.at_most(&what, SLOWER_MAX, under / beside);
    }
    let lost = attacked.iter().flat_map(|span| &span[..others.len()]);
    let lost: u64 = lost.map(|asked| asked.sent - asked.ok).sum();
    sheet.at_most("others not answered under attack", 0.0, lost as f64);
    let logins = attacked.iter().map(|span| &span[others.len()]);
    let untold: u64 = logins.map(|asked| asked.untold + asked.failed).sum();
    sheet.at_most(
        "logins refused without a time to come back",
        0.0,
        untold as f64,
    );
    ensure!(
        shop.exited()?.is_none(),
        "the shop ended: {}",
        shop.stderr()
    );
    Ok(())
}

/// Processes of the lowest priority that are never idle.
struct Counters(Vec<(Child, Kept)>);

impl Counters {
    /// As many as passwords are hashed at the same time, by default.
    fn start() -> Result<Self> {
        let places = (available_parallelism()?.get() / 2).max(1);
        let mut counters = Self(Vec::new());
        for _ in 0..places {
            let mut counter = Command::new("nice");
            counter.args(["-n", "19", "sh", "-c", "while :; do :; done"]);
            counter.stdin(Stdio::null());
            counters.0.push(Kept::spawn(&mut counter)?);
        }
        Ok(counters)
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        for (counter, _) in &mut self.0 {
            // Each is one process: `nice` and the shell are replaced by what they run.
            let _gone = counter.kill();
            let _ended = counter.wait();
        }
    }
}

async fn span(
    programs: &Programs,
    url: &str,
    others: &[String],
    seconds: f64,
    attacked: bool,
) -> Result<Vec<Asked>> {
    let load = Load::new(url, seconds);
    let load = others
        .iter()
        .fold(load, |load, path| load.load(path, OTHERS));
    let body = r#"{"login": "nobody{n}", "password": "not the password"}"#;
    let load = if attacked {
        load.post("/api/v1/auth/login", body, LOGINS)
    } else {
        load
    };
    let asked = programs.ask(&load).await?;
    for one in &asked {
        println!("{one}");
    }
    Ok(asked)
}

fn middle(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
