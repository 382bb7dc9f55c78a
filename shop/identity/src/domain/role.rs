use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use stanchion::auth::{Permissions, Roles};

use super::Refused;

/// What a user is to the shop.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Reaches its own objects only.
    Customer,
    /// Reads everything, works on orders and stock, refunds payments.
    Staff,
    /// May do everything.
    Admin,
}

/// A user's roles: at least one, each once, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RoleSet(BTreeSet<Role>);

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Customer, Self::Staff, Self::Admin];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Admin => "admin",
        }
    }

    /// The permissions that the role holds, besides those on the user's own objects.
    pub(crate) fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Customer => &[],
            Self::Staff => &["*:read", "order:write", "inventory:write", "payment:refund"],
            Self::Admin => &["admin:*"],
        }
    }
}

/// The shop's table of roles and permissions, made once: each request of a user looks into it.
pub(crate) fn table() -> &'static Roles {
    static TABLE: LazyLock<Roles> = LazyLock::new(|| {
        Roles::new(Role::ALL.map(|role| (role.name(), role.permissions())))
            .expect("the names above are permission names")
    });
    &TABLE
}

impl RoleSet {
    pub(crate) fn new(roles: impl IntoIterator<Item = Role>) -> Result<Self, Refused> {
        let roles: BTreeSet<_> = roles.into_iter().collect();
        if roles.is_empty() {
            return Err(Refused("must name at least one role"));
        }
        Ok(Self(roles))
    }

    pub(crate) fn of(role: Role) -> Self {
        Self(BTreeSet::from([role]))
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Role> {
        self.0.iter().copied()
    }

    pub(crate) fn permissions(&self) -> Permissions {
        table().permissions_of(self.iter().map(Role::name))
    }
}

/// The names with one space between them, as the store keeps them.
impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Role::name).collect();
        f.write_str(&names.join(" "))
    }
}

impl FromStr for RoleSet {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let role = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name);
        let roles: Option<Vec<_>> = text.split(' ').map(role).collect();
        Self::new(roles.ok_or(Refused("is not a role"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_reads_everything_but_writes_no_users() {
        let staff = RoleSet::of(Role::Staff).permissions();
        for held in [
            "user:read",
            "order:read",
            "inventory:read",
            "payment:read",
            "order:write",
            "inventory:write",
            "payment:refund",
        ] {
            assert!(staff.allows(held), "{held}");
        }
        for not in ["user:write", "admin:*", "admin:read", "payment:write"] {
            assert!(!staff.allows(not), "{not}");
        }
    }

    #[test]
    fn a_customer_holds_nothing_and_an_admin_everything() {
        assert!(RoleSet::of(Role::Customer).permissions().is_empty());
        let admin = RoleSet::of(Role::Admin).permissions();
        for any in ["user:write", "payment:refund", "admin:*"] {
            assert!(admin.allows(any), "{any}");
        }
    }

    #[test]
    fn roles_survive_their_text() {
        let both = RoleSet::new([Role::Staff, Role::Customer, Role::Staff]).unwrap();
        assert_eq!(both.to_string(), "customer staff");
        assert_eq!(both.to_string().parse(), Ok(both));
        for odd in ["", "root", "customer  staff", "Admin"] {
            assert!(odd.parse::<RoleSet>().is_err(), "{odd:?}");
        }
    }
}
