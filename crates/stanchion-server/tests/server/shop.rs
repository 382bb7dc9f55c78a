//! A small application that uses everything once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use stanchion_auth::{Permissions, Principal};
use stanchion_messaging::{LogId, MemoryInbox, Position};
use stanchion_server::*;
use uuid::Uuid;

stanchion_auth::permissions! {
    /// See things.
    pub SeeThings = "thing:read";
    /// Change things.
    pub ChangeThings = "thing:write";
}

pub const THING_NOT_FOUND: Code = Code::not_found("THING_NOT_FOUND", "There is no such thing.");
pub const NAME_TAKEN: Code = Code::conflict("NAME_TAKEN", "There is a thing of that name.");

pub const LOG: LogId = LogId(Uuid::from_u128(77));
pub const VERSION: i64 = 3;

#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct NewThing {
    #[schema(min_length = 1, max_length = 20)]
    pub name: String,
    #[schema(minimum = 1, maximum = 10)]
    pub count: i64,
    #[serde(default)]
    pub tags: Vec<Tag>,
    pub note: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Tag {
    pub label: String,
}

impl Validate for Tag {
    fn validate(&self, violations: &mut Violations) {
        violations.length("label", &self.label, 1, 5);
    }
}

impl Validate for NewThing {
    fn validate(&self, violations: &mut Violations) {
        violations.length("name", &self.name, 1, 20);
        violations.range("count", self.count, 1, 10);
        violations.each("tags", &self.tags);
    }
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub struct ThingId(pub Uuid);

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Thing {
    pub id: Uuid,
    pub name: String,
    pub count: i64,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct ThingFilters {
    pub name: Option<String>,
    pub many: Option<bool>,
}

impl Filters for ThingFilters {
    const SORTS: &'static [&'static str] = &["made_at", "name"];
}

#[derive(Clone, Default)]
pub struct Things {
    pub made: Arc<AtomicU32>,
}

fn thing(name: &str) -> Thing {
    Thing {
        id: Uuid::from_u128(1),
        name: name.into(),
        count: 1,
    }
}

/// Makes a thing; the name tells how it ends.
pub async fn make_thing(
    _: Authorized<ChangeThings>,
    State(things): State<Things>,
    idempotency: Idempotency,
    Body(new): Body<NewThing>,
) -> Result<Answer<Thing>, Problem> {
    let made = things.made.fetch_add(1, Ordering::Relaxed) + 1;
    match new.name.as_str() {
        "taken" => return Err(NAME_TAKEN.with("name", new.name)),
        "broken" => return Err(Problem::internal("the canary-secret database is on fire")),
        "away" => return Err(Problem::unavailable("the canary-secret host is away")),
        "slow" => tokio::time::sleep(Duration::from_millis(300)).await,
        "panics" => panic!("canary-secret panic"),
        _ => {}
    }
    let answer = Answer::created(
        "/things/1",
        Thing {
            count: i64::from(made),
            ..thing(&new.name)
        },
    )
    .etag(VERSION);
    let _committed_with_the_effect_in_a_real_store = idempotency.is_keyed();
    Ok(answer.consistency(LOG, Position(i64::from(made))))
}

/// Pays; needs a key.
pub async fn pay(_: Caller, State(things): State<Things>) -> Answer<u32> {
    Answer::ok(things.made.fetch_add(1, Ordering::Relaxed) + 1)
}

pub async fn get_thing(
    _: Anyone,
    PathId(ThingId(id)): PathId<ThingId>,
) -> Result<Answer<Thing>, Problem> {
    if id != Uuid::from_u128(1) {
        return Err(THING_NOT_FOUND.with("thing_id", id));
    }
    Ok(Answer::ok(thing("one")).etag(VERSION))
}

pub async fn patch_thing(
    _: Authorized<ChangeThings>,
    PathId(_): PathId<ThingId>,
    if_match: IfMatch,
    patch: MergePatch<NewThing>,
) -> Result<Answer<NewThing>, Problem> {
    if_match.check(VERSION)?;
    let now = NewThing {
        name: "one".into(),
        count: 1,
        note: Some("old".into()),
        ..NewThing::default()
    };
    Ok(Answer::ok(patch.apply(&now)?).etag(VERSION + 1))
}

pub async fn delete_thing(
    _: Authorized<ChangeThings>,
    _: PathId<ThingId>,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    if_match.check(VERSION)?;
    Ok(Answer::no_content())
}

pub async fn list_things(
    _: Anyone,
    token: ConsistencyToken,
    listing: Listing<ThingFilters>,
) -> Result<Listed<String>, Problem> {
    let total: i64 = if listing.filters.many == Some(false) {
        1
    } else {
        45
    };
    let _a_store_would_look_for = &listing.filters.name;
    let after = listing
        .after::<i64>()?
        .map_or(listing.offset(), |key| key + 1);
    if let Some(position) = token.position(LOG) {
        return Ok(Listed::whole(vec![format!("waited for {position}")]));
    }
    let end = (after + listing.fetch()).min(total);
    let rows: Vec<_> = (after..end.max(after)).collect();
    Ok(Listed::of(&listing, rows, Some(total as u64), |row| *row).map(|row| row.to_string()))
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct Seen {
    pub depth: Option<u8>,
}

pub async fn see(caller: Optional, Query(seen): Query<Seen>) -> Answer<String> {
    let who = caller
        .0
        .map_or("nobody".into(), |principal| principal.subject.to_string());
    Answer::ok(format!("{who} {:?}", seen.depth))
}

pub async fn wait(_: Anyone, prefer: Prefer) -> Answer<String> {
    match prefer.until(std::future::pending::<()>()).await {
        Some(()) => Answer::ok("settled".into()),
        None => Answer::accepted("/waits/1", "as it stands".into()),
    }
}

pub async fn sleep(_: Anyone, PathId(millis): PathId<u64>) -> Answer<String> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Answer::ok("slept".into())
}

pub async fn watch(_: Anyone) -> Events<Thing> {
    let first = Event {
        id: "1".into(),
        kind: "made".into(),
        data: thing("one"),
    };
    Events::new(futures_util::StreamExt::chain(
        stream::iter([first]),
        stream::pending(),
    ))
}

pub fn routes(things: Things) -> Routes {
    Routes::new()
        .post(
            "/things",
            op("Make a thing", make_thing)
                .status(201)
                .errors(&[NAME_TAKEN]),
        )
        .get("/things", op("List things", list_things))
        .get(
            "/things/{id}",
            op("Get a thing", get_thing).errors(&[THING_NOT_FOUND]),
        )
        .patch("/things/{id}", op("Change a thing", patch_thing))
        .delete("/things/{id}", op("Delete a thing", delete_thing))
        .post(
            "/payments",
            op("Pay", pay).idempotency(IdempotencyRule::Required),
        )
        .get("/seen", op("See", see))
        .post(
            "/waits",
            op("Wait", wait)
                .status(200)
                .status(202)
                .deadline(Duration::from_secs(35)),
        )
        .get(
            "/sleeps/{millis}",
            op("Sleep", sleep).deadline(Duration::from_secs(600)),
        )
        .get("/watch", op("Watch", watch))
        .with_state(things)
}

pub struct Tokens;

#[async_trait]
impl Authenticate for Tokens {
    async fn authenticate(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let (user, scope) = match token {
            "writer" => (1, "thing:write"),
            "reader" => (2, "thing:read"),
            "broken" => return Err(AuthenticateError::Unavailable("keys are away".into())),
            _ => return Err(AuthenticateError::Invalid),
        };
        let permissions = Permissions::parse(scope).unwrap();
        Ok(Principal::user(
            Uuid::from_u128(user),
            Uuid::from_u128(9),
            permissions,
        ))
    }
}

pub fn module(things: Things) -> Module {
    Module::new("things")
        .routes(routes(things))
        .inbox(Arc::new(MemoryInbox::default()))
}

pub fn settings() -> ServerSettings {
    ServerSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        secret: Some("a secret of at least thirty-two bytes".into()),
        lame_duck: Some(Duration::ZERO),
        idle_grace: Duration::from_millis(200),
        ..ServerSettings::default()
    }
}

pub fn service() -> Service {
    service_with(settings())
}

pub fn service_with(settings: ServerSettings) -> Service {
    Service::new(settings)
        .titled("Things", "1.0.0")
        .tokens(Arc::new(Tokens))
        .mount(module(Things::default()))
}
