//! A pooler in transaction mode gives one session's settings to another one: with `search_path` among them, a module
//! would write into another module's tables.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::lone::Dial;
use super::sql_error;
use crate::SqlError;

/// Tried one after the other: which of its connections a pooler takes next is up to it.
const MARKS: [&str; 3] = ["one", "two", "three"];
const ASK: &str = "select coalesce(current_setting('stanchion.session', true), '')";

/// Refuses a pooler that keeps no sessions. Simple queries alone: such a pooler may not know prepared statements.
///
/// A session is marked; while another one holds the server's connection that was last used, the mark must still be
/// there.
///
/// # Errors
/// [`SqlError::Unavailable`] says what to change; or the server cannot be reached.
pub(super) async fn refuse_shared_sessions(dial: &Dial) -> Result<(), SqlError> {
    let (ours, other) = tokio::try_join!(dial.lone("look", |_| ()), dial.lone("look", |_| ()))?;
    let mut mixed_up = false;
    for mark in MARKS {
        run(&ours.client, &format!("set stanchion.session = '{mark}'")).await?;
        run(&other.client, "begin; select 1").await?;
        let kept = ask(&ours.client).await?;
        run(&other.client, "rollback").await?;
        // What `other` was given must not be ours either.
        let foreign = ask(&other.client).await?;
        mixed_up |= kept != mark || !foreign.is_empty();
    }
    if !mixed_up {
        return Ok(());
    }
    Err(SqlError::Unavailable(
        "a pooler in transaction mode stands before the database: sessions there get each other's settings, \
         so modules would write into each other's tables. Use its session mode (PgBouncer: pool_mode = session), \
         or connect to the server itself"
            .into(),
    ))
}

async fn run(client: &Client, sql: &str) -> Result<(), SqlError> {
    let done = client.batch_execute(sql).await;
    done.map_err(|error| sql_error(&error, sql))
}

async fn ask(client: &Client) -> Result<String, SqlError> {
    let rows = client.simple_query(ASK).await;
    let rows = rows.map_err(|error| sql_error(&error, ASK))?;
    let found = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(found.unwrap_or_default().to_owned())
}
