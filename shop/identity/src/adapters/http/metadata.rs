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

/// The session of the caller's own login. An API key has none, and that of an OAuth client is not its user's own: what decides
/// who gets in (passwords, keys, sessions, the address that letters go to) is for the user alone.
pub(super) async fn own_session(
    identity: &Identity,
    caller: &Principal,
) -> Result<SessionId, Problem> {
    let session = session_of(caller)?;
    if identity.is_own_login(session).await? {
        Ok(session)
    } else {
        Err(Problem::forbidden())
    }
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
