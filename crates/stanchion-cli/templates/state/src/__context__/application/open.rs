use stanchion::eventsourcing::Metadata;
use stanchion::messaging::InboxEntry;
use stanchion::runtime::{clock, id};
use stanchion::sql::UnitOfWork;

use super::seen::{Seen, Written};
use super::work::{record, retried};
use super::{Failure, __Things__};
use crate::__context__::domain::__thing__::__Thing__;

impl __Things__ {
    /// Opens one. The answer that `settling` makes for a repeat commits with it.
    pub(crate) async fn open(
        &self,
        name: String,
        metadata: &Metadata,
        settling: impl Fn(&Seen) -> Option<InboxEntry> + Send + Sync,
    ) -> Result<Written, Failure> {
        let (new, event) = __Thing__::open(id::new_v7(), name, clock::now());
        let (new, event) = (&new, &event);
        let seen = Seen::from(new.clone());
        let answer = settling(&seen);
        let committed = retried(|| async {
            let mut work = UnitOfWork::begin(&self.db);
            self.rows.create(&work, new).await?;
            record(&mut work, new.id, event, metadata)?;
            if let Some(answer) = answer.clone() {
                work.settle(answer, metadata);
            }
            Ok(work.commit().await?)
        });
        let position = committed.await?.position;
        Ok(Written { seen, position })
    }
}
