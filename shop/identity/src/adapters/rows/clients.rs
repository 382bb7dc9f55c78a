use async_trait::async_trait;
use jiff::Timestamp;
use stanchion::auth::oauth::OpaqueDigest;
use stanchion::sql::{Query, Row, SqlError, params};
use uuid::Uuid;

use super::unreadable;
use crate::application::Failure;
use crate::application::oauth::ports::ClientRepository;
use crate::domain::{ClientId, ClientPlan, RegisteredClient};

const COLUMNS: &str = "id, name, secret_hash, redirect_uris, flows, scopes, resource_server, \
     created_at, updated_at, disabled_at";

/// Clients as rows of `clients` and `revoked_tokens`.
pub(crate) struct ClientRows;

#[async_trait]
impl ClientRepository for ClientRows {
    async fn create(&self, on: &dyn Query, client: &RegisteredClient) -> Result<(), Failure> {
        let plan = &client.plan;
        let flows: Vec<_> = plan.flows.iter().map(|flow| flow.name()).collect();
        let uris: Vec<_> = plan.redirect_uris.iter().map(|uri| uri.as_str()).collect();
        on.exec(
            "insert into clients (id, name, secret_hash, redirect_uris, flows, scopes, \
             resource_server, created_at, updated_at, disabled_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            params![
                client.id.0,
                plan.name.as_str(),
                client.secret.map(|secret| secret.as_bytes().to_vec()),
                uris.join(" "),
                flows.join(" "),
                plan.scopes.to_string(),
                plan.resource_server,
                client.created_at,
                client.updated_at,
                client.disabled_at,
            ],
        )
        .await?;
        Ok(())
    }

    async fn find(
        &self,
        on: &dyn Query,
        id: ClientId,
    ) -> Result<Option<RegisteredClient>, Failure> {
        let sql = format!("select {COLUMNS} from clients where id = $1");
        let row = on.opt(&sql, params![id.0]).await?;
        Ok(row.as_ref().map(client).transpose()?)
    }

    async fn list(&self, on: &dyn Query, limit: i64) -> Result<Vec<RegisteredClient>, Failure> {
        let sql = format!("select {COLUMNS} from clients order by created_at, id limit $1");
        let rows = on.query(&sql, params![limit]).await?;
        Ok(rows.iter().map(client).collect::<Result<_, _>>()?)
    }

    async fn set_disabled(
        &self,
        on: &dyn Query,
        id: ClientId,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let sql = "update clients set disabled_at = $2, updated_at = $3 where id = $1";
        Ok(on.exec(sql, params![id.0, since, now]).await? == 1)
    }

    async fn set_secret(
        &self,
        on: &dyn Query,
        id: ClientId,
        secret: &OpaqueDigest,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let changed = on
            .exec(
                "update clients set secret_hash = $2, updated_at = $3 \
                 where id = $1 and secret_hash is not null",
                params![id.0, secret.as_bytes().as_slice(), now],
            )
            .await?;
        Ok(changed == 1)
    }

    async fn void_token(
        &self,
        on: &dyn Query,
        token: Uuid,
        expires_at: Timestamp,
    ) -> Result<bool, Failure> {
        let sql =
            "insert into revoked_tokens (id, expires_at) values ($1, $2) on conflict do nothing";
        Ok(on.exec(sql, params![token, expires_at]).await? == 1)
    }

    async fn void_tokens(
        &self,
        on: &dyn Query,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Uuid>, Failure> {
        let sql = "select id from revoked_tokens where expires_at > $1 limit $2";
        let rows = on.query(sql, params![now, limit]).await?;
        let ids = rows.iter().map(|row| row.get(0));
        Ok(ids.collect::<Result<_, _>>()?)
    }

    async fn counts(&self, on: &dyn Query, client: ClientId, token: Uuid) -> Result<bool, Failure> {
        let sql = "select c.id from clients c where c.id = $1 and c.disabled_at is null \
             and not exists (select 1 from revoked_tokens r where r.id = $2)";
        Ok(on.opt(sql, params![client.0, token]).await?.is_some())
    }

    async fn is_void(&self, on: &dyn Query, token: Uuid) -> Result<bool, Failure> {
        let sql = "select id from revoked_tokens where id = $1";
        Ok(on.opt(sql, params![token]).await?.is_some())
    }
}

fn client(row: &Row) -> Result<RegisteredClient, SqlError> {
    let secret: Option<&[u8]> = row.get(2)?;
    let secret = secret.map(super::codes::bytes).transpose()?;
    Ok(RegisteredClient {
        id: ClientId(row.get(0)?),
        plan: ClientPlan {
            name: row.get(1)?,
            confidential: secret.is_some(),
            redirect_uris: words(row.get(3)?)?,
            flows: words(row.get(4)?)?,
            scopes: row.get::<&str>(5)?.parse().map_err(unreadable)?,
            resource_server: row.get(6)?,
        },
        secret: secret.map(OpaqueDigest::from),
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
        disabled_at: row.get(9)?,
    })
}

fn words<T, C>(text: &str) -> Result<C, SqlError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    C: FromIterator<T>,
{
    let words = text.split(' ').filter(|word| !word.is_empty());
    words
        .map(|word| word.parse::<T>().map_err(unreadable))
        .collect()
}
