//! The shop in services on NATS with customers, for what is done to it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use shop_cluster::{ADMIN_PASSWORD, Broker, Cluster, Parked};
use stanchion_testing::process::ServiceProcess;
use tokio::time::{Instant, sleep};

use super::notes::{self, Met};
use super::programs::Programs;
use crate::cluster::{Kind, Stage};

const READY_WITHIN: Duration = Duration::from_secs(120);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// Longest time until the last orders of customers who leave are settled.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);
/// Longest pause of a customer between two orders, unless told: the load of a dozen debug builds must fit into a machine that
/// has other things to do, or orders run out of time.
pub(super) const PAUSE_MS_MAX: u64 = 3_000;
const POLL: Duration = Duration::from_millis(200);
/// Requests that failed are shown up to so many.
const TOLD_MAX: usize = 10;

/// A running cluster and its customers.
pub(super) struct Split {
    pub(super) cluster: Cluster,
    pub(super) stage: Stage,
    load: ServiceProcess,
    ledger: PathBuf,
}

/// Who orders.
pub(super) struct Load {
    pub(super) customers: u32,
    pub(super) seed: u64,
    /// Longest pause of a customer between two orders.
    pub(super) pause_ms_max: u64,
}

impl Split {
    /// Starts everything, and customers who order from then on. `through` says where services find the broker, if not
    /// where it is.
    pub(super) async fn start(
        programs: &Programs,
        stage: Stage,
        folder: &Path,
        apis: usize,
        through: Option<String>,
        load: &Load,
    ) -> Result<Self> {
        let mut plan = stage.plan(folder.join("shop"));
        plan.apis = apis;
        // Who is slow is not given up here: that no order is lost is looked at, not how fast this machine is.
        let patience = ("SHOP__ORDERS__STEP_TIMEOUT".into(), "1h".into());
        plan.settings.push(patience);
        if let Some(url) = through {
            plan.broker = Broker::At(url);
        }
        let cluster = Cluster::start(plan, READY_WITHIN).await?;
        let ledger = folder.join("ledger.jsonl");
        let url = format!("http://{}", cluster.address());
        let customers = programs.load(&url, &ledger, load.customers, load.seed);
        let load = customers
            .env("SHOP__IDENTITY__ADMIN_PASSWORD", ADMIN_PASSWORD)
            .arg(format!("--pause-ms-max={}", load.pause_ms_max))
            .arg(format!("--settle-seconds={}", SETTLED_WITHIN.as_secs()))
            .spawn()?;
        Ok(Self {
            cluster,
            stage,
            load,
            ledger,
        })
    }

    /// Customers leave once their orders are settled, everybody stops, and the books are looked at. Fails where a customer's
    /// request failed, or where something does not add up.
    pub(super) async fn end(mut self, programs: &Programs) -> Result<()> {
        let began = Instant::now();
        let left = self.load.terminate(SETTLED_WITHIN + STOPPED_WITHIN).await;
        let left = left.context("the customers do not leave: orders are not settled")?;
        let said = self.load.stdout();
        println!(
            "customers: {} (left within {:.1?})",
            said.trim(),
            began.elapsed()
        );
        ensure!(left.success(), "{}{}", said, self.load.stderr());
        self.calm(SETTLED_WITHIN).await?;
        let parked = self.parked().await;
        let books = self.cluster.books();
        self.cluster.stop(STOPPED_WITHIN).await?;
        let adds_up = programs.audit_at(self.stage.database(), &books, &self.ledger)?;
        ensure!(adds_up, "the books do not add up");
        ensure!(
            parked == Parked::default(),
            "messages were left aside: {parked:?}"
        );
        let met = Met::of(&fs::read_to_string(&self.ledger)?)?;
        if !met.shed.is_empty() {
            println!("shed, and repeated when they were told to: {:?}", met.shed);
        }
        ensure!(
            met.failed.is_empty(),
            "{} requests failed: {}\n{}",
            met.failed.len(),
            said.trim(),
            met.failed[..met.failed.len().min(TOLD_MAX)].join("\n")
        );
        Ok(())
    }

    /// How long what customers have noted is so far, in bytes.
    pub(super) fn noted(&self) -> usize {
        let noted = fs::metadata(&self.ledger);
        noted.map_or(0, |noted| noted.len() as usize)
    }

    /// How long it took to take an order, each that they noted between two of its lengths, but for those whose end was waited
    /// for.
    pub(super) fn taking(&self, noted: Range<usize>) -> Result<Vec<Duration>> {
        let ledger = fs::read(&self.ledger)?;
        let noted = ledger.get(noted).context("the ledger got shorter")?;
        notes::taking(&String::from_utf8_lossy(noted))
    }

    /// How far the furthest of all is behind.
    pub(super) async fn lag(&self) -> u64 {
        let rows = self.cluster.view().await;
        rows.iter().filter_map(|row| row.lag).max().unwrap_or(0)
    }

    /// What consumers have put aside, all together.
    pub(super) async fn parked(&self) -> Parked {
        let rows = self.cluster.view().await;
        let parked = rows.iter().filter_map(|row| row.parked);
        parked.fold(Parked::default(), |all, one| Parked {
            waiting: all.waiting + one.waiting,
            unknown: all.unknown + one.unknown,
            dead: all.dead + one.dead,
        })
    }

    /// Waits until nobody is behind and nothing is put aside; how long that took.
    pub(super) async fn calm(&self, within: Duration) -> Result<Duration> {
        let began = Instant::now();
        while self.lag().await > 0 || self.parked().await != Parked::default() {
            let parked = self.parked().await;
            ensure!(
                began.elapsed() < within,
                "it does not come to rest: {} behind, {parked:?}",
                self.lag().await
            );
            sleep(POLL).await;
        }
        Ok(began.elapsed())
    }
}

/// An empty stage in a folder of this name.
pub(super) fn stage(folder: &Path, binary: PathBuf) -> Result<Stage> {
    Stage::set(folder, binary, Kind::Nats, false)
}
