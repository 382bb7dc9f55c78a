//! Row and event on a real PostgreSQL: both, or neither.

use anyhow::Result;
use foreign_append::{Place, Sale, SellError, sell};
use sqlx::PgPool;
use stanchion_testing::servers;
use uuid::Uuid;

/// What the module's migrations make: here nobody of its program is there to do it.
const LOG: &str =
    include_str!("../../../crates/stanchion-sql/src/log/schema/0001_event_log.postgres.up.sql");

/// An empty log of `orders` beside an empty table of ours.
async fn store() -> Result<Option<PgPool>> {
    let Some(url) = servers::required("postgres") else {
        return Ok(None);
    };
    let pool = PgPool::connect(&url).await?;
    let schema = format!(
        "create schema orders; set search_path = orders; {LOG} set search_path = public;
         create table sale (id uuid primary key, cents bigint not null check (cents > 0));"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(schema))
        .execute(&pool)
        .await?;
    Ok(Some(pool))
}

fn sale(order: &str, cents: i64) -> Sale {
    Sale {
        id: Uuid::now_v7(),
        order: order.into(),
        cents,
    }
}

/// How many rows and events there are, and the last position.
async fn counts(pool: &PgPool) -> Result<(i64, i64, i64)> {
    let sql = "select (select count(*) from sale), count(*), coalesce(max(position), 0) from orders.event";
    Ok(sqlx::query_as(sql).fetch_one(pool).await?)
}

#[tokio::test]
async fn row_and_event_commit_together_and_a_repeat_is_success() -> Result<()> {
    let Some(pool) = store().await? else {
        return Ok(());
    };
    let first = sale("4711", 1250);
    let place = sell(&pool, &first, Some(-1)).await?;
    assert_eq!(
        place,
        Place {
            position: 1,
            version: 0
        }
    );
    let second = sell(&pool, &sale("4711", 300), Some(0)).await?;
    assert_eq!(
        second,
        Place {
            position: 2,
            version: 1
        }
    );
    assert_eq!(sell(&pool, &first, Some(-1)).await?, place);
    assert_eq!(counts(&pool).await?, (2, 2, 2));

    let sql = "select event_id, type, data::text from orders.event where position = 1";
    let (id, kind, data): (Uuid, String, String) = sqlx::query_as(sql).fetch_one(&pool).await?;
    assert_eq!((id, kind.as_str()), (first.id, "sold"));
    assert!(data.contains("1250"), "{data}");
    Ok(())
}

#[tokio::test]
async fn a_conflict_has_its_code_and_takes_the_row_back() -> Result<()> {
    let Some(pool) = store().await? else {
        return Ok(());
    };
    sell(&pool, &sale("4711", 1250), Some(-1)).await?;
    let late = sell(&pool, &sale("4711", 300), Some(-1)).await;
    assert!(matches!(late, Err(SellError::Conflict)), "{late:?}");
    assert_eq!(counts(&pool).await?, (1, 1, 1));
    Ok(())
}

#[tokio::test]
async fn a_row_that_is_refused_or_rolled_back_leaves_no_event() -> Result<()> {
    let Some(pool) = store().await? else {
        return Ok(());
    };
    let refused = sell(&pool, &sale("4711", -1), None).await;
    assert!(
        matches!(refused, Err(SellError::Database(_))),
        "{refused:?}"
    );

    let mut tx = pool.begin().await?;
    let append = "select * from orders.stanchion_append('order', 'x', -1, array[$1], array['sold'], array['{}'])";
    let place: (i64, i64) = sqlx::query_as(append)
        .bind(Uuid::now_v7())
        .fetch_one(&mut *tx)
        .await?;
    assert_eq!(place, (1, 0));
    tx.rollback().await?;

    assert_eq!(counts(&pool).await?, (0, 0, 0));
    // No hole: the next one gets the position.
    let place = sell(&pool, &sale("4711", 1), None).await?;
    assert_eq!(
        place,
        Place {
            position: 1,
            version: 0
        }
    );
    Ok(())
}
