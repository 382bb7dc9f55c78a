use stanchion::eventsourcing::{Metadata, Version};
use stanchion::runtime::clock;
use uuid::Uuid;

use super::read::written;
use super::seen::Written;
use super::{Failure, __Things__};
use crate::__context__::domain::__thing__::__Thing__Command;

impl __Things__ {
    /// Gives it another name, only at the `expected` version if one is given.
    pub(crate) async fn rename(
        &self,
        id: Uuid,
        expected: Option<i64>,
        name: String,
        metadata: &Metadata,
    ) -> Result<Written, Failure> {
        let at = clock::now();
        let executed = self
            .repository
            .on(&id.to_string(), metadata)
            .expecting(expected.map(Version))
            .execute(&__Thing__Command::Rename { name, at })
            .await?;
        written(id, executed)
    }
}
