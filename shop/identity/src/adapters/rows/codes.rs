use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::auth::oauth::{Challenge, OpaqueDigest};
use stanchion::auth::refresh::RefreshHash;
use stanchion::sql::{Query, Row, SqlError, params};

use super::unreadable;
use crate::application::Failure;
use crate::application::oauth::ports::CodeRepository;
use crate::domain::{ClientGrant, ClientId, Code, SessionId};

/// Codes and grants as rows of `codes` and `grants`.
pub(crate) struct CodeRows;

#[async_trait]
impl CodeRepository for CodeRows {
    async fn add(&self, on: &dyn Query, code: &Code) -> Result<(), Failure> {
        on.exec(
            "insert into codes (hash, client_id, user_id, redirect_uri, scopes, nonce, challenge, \
             credentials, authenticated_at, expires_at, epoch) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            params![
                code.hash.as_bytes().as_slice(),
                code.client.0,
                code.user.0,
                code.redirect_uri.as_str(),
                code.scopes.to_string(),
                code.nonce.as_deref(),
                code.challenge.as_bytes().as_slice(),
                code.credentials.as_slice(),
                code.authenticated_at,
                code.expires_at,
                code.epoch,
            ],
        )
        .await?;
        Ok(())
    }

    async fn find(&self, on: &dyn Query, hash: &OpaqueDigest) -> Result<Option<Code>, Failure> {
        let row = on
            .opt(
                "select client_id, user_id, redirect_uri, scopes, nonce, challenge, credentials, \
                 authenticated_at, expires_at, session_id, epoch from codes where hash = $1 for update",
                params![hash.as_bytes().as_slice()],
            )
            .await?;
        Ok(row.map(|row| code(*hash, &row)).transpose()?)
    }

    async fn mark_used(
        &self,
        on: &dyn Query,
        hash: &OpaqueDigest,
        session: SessionId,
    ) -> Result<bool, Failure> {
        let sql = "update codes set session_id = $2 where hash = $1 and session_id is null";
        let params = params![hash.as_bytes().as_slice(), session.0];
        Ok(on.exec(sql, params).await? == 1)
    }

    async fn grant(&self, on: &dyn Query, grant: &ClientGrant) -> Result<(), Failure> {
        on.exec(
            "insert into grants (session_id, client_id, user_id, scopes, authenticated_at) \
             values ($1, $2, $3, $4, $5)",
            params![
                grant.session.0,
                grant.client.0,
                grant.user.0,
                grant.scopes.to_string(),
                grant.authenticated_at,
            ],
        )
        .await?;
        Ok(())
    }

    async fn grant_of_token(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
    ) -> Result<Option<ClientGrant>, Failure> {
        let row = on
            .opt(
                "select g.session_id, g.client_id, g.user_id, g.scopes, g.authenticated_at \
                 from refresh_tokens t join grants g on g.session_id = t.session_id \
                 where t.hash = $1",
                params![hash.as_bytes().as_slice()],
            )
            .await?;
        Ok(row.as_ref().map(grant).transpose()?)
    }

    async fn good_until(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Failure> {
        let row = on
            .opt(
                "select t.expires_at from refresh_tokens t join sessions s on s.id = t.session_id \
                 where t.hash = $1 and t.state = 'live' and t.expires_at > $2 \
                   and s.ended_at is null and s.expires_at > $2",
                params![hash.as_bytes().as_slice(), now],
            )
            .await?;
        Ok(row.map(|row| row.get(0)).transpose()?)
    }

    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: i64) -> Result<u64, Failure> {
        // A used one stays as long as its session: it betrays a replay.
        let codes = "delete from codes where hash in (select hash from codes \
             where expires_at < $1 and session_id is null limit $2)";
        let codes = on.exec(codes, params![before, limit]).await?;
        let void = "delete from revoked_tokens where id in \
             (select id from revoked_tokens where expires_at < $1 limit $2)";
        Ok(codes + on.exec(void, params![before, limit]).await?)
    }
}

fn code(hash: OpaqueDigest, row: &Row) -> Result<Code, SqlError> {
    Ok(Code {
        hash,
        client: ClientId(row.get(0)?),
        user: UserId(row.get(1)?),
        redirect_uri: row.get::<&str>(2)?.parse().map_err(unreadable)?,
        scopes: row.get::<&str>(3)?.parse().map_err(unreadable)?,
        nonce: row.get(4)?,
        challenge: Challenge::from(bytes(row.get(5)?)?),
        credentials: bytes(row.get(6)?)?,
        authenticated_at: row.get(7)?,
        expires_at: row.get(8)?,
        session: row.get::<Option<_>>(9)?.map(SessionId),
        epoch: row.get(10)?,
    })
}

fn grant(row: &Row) -> Result<ClientGrant, SqlError> {
    Ok(ClientGrant {
        session: SessionId(row.get(0)?),
        client: ClientId(row.get(1)?),
        user: UserId(row.get(2)?),
        scopes: row.get::<&str>(3)?.parse().map_err(unreadable)?,
        authenticated_at: row.get(4)?,
    })
}

/// The 32 bytes of a digest.
pub(super) fn bytes(stored: &[u8]) -> Result<[u8; 32], SqlError> {
    stored.try_into().map_err(unreadable)
}
