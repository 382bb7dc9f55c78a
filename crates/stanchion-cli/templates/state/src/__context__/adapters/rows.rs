//! The table `__table__`; the same SQL on SQLite and PostgreSQL.

use async_trait::async_trait;
use stanchion::sql::{Query, Row, SqlError, params};
use uuid::Uuid;

use crate::__context__::application::__Thing__Repository;
use crate::__context__::domain::__thing__::__Thing__;

/// Rows of the table.
pub(crate) struct Rows;

#[async_trait]
impl __Thing__Repository for Rows {
    async fn find_by_id(&self, on: &dyn Query, id: Uuid) -> Result<Option<__Thing__>, SqlError> {
        let sql = "select id, name, closed, version, created_at, updated_at from __table__ where id = $1";
        on.opt(sql, params![id]).await?.map(read).transpose()
    }

    async fn create(&self, on: &dyn Query, new: &__Thing__) -> Result<(), SqlError> {
        on.exec(
            "insert into __table__ (id, name, closed, version, created_at, updated_at) \
             values ($1, $2, $3, $4, $5, $6)",
            params![
                new.id,
                new.name.as_str(),
                new.closed,
                new.version,
                new.created_at,
                new.updated_at,
            ],
        )
        .await?;
        Ok(())
    }

    async fn update(&self, on: &dyn Query, changed: &__Thing__) -> Result<bool, SqlError> {
        let updated = on
            .exec(
                "update __table__ set name = $2, closed = $3, version = $4, updated_at = $5 \
                 where id = $1 and version = $6",
                params![
                    changed.id,
                    changed.name.as_str(),
                    changed.closed,
                    changed.version,
                    changed.updated_at,
                    changed.version - 1,
                ],
            )
            .await?;
        Ok(updated == 1)
    }
}

fn read(row: Row) -> Result<__Thing__, SqlError> {
    Ok(__Thing__ {
        id: row.get(0)?,
        name: row.get(1)?,
        closed: row.get(2)?,
        version: row.get(3)?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
    })
}
