use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::sql::{Query, Row, SqlError, params};
use uuid::Uuid;

use super::unreadable;
use crate::application::Failure;
use crate::application::former_email::{FormerEmail, FormerEmailRepository, HELD_ANEW_EVERY};

/// All of them, in the order of `nth`. A release that knew of one a user goes on with the first.
pub(super) const LEFT: &str = "(select id as user_id, email, email_key, is_proved, held_until, \
        cast(0 as bigint) as nth, told, told_by from former_emails \
     union all \
     select user_id, email, email_key, is_proved, held_until, nth, told, told_by from later_emails) \
    as former";

const COLUMNS: &str = "user_id, email, is_proved, held_until, nth, told, told_by";

/// Rows of `former_emails` and `later_emails`.
pub(crate) struct FormerEmailRows;

#[async_trait]
impl FormerEmailRepository for FormerEmailRows {
    async fn hold(
        &self,
        on: &dyn Query,
        former: &FormerEmail,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let first = "insert into former_emails (id, email_key, email, is_proved, held_until) \
             values ($1, $2, $3, $4, $5) \
             on conflict (id) do update set email_key = excluded.email_key, email = excluded.email, \
                 is_proved = excluded.is_proved, held_until = excluded.held_until, \
                 told = 0, told_by = null \
             where former_emails.held_until <= $6";
        let later = "insert into later_emails (user_id, email_key, email, is_proved, held_until, nth) \
             values ($1, $2, $3, $4, $5, $7) \
             on conflict (user_id, email_key) do update set email = excluded.email, \
                 is_proved = excluded.is_proved, held_until = excluded.held_until, \
                 nth = excluded.nth, told = 0, told_by = null \
             where later_emails.held_until <= $6";
        let mut params = params![
            former.user.0,
            former.email.key(),
            former.email.as_str(),
            former.is_proved,
            former.held_until,
            now,
        ];
        if former.nth > 0 {
            params.push(former.nth.into());
        }
        on.exec(if former.nth > 0 { later } else { first }, params)
            .await?;
        Ok(())
    }

    async fn hold_anew(&self, on: &dyn Query, former: &FormerEmail) -> Result<(), Failure> {
        let (table, user) = table_of(former);
        let anew_before = former.held_until.saturating_sub(HELD_ANEW_EVERY);
        let sql = format!(
            "update {table} set held_until = $3, is_proved = (is_proved or $4), told = 0, told_by = null \
             where {user} = $1 and email_key = $2 and (held_until <= $5 or ($4 and not is_proved))"
        );
        let params = params![
            former.user.0,
            former.email.key(),
            former.held_until,
            former.is_proved,
            anew_before.unwrap_or(former.held_until),
        ];
        on.exec(&sql, params).await?;
        Ok(())
    }

    async fn hold_until(&self, on: &dyn Query, former: &FormerEmail) -> Result<(), Failure> {
        let (table, user) = table_of(former);
        let sql = format!(
            "update {table} set held_until = $3 \
             where {user} = $1 and email_key = $2 and held_until < $3"
        );
        let params = params![former.user.0, former.email.key(), former.held_until];
        on.exec(&sql, params).await?;
        Ok(())
    }

    async fn held(
        &self,
        on: &dyn Query,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<FormerEmail>, Failure> {
        let sql = format!(
            "select {COLUMNS} from {LEFT} where user_id = $1 and held_until > $2 order by nth"
        );
        let rows = on.query(&sql, params![user.0, now]).await?;
        Ok(rows.iter().map(former).collect::<Result<_, _>>()?)
    }

    async fn proved(
        &self,
        on: &dyn Query,
        email_key: &str,
        now: Timestamp,
    ) -> Result<Option<FormerEmail>, Failure> {
        let sql = format!(
            "select {COLUMNS} from {LEFT} \
             where email_key = $1 and held_until > $2 and is_proved \
             order by held_until limit 1"
        );
        let row = on.opt(&sql, params![email_key, now]).await?;
        Ok(row.as_ref().map(former).transpose()?)
    }

    async fn told(&self, on: &dyn Query, former: &FormerEmail, mail: Uuid) -> Result<(), Failure> {
        let (table, user) = table_of(former);
        let sql = format!(
            "update {table} set told = told + 1, told_by = $3 where {user} = $1 and email_key = $2"
        );
        on.exec(&sql, params![former.user.0, former.email.key(), mail])
            .await?;
        Ok(())
    }

    async fn forget_later(
        &self,
        on: &dyn Query,
        user: UserId,
        email_key: &str,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let sql = format!(
            "delete from later_emails where user_id = $1 and nth > \
                 (select min(nth) from {LEFT} \
                  where former.user_id = $1 and former.email_key = $2 and former.held_until > $3)"
        );
        on.exec(&sql, params![user.0, email_key, now]).await?;
        Ok(())
    }

    async fn forget(&self, on: &dyn Query, user: UserId) -> Result<(), Failure> {
        for (table, its) in [FIRST, LATER] {
            let sql = format!("delete from {table} where {its} = $1");
            on.exec(&sql, params![user.0]).await?;
        }
        Ok(())
    }

    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut pruned = 0;
        for (table, its) in [FIRST, LATER] {
            let sql = format!(
                "delete from {table} where ({its}, email_key) in \
                     (select {its}, email_key from {table} where held_until < $1 \
                      order by held_until limit $2)"
            );
            pruned += on.exec(&sql, params![before, limit]).await?;
        }
        Ok(pruned)
    }
}

/// Tables, and where each says whose the address was.
const FIRST: (&str, &str) = ("former_emails", "id");
const LATER: (&str, &str) = ("later_emails", "user_id");

fn table_of(former: &FormerEmail) -> (&'static str, &'static str) {
    if former.nth > 0 { LATER } else { FIRST }
}

fn former(row: &Row) -> Result<FormerEmail, SqlError> {
    Ok(FormerEmail {
        user: UserId(row.get(0)?),
        email: row.get::<&str>(1)?.parse().map_err(unreadable)?,
        is_proved: row.get(2)?,
        held_until: row.get(3)?,
        nth: row.get(4)?,
        told: row.get(5)?,
        told_by: row.get(6)?,
    })
}
