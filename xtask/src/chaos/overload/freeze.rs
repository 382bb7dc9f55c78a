//! The shop's database stands still for five seconds under load, and clients who try again.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stanchion_testing::process::free_port;
use stanchion_testing::servers::Postgres;
use tokio::time::{Instant, sleep};

use super::asked::{self, Asked, Load};
use super::peers::Programs;
use super::sheet::Sheet;
use crate::shell;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// What a shop must be given whose store is not embedded; it seals nothing that anybody keeps.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// Of what the shop can do, what is asked for.
const LOAD: f64 = 0.8;
/// When the database freezes, for how long, and how long it is looked at then.
const BEFORE: u64 = 10;
const FROZEN: u64 = 5;
const AFTER: u64 = 20;
/// A second is good with so much of what was answered before; recovered is who is good to the end but for one second.
const GOOD: f64 = 0.95;
/// More than this answered while it is frozen, and it was not asked at all.
const STILL: f64 = 0.05;
/// Asked of the database each time; a single product is kept near.
const PATH: &str = "/api/v1/products?limit=5";

pub(super) async fn judge(sheet: &mut Sheet, programs: &Programs) -> Result<()> {
    let what = "C11 goodput back after a frozen database, s";
    if !Postgres::available() {
        sheet.skipped(what, "no PostgreSQL here");
        return Ok(());
    }
    // One of our own: others must not be frozen with it.
    let postgres = Postgres::start()?;
    let folder = postgres.socket_folder().context("a server of our own")?;
    let place = tempfile::tempdir()?;
    let (public, admin) = (free_port()?, free_port()?);
    let url = format!("http://127.0.0.1:{public}");
    let mut shop = programs
        .shop()
        .folder(place.path())
        .env("SHOP__SERVER__LISTEN", format!("127.0.0.1:{public}"))
        .env("SHOP__ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
        .env("SHOP__DATABASE__URL", postgres.fresh_database()?)
        .env("SHOP__DATABASE__MIGRATE", "auto")
        .env("SHOP__SERVER__SECRET", "0123456789abcdef0123456789abcdef")
        .env("SHOP__IDENTITY__KEY_ENCRYPTION_KEY", KEY)
        .env("SHOP__PERSONAL__MASTER_KEY", KEY)
        .env("SHOP__TELEMETRY__FORMAT", "json")
        .env("RUST_LOG", "warn")
        .ready_when(format!("{url}/ready"))
        .spawn()?;
    shop.ready(READY_WITHIN).await?;

    let seconds = 8.0;
    let closed = Load::new(&url, seconds).closed(16).load(PATH, 1.0);
    programs.ask(&closed).await?;
    let can = programs.ask(&closed).await?.remove(0);
    let capacity = can.ok as f64 / seconds;
    println!("the shop answers {capacity:.0} a second: {can}");

    let span = (BEFORE + FROZEN + AFTER) as f64;
    let load = Load::new(&url, span).retries(3).load(PATH, capacity * LOAD);
    let (asked, frozen) = tokio::join!(programs.ask(&load), freeze(folder));
    frozen?;
    let asked = asked?.remove(0);
    println!(
        "frozen from second {BEFORE} to {}: {asked}",
        BEFORE + FROZEN
    );
    println!("answered by second: {:?}", asked.ok_by_second);
    let seen = Seen::of(&asked);
    let answered = "C11 answered while frozen, share of before";
    sheet.at_most(answered, STILL, seen.frozen / seen.before);
    println!("answered before it: {:.3} of what was asked", seen.before);
    sheet.at_most(what, 10.0, seen.back());
    ensure!(
        shop.exited()?.is_none(),
        "the shop ended: {}",
        shop.stderr()
    );
    Ok(())
}

/// A product to look at, once one is listed: a shop is ready before its list has all of its log.
pub(super) async fn product(url: &str) -> Result<String> {
    let began = Instant::now();
    loop {
        let listed = listed(url).await;
        if listed.is_ok() || began.elapsed() > READY_WITHIN {
            return listed;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn listed(url: &str) -> Result<String> {
    let answer = asked::get(&format!("{url}/api/v1/products?limit=1")).await?;
    let body = answer.find('{').map_or("", |from| &answer[from..]);
    let body: Value = serde_json::from_str(body.trim()).context(body.to_owned())?;
    let sku = body["data"][0]["sku"].as_str().context("a product")?;
    Ok(format!("/api/v1/products/{sku}"))
}

/// Every process of the server stands still for a while.
async fn freeze(folder: &Path) -> Result<()> {
    sleep(Duration::from_secs(BEFORE)).await;
    let stopped = processes(folder)?;
    ensure!(
        stopped.len() > 3,
        "only {stopped:?} of PostgreSQL were found"
    );
    // Let go whatever was said: a process that ended before its turn must not leave the others frozen.
    let told = signal("-STOP", &stopped);
    sleep(Duration::from_secs(FROZEN)).await;
    signal("-CONT", &stopped).and(told)
}

/// The server that has this folder, and its children.
fn processes(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.to_string_lossy();
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        // pid (name) state parent …
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        all.push((id, parent.unwrap_or_default().to_owned(), command));
    }
    let is_main = |command: &str| {
        let program = command.split('\0').next().unwrap_or_default();
        program.ends_with("postgres") && command.contains(folder.as_ref())
    };
    let main = all.iter().find(|(_, _, command)| is_main(command));
    let (main, ..) = main.context("PostgreSQL's process")?;
    let belongs = |(id, parent, _): &&(String, String, String)| id == main || parent == main;
    Ok(all
        .iter()
        .filter(belongs)
        .map(|(id, ..)| id.clone())
        .collect())
}

fn signal(signal: &str, processes: &[String]) -> Result<()> {
    shell::quiet(Command::new("kill").arg(signal).args(processes)).map(drop)
}

/// What was answered of what was asked, second by second: how much is asked in a second is chance.
struct Seen {
    /// On the average before the freeze, and in the middle of it.
    before: f64,
    frozen: f64,
    /// From the thaw on.
    after: Vec<f64>,
}

impl Seen {
    fn of(asked: &Asked) -> Self {
        let in_second = |all: &[u64], second: u64| all.get(second as usize).copied().unwrap_or(0);
        let share = |from: u64, to: u64| {
            let sum = |all: &[u64]| (from..to).map(|second| in_second(all, second)).sum::<u64>();
            sum(&asked.ok_by_second) as f64 / sum(&asked.sent_by_second) as f64
        };
        let thaw = BEFORE + FROZEN;
        // The last second is none to its end.
        let after = thaw..thaw + AFTER - 1;
        Self {
            before: share(2, BEFORE),
            // The load began a moment after the clock of the freeze.
            frozen: share(BEFORE + 1, thaw - 1),
            after: after.map(|second| share(second, second + 1)).collect(),
        }
    }

    /// Seconds from the thaw until as much is answered as before, and stays so; no number where nothing was.
    fn back(&self) -> f64 {
        if self.before.is_nan() || self.before <= 0.0 {
            return f64::NAN;
        }
        let is_bad = |answered: &f64| answered.is_nan() || *answered < GOOD * self.before;
        let bad: Vec<bool> = self.after.iter().map(is_bad).collect();
        // A single second may be short of it by chance, also the last one; two in a row are not.
        let last_bad = bad.windows(2).rposition(|two| two[0] && two[1]);
        last_bad.map_or(0.0, |at| at as f64 + 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(before: f64, after: &[f64]) -> f64 {
        let after = after.to_vec();
        let seen = Seen {
            before,
            frozen: 0.0,
            after,
        };
        seen.back()
    }

    #[test]
    fn it_is_back_behind_the_last_two_bad_seconds_in_a_row() {
        assert_eq!(back(1.0, &[0.0, 0.4, 1.0, 0.9, 1.0, 0.99]), 2.0);
        assert_eq!(back(1.0, &[1.2, 1.0, 1.0, 1.0, 1.0, 0.9]), 0.0);
        assert_eq!(back(1.0, &[0.0, 1.0, 1.0, 1.0, 0.0, f64::NAN]), 6.0);
        assert!(back(0.0, &[0.0, 0.0, 0.0]).is_nan(), "nothing was answered");
    }
}
