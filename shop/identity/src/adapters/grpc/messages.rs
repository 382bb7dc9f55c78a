//! Views as messages of `user.v1`, and what lists are asked for.

use shop_contracts::grpc::timestamp;
use shop_contracts::grpc::user::v1 as pb;
use stanchion::server::{Listed, Problem};

use crate::adapters::http::views::UserView;
use crate::domain::Status;

/// Users that are read at a time for a stream.
const STREAMED_AT_A_TIME: u32 = 100;

/// What a list is asked for, as REST's query has it.
pub(super) fn parameters(
    asked: pb::ListUsersRequest,
) -> Result<[(&'static str, Option<String>); 8], Problem> {
    Ok([
        ("page", asked.page.map(|page| page.to_string())),
        ("limit", asked.limit.map(|limit| limit.to_string())),
        ("sort", asked.sort),
        ("order", asked.order),
        ("cursor", asked.cursor),
        ("status", status(asked.status)?),
        ("email", asked.email),
        ("q", asked.q),
    ])
}

/// The same for a stream: oldest first, so that who comes back later is told of those that came since.
pub(super) fn stream_parameters(
    asked: pb::StreamUsersRequest,
) -> Result<[(&'static str, Option<String>); 7], Problem> {
    // A cursor carries its order.
    let usual = asked.cursor.is_none().then(|| "asc".to_owned());
    Ok([
        ("limit", Some(STREAMED_AT_A_TIME.to_string())),
        ("sort", asked.sort),
        ("order", asked.order.or(usual)),
        ("cursor", asked.cursor),
        ("status", status(asked.status)?),
        ("email", asked.email),
        ("q", asked.q),
    ])
}

fn status(status: i32) -> Result<Option<String>, Problem> {
    let known = match pb::UserStatus::try_from(status) {
        Ok(pb::UserStatus::Unspecified) => return Ok(None),
        Ok(pb::UserStatus::Active) => Status::Active,
        Ok(pb::UserStatus::Suspended) => Status::Suspended,
        Err(_) => {
            return Err(Problem::invalid_parameter(
                "status",
                "is not a known status",
            ));
        }
    };
    Ok(Some(known.name().to_owned()))
}

pub(super) fn listed(listed: Listed<UserView>) -> pb::ListUsersResponse {
    let (users, page) = listed.into_parts();
    pb::ListUsersResponse {
        users: users.into_iter().map(Into::into).collect(),
        page: page.page,
        limit: page.limit,
        total: page.total,
        total_pages: page.total_pages,
        next_cursor: page.next_cursor,
    }
}

impl From<UserView> for pb::User {
    fn from(user: UserView) -> Self {
        let roles = user.roles.iter().map(|role| role.name().to_owned());
        Self {
            id: user.id.to_string(),
            email: user.email,
            username: user.username,
            first_name: user.first_name,
            last_name: user.last_name,
            status: pb::UserStatus::from(user.status).into(),
            roles: roles.collect(),
            version: user.version,
            created_at: Some(timestamp(user.created_at)),
            updated_at: Some(timestamp(user.updated_at)),
            last_login_at: user.last_login_at.map(timestamp),
        }
    }
}

impl From<Status> for pb::UserStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Suspended => Self::Suspended,
        }
    }
}
