//! A program that writes its rows with sqlx and tells the log of `orders` of them, in the same transaction.
//!
//! The function `stanchion_append` stands in the schema of the module whose log it is, made by that module's
//! migrations. What it appends is an event like any other: same checks, same positions, and readers are told.

use sqlx::PgPool;
use uuid::Uuid;

/// Something that was sold.
pub struct Sale {
    /// The row's id and the event's: chosen before the transaction, kept over every repeat.
    pub id: Uuid,
    /// Which order; the event's stream.
    pub order: String,
    /// What was paid.
    pub cents: i64,
}

/// Where the event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In the whole log.
    pub position: i64,
    /// In its stream.
    pub version: i64,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SellError {
    /// The stream is not at the expected version: read it and decide anew.
    #[error("the order changed meanwhile")]
    Conflict,
    /// The log's lock was not had in 2 s: do the whole transaction again, with the same id.
    #[error("the log is busy")]
    Busy,
    /// Anything else. A connection that broke within COMMIT is one of these: the same id again tells.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

const APPEND: &str = "select * from orders.stanchion_append('order', $1, $2, $3, $4, $5)";

/// Keeps the sale and appends `sold` to the order's stream: both, or neither.
///
/// `expected` is the version of the stream's last event, -1 for none, `None` for whatever it is. The same sale
/// again is success, with the same answer.
///
/// # Errors
/// See [`SellError`].
pub async fn sell(pool: &PgPool, sale: &Sale, expected: Option<i64>) -> Result<Place, SellError> {
    let mut tx = pool.begin().await?;
    sqlx::query("insert into sale (id, cents) values ($1, $2) on conflict (id) do nothing")
        .bind(sale.id)
        .bind(sale.cents)
        .execute(&mut *tx)
        .await?;
    let data = serde_json::json!({ "sale": sale.id.to_string(), "cents": sale.cents });
    // Last of all: from here to the end of COMMIT every append to this log waits for us.
    let appended = sqlx::query_as(APPEND)
        .bind(&sale.order)
        .bind(expected)
        .bind(vec![sale.id])
        .bind(vec!["sold"])
        .bind(vec![data.to_string()])
        .fetch_one(&mut *tx)
        .await;
    let (position, version) = appended.map_err(refused)?;
    tx.commit().await?;
    Ok(Place { position, version })
}

fn refused(error: sqlx::Error) -> SellError {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("ES409") => SellError::Conflict,
        Some("55P03" | "40P01") => SellError::Busy,
        _ => SellError::Database(error),
    }
}
