//! What administrators decide about users: roles and status.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use shop_kernel::UserId;
use stanchion::auth::permissions;
use stanchion::server::{
    Answer, Authorized, Body, Code, IfMatch, PathId, Problem, Routes, ToSchema, Validate,
    Violations, codes, op,
};

use super::metadata::{caused_by, stamped};
use super::problem::{LAST_ADMIN, USER_NOT_FOUND};
use super::users::{changing, find};
use super::views::{UserView, noted};
use crate::application::Identity;
use crate::domain::{Role, RoleSet, Status};

permissions! {
    /// Decide what others are and may.
    pub(super) Administer = "admin:*";
}

/// As many as there are.
const ROLES_MAX: usize = 3;

const ERRORS: [Code; 3] = [USER_NOT_FOUND, LAST_ADMIN, codes::VERSION_CONFLICT];

pub(super) fn routes() -> Routes<Arc<Identity>> {
    Routes::new()
        .put(
            "/users/{id}/roles",
            op("Give a user roles", put_roles)
                .about("What a user may no longer do ends within a second; what it may do more begins with its next token.")
                .errors(&ERRORS),
        )
        .put(
            "/users/{id}/status",
            op("Suspend a user or let it in again", put_status)
                .about("A suspended user's sessions end and it cannot log in.")
                .errors(&ERRORS),
        )
}

/// All roles that the user shall have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RolesBody {
    #[schema(min_items = 1, max_items = 3)]
    roles: Vec<Role>,
}

/// The status that the user shall have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StatusBody {
    status: Status,
}

impl Validate for RolesBody {
    fn validate(&self, violations: &mut Violations) {
        let fits = self.roles.len() <= ROLES_MAX;
        violations.require(
            fits,
            "roles",
            format!("must have at most {ROLES_MAX} roles"),
        );
        let roles = RoleSet::new(self.roles.iter().copied());
        noted(violations, "roles", roles);
    }
}

impl Validate for StatusBody {
    fn validate(&self, _: &mut Violations) {}
}

async fn put_roles(
    caller: Authorized<Administer>,
    State(identity): State<Arc<Identity>>,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
    Body(body): Body<RolesBody>,
) -> Result<Answer<UserView>, Problem> {
    let metadata = caused_by(&caller);
    let roles =
        RoleSet::new(body.roles).map_err(|refused| Problem::invalid_field("roles", refused.0))?;
    let written = changing(&if_match, || async {
        let user = find(&identity, id).await?;
        if_match.check(user.version)?;
        Ok(identity.change_roles(&user, roles.clone(), &metadata).await)
    })
    .await?;
    let answer = Answer::ok(UserView::from(&written.value)).etag(written.value.version);
    Ok(stamped(answer, &identity, &written))
}

async fn put_status(
    caller: Authorized<Administer>,
    State(identity): State<Arc<Identity>>,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
    Body(body): Body<StatusBody>,
) -> Result<Answer<UserView>, Problem> {
    let metadata = caused_by(&caller);
    let written = changing(&if_match, || async {
        let user = find(&identity, id).await?;
        if_match.check(user.version)?;
        Ok(identity.change_status(&user, body.status, &metadata).await)
    })
    .await?;
    let answer = Answer::ok(UserView::from(&written.value)).etag(written.value.version);
    Ok(stamped(answer, &identity, &written))
}
