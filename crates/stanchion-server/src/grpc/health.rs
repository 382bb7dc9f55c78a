use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::service::Health;
use crate::{Anyone, Grpc};

/// How often what `/ready` says is carried over to `grpc.health.v1`.
const EVERY: Duration = Duration::from_secs(1);

/// `grpc.health.v1`: every service is as ready as the process.
pub(crate) struct HealthService {
    reporter: HealthReporter,
    /// The process itself is the empty name.
    names: Vec<&'static str>,
}

impl HealthService {
    pub(crate) const NAME: &'static str = "grpc.health.v1.Health";

    /// The service to mount, and what keeps it true.
    pub(crate) fn of(mut names: Vec<&'static str>) -> (Grpc, Self) {
        let (reporter, server) = tonic_health::server::health_reporter();
        names.push("");
        let grpc = Grpc::new(server, tonic_health::pb::FILE_DESCRIPTOR_SET)
            .allow::<Anyone>("Check")
            .allow::<Anyone>("Watch");
        (grpc, Self { reporter, names })
    }

    /// Tells what is ready until the service stops, and then that nothing is.
    pub(crate) async fn follow(self, health: Health, telling: CancellationToken) {
        let mut told = None;
        loop {
            let ready = health.is_ready().await && !telling.is_cancelled();
            // Told again, it would be sent again to everybody who watches.
            if told.replace(ready) != Some(ready) {
                self.tell(ready).await;
            }
            tokio::select! {
                () = telling.cancelled() => return self.tell(false).await,
                () = sleep(EVERY) => {}
            }
        }
    }

    async fn tell(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in &self.names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
