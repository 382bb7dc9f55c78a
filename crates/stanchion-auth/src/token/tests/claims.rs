//! Tokens with our genuine signature and claims that must not pass.

use proptest::prelude::*;

use super::*;

#[test]
fn e3_every_claim_is_required_with_its_type() {
    let bench = Bench::new();
    let wrong = [
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!([]),
        json!([1]),
        json!({}),
        json!(""),
        json!("x\0"),
    ];
    for name in [
        "iss", "aud", "sub", "exp", "iat", "jti", "sid", "scope", "roles",
    ] {
        let refusal = bench.without_claim(name).unwrap_err();
        assert_eq!(refusal, Refusal::Claim(name));
        for value in &wrong {
            let fine = match name {
                "scope" => value == "",
                "roles" => *value == json!([]),
                _ => false,
            };
            let outcome = bench.with_claim(name, value.clone());
            assert_eq!(outcome.is_ok(), fine, "{name}: {value} gave {outcome:?}");
        }
    }
}

#[test]
fn e3_times_are_whole_numbers_within_the_calendar() {
    let bench = Bench::new();
    let exp = bench.now.as_second() + 900;
    for name in ["exp", "iat", "nbf"] {
        for odd in [
            json!(exp.to_string()),
            json!(exp as f64),
            json!(1e308),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(i64::MIN),
            json!([exp]),
        ] {
            let outcome = bench.with_claim(name, odd.clone());
            assert_eq!(outcome, Err(Refusal::Claim(name)), "{odd}");
        }
    }
    let header = bench.header().to_string();
    let payload = bench
        .payload()
        .to_string()
        .replace(&exp.to_string(), "1e400");
    assert_eq!(
        bench.examine(&bench.signed(&header, &payload)),
        Err(Refusal::Claim("(all)"))
    );
}

#[test]
fn e3_only_our_issuer_and_audience_pass() {
    let bench = Bench::new();
    for issuer in [
        "https://shop.example/",
        "HTTPS://SHOP.EXAMPLE",
        "https://evil.example",
    ] {
        assert_eq!(bench.with_claim("iss", issuer.into()), Err(Refusal::Issuer));
    }
    assert!(bench.with_claim("aud", json!([AUDIENCE])).is_ok());
    for audience in [
        json!("shop2"),
        json!("Shop"),
        json!(["other"]),
        json!([AUDIENCE, "other"]),
        json!([AUDIENCE, AUDIENCE]),
        json!([[AUDIENCE]]),
    ] {
        assert_eq!(bench.with_claim("aud", audience), Err(Refusal::Audience));
    }
}

#[test]
fn roles_and_scope_are_bounded() {
    let bench = Bench::new();
    let roles: Vec<_> = (0..33).map(|n| format!("r{n}")).collect();
    assert_eq!(
        bench.with_claim("roles", json!(roles)),
        Err(Refusal::Claim("roles"))
    );
    assert_eq!(
        bench.with_claim("roles", json!(["r".repeat(65)])),
        Err(Refusal::Claim("roles"))
    );
    for scope in [
        "order:read  user:read",
        " order:read",
        "order",
        "openid profile",
    ] {
        assert_eq!(
            bench.with_claim("scope", json!(scope)),
            Err(Refusal::Claim("scope"))
        );
    }
}

#[test]
fn e3_a_token_lives_exactly_to_its_end_and_the_leeway() {
    let bench = Bench::new();
    let token = bench.genuine();
    let after = |seconds| {
        bench
            .tokens
            .examine(&token, bench.now + SignedDuration::from_secs(seconds))
    };
    assert!(after(900 + 29).is_ok());
    assert_eq!(after(900 + 30), Err(Refusal::Expired));
    assert!(after(-30).is_ok());
    assert_eq!(after(-31), Err(Refusal::NotYet));
}

#[test]
fn leeway_is_never_more_than_half_a_minute() {
    let Bench { key, tokens, now } = Bench::new();
    let tokens = tokens.with_leeway(SignedDuration::from_hours(1));
    assert_eq!(tokens.leeway, LEEWAY);
    let tokens = tokens.with_leeway(SignedDuration::ZERO);
    let bench = Bench { key, tokens, now };
    let ends_now = json!(now.as_second());
    let before = json!(now.as_second() - 60);
    let outcome = bench.with_payload(|payload| {
        payload["iat"] = before;
        payload["exp"] = ends_now;
    });
    assert_eq!(outcome, Err(Refusal::Expired));
}

#[test]
fn e3_a_token_from_the_future_is_refused() {
    let bench = Bench::new();
    let now = bench.now.as_second();
    assert!(bench.with_claim("iat", json!(now + 30)).is_ok());
    assert_eq!(
        bench.with_claim("iat", json!(now + 31)),
        Err(Refusal::NotYet)
    );
    assert!(bench.with_claim("nbf", json!(now + 30)).is_ok());
    assert_eq!(
        bench.with_claim("nbf", json!(now + 31)),
        Err(Refusal::NotYet)
    );
    assert_eq!(
        bench.with_claim("exp", json!(now)),
        Err(Refusal::Claim("exp"))
    );
}

proptest! {
    #[test]
    fn e3_a_token_is_valid_exactly_within_its_times(
        iat in -2_000i64..2_000, life in 1i64..2_000, nbf in prop::option::of(-2_000i64..2_000),
    ) {
        let bench = Bench::new();
        let now = bench.now.as_second();
        let (iat, exp) = (now + iat, now + iat + life);
        let outcome = bench.with_payload(|payload| {
            payload["iat"] = json!(iat);
            payload["exp"] = json!(exp);
            if let Some(nbf) = nbf {
                payload["nbf"] = json!(now + nbf);
            }
        });
        let started = iat - 30 <= now && nbf.is_none_or(|nbf| nbf <= 30);
        prop_assert_eq!(outcome.is_ok(), started && now < exp + 30);
    }
}
