use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::sql::{Query, Row, SqlError, params};

use super::{unreadable, user_list};
use crate::application::ports::{Credentials, LoggedIn, UserList, UserPage, Who};
use crate::application::{Failure, Refusal, UserRepository};
use crate::domain::{Email, Name, PasswordHash, Profile, Status, User, Username};

/// What [`user`] reads, in this order.
pub(super) const COLUMNS: &str = "id, email, username, first_name, last_name, status, roles, \
    version, created_at, updated_at, last_login_at";

/// Users as rows of the table `users`.
pub(crate) struct UserRows;

#[async_trait]
impl UserRepository for UserRows {
    async fn find_by_id(&self, on: &dyn Query, id: UserId) -> Result<Option<User>, Failure> {
        let sql = format!("select {COLUMNS} from users where id = $1 and deleted_at is null");
        found(on.opt(&sql, params![id.0]).await?)
    }

    async fn find_by_email(&self, on: &dyn Query, email: &Email) -> Result<Option<User>, Failure> {
        let sql =
            format!("select {COLUMNS} from users where email_key = $1 and deleted_at is null");
        found(on.opt(&sql, params![email.key()]).await?)
    }

    async fn find_by_username(
        &self,
        on: &dyn Query,
        username: &Username,
    ) -> Result<Option<User>, Failure> {
        let sql = format!("select {COLUMNS} from users where username = $1 and deleted_at is null");
        found(on.opt(&sql, params![username.as_str()]).await?)
    }

    async fn list(&self, on: &dyn Query, list: &UserList) -> Result<UserPage, Failure> {
        user_list::read(on, list).await
    }

    async fn create(
        &self,
        on: &dyn Query,
        user: &User,
        password: &PasswordHash,
    ) -> Result<(), Failure> {
        let profile = &user.profile;
        on.exec(
            "insert into users (id, email, email_key, username, first_name, last_name, search, \
                 status, roles, password_hash, version, created_at, updated_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            params![
                user.id.0,
                profile.email.as_str(),
                profile.email.key(),
                profile.username.as_str(),
                profile.first_name.as_ref().map(Name::as_str),
                profile.last_name.as_ref().map(Name::as_str),
                profile.search_text(),
                user.status.name(),
                user.roles.to_string(),
                password.expose(),
                user.version,
                user.created_at,
                user.updated_at,
            ],
        )
        .await
        .map_err(taken)?;
        Ok(())
    }

    async fn update(&self, on: &dyn Query, user: &User) -> Result<(), Failure> {
        let profile = &user.profile;
        let changed = on
            .exec(
                "update users set email = $2, email_key = $3, username = $4, first_name = $5, \
                     last_name = $6, search = $7, status = $8, roles = $9, version = $10, \
                     updated_at = $11 \
                 where id = $1 and version = $12 and deleted_at is null",
                params![
                    user.id.0,
                    profile.email.as_str(),
                    profile.email.key(),
                    profile.username.as_str(),
                    profile.first_name.as_ref().map(Name::as_str),
                    profile.last_name.as_ref().map(Name::as_str),
                    profile.search_text(),
                    user.status.name(),
                    user.roles.to_string(),
                    user.version,
                    user.updated_at,
                    user.version - 1,
                ],
            )
            .await
            .map_err(taken)?;
        one_or_stale(changed)
    }

    async fn delete(&self, on: &dyn Query, user: &User, now: Timestamp) -> Result<(), Failure> {
        let changed = on
            .exec(
                "update users set deleted_at = $3, updated_at = $3, password_hash = '' \
                 where id = $1 and version = $2 and deleted_at is null",
                params![user.id.0, user.version, now],
            )
            .await?;
        one_or_stale(changed)
    }

    async fn erase(&self, on: &dyn Query, id: UserId) -> Result<(), Failure> {
        let changed = on
            .exec(
                "update users set email = '', email_key = '', username = '', first_name = null, \
                     last_name = null, search = '', password_hash = '', last_login_at = null \
                 where id = $1 and deleted_at is not null",
                params![id.0],
            )
            .await?;
        match changed {
            0 => Err(Refusal::UserNotFound.into()),
            _ => Ok(()),
        }
    }

    async fn credentials(
        &self,
        on: &dyn Query,
        who: Who<'_>,
    ) -> Result<Option<Credentials>, Failure> {
        let (column, value) = match who {
            Who::Id(id) => ("id", id.0.into()),
            Who::EmailKey(key) => ("email_key", key.into()),
            Who::Username(username) => ("username", username.into()),
        };
        let sql = format!(
            "select id, password_hash, status = 'active' from users \
             where {column} = $1 and deleted_at is null"
        );
        let row = on.opt(&sql, vec![value]).await?;
        let read = |row: Row| {
            Ok::<_, SqlError>(Credentials {
                user: UserId(row.get(0)?),
                password: PasswordHash::new(row.get(1)?),
                is_active: row.get(2)?,
            })
        };
        Ok(row.map(read).transpose()?)
    }

    async fn note_login(
        &self,
        on: &dyn Query,
        checked: &Credentials,
        rehashed: Option<&PasswordHash>,
        now: Timestamp,
    ) -> Result<Option<LoggedIn>, Failure> {
        let password = rehashed.unwrap_or(&checked.password);
        let row = on
            .opt(
                "update users set last_login_at = $3, password_hash = $4 \
                 where id = $1 and password_hash = $2 and status = 'active' and deleted_at is null \
                 returning roles, epoch, username, email_key",
                params![
                    checked.user.0,
                    checked.password.expose(),
                    now,
                    password.expose()
                ],
            )
            .await?;
        let read = |row: Row| {
            Ok::<_, SqlError>(LoggedIn {
                roles: row.get::<&str>(0)?.parse().map_err(unreadable)?,
                epoch: row.get(1)?,
                names: [row.get(2)?, row.get(3)?],
            })
        };
        Ok(row.map(read).transpose()?)
    }

    async fn set_password(
        &self,
        on: &dyn Query,
        checked: &Credentials,
        password: &PasswordHash,
    ) -> Result<bool, Failure> {
        let changed = on
            .exec(
                "update users set password_hash = $3 \
                 where id = $1 and password_hash = $2 and deleted_at is null",
                params![checked.user.0, checked.password.expose(), password.expose()],
            )
            .await?;
        Ok(changed == 1)
    }

    /// In order of id, so that two who lock them do not wait for each other.
    async fn lock_admins(&self, on: &dyn Query) -> Result<Vec<UserId>, Failure> {
        let rows = on
            .query(
                "select id from users where roles like '%admin%' and status = 'active' \
                 and deleted_at is null order by id for update",
                params![],
            )
            .await?;
        let ids = rows.iter().map(|row| row.get(0).map(UserId));
        Ok(ids.collect::<Result<_, _>>()?)
    }

    async fn take_turn(&self, on: &dyn Query) -> Result<(), Failure> {
        on.one("select id from turn where id = 1 for update", params![])
            .await?;
        Ok(())
    }

    async fn is_empty(&self, on: &dyn Query) -> Result<bool, Failure> {
        let any = on.query("select id from users limit 1", params![]).await?;
        Ok(any.is_empty())
    }
}

pub(super) fn user(row: &Row) -> Result<User, SqlError> {
    let name = |index| -> Result<Option<Name>, SqlError> {
        let text: Option<&str> = row.get(index)?;
        text.map(str::parse).transpose().map_err(unreadable)
    };
    Ok(User {
        id: UserId(row.get(0)?),
        profile: Profile {
            email: row.get::<&str>(1)?.parse().map_err(unreadable)?,
            username: row.get::<&str>(2)?.parse().map_err(unreadable)?,
            first_name: name(3)?,
            last_name: name(4)?,
        },
        status: Status::from_name(row.get(5)?).map_err(unreadable)?,
        roles: row.get::<&str>(6)?.parse().map_err(unreadable)?,
        version: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
        last_login_at: row.get(10)?,
    })
}

fn found(row: Option<Row>) -> Result<Option<User>, Failure> {
    Ok(row.as_ref().map(user).transpose()?)
}

fn one_or_stale(changed: u64) -> Result<(), Failure> {
    match changed {
        0 => Err(Refusal::Stale.into()),
        _ => Ok(()),
    }
}

fn taken(error: SqlError) -> Failure {
    if error.conflicts_on("email_key") {
        Refusal::EmailTaken.into()
    } else if error.conflicts_on("username") {
        Refusal::UsernameTaken.into()
    } else {
        error.into()
    }
}
