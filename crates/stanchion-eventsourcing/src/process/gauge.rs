//! How many instances there are, for whoever reads metrics.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use stanchion_telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::InstanceList;

/// How often instances are counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    process: &'static str,
    definition: u32,
    state: &'static str,
}

/// Shows in `stanchion_process_instances` what a list says.
pub(super) struct Counting {
    process: &'static str,
    list: Arc<dyn InstanceList>,
    instances: Family<Labels, Gauge>,
}

impl Counting {
    pub(super) fn new(
        process: &'static str,
        list: Arc<dyn InstanceList>,
        metrics: &Metrics,
    ) -> Self {
        let instances = metrics.gauge_family(
            "stanchion_process_instances",
            "Instances that have not ended, by process, definition and state.",
        );
        Self {
            process,
            list,
            instances,
        }
    }

    pub(super) async fn run(self, stop: CancellationToken) {
        let mut shown = HashSet::new();
        loop {
            if let Err(error) = self.count(&mut shown).await {
                debug!(process = self.process, error, "instances cannot be counted");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(COUNT_EVERY) => {}
            }
        }
    }

    async fn count(&self, shown: &mut HashSet<Labels>) -> Result<(), String> {
        let counts = self.list.counts(self.process).await?;
        for labels in shown.drain() {
            self.instances.get_or_create(&labels).set(0);
        }
        for count in counts {
            let labels = Labels {
                process: self.process,
                definition: count.definition,
                state: count.state.word(),
            };
            let number = i64::try_from(count.count).unwrap_or(i64::MAX);
            self.instances.get_or_create(&labels).set(number);
            shown.insert(labels);
        }
        Ok(())
    }
}
