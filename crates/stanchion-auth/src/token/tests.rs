//! What is issued is verified; `forgery` and `claims` hold what must not pass.

mod claims;
mod forgery;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use stanchion_runtime::id;
use uuid::Uuid;

use super::*;
use crate::encoding::{from_base64url, to_base64url};
use crate::key::{KeyRecord, KeyState, SigningAlgorithm, SigningKey};
use crate::permission::Permissions;
use crate::principal::Subject;

const ISSUER: &str = "https://shop.example";
const AUDIENCE: &str = "shop";
const EVERY: [SigningAlgorithm; 3] = [
    SigningAlgorithm::EdDsa,
    SigningAlgorithm::Es256,
    SigningAlgorithm::Rs256,
];

/// A service, its key, and a moment.
struct Bench {
    key: SigningKey,
    tokens: AccessTokens,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self::signing_with(SigningAlgorithm::EdDsa)
    }

    fn signing_with(algorithm: SigningAlgorithm) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let key = SigningKey::generate_for(algorithm).unwrap();
        let twin = SigningKey::from_pkcs8(&key.to_pkcs8()).unwrap();
        let tokens = AccessTokens::new(ISSUER, AUDIENCE, Arc::new(KeyRing::of(twin, now)));
        Self { key, tokens, now }
    }

    fn header(&self) -> Value {
        json!({"alg": self.key.algorithm().name(), "typ": "at+jwt", "kid": self.key.kid()})
    }

    fn payload(&self) -> Value {
        let issued_at = self.now.as_second();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": Uuid::from_u128(1).to_string(),
            "exp": issued_at + 900, "iat": issued_at, "jti": Uuid::from_u128(2).to_string(),
            "sid": Uuid::from_u128(3).to_string(), "scope": "order:read", "roles": ["staff"],
        })
    }

    /// A token with our genuine signature over whatever is given.
    fn signed(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", to_base64url(header), to_base64url(payload));
        format!(
            "{signed}.{}",
            to_base64url(self.key.sign(signed.as_bytes()))
        )
    }

    fn examine(&self, token: &str) -> Result<Claims, Refusal> {
        let outcome = self.tokens.examine(token, self.now);
        let outside = self.tokens.verify(token, self.now);
        assert_eq!(outside, outcome.clone().map_err(|_| TokenError::Invalid));
        outcome
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> Result<Claims, Refusal> {
        let mut header = self.header();
        change(&mut header);
        self.examine(&self.signed(&header.to_string(), &self.payload().to_string()))
    }

    fn with_payload(&self, change: impl FnOnce(&mut Value)) -> Result<Claims, Refusal> {
        let mut payload = self.payload();
        change(&mut payload);
        self.examine(&self.signed(&self.header().to_string(), &payload.to_string()))
    }

    fn with_claim(&self, name: &str, value: Value) -> Result<Claims, Refusal> {
        self.with_payload(|payload| payload[name] = value)
    }

    fn without_claim(&self, name: &str) -> Result<Claims, Refusal> {
        self.with_payload(|payload| drop(payload.as_object_mut().unwrap().remove(name)))
    }

    fn genuine(&self) -> String {
        self.signed(&self.header().to_string(), &self.payload().to_string())
    }
}

fn grant(roles: &[&str], scope: &str) -> Grant {
    let permissions = Permissions::parse(scope).unwrap();
    Grant::to_user(
        id::new_v7(),
        id::new_v7(),
        roles.iter().copied(),
        permissions,
    )
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn what_is_issued_is_verified_with_all_it_grants() {
    let bench = Bench::new();
    let (user, session) = (id::new_v7(), id::new_v7());
    let permissions = Permissions::parse("*:read order:write").unwrap();
    let grant = Grant::to_user(user, session, ["staff", "customer"], permissions.clone());
    let token = bench.tokens.issue(&grant, bench.now).unwrap();
    let claims = bench.examine(token.expose_secret()).unwrap();
    assert_eq!(claims.issued_at, bench.now);
    assert_eq!(
        claims.expires_at,
        bench.now + SignedDuration::from_secs(900)
    );
    let principal = claims.into_principal();
    assert_eq!(principal.subject, Subject::User(user));
    assert_eq!(principal.session, Some(session));
    assert_eq!(
        principal.expires_at,
        Some(bench.now + SignedDuration::from_secs(900))
    );
    assert_eq!(principal.permissions, permissions);
    assert_eq!(
        principal.roles.into_iter().collect::<Vec<_>>(),
        ["customer", "staff"]
    );
}

#[test]
fn a_token_has_the_documented_header_and_claims() {
    let bench = Bench::new();
    let token = bench
        .tokens
        .issue(&grant(&["staff"], "order:read"), bench.now)
        .unwrap();
    let [header, payload, _] = parts(token.expose_secret());
    let read = |part| -> Value { serde_json::from_slice(&from_base64url(part).unwrap()).unwrap() };
    assert_eq!(read(header), bench.header());
    let payload = read(payload);
    let mut names: Vec<_> = payload.as_object().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "aud", "exp", "iat", "iss", "jti", "roles", "scope", "sid", "sub"
        ]
    );
    assert_eq!(payload["aud"], AUDIENCE);
    assert_eq!(payload["scope"], "order:read");
}

#[test]
fn a_token_of_every_algorithm_is_verified_by_what_is_published() {
    for algorithm in EVERY {
        let bench = Bench::signing_with(algorithm);
        let token = bench.tokens.issue(&grant(&[], ""), bench.now).unwrap();
        let published = serde_json::to_vec(&bench.tokens.ring().jwks()).unwrap();
        let published = crate::key::Jwks::from_json(&published).unwrap();
        let ring = KeyRing::verifying_only(&published).unwrap();
        let remote = AccessTokens::new(ISSUER, AUDIENCE, Arc::new(ring));
        assert!(remote.verify(token.expose_secret(), bench.now).is_ok());
        assert!(!remote.names_unknown_key(token.expose_secret()));
    }
}

#[test]
fn a_well_formed_token_tells_whether_its_key_is_known() {
    let (bench, other) = (Bench::new(), Bench::new());
    assert!(bench.tokens.names_unknown_key(&other.genuine()));
    for token in [bench.genuine(), "whoever".into(), "a.b.c".into()] {
        assert!(!bench.tokens.names_unknown_key(&token), "{token}");
    }
}

#[test]
fn a_life_is_at_least_a_second_and_at_most_a_day() {
    let with_ttl = |ttl| {
        let Bench { tokens, now, .. } = Bench::new();
        let tokens = tokens.with_ttl(ttl);
        let token = tokens.issue(&grant(&[], ""), now).unwrap();
        let claims = tokens.verify(token.expose_secret(), now).unwrap();
        assert_eq!(claims.expires_at, now + tokens.ttl());
        tokens.ttl()
    };
    assert_eq!(with_ttl(SignedDuration::ZERO), SignedDuration::from_secs(1));
    assert_eq!(with_ttl(SignedDuration::MAX), ACCESS_TTL_MAX);
}

#[test]
fn every_token_has_an_id_of_its_own() {
    let bench = Bench::new();
    let grant = grant(&[], "");
    let id = |token: SecretString| bench.examine(token.expose_secret()).unwrap().id;
    let one = id(bench.tokens.issue(&grant, bench.now).unwrap());
    assert_ne!(one, id(bench.tokens.issue(&grant, bench.now).unwrap()));
}

#[test]
fn a_service_token_has_no_session_and_a_user_token_needs_one() {
    let bench = Bench::new();
    let grant = Grant::to_service("orders", Permissions::parse("inventory:read").unwrap()).unwrap();
    let token = bench.tokens.issue(&grant, bench.now).unwrap();
    let claims = bench.examine(token.expose_secret()).unwrap();
    assert_eq!(claims.session, None);
    assert!(claims.into_principal().is_service());
    assert_eq!(bench.without_claim("sid"), Err(Refusal::Claim("sid")));
    assert_eq!(
        bench.with_claim("sub", json!("svc:orders")),
        Err(Refusal::Claim("sid"))
    );
}

#[test]
fn what_could_not_be_verified_is_not_issued() {
    let bench = Bench::new();
    let names: Vec<_> = (0..200)
        .map(|n| format!("order:{}{n}", "x".repeat(50)))
        .collect();
    let wide = Grant::to_user(
        id::new_v7(),
        id::new_v7(),
        [""; 0],
        Permissions::new(names).unwrap(),
    );
    let roles: Vec<_> = (0..33).map(|n| n.to_string()).collect();
    let many = Grant::to_user(id::new_v7(), id::new_v7(), roles, Permissions::none());
    for grant in [
        wide,
        many,
        grant(&[""], ""),
        grant(&["r".repeat(65).as_str()], ""),
    ] {
        assert_eq!(
            bench.tokens.issue(&grant, bench.now).unwrap_err(),
            IssueError::TooLarge
        );
    }
}

#[test]
fn a_process_without_a_signing_key_verifies_but_does_not_issue() {
    let bench = Bench::new();
    let published = bench.tokens.ring().jwks();
    let ring = KeyRing::verifying_only(&published).unwrap();
    let remote = AccessTokens::new(ISSUER, AUDIENCE, Arc::new(ring));
    assert!(remote.verify(&bench.genuine(), bench.now).is_ok());
    let refusal = remote.issue(&grant(&[], ""), bench.now).unwrap_err();
    assert_eq!(refusal, IssueError::NoSigningKey);
}

#[test]
fn tokens_of_a_retired_key_live_on_until_the_key_is_gone() {
    let bench = Bench::new();
    let token = bench.genuine();
    let next = SigningKey::generate();
    let record = |key: &SigningKey, state| KeyRecord {
        kid: key.kid().to_owned(),
        algorithm: key.algorithm(),
        state,
        since: bench.now,
    };
    let former = SigningKey::from_pkcs8(&bench.key.to_pkcs8()).unwrap();
    let twin = SigningKey::from_pkcs8(&next.to_pkcs8()).unwrap();
    let both = [
        (record(&former, KeyState::VerifyOnly), former),
        (record(&twin, KeyState::Signing), twin),
    ];
    bench
        .tokens
        .replace_ring(Arc::new(KeyRing::new(both).unwrap()));
    assert!(bench.examine(&token).is_ok());
    let newer = bench.tokens.issue(&grant(&[], ""), bench.now).unwrap();
    bench
        .tokens
        .replace_ring(Arc::new(KeyRing::of(next, bench.now)));
    assert_eq!(bench.examine(&token), Err(Refusal::UnknownKey));
    assert!(bench.examine(newer.expose_secret()).is_ok());
}

#[test]
fn a_key_that_stays_remembers_what_held_and_a_token_that_held_expires_all_the_same() {
    let bench = Bench::new();
    let token = bench.genuine();
    let remembered = || {
        let ring = bench.tokens.ring();
        ring.verifying(bench.key.kid()).unwrap().remembered()
    };
    assert!(bench.tokens.verify(&token, bench.now).is_ok());
    assert_eq!(remembered(), 1);
    let twin = SigningKey::from_pkcs8(&bench.key.to_pkcs8()).unwrap();
    let again = KeyRing::of(twin, bench.now);
    bench.tokens.replace_ring(Arc::new(again));
    assert_eq!(remembered(), 1);
    assert!(bench.tokens.verify(&token, bench.now).is_ok());
    let later = bench.now + SignedDuration::from_hours(1);
    assert!(bench.tokens.verify(&token, later).is_err());

    let other = KeyRing::of(SigningKey::generate(), bench.now);
    bench.tokens.replace_ring(Arc::new(other));
    assert!(bench.tokens.verify(&token, bench.now).is_err());
}

#[test]
fn a_refusal_and_the_issuer_show_nothing_of_a_token() {
    let bench = Bench::new();
    let token = bench
        .tokens
        .issue(&grant(&["staff"], "order:read"), bench.now)
        .unwrap();
    let [_, payload, signature] = parts(token.expose_secret());
    let shown = format!("{token:?} {:?} {}", bench.tokens, TokenError::Invalid);
    assert!(!shown.contains(payload) && !shown.contains(signature));
}
