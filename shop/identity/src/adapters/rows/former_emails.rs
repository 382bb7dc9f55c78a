use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::sql::{Query, Row, SqlError, params};
use uuid::Uuid;

use super::unreadable;
use crate::application::Failure;
use crate::application::former_email::{
    FormerEmail, FormerEmailRepository, HELD_ANEW_EVERY, TOLD_MAX,
};

const COLUMNS: &str = "id, email, is_proved, held_until";

/// Rows of `former_emails`.
pub(crate) struct FormerEmailRows;

#[async_trait]
impl FormerEmailRepository for FormerEmailRows {
    async fn keep(
        &self,
        on: &dyn Query,
        former: &FormerEmail,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let anew_before = former.held_until.saturating_sub(HELD_ANEW_EVERY);
        on.exec(
            "insert into former_emails (id, email, email_key, is_proved, held_until) \
             values ($1, $2, $3, $4, $5) \
             on conflict (id) do update set email = excluded.email, email_key = excluded.email_key, \
                 is_proved = excluded.is_proved, held_until = excluded.held_until, \
                 told = 0, told_by = null \
             where former_emails.held_until <= $6 \
                 or former_emails.email_key = excluded.email_key \
                     and (former_emails.held_until <= $7 \
                          or excluded.is_proved and not former_emails.is_proved)",
            params![
                former.user.0,
                former.email.as_str(),
                former.email.key(),
                former.is_proved,
                former.held_until,
                now,
                anew_before.unwrap_or(now),
            ],
        )
        .await?;
        Ok(())
    }

    async fn of(
        &self,
        on: &dyn Query,
        user: UserId,
        now: Timestamp,
    ) -> Result<Option<FormerEmail>, Failure> {
        let sql = format!("select {COLUMNS} from former_emails where id = $1 and held_until > $2");
        let row = on.opt(&sql, params![user.0, now]).await?;
        Ok(row.as_ref().map(former).transpose()?)
    }

    async fn proved(
        &self,
        on: &dyn Query,
        email_key: &str,
        now: Timestamp,
    ) -> Result<Option<FormerEmail>, Failure> {
        let sql = format!(
            "select {COLUMNS} from former_emails \
             where email_key = $1 and held_until > $2 and is_proved \
             order by held_until limit 1"
        );
        let row = on.opt(&sql, params![email_key, now]).await?;
        Ok(row.as_ref().map(former).transpose()?)
    }

    async fn tell(
        &self,
        on: &dyn Query,
        user: UserId,
        mail: Uuid,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let told = on
            .exec(
                "update former_emails \
                 set told = told + case when told_by = $2 then 0 else 1 end, told_by = $2 \
                 where id = $1 and held_until > $3 and (told < $4 or told_by = $2)",
                params![user.0, mail, now, TOLD_MAX],
            )
            .await?;
        Ok(told == 1)
    }

    async fn forget(&self, on: &dyn Query, user: UserId) -> Result<(), Failure> {
        on.exec("delete from former_emails where id = $1", params![user.0])
            .await?;
        Ok(())
    }

    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let pruned = on
            .exec(
                "delete from former_emails where id in \
                     (select id from former_emails where held_until < $1 \
                      order by held_until limit $2)",
                params![before, limit],
            )
            .await?;
        Ok(pruned)
    }
}

fn former(row: &Row) -> Result<FormerEmail, SqlError> {
    Ok(FormerEmail {
        user: UserId(row.get(0)?),
        email: row.get::<&str>(1)?.parse().map_err(unreadable)?,
        is_proved: row.get(2)?,
        held_until: row.get(3)?,
    })
}
