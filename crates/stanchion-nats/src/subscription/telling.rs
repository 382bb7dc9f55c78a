//! What a member tells the server about what it was given.

use async_nats::Subject;
use bytes::Bytes;
use futures_util::FutureExt;
use stanchion_messaging::{BrokerError, Receipt};
use tokio::time::Instant;

use super::NatsSubscription;
use crate::words::{self, ACK};

impl NatsSubscription {
    /// What to answer to for each message of these deliveries, by partition.
    pub(super) fn replies(&self, receipts: &[Receipt]) -> Result<Vec<(u16, Subject)>, BrokerError> {
        let mut replies = Vec::new();
        for receipt in receipts {
            let held = self.in_hand.get(receipt);
            let held = held.ok_or_else(|| BrokerError(format!("{receipt:?} is not in hand")))?;
            replies.extend(held.iter().map(|held| (held.partition, held.reply.clone())));
        }
        Ok(replies)
    }

    pub(super) async fn tell(
        &self,
        replies: &[(u16, Subject)],
        what: &'static [u8],
    ) -> Result<(), BrokerError> {
        let replies: Vec<Subject> = replies.iter().map(|(_, reply)| reply.clone()).collect();
        self.connection.tell(&replies, what).await
    }

    /// Asks for what comes after these, in the way that a server takes for another word about them: a request by itself may
    /// be seen before the acknowledgement, and a 2.9 may leave it lying then until it expires. A member that takes no more
    /// leaves it to others.
    pub(super) async fn next_of(&self, replies: &[(u16, Subject)]) -> Result<(), BrokerError> {
        if self.inbox.is_none() {
            return Ok(());
        }
        for (partition, reply) in replies {
            self.ask_by(*partition, reply.clone(), words::next())
                .await?;
        }
        Ok(())
    }

    /// What to say again of that lane. Not for long: what the server has waited for in vain it gives to another member, who may
    /// be at it still, and a late word would count for that one. Unsaid, it comes again as a repeat.
    pub(super) fn to_say_again(&self, lane: usize, now: Instant) -> Option<Subject> {
        let (reply, said) = self.unheard[lane].as_ref()?;
        // Its wait began with the last sign of this member, which was before that.
        let is_ours = now.duration_since(*said) < self.connection.settings.ack_wait / 2;
        is_ours.then(|| reply.clone())
    }

    /// Says at once, and without waiting for anything, once more what the server may not have heard.
    pub(super) fn acknowledge_again(&self) {
        // The client would say it whenever there is a connection again.
        if !self.connection.is_connected() {
            return;
        }
        let now = Instant::now();
        let replies = (0..self.unheard.len()).filter_map(|lane| self.to_say_again(lane, now));
        for reply in replies {
            let said = self
                .connection
                .client
                .publish(reply, Bytes::from_static(ACK));
            let _left_to_the_server = said.now_or_never();
        }
    }
}
