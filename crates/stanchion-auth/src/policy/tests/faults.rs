use super::*;

#[track_caller]
fn faults(text: &str) -> String {
    match PolicyFile::parse("shop.cedar", text, &words()) {
        Ok(_) => panic!("it was taken:\n{text}"),
        Err(faults) => faults.to_string(),
    }
}

/// One policy with that head, one with that condition.
fn head(head: &str) -> String {
    format!("@id(\"it\")\npermit ({head});")
}

fn when(condition: &str) -> String {
    let head = r#"principal, action == Action::"order:read", resource is Order"#;
    format!("@id(\"it\")\npermit ({head})\nwhen {{ {condition} }};")
}

#[test]
fn every_fault_of_a_file_is_listed_with_its_place() {
    let text = r#"
@id("one") permit (principal is Person, action == Action::"order:burn", resource is Ordre);
permit (principal, action, resource);
@id("two") allow (principal, action, resource);
@id("three") permit (principal in Role::"stuff", action, resource is Order)
when { resource.colour == "red" };
@id("three") permit (principal, action, resource is Order)
when { resource.total == "12" };
"#;
    let told = faults(text);
    let wanted = [
        "shop.cedar:2:33: a principal is a User, a Service or a Client, not a `Person`",
        "shop.cedar:2:51: no policy is asked about the action \"order:burn\"; there are order:read, order:write, payment:refund",
        "shop.cedar:2:85: there is no type `Ordre`; there are Client, Order, OrderList, Payment, Service, User",
        "shop.cedar:3:1: a policy without a name: begin it with @id(\"…\")",
        "shop.cedar:4:12: `allow`: a policy begins with `permit` or `forbid`",
        "shop.cedar:5:35: there is no role \"stuff\"; there are auditor, customer, staff",
        "shop.cedar:7:1: another policy has the id \"three\"",
        "shop.cedar:8:8: a number is never text",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_makes_no_sense_is_told_where_it_stands() {
    let told = [
        (
            when("resource.colour == 1"),
            "a Order has no attribute `colour`; it has gift, helper, owner, status, tags, total",
        ),
        (when("resource has colour"), "has no attribute `colour`"),
        (when("resource.total"), "a number is no condition"),
        (
            when("resource.total < \"1\""),
            "`<` is for numbers, not a number and text",
        ),
        (
            when("resource.status == resource.total"),
            "text is never a number",
        ),
        (
            when("resource.helper == principal"),
            "not every Order has helper: write `resource has helper",
        ),
        (
            when("resource has helper || resource.helper == principal"),
            "not every Order has helper",
        ),
        (
            when("!(resource has helper) && resource.helper == principal"),
            "not every Order has helper",
        ),
        (
            when("resource.status.contains(\"a\")"),
            "text contains nothing: it is no set",
        ),
        (
            when("resource.tags.contains(1)"),
            "a number is never in a set of: text",
        ),
        (when("[1, \"a\"].contains(1)"), "text in a set of: a number"),
        (when("[].contains(1)"), "nothing is in an empty set"),
        (
            when("resource.owner.name == \"a\""),
            "only `principal` and `resource` have attributes",
        ),
        (
            when("resource in Role::\"staff\""),
            "write `principal in Role::",
        ),
        (
            when("principal in Role::\"boss\""),
            "there is no role \"boss\"",
        ),
        (
            when("resource.owner == Person::\"1\""),
            "there is no type `Person`",
        ),
        (
            when("subject == principal"),
            "`subject` is no name: there are `principal`, `action` and `resource`",
        ),
        (
            when("resource.status.lower()"),
            "the only call is `.contains(…)`",
        ),
        (when("resource.total + 1 == 2"), "`}` is expected, not `+`"),
        (
            head("principal, action, resource in Role::\"staff\""),
            "resources are in nothing",
        ),
        (
            head("principal in User::\"1\", action, resource"),
            "write `in Role::",
        ),
        (
            head("principal, action == Order::\"1\", resource"),
            "is no action",
        ),
        (
            "@id(\"a\") permit (principal, action, resource)".into(),
            "`;` is expected, not the end",
        ),
        (
            "@id(\"a\\q\") permit (principal, action, resource);".into(),
            "there are \\n",
        ),
        ("@id(\"a".into(), "a text that nothing closes"),
        ("§".into(), "`§` means nothing here"),
        ("\u{1b}".into(), "`\\u{1b}` means nothing here"),
        (
            "@id(\"a\") @id(\"b\") permit (principal, action, resource);".into(),
            "@id stands twice",
        ),
    ];
    for (text, wanted) in &told {
        let told = faults(text);
        assert!(told.contains(wanted), "{text}\n{told}");
    }
}

#[test]
fn a_policy_that_can_never_matter_is_refused() {
    let never = [
        (
            head(r#"principal, action == Action::"payment:refund", resource is Order"#),
            "none of its actions is asked about",
        ),
        (
            head(r#"principal is Service in Role::"staff", action, resource"#),
            "none of its actions",
        ),
        (when("false"), "its conditions never hold"),
        (when("principal == resource"), "its conditions never hold"),
        (when("resource is Payment"), "its conditions never hold"),
        (
            when(r#"action == Action::"order:write""#),
            "its conditions never hold",
        ),
        (
            format!(
                "{}\n@id(\"no\") forbid (principal, action, resource);",
                when("resource.gift")
            ),
            "\"it\" can never apply: \"no\" in line 4 forbids all of it",
        ),
        (
            format!(
                "{}\n{}",
                when("resource.gift"),
                when("resource .gift").replace("\"it\"", "\"again\"")
            ),
            "\"again\" changes nothing: \"it\" in line 1 says the same",
        ),
    ];
    for (text, wanted) in never {
        let told = faults(&text);
        assert!(told.contains(wanted), "{text}\n{told}");
    }
}

/// A prohibition of somebody whom nobody is called would never apply, and nobody would notice.
#[test]
fn an_id_that_no_principal_can_have_is_refused_wherever_it_stands() {
    let id = "0198ABCD-0000-7000-8000-000000000001";
    for (text, wanted) in [
        (
            head(&format!("principal == User::\"{id}\", action, resource")),
            "no User is called \"0198ABCD-0000-7000-8000-000000000001\": its id is a UUID in lower case",
        ),
        (
            head(r#"principal == Client::"nightly", action, resource"#),
            "no Client is called \"nightly\"",
        ),
        (
            head(r#"principal == Service::"svc:orders", action, resource"#),
            "no Service is called \"svc:orders\"",
        ),
        (
            when(r#"resource.owner == User::"ada""#),
            "no User is called \"ada\"",
        ),
    ] {
        let told = faults(&text);
        assert!(told.contains(wanted), "{text}\n{told}");
    }
    read(&head(&format!(
        "principal == User::\"{}\", action, resource",
        id.to_lowercase()
    )));
    read(&head(r#"principal == Service::"orders", action, resource"#));
}

#[test]
fn texts_that_differ_in_their_spaces_are_two_texts() {
    let small = when(r#"resource.status == "on hold""#);
    let other = when(r#"resource.status == "onhold""#).replace("\"it\"", "\"other\"");
    assert_eq!(read(&format!("{small}\n{other}")).summaries().count(), 2);
}

#[test]
fn what_a_condition_before_it_rules_out_need_not_make_sense() {
    let services = when("principal is Service")
        .trim_end_matches(';')
        .to_owned();
    read(&format!(
        "{services}\nwhen {{ principal has on_behalf_of }}\nwhen {{ principal.on_behalf_of == resource.owner }};"
    ));
}

#[test]
fn what_may_be_absent_can_be_used_where_it_is_known_to_be_there() {
    for condition in [
        "resource has helper && resource.helper == principal",
        "resource has helper && (resource.gift || resource.helper == principal)",
        "(resource has helper && resource.gift) && resource.helper == principal",
        "principal has on_behalf_of && resource.owner == principal.on_behalf_of",
    ] {
        read(&when(condition));
    }
    read(&format!(
        "{}\nwhen {{ resource.helper == principal }};",
        when("resource has helper").trim_end_matches(';')
    ));
}

#[test]
fn bounds_are_told_and_kept() {
    let deep = format!("{}true{}", "(".repeat(40), ")".repeat(40));
    assert!(faults(&when(&deep)).contains("more than 16 conditions within each other"));
    let long = vec!["resource.gift"; 200].join(" && ");
    assert!(faults(&when(&long)).contains("a policy of more than 256 parts"));
    let nots = format!("{}true", "!".repeat(40));
    assert!(faults(&when(&nots)).contains("more than 16 `!`"));
    let one =
        |nth| format!("@id(\"{nth}\") permit (principal, action, resource == Order::\"{nth}\");\n");
    let many: String = (0..300).map(one).collect();
    assert!(faults(&many).contains("more than 256 policies in a file"));
    let large = "// ".to_owned() + &"x".repeat(FILE_BYTES_MAX);
    assert!(faults(&large).contains("a policy file has at most 65536 bytes"));
    let wrong = "@id(\"a\") permit (principal);\n".repeat(100);
    assert!(faults(&wrong).ends_with("and 36 more"));
}
