//! What the server sends a member: a message, or the end of a request.

use async_nats::{Message as Raw, StatusCode};
use bytes::Bytes;
use stanchion_messaging::BrokerError;
use tokio::time::Instant;
use tracing::{error, info};

use super::{Held, NatsSubscription};
use crate::connection::unavailable;
use crate::lane::{Lane, Turn};
use crate::wire;
use crate::words::{self, TERM};

impl NatsSubscription {
    /// Takes it.
    pub(super) async fn came(&mut self, raw: Raw) -> Result<(), BrokerError> {
        if let Some(status) = raw.status.filter(|status| *status != StatusCode::OK) {
            self.status(status, &raw);
            return Ok(());
        }
        let partition = self.connection.names.partition_of(&raw.subject);
        let (Some(partition), Some(reply)) = (partition, raw.reply.clone()) else {
            return Ok(());
        };
        let lane = usize::from(partition);
        self.lanes[lane] = Lane::Held;
        self.unheard[lane] = None;
        let told = words::delivery(&reply);
        self.pending[lane] = told.pending;
        self.turns[lane].comes(told.turn);
        let most = self.connection.settings.deliveries_max;
        self.given_up[lane] = told.delivered > u64::from(most);
        let metrics = &self.connection.metrics;
        if told.delivered > 1 {
            metrics.redelivered.inc();
        }
        match wire::decode(&raw.payload, partition) {
            Ok(mut messages) => {
                metrics.delivered.inc_by(messages.len() as u64);
                messages.retain(|(message, _)| self.group.wants(&message.contract));
                self.ready.push(Held {
                    partition,
                    reply,
                    messages,
                });
            }
            Err(reason) => {
                metrics.undecodable.inc();
                error!(group = self.group.name, subject = %raw.subject, sequence = told.sequence, reason,
                    "no message: it is given up here and stays in the stream");
                // Should this be lost it comes again, and is given up again.
                let client = &self.connection.client;
                let given_up = client.publish(reply, Bytes::from_static(TERM));
                self.lanes[lane] = Lane::resting(Instant::now());
                given_up.await.map_err(unavailable)?;
            }
        }
        Ok(())
    }

    fn status(&mut self, status: StatusCode, raw: &Raw) {
        let partition = raw.subject.rsplit('.').next();
        let Some(index) = partition.and_then(|it| it.parse::<usize>().ok()) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(index) else {
            return;
        };
        let now = Instant::now();
        *lane = match status {
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => {
                // It saw to the request, and before that to what was said with it.
                self.unheard[index] = None;
                lane.ended()
            }
            _ => {
                let description = raw.description.as_deref().unwrap_or_default();
                info!(group = self.group.name, %status, description, "NATS refused a request");
                self.turns = self.turns.map(Turn::over);
                lane.refused(now)
            }
        };
    }
}
