use stanchion::eventsourcing::Metadata;
use stanchion::runtime::clock;
use stanchion::sql::UnitOfWork;
use uuid::Uuid;

use super::seen::{Seen, Written};
use super::work::{record, retried};
use super::{Failure, __Things__};

impl __Things__ {
    /// Gives it another name, only at the `expected` version if one is given.
    pub(crate) async fn rename(
        &self,
        id: Uuid,
        expected: Option<i64>,
        name: String,
        metadata: &Metadata,
    ) -> Result<Written, Failure> {
        let name = &name;
        retried(|| async move {
            let mut work = UnitOfWork::begin(&self.db);
            let mut it = self.to_change(&work, id, expected).await?;
            let Some(event) = it.rename(name.clone(), clock::now())? else {
                let seen = Seen::from(it);
                return Ok(Written { seen, position: None });
            };
            if !self.rows.update(&work, &it).await? {
                return Err(Failure::Stale);
            }
            record(&mut work, id, &event, metadata)?;
            let position = work.commit().await?.position;
            Ok(Written { seen: Seen::from(it), position })
        })
        .await
    }
}
