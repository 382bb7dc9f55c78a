//! Our part of the language means to Cedar what it means to us.

use proptest::prelude::*;

use super::*;

/// What a condition can be made of.
const PARTS: [&str; 18] = [
    "resource.owner == principal",
    "resource.owner != principal",
    "resource.gift",
    "!resource.gift",
    "resource.total > 1000",
    "resource.total <= 2500",
    "resource.status == \"pending\"",
    "[\"pending\", \"confirmed\"].contains(resource.status)",
    "resource.tags.contains(\"web\")",
    "resource.tags == [\"web\", \"new\"]",
    "resource has helper",
    "resource has helper && resource.helper == principal",
    "principal has on_behalf_of && resource.owner == principal.on_behalf_of",
    "principal in Role::\"staff\"",
    "principal is User",
    "action == Action::\"order:read\"",
    "(resource.gift || resource.total == -1)",
    "resource.owner == User::\"00000000-0000-0000-0000-000000000001\"",
];

const HEADS: [&str; 6] = [
    "principal, action, resource is Order",
    "principal is User, action == Action::\"order:read\", resource is Order",
    "principal is Service, action, resource is Order",
    "principal in Role::\"staff\", action in [Action::\"order:read\", Action::\"order:write\"], resource is Order",
    "principal == User::\"00000000-0000-0000-0000-000000000001\", action, resource is Order",
    "principal, action, resource == Order::\"7\"",
];

fn policy() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec((prop::sample::select(&PARTS[..]), any::<bool>()), 0..4);
    let head = prop::sample::select(&HEADS[..]);
    (any::<bool>(), head, parts, any::<bool>()).prop_map(|(permit, head, parts, unless)| {
        let effect = if permit { "permit" } else { "forbid" };
        let mut condition = String::new();
        for (nth, (part, and)) in parts.iter().enumerate() {
            let joint = if *and { " && " } else { " || " };
            condition += if nth == 0 { "" } else { joint };
            condition += part;
        }
        let keyword = if unless { "unless" } else { "when" };
        let when = if condition.is_empty() {
            String::new()
        } else {
            format!("{keyword} {{ {condition} }}")
        };
        format!("{effect} ({head}) {when};")
    })
}

fn asked() -> impl Strategy<Value = (Principal, Resource)> {
    let principal = prop_oneof![
        Just(user(1, &[], "")),
        Just(user(2, &["staff"], "payment:read")),
        Just(user(3, &["customer"], "order:read")),
        Just(bound(1, &["staff"], "")),
        Just(bound(2, &["staff"], "order:read")),
        Just(Principal::service("orders", Permissions::none()).unwrap()),
        Just(
            Principal::service("orders", Permissions::none())
                .unwrap()
                .on_behalf_of(id(1))
        ),
    ];
    let resource = (0_u128..3, any::<bool>(), any::<bool>()).prop_map(|(owner, gift, helped)| {
        let helper = helped.then(|| Entity::user(id(2)));
        Resource::new("Order", 7)
            .with("owner", Entity::user(id(owner)))
            .with("status", if gift { "pending" } else { "rejected" })
            .with("total", if helped { 2500 } else { 10 })
            .with("gift", gift)
            .with("tags", vec!["new", "web"])
            .with_some("helper", helper)
    });
    (principal, resource)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn cedar_decides_as_we_do(
        policies in prop::collection::vec(policy(), 1..4),
        asked in prop::collection::vec(asked(), 1..8),
    ) {
        let named = policies.iter().enumerate().map(|(nth, policy)| format!("@id(\"{nth}\") {policy}\n"));
        let text: String = named.collect();
        let Ok(ours) = PolicyFile::parse("random.cedar", &text, &words()) else {
            // Whatever we refuse, nobody runs.
            return Ok(());
        };
        let theirs = CedarPolicies::parse("random.cedar", &text, &words());
        let theirs = theirs.map_err(|faults| TestCaseError::fail(format!("{faults}\n{text}")))?;
        for (principal, resource) in &asked {
            let question = Question::new::<See>(principal, resource);
            let (ours, theirs) = (ours.decide(&question), theirs.decide(&question));
            prop_assert_eq!(ours.allowed, theirs.allowed, "{}\n{:?}\n{}\n{}", text, question, ours, theirs);
        }
    }
}

#[test]
fn cedar_takes_what_goes_beyond_our_part() {
    let text = r#"
        @id("early ones")
        permit (principal is User, action == Action::"order:read", resource is Order)
        when { resource.status like "pend*" && resource.total * 2 < 6000 };
    "#;
    let policies = CedarPolicies::parse("shop.cedar", text, &words()).unwrap();
    let (ada, order) = (user(1, &[], ""), order());
    let decision = policies.decide(&Question::new::<See>(&ada, &order));
    assert!(decision.allowed);
    assert!(
        decision
            .to_string()
            .contains("permitted by \"early ones\" (shop.cedar"),
        "{decision}"
    );
    assert!(PolicyFile::parse("shop.cedar", text, &words()).is_err());
}

#[test]
fn what_cedar_finds_wrong_is_told_with_its_line() {
    let faults = |text: &str| {
        CedarPolicies::parse("shop.cedar", text, &words())
            .unwrap_err()
            .to_string()
    };
    let wrong = "\npermit (principal, action, resource is Order)\nwhen { resource.colour == 1 };";
    assert!(
        faults(wrong).starts_with("shop.cedar:3:"),
        "{}",
        faults(wrong)
    );
    assert!(faults("permit (").starts_with("shop.cedar:1:"));
}
