use async_trait::async_trait;
use stanchion::sql::{Query, SqlError};
use uuid::Uuid;

use crate::__context__::domain::__thing__::__Thing__;

/// Where they are kept; alone or inside of a unit of work.
#[async_trait]
pub(crate) trait __Thing__Repository: Send + Sync {
    async fn find_by_id(&self, on: &dyn Query, id: Uuid) -> Result<Option<__Thing__>, SqlError>;

    async fn create(&self, on: &dyn Query, new: &__Thing__) -> Result<(), SqlError>;

    /// Whether it still had the version before this one.
    async fn update(&self, on: &dyn Query, changed: &__Thing__) -> Result<bool, SqlError>;
}
