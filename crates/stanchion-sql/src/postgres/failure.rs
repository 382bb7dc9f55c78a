use std::error::Error;

use tokio_postgres::error::{DbError, SqlState};

use crate::SqlError;
use crate::error::UniqueViolation;
use crate::statement::shorten;

/// PostgreSQL's error in our words; `text` is the statement, shown where the statement is at fault.
pub(crate) fn sql_error(error: &tokio_postgres::Error, text: &str) -> SqlError {
    let Some(db) = error.as_db_error() else {
        return without_code(error, text);
    };
    let message = db.message().to_owned();
    let code = db.code();
    match code.code() {
        "23505" => SqlError::Conflict(violation(db)),
        "40001" | "40P01" | "55P03" => SqlError::Serialization(message),
        // It stood still inside its transaction for longer than it may hold locks: rolled back, and sound to repeat.
        "25P03" | "25P04" => SqlError::Timeout(message),
        // A statement after one that failed; the first one's error is the reason.
        "25P02" => SqlError::Serialization(message),
        "57014" => SqlError::Timeout(format!("{message}: `{}`", shorten(text))),
        // A changed table: the connection forgets its plans, the next attempt prepares anew.
        "0A000" if is_stale_plan(error) => SqlError::Serialization(message),
        "25006" => SqlError::Unavailable(message),
        code if code.starts_with("23") => SqlError::Constraint(message),
        code if ["08", "53", "57", "58"].contains(&&code[..2]) => SqlError::Unavailable(message),
        code if code.starts_with("28") || code.starts_with("3D") => SqlError::Unavailable(message),
        _ => SqlError::Usage(format!("{message}: `{}`", shorten(text))),
    }
}

/// The same for a statement that is its own transaction: when the connection ends before the answer, what writes may be
/// committed, as a COMMIT whose answer is lost.
pub(super) fn alone_error(error: &tokio_postgres::Error, text: &str, writes: bool) -> SqlError {
    // A server that ends the session may do so after the commit; any other refusal comes before it.
    let told = error.as_db_error();
    let ended = told.is_none_or(|db| db.code().code().starts_with("57P"));
    match sql_error(error, text) {
        SqlError::Unavailable(reason) if writes && ended => SqlError::InDoubt(reason),
        known => known,
    }
}

/// Whether a cached plan was refused because its table changed.
pub(super) fn is_stale_plan(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        *db.code() == SqlState::FEATURE_NOT_SUPPORTED && db.message().contains("cached plan")
    })
}

/// Errors of the connection, or of the driver before anything was sent.
fn without_code(error: &tokio_postgres::Error, text: &str) -> SqlError {
    let cause = error.source().map(ToString::to_string);
    let cause = cause.unwrap_or_else(|| error.to_string());
    let lost = error.is_closed()
        || error
            .source()
            .is_some_and(|source| source.is::<std::io::Error>());
    let shown = error.to_string();
    // Before there is a connection nothing was asked that could be wrong: no TLS at the server, a certificate refused.
    if text == "connect" {
        return SqlError::Unavailable(format!("cannot connect: {cause}"));
    }
    if lost || shown.starts_with("error connecting") || shown.starts_with("error communicating") {
        return SqlError::Unavailable(cause);
    }
    if shown.starts_with("error deserializing") {
        return SqlError::Decode(cause);
    }
    SqlError::Usage(format!("{cause}: `{}`", shorten(text)))
}

/// The detail reads `Key (email, tenant)=(…) already exists.`; the values stay out, they may be personal.
fn violation(db: &DbError) -> UniqueViolation {
    let columns = db
        .detail()
        .and_then(|detail| detail.strip_prefix("Key ("))
        .and_then(|detail| detail.split_once(")=("))
        .map(|(columns, _)| columns.split(", ").map(str::to_owned).collect());
    UniqueViolation {
        constraint: db.constraint().unwrap_or_default().to_owned(),
        columns: columns.unwrap_or_default(),
    }
}
