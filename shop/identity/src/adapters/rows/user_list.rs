use jiff::Timestamp;
use stanchion::sql::{List, Params, Query, SqlError, params};

use super::unreadable;
use super::users::{COLUMNS, user};
use crate::application::Failure;
use crate::application::ports::{UserList, UserPage, UserSort};
use crate::domain::{Status, folded};

/// Reads a page of users, and counts them all if that was asked for.
pub(super) async fn read(on: &dyn Query, wanted: &UserList) -> Result<UserPage, Failure> {
    let mut list = List::of("users", COLUMNS, "id")
        .only("deleted_at is null")
        .filter_some("status = #", wanted.status.map(Status::name))
        .filter_some("email_key = #", wanted.email_key.as_deref())
        .filter_some(
            "search like # escape '!'",
            wanted.text.as_deref().map(contains),
        )
        .sorted_by(column(wanted.sort), wanted.descending)
        .offset(wanted.offset);
    let total = match wanted.count {
        true => Some(list.total(on).await?),
        false => None,
    };
    if let Some((key, id)) = &wanted.after {
        list = list.after(place(wanted.sort, key, id.0)?);
    }
    let rows = list.rows(on, wanted.fetch).await?;
    let users = rows.iter().map(user).collect::<Result<_, _>>()?;
    Ok(UserPage { users, total })
}

fn column(sort: UserSort) -> &'static str {
    match sort {
        UserSort::CreatedAt => "created_at",
        UserSort::Username => "username",
        UserSort::Email => "email_key",
    }
}

/// The values of sort column and id that the page comes after.
fn place(sort: UserSort, key: &str, id: uuid::Uuid) -> Result<Params, SqlError> {
    match sort {
        UserSort::CreatedAt => {
            let at: Timestamp = key.parse().map_err(unreadable)?;
            Ok(params![at, id])
        }
        UserSort::Username | UserSort::Email => Ok(params![key, id]),
    }
}

/// A pattern for texts that contain `text`, whatever signs it has.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in folded(text).chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_a_pattern_are_taken_as_they_are() {
        assert_eq!(contains("50%_A!"), "%50!%!_a!!%");
    }
}
