use stanchion::eventsourcing::{Metadata, Version};
use stanchion::runtime::clock;
use uuid::Uuid;

use super::read::written;
use super::seen::Written;
use super::{Failure, __Things__};
use crate::__context__::domain::__thing__::__Thing__Command;

impl __Things__ {
    /// Closes it, only at the `expected` version if one is given; twice is the same as once.
    pub(crate) async fn close(
        &self,
        id: Uuid,
        expected: Option<i64>,
        metadata: &Metadata,
    ) -> Result<Written, Failure> {
        let at = clock::now();
        let executed = self
            .repository
            .on(&id.to_string(), metadata)
            .expecting(expected.map(Version))
            .execute(&__Thing__Command::Close { at })
            .await?;
        written(id, executed)
    }
}
