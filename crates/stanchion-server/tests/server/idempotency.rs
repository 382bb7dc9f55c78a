use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use stanchion_messaging::{Claim, Claimed, Inbox, InboxError, InboxKey, MemoryInbox};
use stanchion_server::{Module, Service};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::api::{Api, Got};
use super::shop::{Things, Tokens, routes, settings};

const GOOD: &str = r#"{"name": "good", "count": 2}"#;

async fn post(api: &Api, key: &str, body: &str) -> Got {
    api.write("POST /things", &[("idempotency-key", key)], body.to_owned())
        .await
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_once() {
    let api = Api::new();
    let first = post(&api, "k1", GOOD).await;
    let again = post(&api, "k1", GOOD).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json()["data"], again.json()["data"]);
    assert_eq!(
        (
            first.header("idempotent-replayed"),
            again.header("idempotent-replayed")
        ),
        ("", "true")
    );
    assert_eq!(
        (again.header("location"), again.header("etag")),
        ("/api/v1/things/1", "\"3\"")
    );
    assert_ne!(
        first.json()["meta"]["request_id"],
        again.json()["meta"]["request_id"]
    );
    let other = post(&api, "k2", GOOD).await;
    assert_eq!(
        other.json()["data"]["count"],
        2,
        "another key is another request"
    );
}

#[tokio::test]
async fn another_body_under_the_key_is_refused() {
    let api = Api::new();
    post(&api, "k", GOOD).await;
    let got = post(&api, "k", r#"{"name": "good", "count": 3}"#).await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );
}

#[tokio::test]
async fn a_key_that_is_running_is_a_conflict() {
    let api = Api::new();
    let slow = r#"{"name": "slow", "count": 1}"#;
    let second = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        post(&api, "k", slow).await
    };
    let (first, second) = tokio::join!(post(&api, "k", slow), second);
    assert_eq!((first.status, second.status), (201, 409));
    assert_eq!(
        (second.code().as_str(), second.header("retry-after")),
        ("REQUEST_IN_PROGRESS", "1")
    );
    assert_eq!(
        post(&api, "k", slow).await.header("idempotent-replayed"),
        "true"
    );
}

#[tokio::test]
async fn refusals_of_the_domain_are_kept_and_accidents_are_not() {
    let api = Api::new();
    let taken = r#"{"name": "taken", "count": 1}"#;
    assert_eq!(post(&api, "t", taken).await.status, 409);
    let again = post(&api, "t", taken).await;
    assert_eq!(
        (
            again.status,
            again.code().as_str(),
            again.header("idempotent-replayed")
        ),
        (409, "NAME_TAKEN", "true")
    );
    assert_eq!(again.details()["name"], "taken");
    for (key, body, status) in [
        ("b", r#"{"name": "broken", "count": 1}"#, 500),
        ("a", r#"{"name": "away", "count": 1}"#, 503),
        ("i", r#"{"name": "", "count": 1}"#, 422),
        ("m", r#"{"name""#, 400),
    ] {
        for _ in 0..2 {
            let got = post(&api, key, body).await;
            assert_eq!(
                (got.status, got.header("idempotent-replayed")),
                (status, ""),
                "{body}"
            );
        }
        assert_eq!(
            post(&api, key, GOOD).await.status,
            201,
            "the key is free again after {body}"
        );
    }
}

#[tokio::test]
async fn a_request_that_was_cut_off_gives_its_claim_back() {
    let api = Api::new();
    let slow = r#"{"name": "slow", "count": 1}"#;
    let headers = [("idempotency-key", "k"), ("x-request-timeout", "50ms")];
    assert_eq!(api.write("POST /things", &headers, slow).await.status, 504);
    let abandoned =
        tokio::time::timeout(std::time::Duration::from_millis(50), post(&api, "l", slow)).await;
    assert!(abandoned.is_err());
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(post(&api, "k", slow).await.status, 201);
    assert_eq!(post(&api, "l", slow).await.status, 201);
}

#[tokio::test]
async fn a_key_is_required_where_money_moves_and_ignored_for_reads() {
    let api = Api::new();
    let got = api.write("POST /payments", &[], "").await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (400, "IDEMPOTENCY_KEY_REQUIRED")
    );
    let long = "k".repeat(256);
    let got = api
        .write("POST /payments", &[("idempotency-key", &long)], "")
        .await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (400, "INVALID_PARAMETER")
    );
    let key = [("idempotency-key", "p")];
    assert_eq!(
        api.write("POST /payments", &key, "").await.json()["data"],
        1
    );
    assert_eq!(
        api.write("POST /payments", &key, "").await.json()["data"],
        1
    );
    let other = [("idempotency-key", "p"), ("authorization", "Bearer reader")];
    assert_eq!(
        api.write("POST /payments", &other, "").await.json()["data"],
        2,
        "keys belong to callers"
    );
    assert_eq!(
        api.send("GET /seen", &key, axum::body::Body::empty())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_client_that_goes_away_while_its_answer_is_kept_finds_it_kept() {
    let inbox = Arc::new(SlowInbox::default());
    let api = inbox.api();
    inbox.claimed.open();
    tokio::select! {
        got = post(&api, "k", GOOD) => panic!("answered before the answer was kept: {got:?}"),
        () = inbox.completed.reached() => {}
    }
    inbox.completed.open();
    inbox.completed.left().await;
    let again = post(&api, "k", GOOD).await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (201, "true")
    );
    assert_eq!(again.json()["data"]["count"], 1, "it was done once");
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_claims_leaves_no_claim() {
    let inbox = Arc::new(SlowInbox::default());
    let api = inbox.api();
    inbox.completed.open();
    tokio::select! {
        got = post(&api, "k", GOOD) => panic!("answered without a claim: {got:?}"),
        () = inbox.claimed.reached() => {}
    }
    inbox.claimed.open();
    inbox.released.reached().await;
    let again = post(&api, "k", GOOD).await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (201, "")
    );
}

/// An inbox whose writes are done, and answered only when the test lets them through.
#[derive(Default)]
struct SlowInbox {
    rows: MemoryInbox,
    claimed: Gate,
    completed: Gate,
    released: Gate,
}

impl SlowInbox {
    fn api(self: &Arc<Self>) -> Api {
        let module = Module::new("things").routes(routes(Things::default()));
        let service = Service::new(settings())
            .tokens(Arc::new(Tokens))
            .mount(module.inbox(self.clone()));
        Api(service.into_router().unwrap())
    }
}

#[async_trait]
impl Inbox for SlowInbox {
    async fn claim(&self, claim: &Claim) -> Result<Claimed, InboxError> {
        let claimed = self.rows.claim(claim).await;
        self.claimed.pass().await;
        claimed
    }

    async fn complete(
        &self,
        key: &InboxKey,
        owner: Uuid,
        answer: &[u8],
    ) -> Result<bool, InboxError> {
        self.completed.pass().await;
        let completed = self.rows.complete(key, owner, answer).await;
        self.completed.out.add_permits(1);
        completed
    }

    async fn release(&self, key: &InboxKey, owner: Uuid) -> Result<(), InboxError> {
        let released = self.rows.release(key, owner).await;
        self.released.arrived.add_permits(1);
        released
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, InboxError> {
        self.rows.prune(before, limit).await
    }
}

/// Where a test sees somebody arrive, lets everybody through, and sees them leave.
struct Gate {
    arrived: Semaphore,
    way: Semaphore,
    out: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        let [arrived, way, out] = [0; 3].map(Semaphore::new);
        Self { arrived, way, out }
    }
}

impl Gate {
    async fn pass(&self) {
        self.arrived.add_permits(1);
        let _ = self.way.acquire().await;
    }

    /// Everybody passes from now on.
    fn open(&self) {
        self.way.close();
    }

    async fn reached(&self) {
        within(self.arrived.acquire()).await;
    }

    async fn left(&self) {
        within(self.out.acquire()).await;
    }
}

async fn within<T>(wait: impl Future<Output = T>) {
    let waited = tokio::time::timeout(Duration::from_secs(5), wait).await;
    assert!(waited.is_ok(), "nobody came within 5 s");
}
