use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::UserId;

use super::{Email, Name, Refused, RoleSet, Username, folded};

/// A living user; the password's hash is kept apart from it and never travels with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) profile: Profile,
    pub(crate) status: Status,
    pub(crate) roles: RoleSet,
    /// 1 at registration, one more with each change of profile, roles or status.
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Not a change: a login leaves the version as it is.
    pub(crate) last_login_at: Option<Timestamp>,
}

/// What users say of themselves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    pub(crate) email: Email,
    pub(crate) username: Username,
    pub(crate) first_name: Option<Name>,
    pub(crate) last_name: Option<Name>,
}

/// Whether a user may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UserStatus)]
pub(crate) enum Status {
    /// It may.
    Active,
    /// It may not, and its sessions have ended.
    Suspended,
}

/// A part of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Field {
    Email,
    Username,
    FirstName,
    LastName,
}

impl User {
    pub(crate) fn register(id: UserId, profile: Profile, roles: RoleSet, now: Timestamp) -> Self {
        Self {
            id,
            profile,
            status: Status::Active,
            roles,
            version: 1,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        }
    }

    /// Takes the new profile over; which fields differ, none if it is the same.
    pub(crate) fn describe(&mut self, profile: Profile, now: Timestamp) -> Vec<Field> {
        let fields = self.profile.differences(&profile);
        if !fields.is_empty() {
            self.profile = profile;
            self.touch(now);
        }
        fields
    }

    /// Takes the new roles over; the former ones, or `None` if they are the same.
    pub(crate) fn assign(&mut self, roles: RoleSet, now: Timestamp) -> Option<RoleSet> {
        if self.roles == roles {
            return None;
        }
        self.touch(now);
        Some(std::mem::replace(&mut self.roles, roles))
    }

    /// Takes the new status over; the former one, or `None` if it is the same.
    pub(crate) fn set_status(&mut self, status: Status, now: Timestamp) -> Option<Status> {
        if self.status == status {
            return None;
        }
        self.touch(now);
        Some(std::mem::replace(&mut self.status, status))
    }

    fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now;
    }
}

impl Profile {
    /// All that the user is known by, folded, to be searched.
    pub(crate) fn search_text(&self) -> String {
        let names = [&self.first_name, &self.last_name];
        let names = names.into_iter().flatten().map(Name::as_str);
        let known_by = [self.email.as_str(), self.username.as_str()];
        let all: Vec<_> = known_by.into_iter().chain(names).collect();
        folded(&all.join(" "))
    }

    fn differences(&self, other: &Self) -> Vec<Field> {
        let differs = [
            (self.email != other.email, Field::Email),
            (self.username != other.username, Field::Username),
            (self.first_name != other.first_name, Field::FirstName),
            (self.last_name != other.last_name, Field::LastName),
        ];
        let differing = differs.into_iter().filter(|(differs, _)| *differs);
        differing.map(|(_, field)| field).collect()
    }
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    pub(crate) fn from_name(name: &str) -> Result<Self, Refused> {
        [Self::Active, Self::Suspended]
            .into_iter()
            .find(|status| status.name() == name)
            .ok_or(Refused("must be one of active, suspended"))
    }
}

#[cfg(test)]
mod tests {
    use stanchion::runtime::{clock, id};

    use super::*;
    use crate::domain::Role;

    fn profile() -> Profile {
        Profile {
            email: "ada@example.com".parse().unwrap(),
            username: "ada".parse().unwrap(),
            first_name: Some("Ada".parse().unwrap()),
            last_name: None,
        }
    }

    fn user() -> User {
        let roles = RoleSet::of(Role::Customer);
        User::register(UserId(id::new_v7()), profile(), roles, clock::now())
    }

    #[test]
    fn a_changed_profile_is_a_new_version_and_says_what_changed() {
        let mut user = user();
        let changed = Profile {
            username: "ada2".parse().unwrap(),
            first_name: None,
            ..profile()
        };
        let fields = user.describe(changed, clock::now());
        assert_eq!(fields, [Field::Username, Field::FirstName]);
        assert_eq!(user.version, 2);
    }

    #[test]
    fn the_same_again_is_no_new_version() {
        let mut user = user();
        assert_eq!(user.describe(profile(), clock::now()), []);
        assert_eq!(user.assign(RoleSet::of(Role::Customer), clock::now()), None);
        assert_eq!(user.set_status(Status::Active, clock::now()), None);
        assert_eq!(user.version, 1);
    }

    #[test]
    fn roles_and_status_tell_what_they_were() {
        let mut user = user();
        let former = user.assign(RoleSet::of(Role::Admin), clock::now());
        assert_eq!(former, Some(RoleSet::of(Role::Customer)));
        let former = user.set_status(Status::Suspended, clock::now());
        assert_eq!(former, Some(Status::Active));
        assert_eq!(user.version, 3);
    }

    #[test]
    fn a_user_does_not_print_personal_data() {
        let shown = format!("{:?}", user()).to_lowercase();
        assert!(!shown.contains("ada"), "{shown}");
    }
}
