use std::net::TcpListener;

use stanchion::auth::key::SigningKey;
use stanchion::auth::secret;
use stanchion::auth::token::Grant;
use stanchion::resilience::deadline::Deadline;
use stanchion::resilience::origin::Origin;
use stanchion::runtime::{clock, id};
use stanchion::server::{Authenticate, AuthenticateError};
use uuid::Uuid;

use super::*;

/// Where nobody listens.
pub(super) const NOBODY: &str = "http://127.0.0.1:1";

struct Until(Deadline);

impl Origin for Until {
    fn deadline(&self) -> Deadline {
        self.0
    }

    fn request_id(&self) -> Option<&str> {
        None
    }
}

pub(super) fn identity_at(url: &str) -> Arc<IdentityElsewhere> {
    identity_counting(url, Attempts::default())
}

pub(super) fn identity_counting(url: &str, attempts: Attempts) -> Arc<IdentityElsewhere> {
    let signer = Arc::new(Signer::new(&secret::generate()).unwrap());
    let mut client = ClientSettings::default();
    client.policy.retry_on = false;
    let elsewhere = IdentityElsewhere::at(Elsewhere {
        url,
        client: &client,
        service: "orders",
        tokens: ServiceTokens::new(Arc::clone(&signer)),
        signer: &signer,
        issuer: "https://shop.example".into(),
        audience: "shop".into(),
        attempts,
        metrics: &Metrics::default(),
    });
    elsewhere.unwrap()
}

/// A token of that session, and identity elsewhere with the key that signed it.
fn knowing_its_keys(url: &str, session: Uuid) -> (Arc<IdentityElsewhere>, String) {
    use secrecy::ExposeSecret;

    let elsewhere = identity_at(url);
    let ring = KeyRing::of(SigningKey::generate(), clock::now());
    let tokens = &elsewhere.keys.tokens;
    tokens.replace_ring(Arc::new(ring));
    let grant = Grant::to_user(id::new_v7(), session, ["customer"], Permissions::default());
    let token = tokens.issue(&grant, clock::now()).unwrap();
    let token = token.expose_secret().to_owned();
    (elsewhere, token)
}

async fn with_no_time<T>(work: impl Future<Output = T>) -> T {
    let end = Deadline::after(Moment::now(), Duration::from_millis(5));
    origin::scope(Arc::new(Until(end)), work).await
}

#[tokio::test]
async fn while_identity_cannot_be_reached_a_token_counts_as_it_is_signed() {
    let (elsewhere, token) = knowing_its_keys(NOBODY, id::new_v7());
    assert!(elsewhere.authenticate(&token).await.is_ok());
}

#[tokio::test]
async fn who_leaves_no_time_to_ask_is_not_let_in() {
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (elsewhere, token) = knowing_its_keys(&url, id::new_v7());
    let answer = with_no_time(elsewhere.authenticate(&token)).await;
    assert!(matches!(answer, Err(AuthenticateError::Unavailable(_))));
}

#[tokio::test]
async fn without_any_key_nobody_is_told_from_a_forger_however_often_they_ask() {
    let elsewhere = identity_at(NOBODY);
    for _ in 0..2 {
        let answer = elsewhere.authenticate("whoever").await;
        assert!(matches!(answer, Err(AuthenticateError::Unavailable(_))));
    }
}

#[tokio::test]
async fn while_the_keys_are_asked_for_other_bad_tokens_wait_half_a_second_at_most() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (elsewhere, _) = knowing_its_keys(&url, id::new_v7());
    let (_, forged) = knowing_its_keys(NOBODY, id::new_v7());
    let first = with_no_time(elsewhere.authenticate(&forged)).await;
    assert!(matches!(first, Err(AuthenticateError::Invalid)));
    let soon = timeout(KEYS_AGAIN, elsewhere.authenticate(&forged)).await;
    assert!(matches!(soon, Ok(Err(AuthenticateError::Invalid))));
}

#[tokio::test]
async fn e12_forged_tokens_make_a_process_ask_for_the_keys_once_in_ten_seconds() {
    let (elsewhere, token) = knowing_its_keys(NOBODY, id::new_v7());
    let bent = elsewhere.authenticate(&format!("{token}AAAA")).await;
    assert_eq!(bent, Err(AuthenticateError::Invalid));
    assert!(elsewhere.keys.asked_at().is_none(), "its key is known");
    let (_, unknown) = knowing_its_keys(NOBODY, id::new_v7());
    let refused = elsewhere.authenticate(&unknown).await;
    assert_eq!(refused, Err(AuthenticateError::Invalid));
    let asked = elsewhere.keys.asked_at();
    assert!(asked.is_some());
    for _ in 0..100 {
        let (_, another) = knowing_its_keys(NOBODY, id::new_v7());
        let refused = elsewhere.authenticate(&another).await;
        assert_eq!(refused, Err(AuthenticateError::Invalid));
    }
    tokio::time::sleep(KEYS_AGAIN).await;
    let refused = elsewhere.authenticate(&unknown).await;
    assert_eq!(refused, Err(AuthenticateError::Invalid));
    assert_eq!(elsewhere.keys.asked_at(), asked);
}

#[tokio::test]
async fn while_identity_cannot_be_reached_a_clients_own_token_counts_as_it_is_signed() {
    use secrecy::ExposeSecret;

    let (elsewhere, _) = knowing_its_keys(NOBODY, id::new_v7());
    let grant = Grant::to_client(id::new_v7(), Permissions::default());
    let token = elsewhere.keys.tokens.issue(&grant, clock::now()).unwrap();
    let answer = elsewhere.authenticate(token.expose_secret()).await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn a_clients_own_token_lets_nobody_in_who_leaves_no_time_to_ask() {
    use secrecy::ExposeSecret;

    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (elsewhere, _) = knowing_its_keys(&url, id::new_v7());
    let grant = Grant::to_client(id::new_v7(), Permissions::default());
    let token = elsewhere.keys.tokens.issue(&grant, clock::now()).unwrap();
    let answer = with_no_time(elsewhere.authenticate(token.expose_secret())).await;
    assert!(matches!(answer, Err(AuthenticateError::Unavailable(_))));
}
