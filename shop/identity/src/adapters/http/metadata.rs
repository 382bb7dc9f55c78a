use shop_kernel::UserId;
use stanchion::auth::Principal;
use stanchion::eventsourcing::Metadata;
use stanchion::server::{Answer, Problem};

use crate::application::{Identity, Written};
use crate::domain::SessionId;

/// Who caused what is about to be recorded.
pub(super) fn caused_by(caller: &Principal) -> Metadata {
    Metadata::new(Some(caller.subject.to_string()))
}

/// The user who calls, or for whom a service calls.
pub(super) fn user_of(caller: &Principal) -> Result<UserId, Problem> {
    let user = caller.acting_user().map(UserId);
    user.ok_or_else(Problem::forbidden)
}

/// The session that the caller's token belongs to; services have none.
pub(super) fn session_of(caller: &Principal) -> Result<SessionId, Problem> {
    let session = caller.session.map(SessionId);
    session.ok_or_else(Problem::forbidden)
}

/// Adds where the write is in the log, if there was one.
pub(super) fn stamped<T, W>(
    answer: Answer<T>,
    identity: &Identity,
    written: &Written<W>,
) -> Answer<T> {
    match written.position {
        Some(position) => answer.consistency(identity.log, position),
        None => answer,
    }
}
