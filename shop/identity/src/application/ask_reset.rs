use std::net::IpAddr;

use stanchion::eventsourcing::Metadata;
use stanchion::runtime::{clock, id};

use super::one_time::ResetRequest;
use super::{Failure, Identity, Work, retried};
use crate::domain::{Event, folded};

/// The most wishes that wait for their mail; beyond that everybody is told to come back later.
pub(crate) const WAITING_MAX: i64 = 10_000;

impl Identity {
    /// Notes that somebody wants a new password for the account of that address, which there may be or not: nothing is
    /// looked up, so the answer and its time are the same. Whoever writes the mail looks it up.
    pub(crate) async fn ask_reset(
        &self,
        email: &str,
        from: Option<IpAddr>,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        self.post()?;
        self.attempts.reset(from, email).await?;
        let request = ResetRequest {
            id: id::new_v7(),
            email_key: folded(email),
            asked_at: clock::now(),
        };
        retried(|| self.note_request(&request, metadata)).await
    }

    async fn note_request(
        &self,
        request: &ResetRequest,
        metadata: &Metadata,
    ) -> Result<(), Failure> {
        let mut work = Work::begin(&self.db, metadata);
        if self.one_time.waiting(work.rows(), WAITING_MAX).await? >= WAITING_MAX {
            return Err(Failure::Busy);
        }
        self.one_time.ask(work.rows(), request).await?;
        work.record(&Event::ResetAsked {
            request_id: request.id,
        })?;
        work.commit().await.map(drop)
    }
}
