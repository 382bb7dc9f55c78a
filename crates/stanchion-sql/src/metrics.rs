use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use stanchion_runtime::task;
use stanchion_telemetry::Metrics;

use crate::Db;
use crate::db::Inner;
use crate::log::{LogCounts, LogMeters};

/// How often the gauges are brought up to date.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Module {
    module: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Database {
    database: String,
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
    /// Of its PostgreSQL database, by `database`, all modules of the process together: `stanchion_db_server_connections`
    /// (open), `…_in_use` and `…_max`; see [`crate::Connections`].
    ///
    /// Of its log: `stanchion_log_queued` (appends that wait), `stanchion_log_batches_total` by `way` (`fast`, `checked`,
    /// and `refused`: fast ones that were repeated as checked ones), `stanchion_log_appends_total` by `outcome`
    /// (`shed`, `conflict`, `in_doubt`, `unknown`), `stanchion_log_handed_over_total` (pages read without SQL),
    /// `stanchion_log_reconnects_total`, and per transaction `stanchion_log_batch_events` and
    /// `stanchion_log_batch_seconds`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn register(&self, metrics: &Metrics) {
        let module = Module {
            module: self.module().to_owned(),
        };
        let histogram = |name, help, buckets| {
            let family = metrics.histogram_family::<Module>(name, help, buckets);
            family.get_or_create(&module).clone()
        };
        let _ = self.log().meters.set(LogMeters {
            events: histogram(
                "stanchion_log_batch_events",
                "Events in one transaction",
                || Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            ),
            seconds: histogram(
                "stanchion_log_batch_seconds",
                "Time of one transaction",
                || Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            ),
        });
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
    let together = Together::of(&metrics);
    let log = LogFamilies::of(&metrics);
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
        if let Some(postgres) = db.postgres() {
            together.sample(&crate::postgres::beside(postgres));
        }
        log.sample(&module, &db.log().counts);
        drop(db);
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

/// The connections to a server's database.
struct Together {
    open: Family<Database, Gauge>,
    in_use: Family<Database, Gauge>,
    max: Family<Database, Gauge>,
}

impl Together {
    fn of(metrics: &Metrics) -> Self {
        Self {
            open: metrics.gauge_family(
                "stanchion_db_server_connections",
                "Open connections of all modules together",
            ),
            in_use: metrics.gauge_family(
                "stanchion_db_server_connections_in_use",
                "Open connections that somebody uses, of all modules together",
            ),
            max: metrics.gauge_family(
                "stanchion_db_server_connections_max",
                "The most connections that all modules together open",
            ),
        }
    }

    fn sample(&self, all: &crate::Connections) {
        let database = Database {
            database: all.database.clone(),
        };
        for (gauge, value) in [
            (&self.open, all.open),
            (&self.in_use, all.in_use),
            (&self.max, all.max()),
        ] {
            gauge.get_or_create(&database).set(value as i64);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    module: String,
    way: &'static str,
}

/// The log's numbers, by module.
struct LogFamilies {
    queued: Family<Module, Gauge>,
    batches: Family<Way, Counter>,
    appends: Family<Outcome, Counter>,
    handed_over: Family<Module, Counter>,
    reconnects: Family<Module, Counter>,
}

impl LogFamilies {
    fn of(metrics: &Metrics) -> Self {
        Self {
            queued: metrics.gauge_family("stanchion_log_queued", "Appends that wait"),
            batches: metrics.counter_family(
                "stanchion_log_batches_total",
                "Transactions of the log by the way they went",
            ),
            appends: metrics.counter_family(
                "stanchion_log_appends_total",
                "Appends that did not simply succeed, by what became of them",
            ),
            handed_over: metrics.counter_family(
                "stanchion_log_handed_over_total",
                "Pages that readers got without SQL",
            ),
            reconnects: metrics.counter_family(
                "stanchion_log_reconnects_total",
                "Connections of the log made anew",
            ),
        }
    }

    fn sample(&self, module: &Module, counts: &LogCounts) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let set = |counter: Counter, total| counter.inner().store(total, Ordering::Relaxed);
        let queued = self.queued.get_or_create(module);
        queued.set(read(&counts.queued) as i64);
        for (way, total) in [
            ("fast", &counts.fast),
            ("checked", &counts.checked),
            ("refused", &counts.refused),
        ] {
            let module = module.module.clone();
            let labels = Way { module, way };
            set(self.batches.get_or_create(&labels).clone(), read(total));
        }
        for (outcome, total) in [
            ("shed", &counts.shed),
            ("conflict", &counts.conflicts),
            ("in_doubt", &counts.in_doubt),
            ("unknown", &counts.unknown),
        ] {
            let labels = Outcome {
                module: module.module.clone(),
                outcome: outcome.into(),
            };
            set(self.appends.get_or_create(&labels).clone(), read(total));
        }
        for (counter, total) in [
            (&self.handed_over, &counts.handed_over),
            (&self.reconnects, &counts.reconnected),
        ] {
            set(counter.get_or_create(module).clone(), read(total));
        }
    }
}
