use stanchion::eventsourcing::{Executed, LogError, Version};
use uuid::Uuid;

use super::seen::{Seen, Written};
use super::{Failure, __Things__};
use crate::__context__::domain::__thing__::{__Thing__, __Thing__Refusal};

impl __Things__ {
    /// One as its stream says it is; none where nothing happened.
    pub(crate) async fn find(&self, id: Uuid) -> Result<Option<Seen>, LogError> {
        let loaded = self.repository.load(&id.to_string()).await?;
        Ok(seen(id, &loaded.state, loaded.version.unwrap_or(Version(0))))
    }
}

pub(super) fn seen(id: Uuid, state: &__Thing__, version: Version) -> Option<Seen> {
    let current = state.current.clone()?;
    Some(Seen {
        id,
        name: current.name,
        closed: current.closed,
        version: version.0,
        created_at: current.created_at,
        updated_at: current.updated_at,
    })
}

pub(super) fn written(id: Uuid, executed: Executed<__Thing__>) -> Result<Written, Failure> {
    let version = executed.version.unwrap_or(Version(0));
    let seen = seen(id, &executed.state, version);
    let seen = seen.ok_or(Failure::Refused(__Thing__Refusal::Unknown))?;
    Ok(Written {
        seen,
        position: Some(executed.position),
    })
}
