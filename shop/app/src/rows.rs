//! How many rows a module's store has of what grows: docs/guide/retention.md says what ends them.

use std::time::Duration;

use stanchion::sql::{Db, SqlError, params};
use stanchion::telemetry::Metrics;
use stanchion::telemetry::prometheus_client::metrics::family::Family;
use stanchion::telemetry::prometheus_client::metrics::gauge::Gauge;
use tokio_util::sync::CancellationToken;

/// How often they are counted.
const EVERY: Duration = Duration::from_secs(60);

/// Counted up to here: what is more than that is wrong already, and counting takes time.
const COUNTED_MAX: i64 = 1_000_000;

/// What every module's store has.
const TABLES: [&str; 6] = ["inbox", "parked", "timer", "snapshot", "redrive", "job"];

/// What identity's has besides.
const OF_IDENTITY: [&str; 15] = [
    "users",
    "clients",
    "grants",
    "codes",
    "revoked_tokens",
    "sessions",
    "refresh_tokens",
    "signing_keys",
    "subject",
    "one_time_tokens",
    "verified_emails",
    "former_emails",
    "later_emails",
    "reset_requests",
    "api_keys",
];

type Labels = [(&'static str, &'static str); 2];

/// Counts a module's rows.
pub(crate) struct Rows {
    module: &'static str,
    db: Db,
    rows: Family<Labels, Gauge>,
}

impl Rows {
    pub(crate) fn of(module: &'static str, db: Db, metrics: &Metrics) -> Self {
        let help = "Rows of tables that grow, by module and table; counted once a minute, up to a million.";
        let rows = metrics.gauge_family("shop_rows", help);
        Self { module, db, rows }
    }

    /// Until told to stop; nothing is lost then.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                counted = self.count() => {
                    if let Err(error) = counted {
                        tracing::debug!(module = self.module, %error, "rows are counted later");
                    }
                }
            }
            let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
        }
    }

    async fn count(&self) -> Result<(), SqlError> {
        let own: &[&str] = match self.module {
            "identity" => &OF_IDENTITY,
            _ => &[],
        };
        for table in TABLES.iter().chain(own) {
            let sql = format!("select count(*) from (select 1 from {table} limit $1) as counted");
            let row = self.db.one(&sql, params![COUNTED_MAX]).await?;
            let labels = [("module", self.module), ("table", *table)];
            self.rows.get_or_create(&labels).set(row.get(0)?);
        }
        Ok(())
    }
}
