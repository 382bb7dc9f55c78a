use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::auth::refresh::{Nonce, RefreshHash, RefreshRow};
use stanchion::sql::{Db, Engine, Query, Row, SqlError, Value, params};

use super::{tokens, unreadable};
use crate::application::ports::{Presented, Rotated, Rotation, Standing, Which};
use crate::application::{Failure, SessionRepository};
use crate::domain::{Client, ClientGrant, ClientId, Session, SessionEnd, SessionId};

/// Sessions and refresh tokens as rows of `sessions` and `refresh_tokens`.
pub(crate) struct SessionRows {
    engine: Engine,
}

impl SessionRows {
    /// As that database wants them.
    pub(crate) fn of(db: &Db) -> Self {
        let engine = db.engine();
        Self { engine }
    }
}

#[async_trait]
impl SessionRepository for SessionRows {
    async fn start(
        &self,
        on: &dyn Query,
        session: &Session,
        first: &RefreshRow,
    ) -> Result<(), Failure> {
        on.exec(
            "insert into sessions (id, user_id, device, address, created_at, last_used_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7)",
            params![
                session.id.0,
                session.user.0,
                session.client.device(),
                session.client.address(),
                session.created_at,
                session.last_used_at,
                session.expires_at,
            ],
        )
        .await?;
        tokens::insert(on, first, None).await
    }

    async fn list(
        &self,
        on: &dyn Query,
        user: UserId,
        now: Timestamp,
    ) -> Result<Vec<Session>, Failure> {
        let rows = on
            .query(
                "select id, user_id, device, address, created_at, last_used_at, expires_at \
                 from sessions where user_id = $1 and ended_at is null and expires_at > $2 \
                 order by last_used_at desc, id desc",
                params![user.0, now],
            )
            .await?;
        Ok(rows.iter().map(session).collect::<Result<_, _>>()?)
    }

    async fn end(
        &self,
        on: &dyn Query,
        user: UserId,
        which: Which,
        reason: SessionEnd,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Failure> {
        let (condition, value): (_, Option<Value>) = match which {
            Which::All => ("", None),
            Which::One(id) => ("and id = $4", Some(id.0.into())),
            Which::AllBut(id) => ("and id <> $4", Some(id.0.into())),
            Which::Beyond(kept) => (
                "and id not in (select id from sessions where user_id = $1 and ended_at is null \
                 order by last_used_at desc, id desc limit $4)",
                Some(kept.into()),
            ),
        };
        let sql = format!(
            "update sessions set ended_at = $2, end_reason = $3 \
             where user_id = $1 and ended_at is null {condition} returning id"
        );
        let mut params = params![user.0, now, reason.name()];
        params.extend(value);
        let rows = on.query(&sql, params).await?;
        let ids = rows.iter().map(|row| row.get(0).map(SessionId));
        Ok(ids.collect::<Result<_, _>>()?)
    }

    async fn erase(&self, on: &dyn Query, user: UserId) -> Result<(), Failure> {
        let own = "select id from sessions where user_id = $1";
        let sql = format!("delete from refresh_tokens where session_id in ({own})");
        on.exec(&sql, params![user.0]).await?;
        let sql = "delete from sessions where user_id = $1";
        on.exec(sql, params![user.0]).await?;
        Ok(())
    }

    async fn rotate(
        &self,
        on: &dyn Query,
        rotation: &Rotation<'_>,
        now: Timestamp,
    ) -> Result<Option<Rotated>, Failure> {
        tokens::rotate(self.engine, on, rotation, now).await
    }

    async fn find_token(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
        now: Timestamp,
    ) -> Result<Option<Presented>, Failure> {
        tokens::find(self.engine, on, hash, now).await
    }

    async fn use_token(
        &self,
        on: &dyn Query,
        hash: &RefreshHash,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        tokens::mark_used(self.engine, on, hash, now).await
    }

    async fn add_token(
        &self,
        on: &dyn Query,
        child: &RefreshRow,
        nonce: Option<Nonce>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        on.exec(
            "update sessions set last_used_at = $2 where id = $1",
            params![child.family, now],
        )
        .await?;
        tokens::insert(on, child, nonce).await
    }

    async fn live(
        &self,
        on: &dyn Query,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Standing>, Failure> {
        let row = on
            .opt(
                "select u.id, u.roles, u.epoch, s.expires_at, s.last_used_at, \
                        g.client_id, g.scopes, g.authenticated_at \
                 from sessions s join users u on u.id = s.user_id \
                 left join grants g on g.session_id = s.id \
                 left join clients c on c.id = g.client_id \
                 where s.id = $1 and s.ended_at is null and s.expires_at > $2 \
                   and u.status = 'active' and u.deleted_at is null and c.disabled_at is null",
                params![session.0, now],
            )
            .await?;
        Ok(row.map(|row| standing(session, &row)).transpose()?)
    }

    async fn note_uses(
        &self,
        on: &dyn Query,
        uses: &[(SessionId, Timestamp)],
    ) -> Result<(), Failure> {
        for (session, at) in uses {
            on.exec(
                "update sessions set last_used_at = $2 \
                 where id = $1 and last_used_at < $2 and ended_at is null",
                params![session.0, *at],
            )
            .await?;
        }
        Ok(())
    }

    async fn new_epoch(&self, on: &dyn Query, user: UserId) -> Result<(), Failure> {
        let sql = "update users set epoch = epoch + 1 where id = $1";
        on.exec(sql, params![user.0]).await?;
        Ok(())
    }

    async fn prune(&self, on: &dyn Query, before: Timestamp, limit: u64) -> Result<u64, Failure> {
        let ended = "select id from sessions where expires_at < $1 or ended_at < $1 \
            order by id limit $2";
        let params = params![before, i64::try_from(limit).unwrap_or(i64::MAX)];
        let sql = format!("delete from refresh_tokens where session_id in ({ended})");
        on.exec(&sql, params.clone()).await?;
        let sql = format!("delete from sessions where id in ({ended})");
        Ok(on.exec(&sql, params).await?)
    }
}

fn standing(session: SessionId, row: &Row) -> Result<Standing, SqlError> {
    let user = UserId(row.get(0)?);
    let grant = match row.get::<Option<_>>(5)? {
        None => None,
        Some(client) => Some(Arc::new(ClientGrant {
            session,
            client: ClientId(client),
            user,
            scopes: row.get::<&str>(6)?.parse().map_err(unreadable)?,
            authenticated_at: row.get(7)?,
        })),
    };
    Ok(Standing {
        user,
        roles: row.get::<&str>(1)?.parse().map_err(unreadable)?,
        epoch: row.get(2)?,
        until: row.get(3)?,
        last_used_at: row.get(4)?,
        grant,
    })
}

fn session(row: &Row) -> Result<Session, SqlError> {
    Ok(Session {
        id: SessionId(row.get(0)?),
        user: UserId(row.get(1)?),
        client: Client::new(row.get(2)?, row.get(3)?),
        created_at: row.get(4)?,
        last_used_at: row.get(5)?,
        expires_at: row.get(6)?,
    })
}
