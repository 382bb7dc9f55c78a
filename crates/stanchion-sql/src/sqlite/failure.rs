use rusqlite::{Error, ErrorCode, ffi};

use crate::SqlError;
use crate::error::UniqueViolation;
use crate::statement::shorten;

/// SQLite's error in our words; `text` is the statement, shown where the statement is at fault.
pub(crate) fn sql_error(error: Error, text: &str) -> SqlError {
    let Error::SqliteFailure(code, message) = &error else {
        return SqlError::Usage(format!("{error}: `{}`", shorten(text)));
    };
    let message = message.clone().unwrap_or_else(|| code.to_string());
    match code.code {
        ErrorCode::ConstraintViolation => constraint(code.extended_code, message),
        ErrorCode::OperationInterrupted => {
            SqlError::Timeout(format!("statement interrupted: `{}`", shorten(text)))
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => SqlError::Serialization(message),
        ErrorCode::SystemIoFailure
        | ErrorCode::DiskFull
        | ErrorCode::CannotOpen
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::PermissionDenied
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OutOfMemory => SqlError::Unavailable(message),
        _ => SqlError::Usage(format!("{message}: `{}`", shorten(text))),
    }
}

/// Whether what was written before may be gone: after a failed fsync the pages in memory lie, and a
/// second fsync would succeed without having written anything.
pub(super) fn distrusts_the_disk(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn constraint(extended: i32, message: String) -> SqlError {
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => SqlError::Conflict(violation(&message)),
        _ => SqlError::Constraint(message),
    }
}

/// Reads `UNIQUE constraint failed: users.email, users.tenant` or `…: index 'users_email'`.
fn violation(message: &str) -> UniqueViolation {
    let named = message.split_once(": ").map_or("", |(_, named)| named);
    if let Some(index) = named.strip_prefix("index ") {
        return UniqueViolation {
            constraint: index.trim_matches('\'').to_owned(),
            columns: Vec::new(),
        };
    }
    let column = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    UniqueViolation {
        constraint: String::new(),
        columns: named.split(", ").map(column).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_violation_names_its_columns_or_its_index() {
        let columns = violation("UNIQUE constraint failed: users.email, users.tenant").columns;
        assert_eq!(columns, ["email", "tenant"]);
        let index = violation("UNIQUE constraint failed: index 'users_lower_email'");
        assert_eq!(index.constraint, "users_lower_email");
    }
}
