use proptest::prelude::*;

use super::*;

permissions! {
    /// Refund a payment.
    Refund = "payment:refund";
}

fn holding(scope: &str) -> Permissions {
    Permissions::parse(scope).unwrap()
}

#[test]
fn a_permission_holds_itself_and_nothing_else() {
    let held = holding("order:read");
    assert!(held.allows("order:read"));
    for other in [
        "order:write",
        "orders:read",
        "order:reader",
        "user:read",
        "order:*",
        "admin:*",
    ] {
        assert!(!held.allows(other), "{other}");
    }
}

#[test]
fn admin_holds_everything() {
    for any in [
        "order:read",
        "payment:refund",
        "admin:*",
        "order:*",
        "*:read",
    ] {
        assert!(holding("admin:*").allows(any), "{any}");
    }
}

#[test]
fn a_wildcard_action_holds_every_action_on_its_resource() {
    let held = holding("order:*");
    assert!(held.allows("order:read") && held.allows("order:write") && held.allows("order:*"));
    assert!(!held.allows("user:read") && !held.allows("admin:*"));
}

#[test]
fn a_wildcard_resource_holds_its_action_everywhere_but_on_admin() {
    let held = holding("*:read");
    assert!(held.allows("order:read") && held.allows("user:read"));
    assert!(!held.allows("order:write") && !held.allows("admin:read") && !held.allows("admin:*"));
}

#[test]
fn only_the_exact_name_of_admin_is_all() {
    assert!(!holding("admin:read").allows("order:read"));
    assert!(!holding("administrator:*").allows("order:read"));
}

#[test]
fn what_is_no_name_is_neither_held_nor_holds() {
    for odd in [
        "", ":", "a", "a:", ":a", "*", "*:*", "a:b:c", "A:b", "a:b ", " a:b", "a b:c", "a:**",
        "ä:b", "a:b\0",
    ] {
        assert!(!is_name(odd), "{odd:?}");
        assert!(!holding("admin:*").allows(odd), "{odd:?}");
        assert!(Permissions::new([odd]).is_err(), "{odd:?}");
    }
    assert!(!is_name(&format!("a:{}", "b".repeat(NAME_BYTES_MAX))));
}

#[test]
fn a_scope_is_names_with_single_spaces() {
    assert_eq!(holding("b:x a:y").to_string(), "a:y b:x");
    assert!(holding("").is_empty());
    for odd in [" ", "a:b ", " a:b", "a:b  c:d", "a:b\tc:d", "a:b,c:d"] {
        assert!(Permissions::parse(odd).is_err(), "{odd:?}");
    }
    let many: Vec<_> = (0..=PERMISSIONS_MAX).map(|n| format!("a:x{n}")).collect();
    assert_eq!(Permissions::new(many), Err(PermissionError::TooMany));
}

#[test]
fn a_marker_is_held_by_its_name() {
    assert!(holding("payment:*").hold::<Refund>());
    assert!(!holding("payment:read").hold::<Refund>());
}

#[test]
fn roles_add_up_and_unknown_roles_hold_nothing() {
    let roles = Roles::new([
        ("customer", &[][..]),
        ("reader", &["order:read"]),
        ("writer", &["order:write"]),
    ])
    .unwrap();
    assert!(
        roles
            .permissions_of(["customer", "root", "Admin"])
            .is_empty()
    );
    assert_eq!(
        roles.permissions_of(["reader", "writer"]),
        holding("order:read order:write")
    );
    assert!(roles.contains("customer") && !roles.contains("root"));
    assert_eq!(
        roles.names().collect::<Vec<_>>(),
        ["customer", "reader", "writer"]
    );
}

#[test]
fn a_malformed_name_in_a_role_is_named() {
    let refusal = Roles::new([("staff", &["Order:Read"][..])]).unwrap_err();
    assert!(refusal.to_string().contains("`Order:Read`"));
}

proptest! {
    #[test]
    fn a_scope_survives_being_written_and_read(
        names in prop::collection::btree_set("([a-z]{1,8}|\\*):[a-z0-9_-]{1,8}", 0..20),
    ) {
        let set = Permissions::new(&names).unwrap();
        prop_assert_eq!(&Permissions::parse(&set.to_string()).unwrap(), &set);
        prop_assert!(names.iter().all(|name| set.allows(name)));
    }

    #[test]
    fn any_text_is_parsed_or_refused_without_panic(scope in ".{0,100}") {
        let _ = Permissions::parse(&scope);
        let _ = holding("order:*").allows(&scope);
    }
}
