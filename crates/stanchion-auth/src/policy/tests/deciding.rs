use proptest::prelude::*;

use super::*;

const OWN: &str = r#"
@id("own orders")
permit (principal, action in [Action::"order:read", Action::"order:write"], resource is Order)
when { resource.owner == principal };
"#;

fn decide(text: &str, principal: &Principal, resource: &Resource) -> Decision {
    read(text).decide(&Question::new::<See>(principal, resource))
}

#[test]
fn an_empty_file_denies_everybody_but_holders_of_the_permission() {
    let stranger = user(2, &[], "");
    let denied = decide("", &stranger, &order());
    assert_eq!(denied.reasons, [Reason::Lacks("order:read".into())]);
    assert!(!denied.allowed);
    let staff = decide("", &user(2, &["staff"], "*:read"), &order());
    assert!(staff.allowed);
    assert_eq!(
        staff.to_string(),
        "allowed\n  holds the permission order:read, as *:read"
    );
}

#[test]
fn an_owner_is_permitted_and_a_stranger_is_told_what_was_missing() {
    let ada = decide(OWN, &user(1, &[], ""), &order());
    assert_eq!(
        ada.to_string(),
        "allowed\n  permitted by \"own orders\" (test.cedar:2)"
    );
    let eve = decide(OWN, &user(2, &[], ""), &order());
    assert_eq!(
        eve.to_string(),
        "denied\n  lacks the permission order:read\n  not permitted by \"own orders\" (test.cedar:2): resource.owner == \
         principal does not hold"
    );
}

#[test]
fn a_forbid_wins_over_permits_and_permissions() {
    let text = format!(
        "{OWN} @id(\"frozen\") forbid (principal, action, resource is Order) when {{ resource.status == \"pending\" }};"
    );
    for principal in [user(1, &[], ""), user(9, &[], "admin:*")] {
        let decision = decide(&text, &principal, &order());
        assert!(!decision.allowed);
        assert!(
            matches!(&decision.reasons[..], [Reason::Forbids(policy)] if &*policy.id == "frozen")
        );
    }
}

#[test]
fn a_service_owns_nothing_but_what_it_asks_for_on_behalf_of_somebody() {
    let text = r#"
        @id("for its owner")
        permit (principal is Service, action == Action::"order:read", resource is Order)
        when { principal has on_behalf_of && resource.owner == principal.on_behalf_of };
    "#;
    let service = Principal::service("payments", Permissions::none()).unwrap();
    assert!(!decide(text, &service, &order()).allowed);
    assert!(decide(text, &service.clone().on_behalf_of(id(1)), &order()).allowed);
    assert!(!decide(text, &service.on_behalf_of(id(2)), &order()).allowed);
    // Nor is a user one who happens to be called like a service.
    assert!(!decide(text, &user(1, &[], ""), &order()).allowed);
}

#[test]
fn a_question_that_is_not_as_described_is_denied_whatever_is_held() {
    let admin = user(9, &["admin"], "admin:*");
    let file = read(OWN);
    let wrong = [
        (order().with("colour", "red"), "a Order has no colour"),
        (Resource::new("Order", 1), "lacks gift"),
        (
            Resource::new("Payment", 1).with("amount", 1),
            "is not asked about a Payment",
        ),
        (
            Resource::new("OrderList", 1).with("owner", "ada"),
            "owner is not a User",
        ),
    ];
    for (resource, told) in wrong {
        let decision = file.decide(&Question::new::<See>(&admin, &resource));
        assert!(!decision.allowed);
        assert!(decision.to_string().contains(told), "{decision}");
    }
    let order = order();
    let question = Question {
        action: "order:delete",
        ..Question::new::<See>(&admin, &order)
    };
    assert!(!file.decide(&question).allowed);
}

#[test]
fn roles_narrow_a_policy_in_its_head_and_in_its_conditions() {
    let head = r#"@id("it") permit (principal in Role::"auditor", action, resource is Order);"#;
    assert!(decide(head, &user(5, &["auditor"], ""), &order()).allowed);
    assert!(!decide(head, &user(5, &["customer"], ""), &order()).allowed);
    assert!(permits_when(
        r#"principal in Role::"auditor""#,
        &user(5, &["auditor"], "")
    ));
    assert!(!permits_when(
        r#"principal in Role::"auditor""#,
        &user(5, &[], "")
    ));
}

#[test]
fn a_role_that_binds_takes_and_never_gives() {
    let by_head = r#"@id("it") permit (principal in Role::"auditor", action, resource is Order);"#;
    let by_condition = r#"principal in Role::"auditor" || resource.owner == principal"#;
    let exception = r#"
        @id("own") permit (principal, action, resource is Order) when { resource.owner == principal };
        @id("large") forbid (principal, action, resource is Order)
        when { resource.total > 1000 } unless { principal in Role::"auditor" };
    "#;
    let forbidden = r#"@id("none of theirs") forbid (principal in Role::"auditor", action, resource is Order);"#;
    let (own, key) = (
        |scope: &str| user(1, &["auditor"], scope),
        |scope: &str| bound(1, &["auditor"], scope),
    );
    let other = |principal: Principal| Principal {
        subject: Subject::User(id(5)),
        ..principal
    };
    // What the role is let see, with scopes for nothing.
    assert!(decide(by_head, &own(""), &order()).allowed);
    assert!(!decide(by_head, &key(""), &order()).allowed);
    assert!(permits_when(by_condition, &other(own(""))));
    assert!(!permits_when(by_condition, &other(key(""))));
    // What is its owner's, and what its scopes say.
    assert!(permits_when(by_condition, &key("")));
    assert!(decide(by_head, &key("order:read"), &order()).allowed);
    // What the role alone may do in spite of a prohibition.
    assert!(decide(exception, &own(""), &order()).allowed);
    for scope in ["", "order:read"] {
        let denied = decide(exception, &key(scope), &order());
        assert!(matches!(&denied.reasons[..], [Reason::Forbids(policy)] if &*policy.id == "large"));
    }
    // What is forbidden to the role.
    for principal in [own("order:read"), key("order:read")] {
        assert!(!decide(forbidden, &principal, &order()).allowed);
    }
}

/// A policy is checked as if only users had roles; whatever a client's token says, so it is.
#[test]
fn a_program_has_no_roles_whatever_its_token_says() {
    let program = Principal {
        subject: Subject::Client(id(5)),
        ..user(5, &["auditor"], "")
    };
    let head = r#"@id("it") permit (principal in Role::"auditor", action, resource is Order);"#;
    assert!(!decide(head, &program, &order()).allowed);
    assert!(!permits_when(r#"principal in Role::"auditor""#, &program));
}

#[test]
fn sets_within_sets_have_no_order_either() {
    let words = Vocabulary::new()
        .resource(
            "Order",
            [("routes", Kind::set_of(Kind::set_of(Kind::Text)))],
        )
        .action::<See>(["Order"]);
    let routes = vec![Value::from(vec!["a", "b"]), vec!["c"].into()];
    let order = Resource::new("Order", 7).with("routes", routes);
    for condition in [
        r#"resource.routes.contains(["b", "a"])"#,
        r#"resource.routes == [["c"], ["b", "a", "a"]]"#,
    ] {
        let text =
            format!("@id(\"it\") permit (principal, action, resource) when {{ {condition} }};");
        let file = PolicyFile::parse("test.cedar", &text, &words).unwrap();
        let ada = user(1, &[], "");
        assert!(
            file.decide(&Question::new::<See>(&ada, &order)).allowed,
            "{condition}"
        );
    }
}

#[test]
fn conditions_mean_what_they_say() {
    let ada = user(1, &[], "");
    let holds = [
        "true",
        "!false",
        "resource.total == 2500 && resource.total != 0",
        "resource.total < 2501 && resource.total <= 2500",
        "resource.total > -1 && resource.total >= 2500",
        "resource.gift || resource.owner == principal",
        "(resource.gift || true) && !resource.gift",
        r#"["pending", "confirmed"].contains(resource.status)"#,
        r#"resource.tags.contains("web")"#,
        r#"resource.tags == ["web", "new", "new"]"#,
        "resource is Order && principal is User",
        "!(resource has helper)",
        "resource has helper && resource.helper == principal || true",
        r#"action == Action::"order:read""#,
        r#"resource.status != "a \"quoted\" text""#,
    ];
    for condition in holds {
        assert!(permits_when(condition, &ada), "{condition}");
    }
    let fails = [
        "resource.gift",
        "resource.owner != principal",
        "resource.total > 2500 || resource.total < 2500",
        r#"resource.tags.contains("Web")"#,
        "resource has helper && resource.helper == principal",
        "resource.owner == principal && resource.gift",
    ];
    for condition in fails {
        assert!(!permits_when(condition, &ada), "{condition}");
    }
}

#[test]
fn unless_takes_away_and_is_told_as_it_is_written() {
    let text = r#"
        @id("small ones")
        permit (principal is User, action == Action::"order:read", resource is Order)
        when { resource.owner == principal }
        unless { resource.total   >= 1000 };
    "#;
    let denied = decide(text, &user(1, &[], ""), &order());
    assert!(
        denied
            .to_string()
            .contains("unless { resource.total >= 1000 }"),
        "{denied}"
    );
    let small = order().replacing("total", 999);
    assert!(decide(text, &user(1, &[], ""), &small).allowed);
}

proptest! {
    #[test]
    fn whatever_a_file_says_it_is_read_or_refused(text in "[ -~\n]{0,200}") {
        let _ = PolicyFile::parse("any", &text, &words());
    }

    #[test]
    fn words_of_the_language_in_any_order_are_read_or_refused(
        parts in prop::collection::vec(prop::sample::select(vec![
            "@id(\"a\")", "permit", "forbid", "(", ")", "principal", "action", "resource", ",", "when", "unless", "{", "}",
            ";", "is", "User", "Order", "in", "==", "&&", "||", "!", "has", "owner", ".", "[", "]", "contains", "1", "\"x\"",
            "Role", "::", "\"staff\"", "-", "true",
        ]), 0..60),
    ) {
        let _ = PolicyFile::parse("any", &parts.join(" "), &words());
    }

    #[test]
    fn nobody_is_allowed_but_the_owner_and_holders(owner in 0_u128..4, asks in 0_u128..4, holds: bool) {
        let scope = if holds { "order:read" } else { "payment:read" };
        let theirs = order().replacing("owner", Entity::user(id(owner)));
        let decision = decide(OWN, &user(asks, &[], scope), &theirs);
        prop_assert_eq!(decision.allowed, holds || owner == asks);
    }
}
