//! Users are state: their log holds no personal data, but it knows who there is, as what, and how often changed.

use std::collections::BTreeMap;

use serde_json::Value;
use stanchion::sql::Row;
use uuid::Uuid;

use super::Rows;
use crate::store::Event;

#[derive(Default)]
struct User {
    roles: String,
    status: String,
    version: i64,
    deleted: bool,
}

pub(super) fn line(row: &Row) -> anyhow::Result<(String, String)> {
    let id: Uuid = row.named("id")?;
    let roles: String = row.named("roles")?;
    let words = roles
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty());
    let deleted: Option<jiff::Timestamp> = row.named("deleted_at")?;
    let user = User {
        roles: sorted(words),
        status: row.named("status")?,
        version: row.named("version")?,
        deleted: deleted.is_some(),
    };
    Ok((id.to_string(), user.line()))
}

pub(super) fn due(events: &[Event]) -> Rows {
    let mut users: BTreeMap<String, User> = BTreeMap::new();
    for event in events.iter().filter(|event| event.category == "user") {
        users.entry(event.name.clone()).or_default().tell(event);
    }
    users
        .into_iter()
        .map(|(id, user)| (id, user.line()))
        .collect()
}

impl User {
    fn tell(&mut self, event: &Event) {
        match event.kind.as_str() {
            "user_registered" => {
                "active".clone_into(&mut self.status);
                self.roles = listed(&event.data["roles"]);
            }
            "roles_changed" => self.roles = listed(&event.data["to"]),
            "status_changed" => event.text("/to").clone_into(&mut self.status),
            "user_deleted" => self.deleted = true,
            "user_updated" => {}
            _ => return,
        }
        self.version += i64::from(event.kind != "user_deleted");
    }

    /// A deleted user's version means nothing any more.
    fn line(&self) -> String {
        let Self {
            roles,
            status,
            version,
            deleted,
        } = self;
        if *deleted {
            "deleted".to_owned()
        } else {
            format!("{roles} {status} v{version}")
        }
    }
}

fn listed(roles: &Value) -> String {
    sorted(
        roles
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str),
    )
}

fn sorted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut words: Vec<_> = words.collect();
    words.sort_unstable();
    words.join("+")
}
