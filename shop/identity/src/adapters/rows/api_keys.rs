use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::auth::api_key::{ApiKeyHash, ApiKeyRow};
use stanchion::auth::{Permissions, Subject};
use stanchion::sql::{Query, Row, SqlError, params};
use uuid::Uuid;

use super::unreadable;
use crate::application::Failure;
use crate::application::api_keys::{ApiKeyRepository, KeptApiKey, KeyStanding};

/// Keys as rows of the table `api_keys`.
pub(crate) struct ApiKeyRows;

#[async_trait]
impl ApiKeyRepository for ApiKeyRows {
    async fn add(
        &self,
        on: &dyn Query,
        key: &KeptApiKey,
        hash: &ApiKeyHash,
    ) -> Result<(), Failure> {
        let user = match &key.row.owner {
            Subject::User(id) => Some(*id),
            Subject::Service(_) | Subject::Client(_) => None,
        };
        on.exec(
            "insert into api_keys \
                 (id, hash, owner, user_id, name, hint, scopes, created_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            params![
                key.row.id,
                hash.as_bytes().as_slice(),
                key.row.owner.to_string(),
                user,
                key.name.as_str(),
                key.hint.as_str(),
                key.row.scopes.to_string(),
                key.created_at,
                key.row.expires_at,
            ],
        )
        .await?;
        Ok(())
    }

    /// Locks the owner first, as far as it has a row: of two who make a key at once the second counts the first one's.
    async fn make_room(
        &self,
        on: &dyn Query,
        owner: &Subject,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if let Subject::User(id) = owner {
            let lock = "select id from users where id = $1 for update";
            on.opt(lock, params![*id]).await?;
        }
        on.exec(
            "delete from api_keys where owner = $1 and revoked_at is null and expires_at <= $2",
            params![owner.to_string(), now],
        )
        .await?;
        Ok(())
    }

    async fn list(&self, on: &dyn Query, owner: &Subject) -> Result<Vec<KeptApiKey>, Failure> {
        let rows = on
            .query(
                "select id, owner, scopes, expires_at, revoked_at, name, hint, created_at, last_used_at \
                 from api_keys where owner = $1 and revoked_at is null order by created_at desc, id desc",
                params![owner.to_string()],
            )
            .await?;
        Ok(rows.iter().map(kept).collect::<Result<_, _>>()?)
    }

    async fn count(&self, on: &dyn Query, owner: &Subject) -> Result<i64, Failure> {
        let sql = "select count(*) from api_keys where owner = $1 and revoked_at is null";
        let row = on.one(sql, params![owner.to_string()]).await?;
        Ok(row.get(0)?)
    }

    async fn revoke(
        &self,
        on: &dyn Query,
        owner: &Subject,
        id: Uuid,
    ) -> Result<Option<ApiKeyHash>, Failure> {
        let row = on
            .opt(
                "delete from api_keys \
                 where id = $1 and owner = $2 and revoked_at is null returning hash",
                params![id, owner.to_string()],
            )
            .await?;
        Ok(row.map(|row| hash(&row)).transpose()?)
    }

    async fn standing(
        &self,
        on: &dyn Query,
        hash: &ApiKeyHash,
        now: Timestamp,
    ) -> Result<Option<KeyStanding>, Failure> {
        let row = on
            .opt(
                "select k.id, k.owner, k.scopes, k.expires_at, k.revoked_at, k.last_used_at, u.roles \
                 from api_keys k left join users u on u.id = k.user_id \
                 where k.hash = $1 and k.revoked_at is null \
                   and (k.expires_at is null or k.expires_at > $2) \
                   and (k.user_id is null or (u.status = 'active' and u.deleted_at is null))",
                params![hash.as_bytes().as_slice(), now],
            )
            .await?;
        let read = |row: Row| {
            let roles: Option<&str> = row.get(6)?;
            Ok::<_, SqlError>(KeyStanding {
                row: key_row(&row)?,
                last_used_at: row.get(5)?,
                roles: roles.map(str::parse).transpose().map_err(unreadable)?,
            })
        };
        Ok(row.map(read).transpose()?)
    }

    async fn note_use(
        &self,
        on: &dyn Query,
        id: Uuid,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<(), Failure> {
        on.exec(
            "update api_keys set last_used_at = $2 \
             where id = $1 and (last_used_at is null or last_used_at <= $3)",
            params![id, now, before],
        )
        .await?;
        Ok(())
    }

    async fn erase(&self, on: &dyn Query, user: UserId) -> Result<(), Failure> {
        let sql = "delete from api_keys where user_id = $1";
        on.exec(sql, params![user.0]).await?;
        Ok(())
    }
}

/// The first five columns.
fn key_row(row: &Row) -> Result<ApiKeyRow, SqlError> {
    let (owner, scopes): (&str, &str) = (row.get(1)?, row.get(2)?);
    Ok(ApiKeyRow {
        id: row.get(0)?,
        owner: owner.parse().map_err(unreadable)?,
        scopes: Permissions::parse(scopes).map_err(unreadable)?,
        expires_at: row.get(3)?,
        revoked_at: row.get(4)?,
    })
}

fn kept(row: &Row) -> Result<KeptApiKey, SqlError> {
    Ok(KeptApiKey {
        row: key_row(row)?,
        name: row.get(5)?,
        hint: row.get(6)?,
        created_at: row.get(7)?,
        last_used_at: row.get(8)?,
    })
}

fn hash(row: &Row) -> Result<ApiKeyHash, SqlError> {
    let bytes: &[u8] = row.get(0)?;
    let bytes: [u8; 32] = bytes.try_into().map_err(unreadable)?;
    Ok(bytes.into())
}
