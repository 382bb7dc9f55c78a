use std::sync::Arc;

use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use stanchion_telemetry::Metrics;

use crate::{Mail, MailError, Mailer};

/// A mailer whose mails are counted in `stanchion_mails_total{outcome}`: `sent`, `refused`, `unavailable`.
pub struct Counted {
    mailer: Arc<dyn Mailer>,
    mails: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Counted {
    /// That one, counted there.
    #[must_use]
    pub fn new(mailer: Arc<dyn Mailer>, metrics: &Metrics) -> Self {
        let about = "Attempts to hand a mail over, by what came of them.";
        Self {
            mailer,
            mails: metrics.counter_family("stanchion_mails", about),
        }
    }
}

#[async_trait]
impl Mailer for Counted {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let outcome = self.mailer.send(mail).await;
        let name = match &outcome {
            Ok(()) => "sent",
            Err(MailError::Refused(_)) => "refused",
            Err(MailError::Unavailable(_)) => "unavailable",
        };
        self.mails.get_or_create(&[("outcome", name)]).inc();
        outcome
    }
}
