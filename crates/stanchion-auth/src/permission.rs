//! What a principal may: permission names, wildcards, marker types, roles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The permission that holds every other.
pub const ALL: &str = "admin:*";

/// The most permissions one principal may hold.
pub const PERMISSIONS_MAX: usize = 256;

/// The longest permission name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A permission as a type: `Authorized<PlaceOrder>` states in a handler's signature what it takes to call it.
///
/// Make such types with [`permissions!`](crate::permissions!).
pub trait Permission: Send + Sync + 'static {
    /// The name as it stands in tokens and documents: `resource:action`.
    const NAME: &'static str;
}

/// Declares marker types for permissions; a malformed name does not compile.
///
/// ```
/// stanchion_auth::permissions! {
///     /// Place, change or cancel anybody's order.
///     pub PlaceOrder = "order:write";
///     /// See anybody's order.
///     pub SeeOrders = "order:read";
/// }
/// use stanchion_auth::Permission;
/// assert_eq!(PlaceOrder::NAME, "order:write");
/// ```
///
/// ```compile_fail
/// stanchion_auth::permissions! {
///     /// Names are lower case.
///     pub Oops = "Order:Write";
/// }
/// ```
#[macro_export]
macro_rules! permissions {
    ($($(#[$about:meta])* $visibility:vis $name:ident = $text:literal;)+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility struct $name;

        const _: () = assert!(
            $crate::permission::is_name($text),
            "a permission is named `resource:action`, in lower case letters, digits, `_` and `-`"
        );

        impl $crate::permission::Permission for $name {
            const NAME: &'static str = $text;
        }
    )+};
}

/// A name that is no permission, or too many of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermissionError {
    /// Not of the form `resource:action`.
    #[error(
        "`{name}` is no permission; write `resource:action` in lower case, `*` for either, `admin:*` for all"
    )]
    Malformed {
        /// What was given, cut to 64 bytes.
        name: String,
    },
    /// More than [`PERMISSIONS_MAX`].
    #[error("more than {PERMISSIONS_MAX} permissions; use a wildcard such as `order:*`")]
    TooMany,
}

/// A set of permissions, wildcards included.
///
/// `order:*` holds every action on orders, `*:read` reading of everything but `admin`, `admin:*` holds all.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<String>);

/// Which role holds which permissions; the application's table, checked once at start.
#[derive(Debug, Clone, Default)]
pub struct Roles(BTreeMap<String, Permissions>);

impl Permissions {
    /// No permission at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The set of these names.
    ///
    /// # Errors
    /// [`PermissionError`], naming the first that is malformed.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, PermissionError> {
        let mut set = BTreeSet::new();
        for name in names {
            let name = name.as_ref();
            if !is_name(name) {
                return Err(PermissionError::malformed(name));
            }
            set.insert(name.to_owned());
            if set.len() > PERMISSIONS_MAX {
                return Err(PermissionError::TooMany);
            }
        }
        Ok(Self(set))
    }

    /// The set in a `scope` claim: names with exactly one space between them, or nothing.
    ///
    /// # Errors
    /// [`PermissionError`], naming the first that is malformed.
    pub fn parse(scope: &str) -> Result<Self, PermissionError> {
        if scope.is_empty() {
            return Ok(Self::none());
        }
        Self::new(scope.split(' '))
    }

    /// Whether these hold `required`. What is no permission name is held by nobody.
    #[must_use]
    pub fn allows(&self, required: &str) -> bool {
        self.granting(required).is_some()
    }

    /// The name by which `required` is held: itself, or a wildcard.
    #[must_use]
    pub fn granting(&self, required: &str) -> Option<&str> {
        if self.0.is_empty() || !is_name(required) {
            return None;
        }
        let held = |name: &str| self.0.get(name).map(String::as_str);
        let (resource, action) = required.split_once(':')?;
        held(ALL)
            .or_else(|| held(required))
            .or_else(|| held(&format!("{resource}:*")))
            .or_else(|| {
                let everywhere = resource != "admin";
                everywhere.then(|| held(&format!("*:{action}"))).flatten()
            })
    }

    /// Whether these hold the permission `P`.
    #[must_use]
    pub fn hold<P: Permission>(&self) -> bool {
        self.allows(P::NAME)
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, others: &Permissions) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// The names, in alphabetical order, wildcards as they are.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The `scope` claim: the names with one space between them.
impl fmt::Display for Permissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, name) in self.iter().enumerate() {
            if nth > 0 {
                formatter.write_str(" ")?;
            }
            formatter.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Permissions({self})")
    }
}

impl Roles {
    /// The table of these roles.
    ///
    /// ```
    /// let roles = stanchion_auth::Roles::new([
    ///     ("customer", &[][..]),
    ///     ("staff", &["*:read", "order:write"]),
    ///     ("admin", &["admin:*"]),
    /// ])?;
    /// assert!(roles.permissions_of(["staff"]).allows("user:read"));
    /// # Ok::<(), stanchion_auth::permission::PermissionError>(())
    /// ```
    ///
    /// # Errors
    /// [`PermissionError`], naming the first permission that is malformed.
    pub fn new<'a>(
        table: impl IntoIterator<Item = (&'a str, &'a [&'a str])>,
    ) -> Result<Self, PermissionError> {
        table
            .into_iter()
            .map(|(role, names)| Ok((role.to_owned(), Permissions::new(names)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// All that these roles hold together; a role that is not in the table holds nothing.
    #[must_use]
    pub fn permissions_of(&self, roles: impl IntoIterator<Item = impl AsRef<str>>) -> Permissions {
        roles
            .into_iter()
            .filter_map(|role| self.0.get(role.as_ref()))
            .fold(Permissions::none(), Permissions::and)
    }

    /// Whether there is a role of that name.
    #[must_use]
    pub fn contains(&self, role: &str) -> bool {
        self.0.contains_key(role)
    }

    /// The roles, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl PermissionError {
    fn malformed(name: &str) -> Self {
        let end = name.floor_char_boundary(NAME_BYTES_MAX);
        Self::Malformed {
            name: name[..end].to_owned(),
        }
    }
}

/// Whether `text` is of the form `resource:action`, with `*` for one of the two.
#[must_use]
pub const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() > NAME_BYTES_MAX {
        return false;
    }
    let mut colon = 0;
    while colon < bytes.len() && bytes[colon] != b':' {
        colon += 1;
    }
    if colon == bytes.len() {
        return false;
    }
    let (resource, rest) = bytes.split_at(colon);
    let (_, action) = rest.split_at(1);
    match (is_star(resource), is_star(action)) {
        (true, true) => false,
        (true, false) => is_word(action),
        (false, true) => is_word(resource),
        (false, false) => is_word(resource) && is_word(action),
    }
}

const fn is_star(part: &[u8]) -> bool {
    matches!(part, b"*")
}

const fn is_word(part: &[u8]) -> bool {
    let mut at = 0;
    while at < part.len() {
        if !matches!(part[at], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        at += 1;
    }
    !part.is_empty()
}

#[cfg(test)]
mod tests;
