//! Refresh tokens: who rotates locks the session's row first and the token's then, and so does everybody.

use jiff::Timestamp;
use shop_kernel::UserId;
use stanchion::auth::refresh::{Family, Nonce, RefreshHash, RefreshRow, RefreshState, Use};
use stanchion::sql::{Engine, Query, Row, SqlError, params};

use super::unreadable;
use crate::application::Failure;
use crate::application::ports::{Presented, Rotated, Rotation};
use crate::domain::{ClientGrant, ClientId, SessionId};

/// Lock, check, mark and insert in one statement, which is its own transaction; also for a client, whose grant never changes
/// and is told with it.
///
/// What a subquery saw may be older than the lock, so each update checks its own row again: PostgreSQL does so on the row
/// as it is when the lock is had. Of two at once the second finds no live token; after a logout there is no live session.
///
/// The token is looked up by a subquery and not joined: where the tables' statistics are of days when they were small,
/// PostgreSQL would begin a join with all live sessions and look at the token once for each.
const ROTATE: &str = "\
with family as (
    update sessions s set last_used_at = $2
    from users u
    where s.id = (select session_id from refresh_tokens where hash = $1 and state = 'live' and expires_at > $2)
      and s.ended_at is null and s.expires_at > $2
      and u.id = s.user_id and u.status = 'active' and u.deleted_at is null
      and (select client_id from grants where session_id = s.id) is not distinct from $6::uuid
    returning s.id, s.user_id, s.expires_at, u.roles
), used as (
    update refresh_tokens t set state = 'used', used_at = clock_timestamp(), nonce = null
    from family
    where t.hash = $1 and t.state = 'live' and t.session_id = family.id
    returning t.generation
), child as (
    insert into refresh_tokens (hash, session_id, generation, parent, state, expires_at, nonce)
    select $3::bytea, family.id, used.generation + 1, $1, 'live',
           least($4::timestamptz, family.expires_at), $5::bytea
    from family, used
    returning session_id
)
select family.id, family.user_id, family.roles, g.scopes, g.authenticated_at
from child, family left join grants g on g.session_id = family.id";

/// Rotates if that is all there is to do, and PostgreSQL is asked.
pub(super) async fn rotate(
    engine: Engine,
    on: &dyn Query,
    rotation: &Rotation<'_>,
    now: Timestamp,
) -> Result<Option<Rotated>, Failure> {
    if engine == Engine::Sqlite {
        return Ok(None);
    }
    let params = params![
        rotation.parent.as_bytes().as_slice(),
        now,
        rotation.child.as_bytes().as_slice(),
        rotation.expires_at,
        rotation.nonce.map(|nonce| nonce.as_bytes().to_vec()),
        rotation.by.map(|client| client.0),
    ];
    let row = on.opt(ROTATE, params).await?;
    Ok(row.map(|row| rotated(rotation.by, &row)).transpose()?)
}

fn rotated(by: Option<ClientId>, row: &Row) -> Result<Rotated, SqlError> {
    let (session, user) = (SessionId(row.get(0)?), UserId(row.get(1)?));
    let grant = match by {
        None => None,
        Some(client) => Some(ClientGrant {
            session,
            client,
            user,
            scopes: row.get::<&str>(3)?.parse().map_err(unreadable)?,
            authenticated_at: row.get(4)?,
        }),
    };
    Ok(Rotated {
        session,
        user,
        roles: row.get::<&str>(2)?.parse().map_err(unreadable)?,
        grant,
    })
}

/// Locks first and looks then, by two statements: what one statement sees may be older than the lock that it waits for.
pub(super) async fn find(
    engine: Engine,
    on: &dyn Query,
    hash: &RefreshHash,
    now: Timestamp,
) -> Result<Option<Presented>, Failure> {
    let lock = "select id from sessions \
                where id = (select session_id from refresh_tokens where hash = $1) for update";
    let hashed = params![hash.as_bytes().as_slice()];
    if on.opt(lock, hashed.clone()).await?.is_none() {
        return Ok(None);
    }
    // Uses are dated by the store's clock, which all processes share.
    let (clock, params) = match engine {
        Engine::Postgres => ("clock_timestamp()", hashed),
        Engine::Sqlite => ("$2", [hashed, params![now]].concat()),
    };
    let sql = format!(
        "select t.session_id, t.generation, t.parent, t.state, t.expires_at, t.used_at, \
                s.user_id, s.expires_at, s.ended_at, c.hash, c.state, c.nonce, u.roles, {clock} \
         from refresh_tokens t join sessions s on s.id = t.session_id \
         left join refresh_tokens c on c.session_id = t.session_id and c.generation = t.generation + 1 \
         left join users u on u.id = s.user_id and u.status = 'active' and u.deleted_at is null \
         where t.hash = $1"
    );
    let row = on.opt(&sql, params).await?;
    Ok(row.map(|row| presented(*hash, &row)).transpose()?)
}

pub(super) async fn mark_used(
    engine: Engine,
    on: &dyn Query,
    hash: &RefreshHash,
    now: Timestamp,
) -> Result<bool, Failure> {
    let clock = match engine {
        Engine::Postgres => "clock_timestamp()",
        Engine::Sqlite => "$2",
    };
    let sql = format!(
        "update refresh_tokens set state = 'used', used_at = {clock}, nonce = null \
         where hash = $1 and state = 'live' and expires_at > $2 \
           and exists (select 1 from sessions s where s.id = refresh_tokens.session_id \
                       and s.ended_at is null and s.expires_at > $2)"
    );
    let changed = on.exec(&sql, params![hash.as_bytes().as_slice(), now]);
    Ok(changed.await? == 1)
}

pub(super) async fn insert(
    on: &dyn Query,
    token: &RefreshRow,
    nonce: Option<Nonce>,
) -> Result<(), Failure> {
    on.exec(
        "insert into refresh_tokens (hash, session_id, generation, parent, state, expires_at, nonce) \
         values ($1, $2, $3, $4, $5, $6, $7)",
        params![
            token.hash.as_bytes().as_slice(),
            token.family,
            token.generation,
            token.parent.map(|parent| parent.as_bytes().to_vec()),
            token.state.name(),
            token.expires_at,
            nonce.map(|nonce| nonce.as_bytes().to_vec()),
        ],
    )
    .await?;
    Ok(())
}

fn presented(hash: RefreshHash, row: &Row) -> Result<Presented, SqlError> {
    let family = Family {
        id: row.get(0)?,
        user: row.get(6)?,
        expires_at: row.get(7)?,
        revoked_at: row.get(8)?,
    };
    let parent: Option<&[u8]> = row.get(2)?;
    let roles: Option<&str> = row.get(12)?;
    Ok(Presented {
        row: RefreshRow {
            hash,
            family: family.id,
            generation: row.get(1)?,
            parent: parent.map(hash_of).transpose()?,
            state: state(row.get(3)?)?,
            expires_at: row.get(4)?,
        },
        family,
        used: used(row)?,
        roles: roles.map(str::parse).transpose().map_err(unreadable)?,
        now: row.get(13)?,
    })
}

fn used(row: &Row) -> Result<Option<Use>, SqlError> {
    let (at, child): (Option<Timestamp>, Option<&[u8]>) = (row.get(5)?, row.get(9)?);
    let Some((at, child)) = at.zip(child) else {
        return Ok(None);
    };
    let nonce: Option<&[u8]> = row.get(11)?;
    let nonce = nonce.map(<[u8; 16]>::try_from).transpose();
    Ok(Some(Use {
        at,
        child: hash_of(child)?,
        child_state: state(row.get(10)?)?,
        nonce: nonce.map_err(unreadable)?.map(Nonce::from),
    }))
}

fn state(name: &str) -> Result<RefreshState, SqlError> {
    RefreshState::from_name(name).ok_or_else(|| unreadable(name))
}

fn hash_of(bytes: &[u8]) -> Result<RefreshHash, SqlError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(unreadable)?;
    Ok(bytes.into())
}
