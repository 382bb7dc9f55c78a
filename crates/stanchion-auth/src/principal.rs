//! Who calls.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use uuid::Uuid;

use crate::permission::{Permission, Permissions};

/// What stands before a service's name in a subject.
const SERVICE_PREFIX: &str = "svc:";

/// What stands before a client's id in a subject.
const CLIENT_PREFIX: &str = "client:";

/// The longest service name, in bytes.
const SERVICE_BYTES_MAX: usize = 64;

/// Whom a principal or a token is about: a user by id, a service by name, or an OAuth client by id.
///
/// Its text, as in the `sub` claim and the access log, is the user's UUID, `svc:NAME` or `client:UUID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A person with an account.
    User(Uuid),
    /// A process of ours, such as `orders`; made by [`Subject::service`].
    Service(ServiceName),
    /// A program of somebody's that acts for itself: no service of ours, and nobody's objects are its own.
    Client(Uuid),
}

/// A service's name: 1 to 64 of `[a-z0-9-]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

/// A text that names no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a subject is a UUID in lower case with hyphens, `client:` and such a UUID, or `svc:` and 1 to 64 of [a-z0-9-]"
)]
pub struct SubjectMalformed;

/// Who calls, and what they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who it is.
    pub subject: Subject,
    /// The roles it had when its token was issued, for display and policies; decisions use `permissions`.
    pub roles: BTreeSet<String>,
    /// Roles that count against it and never for it: those of a user for whom something acts that may less, such as an API key
    /// or an OAuth client. What a policy forbids to such a role is forbidden to it, and what one permits to such a role is not
    /// permitted to it.
    pub bound_by: BTreeSet<String>,
    /// What it may.
    pub permissions: Permissions,
    /// The login session, for users.
    pub session: Option<Uuid>,
    /// The user for whom a service acts.
    pub on_behalf_of: Option<Uuid>,
    /// When the token it came with ends, if it came with one: a stream served to it ends then.
    pub expires_at: Option<Timestamp>,
}

impl Subject {
    /// The service of that name.
    ///
    /// # Errors
    /// [`SubjectMalformed`] unless the name is 1 to 64 of `[a-z0-9-]`.
    pub fn service(name: &str) -> Result<Self, SubjectMalformed> {
        let fits = (1..=SERVICE_BYTES_MAX).contains(&name.len());
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if fits && name.bytes().all(plain) {
            Ok(Self::Service(ServiceName(name.to_owned())))
        } else {
            Err(SubjectMalformed)
        }
    }
}

impl ServiceName {
    /// The name, without `svc:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Principal {
    /// A user within a login session.
    #[must_use]
    pub fn user(id: Uuid, session: Uuid, permissions: Permissions) -> Self {
        Self {
            session: Some(session),
            ..Self::bare(Subject::User(id), permissions)
        }
    }

    /// A service of ours.
    ///
    /// # Errors
    /// [`SubjectMalformed`] unless the name is 1 to 64 of `[a-z0-9-]`.
    pub fn service(name: &str, permissions: Permissions) -> Result<Self, SubjectMalformed> {
        Ok(Self::bare(Subject::service(name)?, permissions))
    }

    /// The same service acting for that user; its own permissions stay what they are.
    #[must_use]
    pub fn on_behalf_of(self, user: Uuid) -> Self {
        Self {
            on_behalf_of: Some(user),
            ..self
        }
    }

    /// Whether it is a service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        matches!(self.subject, Subject::Service(_))
    }

    /// The user whose objects are "own": the caller, or the one for whom a service acts.
    #[must_use]
    pub fn acting_user(&self) -> Option<Uuid> {
        match self.subject {
            Subject::User(id) => Some(id),
            Subject::Service(_) => self.on_behalf_of,
            Subject::Client(_) => None,
        }
    }

    /// Whether it acts as that user.
    #[must_use]
    pub fn is(&self, user: Uuid) -> bool {
        self.acting_user() == Some(user)
    }

    /// Whether it holds the permission of that name.
    #[must_use]
    pub fn allows(&self, permission: &str) -> bool {
        self.permissions.allows(permission)
    }

    /// Whether it holds the permission `P`.
    #[must_use]
    pub fn holds<P: Permission>(&self) -> bool {
        self.permissions.hold::<P>()
    }

    /// Whether it is `owner` or holds `P`: the rule of most single resources.
    #[must_use]
    pub fn is_or_holds<P: Permission>(&self, owner: Uuid) -> bool {
        self.is(owner) || self.holds::<P>()
    }

    fn bare(subject: Subject, permissions: Permissions) -> Self {
        Self {
            subject,
            roles: BTreeSet::new(),
            bound_by: BTreeSet::new(),
            permissions,
            session: None,
            on_behalf_of: None,
            expires_at: None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(formatter),
            Self::Service(name) => write!(formatter, "{SERVICE_PREFIX}{}", name.0),
            Self::Client(id) => write!(formatter, "{CLIENT_PREFIX}{id}"),
        }
    }
}

impl FromStr for Subject {
    type Err = SubjectMalformed;

    fn from_str(text: &str) -> Result<Self, SubjectMalformed> {
        if let Some(name) = text.strip_prefix(SERVICE_PREFIX) {
            return Self::service(name);
        }
        let found = match text.strip_prefix(CLIENT_PREFIX) {
            Some(id) => exact_uuid(id).map(Self::Client),
            None => exact_uuid(text).map(Self::User),
        };
        found.ok_or(SubjectMalformed)
    }
}

/// The id that is written exactly so: no braces, no upper case, no missing hyphens.
pub(crate) fn exact_uuid(text: &str) -> Option<Uuid> {
    let id = Uuid::parse_str(text).ok()?;
    // On the stack: every token has several.
    let mut written = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut written) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::permissions! {
        /// See orders.
        SeeOrders = "order:read";
    }

    fn id(last: u128) -> Uuid {
        Uuid::from_u128(last)
    }

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for subject in [
            Subject::User(id(7)),
            Subject::service("orders").unwrap(),
            Subject::Client(id(8)),
        ] {
            assert_eq!(subject.to_string().parse(), Ok(subject));
        }
    }

    #[test]
    fn a_subject_has_one_spelling() {
        let hyphenated = id(0xabc).to_string();
        let others = [
            String::new(),
            hyphenated.to_uppercase(),
            hyphenated.replace('-', ""),
            format!("{{{hyphenated}}}"),
            format!("urn:uuid:{hyphenated}"),
            format!(" {hyphenated}"),
            "svc:".to_owned(),
            "svc:Orders".to_owned(),
            "svc:a b".to_owned(),
            format!("svc:{}", "a".repeat(65)),
            "orders".to_owned(),
        ];
        for other in others {
            assert_eq!(other.parse::<Subject>(), Err(SubjectMalformed), "{other:?}");
        }
    }

    #[test]
    fn a_user_is_itself_and_nobody_else() {
        let user = Principal::user(id(1), id(9), Permissions::none());
        assert!(user.is(id(1)) && !user.is(id(2)) && !user.is_service());
        assert!(user.is_or_holds::<SeeOrders>(id(1)) && !user.is_or_holds::<SeeOrders>(id(2)));
    }

    #[test]
    fn a_client_is_no_service_and_owns_nothing() {
        let client = Principal::bare(Subject::Client(id(1)), Permissions::none());
        assert!(!client.is_service() && !client.is(id(1)) && client.acting_user().is_none());
    }

    #[test]
    fn a_service_acts_for_a_user_with_its_own_permissions() {
        let orders =
            Principal::service("orders", Permissions::parse("inventory:read").unwrap()).unwrap();
        assert_eq!(orders.acting_user(), None);
        let acting = orders.on_behalf_of(id(1));
        assert!(acting.is(id(1)) && acting.is_service());
        assert!(acting.allows("inventory:read") && !acting.holds::<SeeOrders>());
    }
}
