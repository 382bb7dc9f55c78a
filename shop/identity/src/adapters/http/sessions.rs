//! `/auth/sessions`.

use std::sync::Arc;

use axum::extract::State;
use stanchion::server::{Answer, Caller, Listed, PathId, Problem, Routes, codes, op};

use super::metadata::{caused_by, own_session, user_of};
use super::problem::SESSION_NOT_FOUND;
use super::views::SessionView;
use crate::application::{Failure, Identity, Refusal};
use crate::domain::SessionId;

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .get(
            "/auth/sessions",
            op("List the caller's sessions", list_sessions).errors(&[codes::FORBIDDEN]),
        )
        .delete(
            "/auth/sessions/{id}",
            op("End a session of the caller", delete_session)
                .errors(&[SESSION_NOT_FOUND, codes::FORBIDDEN]),
        )
}

/// All of them: there are at most 100.
async fn list_sessions(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
) -> Result<Listed<SessionView>, Problem> {
    let current = own_session(&identity, &caller).await?;
    let sessions = identity.sessions_of(user_of(&caller)?).await?;
    let views = sessions
        .iter()
        .map(|session| SessionView::of(session, current));
    Ok(Listed::whole(views.collect()))
}

async fn delete_session(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    PathId(id): PathId<SessionId>,
) -> Result<Answer, Problem> {
    own_session(&identity, &caller).await?;
    let user = user_of(&caller)?;
    let ended = identity.end_session(user, id, &caused_by(&caller)).await;
    match ended {
        Err(Failure::Refused(Refusal::SessionNotFound)) => {
            Err(SESSION_NOT_FOUND.with("session_id", id))
        }
        outcome => Ok(outcome.map(|_| Answer::no_content())?),
    }
}
