use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;

use crate::Db;
use crate::db::Inner;

/// How often the gauges are brought up to date.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Module {
    module: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    module: String,
    outcome: String,
}

impl Db {
    /// Puts its bounds into the metrics, brought up to date every second until the database is dropped:
    /// `stanchion_db_connections`, `stanchion_db_connections_free` (PostgreSQL), `stanchion_db_waiting` (who waits for
    /// a connection, or writes in SQLite's queue) and `stanchion_db_transactions_total` by `outcome`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn register(&self, metrics: &Metrics) {
        let (metrics, inner) = (metrics.clone(), self.downgrade());
        task::spawn("db-metrics", sample(metrics, inner));
    }
}

async fn sample(metrics: Metrics, inner: Weak<Inner>) {
    let gauge = |name, help| metrics.gauge_family::<Module>(name, help);
    let connections = gauge("stanchion_db_connections", "Open connections");
    let free = gauge(
        "stanchion_db_connections_free",
        "Open connections nobody uses",
    );
    let waiting = gauge(
        "stanchion_db_waiting",
        "Waits for a connection or for the writer",
    );
    let transactions = metrics.counter_family::<Outcome>(
        "stanchion_db_transactions_total",
        "Transactions by how they ended",
    );
    while let Some(db) = Db::upgrade(&inner) {
        let status = db.status();
        let module = Module {
            module: db.module().to_owned(),
        };
        for (gauge, value) in [
            (&connections, status.connections),
            (&free, status.connections_free),
            (&waiting, status.waiting),
        ] {
            gauge.get_or_create(&module).set(value as i64);
        }
        for (outcome, total) in [
            ("committed", status.committed),
            ("rolled_back", status.rolled_back),
        ] {
            let labels = Outcome {
                module: module.module.clone(),
                outcome: outcome.into(),
            };
            let counter = transactions.get_or_create(&labels);
            counter.inner().store(total, Ordering::Relaxed);
        }
        drop(db);
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}
