use stanchion::sql::Query;
use uuid::Uuid;

use super::seen::Seen;
use super::{Failure, __Things__};
use crate::__context__::domain::__thing__::{__Thing__, __Thing__Refusal};

impl __Things__ {
    /// One as it is now.
    pub(crate) async fn find(&self, id: Uuid) -> Result<Option<Seen>, Failure> {
        let found = self.rows.find_by_id(&self.db, id).await?;
        Ok(found.map(Seen::from))
    }

    /// One to be changed, only at the `expected` version if one is given.
    pub(super) async fn to_change(
        &self,
        on: &dyn Query,
        id: Uuid,
        expected: Option<i64>,
    ) -> Result<__Thing__, Failure> {
        let found = self.rows.find_by_id(on, id).await?;
        let found = found.ok_or(__Thing__Refusal::Unknown)?;
        if expected.is_some_and(|version| version != found.version) {
            return Err(Failure::Stale);
        }
        Ok(found)
    }
}

impl From<__Thing__> for Seen {
    fn from(it: __Thing__) -> Self {
        Self {
            id: it.id,
            name: it.name,
            closed: it.closed,
            version: it.version,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}
