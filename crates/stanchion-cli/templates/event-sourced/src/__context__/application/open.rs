use stanchion::eventsourcing::Metadata;
use stanchion::messaging::InboxEntry;
use stanchion::runtime::{clock, id};

use super::read::{seen, written};
use super::seen::{Seen, Written};
use super::{Failure, __Things__};
use crate::__context__::domain::__thing__::__Thing__Command;

impl __Things__ {
    /// Opens one. The answer that `settling` makes for a repeat commits with it.
    pub(crate) async fn open(
        &self,
        name: String,
        metadata: &Metadata,
        settling: impl Fn(&Seen) -> Option<InboxEntry> + Send + Sync,
    ) -> Result<Written, Failure> {
        let id = id::new_v7();
        let at = clock::now();
        let executed = self
            .repository
            .on(&id.to_string(), metadata)
            .settling(|state, version| settling(&seen(id, state, version)?))
            .execute(&__Thing__Command::Open { name, at })
            .await?;
        written(id, executed)
    }
}
