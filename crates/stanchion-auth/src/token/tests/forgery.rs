//! Tokens that somebody else made, or bent.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use proptest::prelude::*;

use super::*;
use crate::encoding::to_base64url;
use crate::key::{Jwk, Jwks};
use crate::refresh::RefreshToken;

#[test]
fn e1_alg_none_is_refused_in_every_spelling() {
    let bench = Bench::new();
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "none\0"] {
        assert_eq!(
            bench.with_header(|header| header["alg"] = alg.into()),
            Err(Refusal::Algorithm)
        );
        let mut header = bench.header();
        header["alg"] = alg.into();
        let payload = to_base64url(bench.payload().to_string());
        let unsigned = format!("{}.{payload}.", to_base64url(header.to_string()));
        assert_eq!(bench.examine(&unsigned), Err(Refusal::Algorithm));
    }
}

#[test]
fn e1_an_empty_or_short_signature_and_stripped_parts_are_refused() {
    let bench = Bench::new();
    let token = bench.genuine();
    assert!(bench.examine(&token).is_ok());
    let [header, payload, signature] = parts(&token);
    for broken in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{signature}"),
        format!("{header}.{payload}.{}", &signature[..40]),
        format!("{header}.{payload}.{signature}AAAA"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{header}.{payload}.{payload}.{payload}.{signature}"),
    ] {
        assert!(bench.examine(&broken).is_err(), "{broken}");
    }
}

#[test]
fn base64url_with_padding_whitespace_or_foreign_letters_is_refused() {
    let bench = Bench::new();
    let token = bench.genuine();
    let [header, payload, signature] = parts(&token);
    for junk in ["=", "==", " ", "\n", "\t", "?", "#", "+", "/", "\0", "é"] {
        for broken in [
            format!("{junk}{token}"),
            format!("{token}{junk}"),
            format!("{header}{junk}.{payload}.{signature}"),
            format!("{header}.{junk}{payload}.{signature}"),
            format!("{header}.{payload}{junk}.{signature}"),
            format!("{header}.{payload}.{junk}{signature}"),
        ] {
            assert_eq!(bench.examine(&broken), Err(Refusal::Shape), "{junk:?}");
        }
    }
}

#[test]
fn a_signature_has_one_spelling() {
    let bench = Bench::new();
    let token = bench.genuine();
    // 64 bytes leave four spare bits in the last letter.
    let (start, last) = token.split_at(token.len() - 1);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let accepted = letters
        .iter()
        .filter(|&&letter| {
            bench
                .examine(&format!("{start}{}", char::from(letter)))
                .is_ok()
        })
        .count();
    assert_eq!(accepted, 1, "only {last:?}");
}

#[test]
fn e2_our_public_key_is_no_hmac_secret() {
    for algorithm in EVERY {
        hmac_with_our_public_key(&Bench::signing_with(algorithm));
    }
}

fn hmac_with_our_public_key(bench: &Bench) {
    let jwk = bench.key.verifying_key().jwk();
    let member = jwk.x.as_deref().or(jwk.n.as_deref()).unwrap();
    let secrets = [
        from_base64url(member).unwrap(),
        member.as_bytes().to_vec(),
        serde_json::to_vec(jwk).unwrap(),
    ];
    for secret in secrets {
        let mut header = bench.header();
        header["alg"] = "HS256".into();
        let payload = to_base64url(bench.payload().to_string());
        let signed = format!("{}.{payload}", to_base64url(header.to_string()));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, &secret),
            signed.as_bytes(),
        );
        let token = format!("{signed}.{}", to_base64url(tag.as_ref()));
        assert_eq!(bench.examine(&token), Err(Refusal::Algorithm));
    }
}

#[test]
fn e2_a_token_cannot_bring_or_point_to_its_key() {
    let bench = Bench::new();
    let thief = SigningKey::generate();
    let jwk = serde_json::to_value(thief.verifying_key().jwk()).unwrap();
    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
    ] {
        assert_eq!(
            bench.with_header(|header| header[name] = value),
            Err(Refusal::Member(name)),
            "even with our own signature"
        );
    }
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": thief.kid(), "jwk": jwk});
    let signed = format!(
        "{}.{}",
        to_base64url(header.to_string()),
        to_base64url(bench.payload().to_string())
    );
    let token = format!("{signed}.{}", to_base64url(thief.sign(signed.as_bytes())));
    assert_eq!(bench.examine(&token), Err(Refusal::Member("jwk")));
}

#[test]
fn e2_an_odd_kid_finds_no_key() {
    let bench = Bench::new();
    let own = bench.key.kid().to_owned();
    for kid in [
        String::new(),
        "../../../../dev/null".to_owned(),
        "' union select 'x' --".to_owned(),
        "https://evil.example/key".to_owned(),
        format!("{own}\0"),
        format!("{own} "),
        own.to_uppercase(),
        "k".repeat(4_000),
    ] {
        assert_eq!(
            bench.with_header(|header| header["kid"] = kid.into()),
            Err(Refusal::UnknownKey)
        );
    }
    for kid in [Value::Null, json!(7), json!([own]), json!({"a": own})] {
        assert_eq!(
            bench.with_header(|header| header["kid"] = kid),
            Err(Refusal::Header)
        );
    }
}

#[test]
fn e2_the_algorithm_is_the_key_s_and_no_other() {
    for algorithm in EVERY {
        let bench = Bench::signing_with(algorithm);
        assert!(bench.examine(&bench.genuine()).is_ok(), "{algorithm}");
        for alg in ["EdDSA", "ES256", "RS256", "PS256", "HS256", "none", "es256"] {
            let outcome = bench.with_header(|header| header["alg"] = alg.into());
            let right = alg == algorithm.name();
            let expected = if right {
                None
            } else {
                Some(Refusal::Algorithm)
            };
            assert_eq!(outcome.err(), expected, "{algorithm} as {alg}");
        }
    }
}

#[test]
fn e2_an_encrypted_token_is_no_signed_one() {
    let bench = Bench::new();
    let part = to_base64url("x");
    let mut header = json!({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": bench.key.kid()});
    let encrypted = |header: &Value| {
        format!(
            "{}.{part}.{part}.{part}.{part}",
            to_base64url(header.to_string())
        )
    };
    assert_eq!(bench.examine(&encrypted(&header)), Err(Refusal::Shape));
    header["alg"] = "EdDSA".into();
    assert_eq!(bench.examine(&encrypted(&header)), Err(Refusal::Shape));
}

#[test]
fn e3_what_is_signed_for_others_is_no_access_token() {
    let bench = Bench::new();
    let claims = bench.payload().as_object().unwrap().clone();
    for typ in ["JWT", "logout+jwt", ""] {
        let token = bench.tokens.sign(typ, &claims).unwrap();
        assert_eq!(bench.examine(token.expose_secret()), Err(Refusal::Type));
    }
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        let refusal = bench.tokens.sign(typ, &claims).unwrap_err();
        assert_eq!(refusal, IssueError::AccessToken, "{typ}");
    }
}

#[test]
fn a_token_of_another_key_under_our_kid_is_refused() {
    let bench = Bench::new();
    let thief = Bench::new();
    let forged = thief.signed(&bench.header().to_string(), &bench.payload().to_string());
    assert_eq!(bench.examine(&forged), Err(Refusal::Signature));
    assert_eq!(bench.examine(&thief.genuine()), Err(Refusal::UnknownKey));
}

#[test]
fn e3_another_kind_of_token_is_no_access_token() {
    let bench = Bench::new();
    for typ in [
        "JWT",
        "at+JWT",
        "application/at+jwt",
        "logout+jwt",
        "",
        "at+jwt ",
    ] {
        assert_eq!(
            bench.with_header(|header| header["typ"] = typ.into()),
            Err(Refusal::Type)
        );
    }
    let without = bench.with_header(|header| drop(header.as_object_mut().unwrap().remove("typ")));
    assert_eq!(without, Err(Refusal::Type));
    assert_eq!(
        bench.with_header(|header| header["typ"] = json!(["at+jwt"])),
        Err(Refusal::Header)
    );
    assert_eq!(
        bench.examine(RefreshToken::generate().expose()),
        Err(Refusal::Shape)
    );
}

#[test]
fn e2_a_repeated_member_is_refused_in_header_and_payload() {
    let bench = Bench::new();
    let (header, payload) = (bench.header().to_string(), bench.payload().to_string());
    let twice = |json: &str, member: &str| json.replacen('{', &format!("{{{member},"), 1);
    for member in [
        r#""alg":"none""#,
        r#""alg":"EdDSA""#,
        r#""\u0061lg":"EdDSA""#,
    ] {
        let token = bench.signed(&twice(&header, member), &payload);
        assert_eq!(bench.examine(&token), Err(Refusal::Header));
    }
    for member in [
        r#""exp":9999999999"#,
        r#""scope":"admin:*""#,
        r#""s\u0075b":"x""#,
    ] {
        let token = bench.signed(&header, &twice(&payload, member));
        assert_eq!(bench.examine(&token), Err(Refusal::Claim("(all)")));
    }
}

#[test]
fn e2_an_oversized_token_is_refused_unread() {
    let bench = Bench::new();
    let long = bench.with_claim("note", json!("x".repeat(TOKEN_BYTES_MAX)));
    assert_eq!(long, Err(Refusal::TooLong));
    assert_eq!(bench.examine(&"a".repeat(1 << 20)), Err(Refusal::TooLong));
}

#[test]
fn a_foreign_p256_key_verifies_es256_and_nothing_else() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let jwk = Jwk {
        kty: "EC".to_owned(),
        kid: Some("p".to_owned()),
        crv: Some("P-256".to_owned()),
        x: Some(to_base64url(&point[1..33])),
        y: Some(to_base64url(&point[33..])),
        ..Jwk::default()
    };
    let bench = Bench::new();
    let ring = KeyRing::verifying_only(&Jwks { keys: vec![jwk] }).unwrap();
    bench.tokens.replace_ring(Arc::new(ring));
    let token = |alg: &str| {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": "p"}).to_string();
        let signed = format!(
            "{}.{}",
            to_base64url(header),
            to_base64url(bench.payload().to_string())
        );
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", to_base64url(signature.as_ref()))
    };
    assert!(bench.examine(&token("ES256")).is_ok());
    for alg in ["EdDSA", "ES384", "RS256", "HS256", "none", "es256"] {
        assert_eq!(bench.examine(&token(alg)), Err(Refusal::Algorithm));
    }
}

proptest! {
    #[test]
    fn any_changed_letter_voids_a_token(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let bench = Bench::new();
        let token = bench.genuine();
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assert_eq!(bench.examine(&changed).is_ok(), changed == token);
    }

    #[test]
    fn no_text_passes_or_panics(text in ".{0,300}", dotted in "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}") {
        let bench = Bench::new();
        prop_assert!(bench.examine(&text).is_err());
        prop_assert!(bench.examine(&dotted).is_err());
    }
}
