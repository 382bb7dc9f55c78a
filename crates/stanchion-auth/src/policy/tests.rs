//! Policies as their users meet them: a text, a question, a decision.

#[cfg(feature = "authz-cedar")]
mod cedar;
mod deciding;
mod faults;

use uuid::Uuid;

use super::*;
use crate::{Permissions, Roles, Subject};

crate::permissions! {
    /// See orders.
    pub(super) See = "order:read";
    /// Change orders.
    pub(super) Change = "order:write";
    /// Refund payments.
    pub(super) Refund = "payment:refund";
}

pub(super) fn words() -> Vocabulary {
    let staff: &[&str] = &["*:read"];
    let roles = Roles::new([("customer", &[][..]), ("staff", staff), ("auditor", &[])]).unwrap();
    Vocabulary::new()
        .roles(&roles)
        .resource(
            "Order",
            [
                ("owner", Kind::entity("User")),
                ("status", Kind::Text),
                ("total", Kind::Number),
                ("gift", Kind::Bool),
                ("tags", Kind::set_of(Kind::Text)),
            ],
        )
        .optional("Order", "helper", Kind::entity("User"))
        .resource("OrderList", [("owner", Kind::entity("User"))])
        .resource("Payment", [("amount", Kind::Number)])
        .action::<See>(["Order", "OrderList"])
        .action::<Change>(["Order"])
        .action::<Refund>(["Payment"])
}

pub(super) fn id(last: u128) -> Uuid {
    Uuid::from_u128(last)
}

pub(super) fn user(last: u128, roles: &[&str], scope: &str) -> Principal {
    let permissions = Permissions::parse(scope).unwrap();
    Principal {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Principal::user(id(last), id(99), permissions)
    }
}

/// The same where roles bind somebody who has none: an API key, an OAuth client.
pub(super) fn bound(last: u128, roles: &[&str], scope: &str) -> Principal {
    let user = user(last, roles, scope);
    Principal {
        bound_by: user.roles,
        roles: [].into(),
        ..user
    }
}

/// Of Ada (1), pending, over 2500 cents.
pub(super) fn order() -> Resource {
    Resource::new("Order", 7)
        .with("owner", Entity::user(id(1)))
        .with("status", "pending")
        .with("total", 2500)
        .with("gift", false)
        .with("tags", vec!["new", "web"])
}

pub(super) fn read(text: &str) -> PolicyFile {
    let read = PolicyFile::parse("test.cedar", text, &words());
    read.unwrap_or_else(|faults| panic!("{faults}"))
}

/// The decision on `order:read` of Ada's order by a file with this one permit, for any user.
#[track_caller]
pub(super) fn permits_when(condition: &str, principal: &Principal) -> bool {
    let head = r#"@id("it") permit (principal, action == Action::"order:read", resource is Order)"#;
    let file = read(&format!("{head} when {{ {condition} }};"));
    file.decide(&Question::new::<See>(principal, &order()))
        .allowed
}
