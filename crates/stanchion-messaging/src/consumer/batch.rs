//! Handling what a delivery brings: keys at the same time, each key in order.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use stanchion_telemetry::Metrics;
use tracing::{Instrument, info_span, warn};

use super::{Consumer, HandlerError};
use crate::{Delivery, Message, Parked, ParkedState, Progress, Subscription};

const WAITS_BEHIND: &str = "waits behind an earlier message of its key";

impl Consumer {
    /// Handles a delivery and moves the progress past it; an error leaves the progress where it was.
    pub(super) async fn handle_delivery(
        &self,
        subscription: &mut dyn Subscription,
        delivery: Delivery,
    ) -> Result<(), String> {
        let keys = by_key(delivery.messages);
        let blocked = self.blocked(&keys).await?;
        stream::iter(keys)
            .map(|(key, messages)| self.handle_key(blocked.contains(&key), messages))
            .buffer_unordered(self.limits.keys_max)
            .try_collect::<()>()
            .await?;
        match delivery.progress {
            Progress::Place { log, through } => {
                let advanced = self.store.advance(self.name, log, through).await;
                advanced.map_err(|error| error.to_string())
            }
            Progress::Receipt { receipt, .. } => {
                let acknowledged = subscription.acknowledge(receipt).await;
                acknowledged.map_err(|error| error.to_string())
            }
        }
    }

    async fn blocked(&self, keys: &[(String, Vec<Message>)]) -> Result<HashSet<String>, String> {
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
        let blocked = self.store.blocked(self.name, &names).await;
        Ok(blocked
            .map_err(|error| error.to_string())?
            .into_iter()
            .collect())
    }

    async fn handle_key(&self, mut blocked: bool, messages: Vec<Message>) -> Result<(), String> {
        for message in messages {
            if blocked {
                self.park_behind(message).await?;
            } else if let Err(error) = self.handle(&message).await {
                self.park_failed(message, None, &error).await?;
                blocked = true;
            }
        }
        Ok(())
    }

    /// One attempt, in the trace of the message's cause; a panic is a failure like any other.
    pub(super) async fn handle(&self, message: &Message) -> Result<(), HandlerError> {
        let Some(handler) = self.handlers.get(message.contract.as_str()) else {
            return Err(HandlerError::Rejected(format!(
                "no handler for {}",
                message.contract
            )));
        };
        let span = info_span!(
            "consume",
            otel.kind = "consumer",
            consumer = self.name,
            contract = message.contract,
            message_id = %message.id,
        );
        if let Some(trace) = message
            .metadata
            .trace
            .as_deref()
            .and_then(|text| text.parse().ok())
        {
            stanchion_telemetry::trace::continue_from(&span, &trace);
        }
        let handling = async { handler(message.clone(), self.name).await };
        let handling = AssertUnwindSafe(handling).catch_unwind().instrument(span);
        let result = match tokio::time::timeout(self.limits.handler_timeout, handling).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(HandlerError::Failed("the handler panicked".into())),
            Err(_elapsed) => Err(HandlerError::Failed(format!(
                "the handler took longer than {:?}",
                self.limits.handler_timeout
            ))),
        };
        self.count(if result.is_ok() { "handled" } else { "failed" });
        result
    }

    async fn park_behind(&self, message: Message) -> Result<(), String> {
        let now = stanchion_runtime::clock::now();
        let parked = Parked {
            consumer: self.name.to_owned(),
            message,
            state: ParkedState::Retry,
            attempts: 0,
            due_at: now,
            reason: WAITS_BEHIND.into(),
            parked_at: now,
        };
        self.store
            .wait_behind(&parked)
            .await
            .map_err(|error| error.to_string())
    }

    /// Puts a failed message aside, for another attempt or as a dead letter.
    pub(super) async fn park_failed(
        &self,
        message: Message,
        before: Option<&Parked>,
        error: &HandlerError,
    ) -> Result<(), String> {
        let attempts_before = before.map_or(0, |parked| parked.attempts);
        let (state, attempts) = self.verdict(attempts_before, error);
        let now = stanchion_runtime::clock::now();
        let wait = match error {
            HandlerError::Later(_) => self.patience(before, now),
            _ => self.backoff(attempts.max(1)),
        };
        let id = message.id;
        let parked = Parked {
            consumer: self.name.to_owned(),
            message,
            state,
            attempts,
            due_at: now + wait,
            reason: error.to_string(),
            parked_at: now,
        };
        if state == ParkedState::Dead {
            self.count("dead");
            tracing::error!(consumer = self.name, message_id = %id, attempts, reason = %error, "dead letter");
        } else {
            warn!(consumer = self.name, message_id = %id, attempts, reason = %error, "message will be retried");
        }
        self.store
            .park(&parked)
            .await
            .map_err(|error| error.to_string())
    }

    fn verdict(&self, attempts_before: u32, error: &HandlerError) -> (ParkedState, u32) {
        match error {
            HandlerError::Later(_) => (ParkedState::Retry, attempts_before),
            HandlerError::Rejected(_) => (ParkedState::Dead, attempts_before + 1),
            HandlerError::Failed(_) if attempts_before + 1 >= self.limits.attempts_max => {
                (ParkedState::Dead, attempts_before + 1)
            }
            HandlerError::Failed(_) => (ParkedState::Retry, attempts_before + 1),
        }
    }

    fn count(&self, outcome: &'static str) {
        if let Some(metrics) = &self.metrics {
            metrics.count(outcome);
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    consumer: &'static str,
    outcome: &'static str,
}

/// What became of messages, by consumer and outcome (`handled`, `failed`, `dead`).
pub(super) struct ConsumerMetrics {
    consumer: &'static str,
    messages: Family<Labels, Counter>,
}

impl ConsumerMetrics {
    pub(super) fn new(consumer: &'static str, metrics: &Metrics) -> Self {
        Self {
            consumer,
            messages: metrics.counter_family(
                "stanchion_consumer_messages_total",
                "Messages by consumer and what became of them.",
            ),
        }
    }

    fn count(&self, outcome: &'static str) {
        let consumer = self.consumer;
        self.messages
            .get_or_create(&Labels { consumer, outcome })
            .inc();
    }
}

/// Groups messages by key; keys in the order of their first message, messages in theirs.
fn by_key(messages: Vec<Message>) -> Vec<(String, Vec<Message>)> {
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut keys: Vec<(String, Vec<Message>)> = Vec::new();
    for message in messages {
        let at = *index.entry(message.key.clone()).or_insert_with(|| {
            keys.push((message.key.clone(), Vec::new()));
            keys.len() - 1
        });
        keys[at].1.push(message);
    }
    keys
}
