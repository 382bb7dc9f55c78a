//! Issuers with a transport that counts what it is asked for; time is paused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use stanchion_runtime::task::spawn;

use super::*;
use crate::encoding::to_base64url;
use crate::key::{SigningAlgorithm, SigningKey};
use crate::principal::Subject;

const ISS: &str = "https://login.example/realm";
const AUDIENCE: &str = "hello";
const CONFIGURATION: &str = "https://login.example/realm/.well-known/openid-configuration";
const JWKS: &str = "https://keys.example/jwks";

/// An identity provider as the network shows it.
#[derive(Default)]
struct Provider {
    documents: Mutex<BTreeMap<String, Value>>,
    asked: Mutex<Vec<String>>,
    takes: Mutex<Duration>,
    down: AtomicUsize,
}

#[async_trait]
impl Fetch for Provider {
    async fn fetch(&self, url: &str) -> Result<Fetched, String> {
        self.asked.lock().push(url.to_owned());
        let takes = *self.takes.lock();
        tokio::time::sleep(takes).await;
        if self.down.load(Ordering::SeqCst) > 0 {
            return Err("it is down".into());
        }
        let document = self.documents.lock().get(url).cloned();
        Ok(Fetched {
            body: document.ok_or("404")?.to_string().into_bytes(),
            max_age: None,
        })
    }
}

impl Provider {
    fn publishing(keys: &[&SigningKey]) -> Arc<Self> {
        let provider = Self::default();
        provider.put(CONFIGURATION, json!({"issuer": ISS, "jwks_uri": JWKS}));
        provider.publish(keys);
        Arc::new(provider)
    }

    fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.verifying_key().jwk()).collect();
        self.put(JWKS, json!({ "keys": keys }));
    }

    fn put(&self, url: &str, document: Value) {
        self.documents.lock().insert(url.to_owned(), document);
    }

    fn sets_fetched(&self) -> usize {
        self.asked.lock().iter().filter(|url| *url == JWKS).count()
    }

    fn is_down(&self, down: bool) {
        self.down.store(usize::from(down), Ordering::SeqCst);
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn pinned() -> Issuer {
    let most = Permissions::parse("order:read order:write").unwrap();
    Issuer::discovered(ISS, AUDIENCE).permitting(most)
}

fn issuers(issuer: Issuer, provider: &Arc<Provider>) -> Arc<Issuers> {
    let fetch = Arc::clone(provider) as Arc<dyn Fetch>;
    Arc::new(Issuers::new([issuer], fetch, &Metrics::default()).unwrap())
}

fn claims() -> Value {
    json!({
        "iss": ISS, "aud": AUDIENCE, "sub": "auth0|ada", "iat": now().as_second(),
        "exp": now().as_second() + 600, "scope": "openid order:read admin:*",
    })
}

fn signed_with(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let (header, claims) = (header.to_string(), claims.to_string());
    let signed = format!("{}.{}", to_base64url(header), to_base64url(claims));
    let signature = to_base64url(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn header(key: &SigningKey) -> Value {
    json!({"alg": key.algorithm().name(), "typ": "at+jwt", "kid": key.kid()})
}

fn token(key: &SigningKey, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    signed_with(key, &header(key), &claims)
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_pinned_issuer_makes_a_user_with_no_more_than_the_issuer_may_give() {
    let key = SigningKey::generate_for(SigningAlgorithm::Es256).unwrap();
    let provider = Provider::publishing(&[&key]);
    let issuers = issuers(pinned(), &provider);
    let caller = issuers
        .principal(&token(&key, |_| {}), now())
        .await
        .unwrap();
    let ada = user_of(ISS, "auth0|ada");
    assert_eq!(caller.subject, Subject::User(ada));
    assert!(caller.allows("order:read") && !caller.allows("order:write"));
    assert!(
        !caller.allows("user:read"),
        "admin:* is not the issuer's to give"
    );
    assert_eq!(caller.session, None);
    assert_ne!(ada, user_of("https://login.example", "realm\nauth0|ada"));
}

#[tokio::test(start_paused = true)]
async fn a_rule_of_one_s_own_gives_permissions_within_the_same_bound() {
    let key = SigningKey::generate();
    let provider = Provider::publishing(&[&key]);
    let by_group = pinned().granting(|claims| {
        let staff = claims.all["groups"][0] == "staff";
        let held = if staff { "order:write user:read" } else { "" };
        Permissions::parse(held).unwrap()
    });
    let issuers = issuers(by_group, &provider);
    let token = token(&key, |claims| claims["groups"] = json!(["staff"]));
    let caller = issuers.principal(&token, now()).await.unwrap();
    assert!(caller.allows("order:write"));
    assert!(!caller.allows("order:read") && !caller.allows("user:read"));
}

#[tokio::test(start_paused = true)]
async fn e3_every_claim_of_a_foreign_token_is_checked_with_its_type() {
    let key = SigningKey::generate();
    let provider = Provider::publishing(&[&key]);
    let issuers = issuers(pinned(), &provider);
    let second = now().as_second();
    for (name, value) in [
        ("iss", json!("https://login.example/realm/")),
        ("iss", json!([ISS])),
        ("aud", json!("other")),
        ("aud", json!([AUDIENCE, "other"])),
        ("aud", json!([[AUDIENCE]])),
        ("aud", Value::Null),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("x".repeat(256))),
        ("exp", json!(second - 30)),
        ("exp", json!(1e308)),
        ("exp", json!((second + 600).to_string())),
        ("exp", json!(-1)),
        ("exp", Value::Null),
        ("iat", json!(second + 31)),
        ("iat", Value::Null),
        ("nbf", json!(second + 31)),
        ("scope", json!(7)),
        ("scope", json!([7])),
    ] {
        let token = token(&key, |claims| claims[name] = value.clone());
        let outcome = issuers.verify(&token, now()).await;
        assert_eq!(outcome, Err(IssuerError::Invalid), "{name}: {value}");
    }
    for typ in [json!("JWT"), json!("AT+JWT"), json!(""), Value::Null] {
        let mut header = header(&key);
        header["typ"] = typ;
        let token = signed_with(&key, &header, &claims());
        let outcome = issuers.verify(&token, now()).await;
        assert_eq!(outcome, Err(IssuerError::Invalid));
    }
    assert!(issuers.verify(&token(&key, |_| {}), now()).await.is_ok());
    let last = now() + jiff::SignedDuration::from_secs(600 + 29);
    assert!(issuers.verify(&token(&key, |_| {}), last).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_an_issuer_does_otherwise_is_taken_where_it_is_pinned_so() {
    let key = SigningKey::generate();
    let provider = Provider::publishing(&[&key]);
    let loose = pinned().types(["JWT"]).among_other_audiences();
    let issuers = issuers(loose, &provider);
    let mut header = header(&key);
    header["typ"] = json!("JWT");
    header["x5t"] = json!("a thumbprint beside the kid");
    let mut claims = claims();
    claims["aud"] = json!(["account", AUDIENCE]);
    claims["scp"] = json!(["order:read"]);
    claims.as_object_mut().unwrap().remove("scope");
    let token = signed_with(&key, &header, &claims);
    let caller = issuers.principal(&token, now()).await.unwrap();
    assert!(caller.allows("order:read"));
}

/// Row E2: whatever a token says of keys and places, what was pinned is asked, or nothing.
#[tokio::test(start_paused = true)]
async fn e2_no_token_causes_a_fetch_of_its_choosing() {
    let (key, thief) = (SigningKey::generate(), SigningKey::generate());
    let provider = Provider::publishing(&[&key]);
    provider.put(
        "https://evil.example/jwks",
        json!({"keys": [thief.verifying_key().jwk()]}),
    );
    let issuers = issuers(pinned(), &provider);
    let public = json!(thief.verifying_key().jwk());
    let evil = json!("https://evil.example/jwks");
    let mut hostile = Vec::new();
    for (name, value) in [
        ("jwk", public),
        ("jku", evil.clone()),
        ("x5u", evil.clone()),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
    ] {
        let mut header = header(&thief);
        header[name] = value;
        hostile.push(signed_with(&thief, &header, &claims()));
    }
    for iss in [
        evil,
        json!("http://169.254.169.254/"),
        json!(format!("{ISS}/../x")),
    ] {
        hostile.push(token(&thief, |claims| claims["iss"] = iss));
    }
    hostile.extend(["".to_owned(), "a.b.c".to_owned(), "x".repeat(1 << 20)]);
    for token in &hostile {
        let outcome = issuers.verify(token, now()).await;
        assert_eq!(outcome, Err(IssuerError::Invalid));
    }
    assert_eq!(provider.asked.lock().len(), 0, "not one fetch");
    // A path, a URL, SQL as the key's name: the pinned set is asked, once, and no other place.
    for kid in [
        "../../etc/passwd",
        "https://evil.example/jwks",
        "' or 1=1 --",
        "a\0",
    ] {
        let mut header = header(&thief);
        header["kid"] = json!(kid);
        let token = signed_with(&thief, &header, &claims());
        let outcome = issuers.verify(&token, now()).await;
        assert_eq!(outcome, Err(IssuerError::Invalid), "{kid}");
    }
    assert_eq!(*provider.asked.lock(), [CONFIGURATION, JWKS]);
}

/// Row E12: single flight, a fetch in ten seconds at most, and what is missing is remembered.
#[tokio::test(start_paused = true)]
async fn e12_a_thousand_tokens_with_unknown_keys_cause_one_fetch_in_ten_seconds() {
    let key = SigningKey::generate();
    let provider = Provider::publishing(&[&key]);
    *provider.takes.lock() = Duration::from_millis(50);
    let issuers = issuers(pinned(), &provider);
    let genuine = token(&key, |_| {});
    assert!(issuers.verify(&genuine, now()).await.is_ok());
    tokio::time::advance(UNKNOWN_AGAIN).await;

    let flood = || async {
        let mut tasks = Vec::new();
        for nth in 0..1_000 {
            let mut header = header(&key);
            header["kid"] = json!(format!("unknown-{nth}"));
            let (issuers, token) = (Arc::clone(&issuers), signed_with(&key, &header, &claims()));
            tasks.push(spawn("flood", async move {
                issuers.verify(&token, now()).await
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err(IssuerError::Invalid));
        }
        assert!(
            issuers.verify(&genuine, now()).await.is_ok(),
            "in the flood"
        );
    };
    flood().await;
    assert_eq!(provider.sets_fetched(), 2);
    tokio::time::advance(Duration::from_secs(9)).await;
    flood().await;
    assert_eq!(provider.sets_fetched(), 2, "within ten seconds");
    tokio::time::advance(Duration::from_secs(2)).await;
    flood().await;
    assert!(
        provider.sets_fetched() <= 3,
        "those names are known to be unknown"
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_key_of_the_issuer_is_found_when_the_first_token_names_it() {
    let (old, new) = (SigningKey::generate(), SigningKey::generate());
    let provider = Provider::publishing(&[&old]);
    let issuers = issuers(pinned(), &provider);
    assert!(issuers.verify(&token(&old, |_| {}), now()).await.is_ok());
    provider.publish(&[&old, &new]);
    let newer = token(&new, |_| {});
    assert!(
        issuers.verify(&newer, now()).await.is_err(),
        "asked a moment ago"
    );
    tokio::time::advance(UNKNOWN_AGAIN).await;
    assert!(issuers.verify(&newer, now()).await.is_ok());
    assert!(issuers.verify(&token(&old, |_| {}), now()).await.is_ok());
    // A key that is gone ends when the set is renewed.
    provider.publish(&[&new]);
    tokio::time::advance(Duration::from_secs(601)).await;
    assert!(
        issuers.verify(&token(&old, |_| {}), now()).await.is_ok(),
        "renewed behind it"
    );
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(issuers.verify(&token(&old, |_| {}), now()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn while_the_issuer_is_down_known_keys_count_and_unknown_ones_are_an_outage() {
    let key = SigningKey::generate();
    let provider = Provider::publishing(&[&key]);
    provider.is_down(true);
    let issuers = issuers(pinned(), &provider);
    let genuine = token(&key, |_| {});
    let outage = issuers.verify(&genuine, now()).await.unwrap_err();
    assert!(
        matches!(outage, IssuerError::Unavailable { .. }),
        "{outage}"
    );
    assert!(issuers.load().await.is_err());
    provider.is_down(false);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(issuers.verify(&genuine, now()).await.is_ok());
    provider.is_down(true);
    tokio::time::advance(STALE_MAX - Duration::from_secs(60)).await;
    assert!(issuers.verify(&genuine, now()).await.is_ok());
    tokio::time::advance(Duration::from_secs(120)).await;
    let outage = issuers.verify(&genuine, now()).await;
    assert!(matches!(outage, Err(IssuerError::Unavailable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_end_the_fetch_others_wait_for() {
    let key = SigningKey::generate();
    let provider = Provider::publishing(&[&key]);
    *provider.takes.lock() = Duration::from_millis(100);
    let issuers = issuers(pinned(), &provider);
    let genuine = token(&key, |_| {});
    let first = tokio::time::timeout(Duration::from_millis(10), issuers.verify(&genuine, now()));
    assert!(first.await.is_err());
    assert!(issuers.verify(&genuine, now()).await.is_ok());
    assert_eq!(provider.sets_fetched(), 1);
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_handed_over_are_never_fetched() {
    let key = SigningKey::generate();
    let provider = Arc::new(Provider::default());
    let token = token(&key, |_| {});
    let ring = KeyRing::of(key, now());
    let issuers = issuers(Issuer::with_keys(ISS, AUDIENCE, ring), &provider);
    assert!(issuers.load().await.is_ok());
    assert!(issuers.verify(&token, now()).await.is_ok());
    assert_eq!(provider.asked.lock().len(), 0);
}

#[test]
fn issuers_are_pinned_once_each_and_are_urls() {
    let fetch = || Arc::new(Provider::default()) as Arc<dyn Fetch>;
    let of = |issuers: Vec<Issuer>| Issuers::new(issuers, fetch(), &Metrics::default()).err();
    let twice = of(vec![pinned(), pinned()]);
    assert_eq!(twice, Some(IssuersError::Twice(ISS.to_owned())));
    for iss in ["", "login.example", "https://a?b", "https://a#b"] {
        let outcome = of(vec![Issuer::discovered(iss, AUDIENCE)]);
        assert_eq!(outcome, Some(IssuersError::Malformed(iss.to_owned())));
    }
}
