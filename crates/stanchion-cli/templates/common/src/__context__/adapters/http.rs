//! REST: who may call what, what comes in, what goes out.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use stanchion::auth::{Principal, permissions};
use stanchion::eventsourcing::{Metadata, Position};
use stanchion::server::{
    Answer, Authorized, Body, Idempotency, IfMatch, PathId, Problem, Routes, ToSchema, Validate,
    Violations, op,
};
use uuid::Uuid;

use super::problem::{__THING___CLOSED, __THING___NOT_FOUND};
use crate::__context__::application::__Things__;
use crate::__context__::application::seen::{Seen, Written};
use crate::__context__::domain::__thing__::NAME_CHARS_MAX;

permissions! {
    /// See them.
    pub(crate) Read__Things__ = "__permission__:read";
    /// Open, rename and close them.
    pub(crate) Write__Things__ = "__permission__:write";
}

/// Every route of the context.
pub(crate) fn routes(things: __Things__) -> Routes {
    Routes::new()
        .post("/__path__", op("Open a __thing_words__", open).status(201))
        // <routes>
        // </routes>
        .get(
            "/__path__/{id}",
            op("Get a __thing_words__", get).errors(&[__THING___NOT_FOUND]),
        )
        .put(
            "/__path__/{id}",
            op("Rename a __thing_words__", rename).errors(&[__THING___NOT_FOUND, __THING___CLOSED]),
        )
        .post(
            "/__path__/{id}/close",
            op("Close a __thing_words__", close)
                .about("Twice is the same as once.")
                .errors(&[__THING___NOT_FOUND]),
        )
        .with_state(things)
}

/// Which one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct __Thing__Id(pub(crate) Uuid);

/// How it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = __Thing__)]
pub(crate) struct __Thing__View {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) closed: bool,
    /// Counts the changes, from 0; also its `ETag`.
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// How it is to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    #[schema(min_length = 1, max_length = 200, example = "one")]
    pub(crate) name: String,
}

impl Validate for Named {
    fn validate(&self, violations: &mut Violations) {
        violations.length("name", &self.name, 1, NAME_CHARS_MAX);
    }
}

pub(crate) async fn open(
    caller: Authorized<Write__Things__>,
    State(things): State<__Things__>,
    idempotency: Idempotency,
    Body(named): Body<Named>,
) -> Result<Answer<__Thing__View>, Problem> {
    let metadata = caused_by(&caller);
    let settling = |seen: &Seen| idempotency.entry(&opened(seen.clone()));
    let Written { seen, position } = things.open(named.name, &metadata, settling).await?;
    Ok(stamped(opened(seen), &things, position))
}

pub(crate) async fn get(
    _: Authorized<Read__Things__>,
    State(things): State<__Things__>,
    PathId(__Thing__Id(id)): PathId<__Thing__Id>,
) -> Result<Answer<__Thing__View>, Problem> {
    Ok(shown(existing(&things, id).await?))
}

async fn rename(
    caller: Authorized<Write__Things__>,
    State(things): State<__Things__>,
    PathId(__Thing__Id(id)): PathId<__Thing__Id>,
    if_match: IfMatch,
    Body(named): Body<Named>,
) -> Result<Answer<__Thing__View>, Problem> {
    let expected = expected(&things, id, &if_match).await?;
    let metadata = caused_by(&caller);
    let renaming = things.rename(id, expected, named.name, &metadata);
    let Written { seen, position } = renaming.await.map_err(|failure| of(failure, id))?;
    Ok(stamped(shown(seen), &things, position))
}

async fn close(
    caller: Authorized<Write__Things__>,
    State(things): State<__Things__>,
    PathId(__Thing__Id(id)): PathId<__Thing__Id>,
    if_match: IfMatch,
) -> Result<Answer<__Thing__View>, Problem> {
    let expected = expected(&things, id, &if_match).await?;
    let metadata = caused_by(&caller);
    let closing = things.close(id, expected, &metadata);
    let Written { seen, position } = closing.await.map_err(|failure| of(failure, id))?;
    Ok(stamped(shown(seen), &things, position))
}

// <handlers>
// </handlers>

async fn existing(things: &__Things__, id: Uuid) -> Result<Seen, Problem> {
    let found = things.find(id).await?;
    found.ok_or_else(|| __THING___NOT_FOUND.with("id", id))
}

/// The version that it must still have when it is changed, if the caller named one.
async fn expected(
    things: &__Things__,
    id: Uuid,
    if_match: &IfMatch,
) -> Result<Option<i64>, Problem> {
    if !if_match.is_given() {
        return Ok(None);
    }
    if_match.expected(existing(things, id).await?.version)
}

fn of(failure: impl Into<Problem>, id: Uuid) -> Problem {
    failure.into().with("id", id)
}

/// Who sends the token of a write sees that write.
fn stamped(
    answer: Answer<__Thing__View>,
    things: &__Things__,
    position: Option<Position>,
) -> Answer<__Thing__View> {
    match position {
        Some(position) => answer.consistency(things.log_id(), position),
        None => answer,
    }
}

fn opened(seen: Seen) -> Answer<__Thing__View> {
    let version = seen.version;
    Answer::created(format!("/__path__/{}", seen.id), __Thing__View::from(seen)).etag(version)
}

fn shown(seen: Seen) -> Answer<__Thing__View> {
    let version = seen.version;
    Answer::ok(__Thing__View::from(seen)).etag(version)
}

fn caused_by(caller: &Principal) -> Metadata {
    Metadata::new(Some(caller.subject.to_string()))
}

impl From<Seen> for __Thing__View {
    fn from(seen: Seen) -> Self {
        Self {
            id: seen.id,
            name: seen.name,
            closed: seen.closed,
            version: seen.version,
            created_at: seen.created_at,
            updated_at: seen.updated_at,
        }
    }
}
