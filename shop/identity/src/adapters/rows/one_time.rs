use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::auth::one_time::OneTimeHash;
use stanchion::sql::{Query, Row, SqlError, params};
use uuid::Uuid;

use super::former_emails::LEFT;
use crate::application::Failure;
use crate::application::one_time::{Bearer, NewToken, OneTimeRepository, Purpose, ResetRequest};

/// Of a live token: unused, not expired, its user alive and still of the address it was sent to. While addresses that the user
/// left are held, a new password is chosen by the one that was left first, if it was proved or is the present one, and by no
/// other.
fn live() -> String {
    format!(
        "hash = $1 and purpose = $2 and used_at is null and expires_at > $3 \
         and exists (select 1 from users u where u.id = one_time_tokens.user_id and u.deleted_at is null \
             and one_time_tokens.email_key = case one_time_tokens.purpose when 'reset' then coalesce( \
                 (select case when former.is_proved or former.email_key = u.email_key \
                         then former.email_key else '' end \
                  from {LEFT} where former.user_id = u.id and former.held_until > $3 \
                  order by former.nth limit 1), \
                 u.email_key) else u.email_key end)"
    )
}

/// Rows of `one_time_tokens`, `verified_emails` and `reset_requests`.
pub(crate) struct OneTimeRows;

#[async_trait]
impl OneTimeRepository for OneTimeRows {
    async fn put(&self, on: &dyn Query, token: &NewToken) -> Result<(), Failure> {
        on.exec(
            "insert into one_time_tokens \
                 (id, hash, purpose, user_id, email_key, created_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7) \
             on conflict (id) do update set hash = excluded.hash, created_at = excluded.created_at, \
                 expires_at = excluded.expires_at, email_key = excluded.email_key",
            params![
                token.id,
                token.hash.as_bytes().as_slice(),
                token.purpose.name(),
                token.user.0,
                token.email_key.as_str(),
                token.created_at,
                token.expires_at,
            ],
        )
        .await?;
        Ok(())
    }

    async fn find(
        &self,
        on: &dyn Query,
        hash: &OneTimeHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<Bearer>, Failure> {
        let live = live();
        let sql = format!("select user_id, email_key from one_time_tokens where {live}");
        let params = params![hash.as_bytes().as_slice(), purpose.name(), now];
        let row = on.opt(&sql, params).await?;
        Ok(row.map(|row| bearer(&row)).transpose()?)
    }

    async fn take(
        &self,
        on: &dyn Query,
        hash: &OneTimeHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<Bearer>, Failure> {
        let live = live();
        let sql = format!(
            "update one_time_tokens set used_at = $3 where {live} returning user_id, email_key"
        );
        let params = params![hash.as_bytes().as_slice(), purpose.name(), now];
        let row = on.opt(&sql, params).await?;
        Ok(row.map(|row| bearer(&row)).transpose()?)
    }

    async fn void(
        &self,
        on: &dyn Query,
        user: UserId,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(), Failure> {
        on.exec(
            "update one_time_tokens set used_at = $3 \
             where user_id = $1 and purpose = $2 and used_at is null",
            params![user.0, purpose.name(), now],
        )
        .await?;
        Ok(())
    }

    async fn sent_since(
        &self,
        on: &dyn Query,
        user: UserId,
        purpose: Purpose,
        since: Timestamp,
        besides: Option<Uuid>,
    ) -> Result<i64, Failure> {
        // No mail has that id.
        let besides = besides.unwrap_or(Uuid::nil());
        let row = on
            .one(
                "select count(*) from one_time_tokens \
                 where user_id = $1 and purpose = $2 and created_at > $3 and id <> $4",
                params![user.0, purpose.name(), since, besides],
            )
            .await?;
        Ok(row.get(0)?)
    }

    async fn verify(&self, on: &dyn Query, bearer: &Bearer, now: Timestamp) -> Result<(), Failure> {
        on.exec(
            "insert into verified_emails (user_id, email_key, verified_at) values ($1, $2, $3) \
             on conflict (user_id) do update set email_key = excluded.email_key, \
                 verified_at = excluded.verified_at \
             where verified_emails.email_key <> excluded.email_key",
            params![bearer.user.0, bearer.email_key.as_str(), now],
        )
        .await?;
        Ok(())
    }

    async fn verified_at(
        &self,
        on: &dyn Query,
        bearer: &Bearer,
    ) -> Result<Option<Timestamp>, Failure> {
        let row = on
            .opt(
                "select verified_at from verified_emails where user_id = $1 and email_key = $2",
                params![bearer.user.0, bearer.email_key.as_str()],
            )
            .await?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    async fn ask(&self, on: &dyn Query, request: &ResetRequest) -> Result<(), Failure> {
        on.exec(
            "insert into reset_requests (id, email_key, asked_at) values ($1, $2, $3)",
            params![request.id, request.email_key.as_str(), request.asked_at],
        )
        .await?;
        Ok(())
    }

    async fn asked(&self, on: &dyn Query, id: Uuid) -> Result<Option<String>, Failure> {
        let sql = "select email_key from reset_requests where id = $1";
        let row = on.opt(sql, params![id]).await?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    async fn answered(&self, on: &dyn Query, id: Uuid) -> Result<(), Failure> {
        on.exec("delete from reset_requests where id = $1", params![id])
            .await?;
        Ok(())
    }

    async fn waiting(&self, on: &dyn Query, limit: i64) -> Result<i64, Failure> {
        let sql = "select count(*) from (select 1 from reset_requests limit $1) as waiting";
        let row = on.one(sql, params![limit]).await?;
        Ok(row.get(0)?)
    }

    async fn erase(&self, on: &dyn Query, user: UserId) -> Result<(), Failure> {
        for table in ["one_time_tokens", "verified_emails"] {
            let sql = format!("delete from {table} where user_id = $1");
            on.exec(&sql, params![user.0]).await?;
        }
        Ok(())
    }

    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut pruned = 0;
        for (table, since) in [
            ("one_time_tokens", "expires_at"),
            ("reset_requests", "asked_at"),
        ] {
            let sql = format!(
                "delete from {table} where id in \
                     (select id from {table} where {since} < $1 order by {since} limit $2)"
            );
            pruned += on.exec(&sql, params![before, limit]).await?;
        }
        Ok(pruned)
    }
}

fn bearer(row: &Row) -> Result<Bearer, SqlError> {
    Ok(Bearer {
        user: UserId(row.get(0)?),
        email_key: row.get(1)?,
    })
}
