//! Delivers webhooks, signed, until they arrive.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use stanchion::sql::SqlError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::signature;
use crate::store::Delivery;

/// How often due webhooks are looked for when nobody tells of one.
const POLL: Duration = Duration::from_secs(1);

/// The most webhooks taken up at once.
const ROUND_MAX: i64 = 32;

/// How long a delivery may take.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Attempts before a webhook is given up: about a day.
const ATTEMPTS_MAX: i64 = 32;

/// The longest wait between two attempts, in seconds.
const WAIT_SECONDS_MAX: i64 = 3_600;

/// How long answers under idempotency keys are kept, in seconds.
const ANSWERS_KEPT_SECONDS: i64 = 24 * 3_600;

/// The most kept answers forgotten at once.
const FORGET_MAX: i64 = 500;

pub(crate) struct Courier {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) secret: SecretString,
    pub(crate) client: reqwest::Client,
    pub(crate) url: watch::Receiver<Option<String>>,
}

impl Courier {
    /// A client for deliveries.
    pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
        stanchion::telemetry::install_crypto();
        reqwest::Client::builder()
            .timeout(DELIVERY_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let round = async {
                if let Err(error) = self.round().await {
                    tracing::warn!(%error, "webhooks wait for the sandbox's database");
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = round => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.gateway.events.notified() => {}
                _ = self.url.changed() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn round(&self) -> Result<(), SqlError> {
        let now = stanchion::runtime::clock::now().as_second();
        let store = &self.gateway.store;
        store
            .forget_answers(now - ANSWERS_KEPT_SECONDS, FORGET_MAX)
            .await?;
        let Some(url) = self.url.borrow().clone() else {
            return Ok(());
        };
        for delivery in store.due(now, ROUND_MAX).await? {
            self.deliver(&url, &delivery, now).await?;
        }
        Ok(())
    }

    async fn deliver(&self, url: &str, delivery: &Delivery, now: i64) -> Result<(), SqlError> {
        let store = &self.gateway.store;
        match self.send(url, delivery).await {
            Ok(()) => store.done(&delivery.id).await,
            Err(reason) if delivery.attempts + 1 >= ATTEMPTS_MAX => {
                tracing::warn!(event = delivery.id, reason, "a webhook is given up");
                store.done(&delivery.id).await
            }
            Err(reason) => {
                tracing::debug!(event = delivery.id, reason, "a webhook will be sent again");
                let wait = (1 << delivery.attempts.min(16)).min(WAIT_SECONDS_MAX);
                store.postpone(delivery, now + wait).await
            }
        }
    }

    async fn send(&self, url: &str, delivery: &Delivery) -> Result<(), String> {
        let seconds = stanchion::runtime::clock::now().as_second();
        let body = delivery.payload.clone();
        let signature = signature(&self.secret, seconds, body.as_bytes());
        let request = self
            .client
            .post(url)
            .header("Content-Type", "application/json; charset=utf-8")
            .header("Stripe-Signature", signature)
            .body(body);
        let response = request.send().await.map_err(|error| error.to_string())?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(format!("answered {}", response.status()))
    }
}
