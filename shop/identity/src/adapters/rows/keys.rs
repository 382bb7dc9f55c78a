use async_trait::async_trait;
use jiff::Timestamp;
use stanchion::auth::key::KeyState;
use stanchion::sql::{Query, Row, SqlError, params};

use super::unreadable;
use crate::application::ports::SealedKey;
use crate::application::{Failure, KeyRepository};

/// Signing keys as rows of the table `signing_keys`.
pub(crate) struct KeyRows;

#[async_trait]
impl KeyRepository for KeyRows {
    async fn all(&self, on: &dyn Query) -> Result<Vec<SealedKey>, Failure> {
        let sql = "select kid, state, since, sealed from signing_keys order by kid";
        let rows = on.query(sql, params![]).await?;
        Ok(rows.iter().map(key).collect::<Result<_, _>>()?)
    }

    async fn add(&self, on: &dyn Query, key: &SealedKey) -> Result<(), Failure> {
        on.exec(
            "insert into signing_keys (kid, state, since, sealed) values ($1, $2, $3, $4)",
            params![
                key.kid.as_str(),
                key.state.name(),
                key.since,
                key.sealed.as_slice()
            ],
        )
        .await?;
        Ok(())
    }

    async fn set_state(
        &self,
        on: &dyn Query,
        kid: &str,
        state: KeyState,
        since: Timestamp,
    ) -> Result<(), Failure> {
        on.exec(
            "update signing_keys set state = $2, since = $3 where kid = $1",
            params![kid, state.name(), since],
        )
        .await?;
        Ok(())
    }

    async fn reseal(
        &self,
        on: &dyn Query,
        kid: &str,
        before: &[u8],
        sealed: &[u8],
    ) -> Result<bool, Failure> {
        let changed = on
            .exec(
                "update signing_keys set sealed = $3 where kid = $1 and sealed = $2",
                params![kid, before, sealed],
            )
            .await?;
        Ok(changed == 1)
    }

    async fn remove(&self, on: &dyn Query, kid: &str) -> Result<(), Failure> {
        on.exec("delete from signing_keys where kid = $1", params![kid])
            .await?;
        Ok(())
    }
}

fn key(row: &Row) -> Result<SealedKey, SqlError> {
    let state: &str = row.get(1)?;
    Ok(SealedKey {
        kid: row.get(0)?,
        state: KeyState::from_name(state).ok_or_else(|| unreadable(state))?,
        since: row.get(2)?,
        sealed: row.get(3)?,
    })
}
