//! `/users`.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use secrecy::SecretString;
use serde::Deserialize;
use shop_kernel::UserId;
use stanchion::auth::{Permission, Principal, permissions};
use stanchion::eventsourcing::Metadata;
use stanchion::server::{
    Answer, Anyone, Authorized, Body, Caller, ConsistencyToken, Context, Filters, IfMatch, Listed,
    Listing, MergePatch, Order, PathId, Problem, Routes, ToSchema, Validate, Violations, codes, op,
};

use super::metadata::{caused_by, own_session, stamped, user_of};
use super::problem::{EMAIL_TAKEN, LAST_ADMIN, USER_NOT_FOUND, USERNAME_TAKEN, user_not_found};
use super::views::{ProfileBody, UserView, noted};
use crate::application::ports::{UserList, UserSort};
use crate::application::{Failure, Identity, Refusal, Registration, Written};
use crate::domain::{Profile, Status, User, folded, password};

/// How often a change is tried that others overtake, unless `If-Match` says that it must not be.
const ATTEMPTS_MAX: u32 = 5;

permissions! {
    /// See every user.
    pub(crate) ReadUsers = "user:read";
    /// Change and delete every user.
    pub(crate) WriteUsers = "user:write";
}

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .post(
            "/users",
            op("Register", register)
                .about("Makes a customer. That an address or a username is taken is told: a form must say so.")
                .status(201)
                .errors(&[EMAIL_TAKEN, USERNAME_TAKEN, codes::OVERLOADED]),
        )
        .get("/users", op("List users", list_users))
        .get("/users/me", op("Get the calling user", get_me).errors(&[USER_NOT_FOUND, codes::FORBIDDEN]))
        .get("/users/{id}", op("Get a user", get_user).errors(&[USER_NOT_FOUND]))
        .put(
            "/users/{id}",
            op("Replace a user's profile", put_user)
                .about(OTHER_ADDRESS)
                .errors(&PROFILE_ERRORS),
        )
        .patch(
            "/users/{id}",
            op("Change a user's profile", patch_user)
                .about(OTHER_ADDRESS)
                .errors(&PROFILE_ERRORS),
        )
        .delete(
            "/users/{id}",
            op("Delete a user", delete_user)
                .about("Its sessions end; its address and username are free again. Users delete themselves in a login of their own, not by an API key or an OAuth client.")
                .errors(&[USER_NOT_FOUND, LAST_ADMIN, codes::FORBIDDEN, codes::VERSION_CONFLICT]),
        )
}

const OTHER_ADDRESS: &str = "When users change their own e-mail address the former one is told, and for 7 days no letter for a new password goes to the new one: one to the former address, if that was proved, gives that address back. Of several the one that was left first counts. One that somebody else gives a user counts at once, and nobody is told.";

const PROFILE_ERRORS: [stanchion::server::Code; 6] = [
    USER_NOT_FOUND,
    EMAIL_TAKEN,
    super::problem::TOO_MANY_ADDRESSES,
    USERNAME_TAKEN,
    codes::FORBIDDEN,
    codes::VERSION_CONFLICT,
];

/// A user to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// Unique, whatever the case of its letters.
    #[schema(format = Email, max_length = 255, example = "ada@example.com")]
    email: String,
    /// Unique and kept in lower case.
    #[schema(
        min_length = 3,
        max_length = 30,
        pattern = "^[A-Za-z0-9]*$",
        example = "ada"
    )]
    username: String,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 256)]
    password: SecretString,
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    first_name: Option<String>,
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    last_name: Option<String>,
}

/// Which users.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserFilters {
    status: Option<Status>,
    /// The whole address, in any case.
    #[schema(max_length = 255)]
    email: Option<String>,
    /// A part of the address, the username or the name, in any case.
    #[schema(max_length = 255)]
    q: Option<String>,
}

impl NewUser {
    fn profile(&self) -> ProfileBody {
        ProfileBody {
            email: self.email.clone(),
            username: self.username.clone(),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
        }
    }
}

impl Validate for NewUser {
    const UNTRIMMED: &'static [&'static str] = &["password"];

    fn validate(&self, violations: &mut Violations) {
        self.profile().validate(violations);
        noted(violations, "password", password::check(&self.password));
    }
}

impl Filters for UserFilters {
    const SORTS: &'static [&'static str] = &["created_at", "username", "email"];
}

pub(crate) async fn register(
    _: Anyone,
    State(identity): State<Arc<Identity>>,
    Body(new): Body<NewUser>,
) -> Result<Answer<UserView>, Problem> {
    let registration = Registration {
        profile: new.profile().profile()?,
        password: new.password,
    };
    let metadata = Metadata::new(None);
    let address = Context::current().and_then(|context| context.remote());
    identity.attempts.register(address).await?;
    let written = identity.register(registration, &metadata).await?;
    let location = format!("/users/{}", written.value.id);
    let answer = Answer::created(location, UserView::from(&written.value));
    // The route is public, its answer is personal.
    let answer = answer.header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(stamped(answer, &identity, &written).etag(written.value.version))
}

/// Rows and log commit together, so a read sees every write that gave out a token; the token is only checked.
pub(crate) async fn list_users(
    _: Authorized<ReadUsers>,
    State(identity): State<Arc<Identity>>,
    _: ConsistencyToken,
    listing: Listing<UserFilters>,
) -> Result<Listed<UserView>, Problem> {
    let list = wanted(&listing)?;
    let page = identity.list_users(&list).await?;
    let rows: Vec<_> = page.users.iter().map(UserView::from).collect();
    let key = |user: &UserView| place_of(user, list.sort);
    Ok(Listed::of(&listing, rows, page.total, key))
}

/// Where a user stands in the list: what it is sorted by, the id last.
pub(crate) fn place_of(user: &UserView, sort: UserSort) -> (String, UserId) {
    let sorted_by = match sort {
        UserSort::CreatedAt => user.created_at.to_string(),
        UserSort::Username => user.username.clone(),
        UserSort::Email => folded(&user.email),
    };
    (sorted_by, user.id)
}

pub(crate) async fn get_me(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
) -> Result<Answer<UserView>, Problem> {
    let user = identity.user(user_of(&caller)?).await?;
    Ok(Answer::ok(UserView::from(&user)).etag(user.version))
}

pub(crate) async fn get_user(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    PathId(id): PathId<UserId>,
) -> Result<Answer<UserView>, Problem> {
    let user = visible(&identity, &caller, id).await?;
    Ok(Answer::ok(UserView::from(&user)).etag(user.version))
}

async fn put_user(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
    Body(body): Body<ProfileBody>,
) -> Result<Answer<UserView>, Problem> {
    let profile = body.profile()?;
    describe(&identity, &caller, id, &if_match, |_| Ok(profile.clone())).await
}

async fn patch_user(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
    patch: MergePatch<ProfileBody>,
) -> Result<Answer<UserView>, Problem> {
    let patched = |now: &Profile| patch.apply(&ProfileBody::from(now))?.profile();
    describe(&identity, &caller, id, &if_match, patched).await
}

pub(crate) async fn delete_user(
    caller: Caller,
    State(identity): State<Arc<Identity>>,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    let metadata = caused_by(&caller);
    changing(&if_match, || async {
        let user = writable(&identity, &caller, id).await?;
        if_match.check(user.version)?;
        may_decide_about(&identity, &caller, &user).await?;
        Ok(identity.delete_user(&user, &metadata).await)
    })
    .await?;
    Ok(Answer::no_content())
}

pub(crate) async fn describe(
    identity: &Identity,
    caller: &Principal,
    id: UserId,
    if_match: &IfMatch,
    next: impl Fn(&Profile) -> Result<Profile, Problem>,
) -> Result<Answer<UserView>, Problem> {
    let metadata = caused_by(caller);
    let written = changing(if_match, || async {
        let user = writable(identity, caller, id).await?;
        if_match.check(user.version)?;
        let profile = next(&user.profile)?;
        if profile.email != user.profile.email {
            may_decide_about(identity, caller, &user).await?;
        }
        let is_own_wish = caller.is(user.id.0);
        let updated = identity.update_profile(&user, profile, is_own_wish, &metadata);
        Ok(updated.await)
    })
    .await?;
    let answer = Answer::ok(UserView::from(&written.value)).etag(written.value.version);
    Ok(stamped(answer, identity, &written))
}

/// Reads and changes again when somebody else was faster, unless the caller named the version.
pub(super) async fn changing<T, F>(
    if_match: &IfMatch,
    attempt: impl Fn() -> F,
) -> Result<Written<T>, Problem>
where
    F: Future<Output = Result<Result<Written<T>, Failure>, Problem>>,
{
    for _ in 1..ATTEMPTS_MAX {
        match attempt().await? {
            Err(Failure::Refused(Refusal::Stale)) if if_match.is_given() => {
                return Err(Problem::precondition_failed());
            }
            Err(Failure::Refused(Refusal::Stale)) => {}
            outcome => return Ok(outcome?),
        }
    }
    Ok(attempt().await??)
}

pub(super) async fn find(identity: &Identity, id: UserId) -> Result<User, Problem> {
    match identity.user(id).await {
        Err(Failure::Refused(Refusal::UserNotFound)) => Err(user_not_found(id)),
        outcome => Ok(outcome?),
    }
}

/// The user, if the caller may see it; to anybody else it is not there.
async fn visible(identity: &Identity, caller: &Principal, id: UserId) -> Result<User, Problem> {
    if !caller.is_or_holds::<ReadUsers>(id.0) && !caller.holds::<WriteUsers>() {
        return Err(user_not_found(id));
    }
    find(identity, id).await
}

/// The user, if the caller may change it; who may only see it is told so.
async fn writable(identity: &Identity, caller: &Principal, id: UserId) -> Result<User, Problem> {
    let user = visible(identity, caller, id).await?;
    if !caller.is_or_holds::<WriteUsers>(id.0) {
        return Err(Problem::forbidden().with("permission", WriteUsers::NAME));
    }
    Ok(user)
}

/// Whether the caller, who may change this user, may also delete it and give it another address. The address is where letters
/// to set a password anew go: who gives a user another one can become that user. So users do that in a login of their own, not
/// by an API key or an OAuth client; and nobody does it to users who may more.
async fn may_decide_about(
    identity: &Identity,
    caller: &Principal,
    user: &User,
) -> Result<(), Problem> {
    if caller.is_service() && caller.is(user.id.0) {
        return Ok(());
    }
    if caller.is(user.id.0) {
        return own_session(identity, caller).await.map(drop);
    }
    let theirs = user.roles.permissions();
    if theirs.iter().all(|permission| caller.allows(permission)) {
        Ok(())
    } else {
        Err(Problem::forbidden())
    }
}

pub(crate) fn wanted(listing: &Listing<UserFilters>) -> Result<UserList, Problem> {
    let filters = &listing.filters;
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Ok(UserList {
        status: filters.status,
        email_key: text(&filters.email).map(|text| folded(&text)),
        text: text(&filters.q),
        sort: match listing.sort {
            "username" => UserSort::Username,
            "email" => UserSort::Email,
            _ => UserSort::CreatedAt,
        },
        descending: listing.order == Order::Desc,
        after: listing.after()?,
        offset: listing.offset(),
        fetch: listing.fetch(),
        count: listing.wants_total(),
    })
}
