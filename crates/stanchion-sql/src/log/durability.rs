//! Settings of a server under which an acknowledged append could be lost.

use tokio_postgres::Client;

use crate::SqlError;
use crate::postgres::sql_error;

const ASK: &str = "\
select current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')";

/// Refuses a session or a server that acknowledges what a crash can undo.
///
/// # Errors
/// [`SqlError::Unavailable`], naming the setting.
pub(super) async fn refuse_less(client: &Client) -> Result<(), SqlError> {
    let row = client.query_one(ASK, &[]).await;
    let row = row.map_err(|error| sql_error(&error, ASK))?;
    let names = ["synchronous_commit", "fsync", "full_page_writes"];
    let off = names
        .into_iter()
        .enumerate()
        .find(|(index, _)| row.get::<_, &str>(*index) == "off");
    let Some((_, name)) = off else {
        return Ok(());
    };
    Err(SqlError::Unavailable(format!(
        "the server runs with {name} = off: a crash could lose acknowledged events. \
         Turn it on, or set allow_unsafe_durability where that is meant"
    )))
}
