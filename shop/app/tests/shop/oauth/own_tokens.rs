//! How soon a client's own token counts nowhere that was given back, or whose client was disabled: as soon as a session that
//! was ended (rows E4 and E14 of the abuse tables).

use std::time::Duration;

use reqwest::Method;
use shop_cluster::Broker;
use tokio::time::{Instant, sleep};

use super::support::{Registered, service};
use crate::support::{Caller, Pair, Shop};

/// No request that begins later after the answer is let in, anywhere.
const EFFECTIVE_WITHIN: Duration = Duration::from_secs(1);

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// What is asked, and whether it was let in.
enum Asked<'a> {
    /// The API, with the token.
    Orders(&'a Caller),
    /// A process with identity, what the token is worth.
    Introspection(&'a Shop, &'a Registered, &'a str),
}

impl Asked<'_> {
    async fn is_let_in(&self) -> bool {
        match self {
            Self::Orders(caller) => {
                let answer = caller.get("/orders").send().await;
                assert!(matches!(answer.status, 200 | 401), "{}", answer.text);
                answer.status == 200
            }
            Self::Introspection(at, by, token) => {
                at.introspected(by, token).await["active"] == true
            }
        }
    }

    async fn ends_in_time(&self, what: &str) {
        let answered = Instant::now();
        let mut last_let_in = Duration::ZERO;
        loop {
            let asked = answered.elapsed();
            if !self.is_let_in().await {
                println!("{what}: last let in {last_let_in:?} after the answer");
                return;
            }
            assert!(
                asked < EFFECTIVE_WITHIN,
                "{what}: let in {asked:?} after it"
            );
            last_let_in = asked;
            sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn token(at: &Shop, of: &Registered) -> String {
    let issued = at.send("/oauth2/token", of, &GRANT).await.expect(200);
    issued.json()["access_token"].as_str().unwrap().to_owned()
}

async fn give_back(at: &Shop, of: &Registered, token: &str) {
    let token = [("token", token)];
    at.send("/oauth2/revoke", of, &token).await.expect(200);
}

async fn disable(at: &Shop, client: &Registered) {
    let path = format!("/clients/{}/disable", client.id);
    at.ask_admin(Method::POST, &path).send().await.expect(200);
}

#[tokio::test]
async fn e14_a_clients_own_token_ends_in_the_other_services_within_a_second() {
    let Some(shop) = Shop::start_in_services(Broker::None).await else {
        return;
    };
    let robot = shop.client(service(&["order:read"])).await;
    let (kept, given_back) = (token(&shop, &robot).await, token(&shop, &robot).await);
    let bearer = |token: &str| {
        let mut caller = shop.anyone();
        token.clone_into(&mut caller.token);
        caller
    };
    let (keeps, gave_back) = (bearer(&kept), bearer(&given_back));
    let (keeps, gave_back) = (Asked::Orders(&keeps), Asked::Orders(&gave_back));
    assert!(keeps.is_let_in().await && gave_back.is_let_in().await);
    give_back(&shop, &robot, &given_back).await;
    gave_back.ends_in_time("given back").await;
    assert!(keeps.is_let_in().await);
    disable(&shop, &robot).await;
    keeps.ends_in_time("its client is disabled").await;
}

#[tokio::test]
async fn e14_a_clients_own_token_ends_at_the_other_process_within_a_second() {
    let Some(pair) = Pair::start(&[]).await else {
        return;
    };
    let (one, other) = (&pair.one, &pair.other);
    let robot = one.client(service(&["user:read"])).await;
    let server = serde_json::json!({
        "name": "Reports", "kind": "confidential", "grants": ["client_credentials"], "resource_server": true,
    });
    let reports = one.client(server).await;
    for (at, elsewhere) in [(one, other), (other, one)] {
        let (kept, given_back) = (token(at, &robot).await, token(at, &robot).await);
        let keeps = Asked::Introspection(elsewhere, &reports, &kept);
        let gave_back = Asked::Introspection(elsewhere, &reports, &given_back);
        assert!(keeps.is_let_in().await && gave_back.is_let_in().await);
        give_back(at, &robot, &given_back).await;
        gave_back.ends_in_time("given back").await;
        assert!(keeps.is_let_in().await);
    }
    let kept = token(one, &robot).await;
    let keeps = Asked::Introspection(other, &reports, &kept);
    assert!(keeps.is_let_in().await);
    disable(one, &robot).await;
    keeps.ends_in_time("its client is disabled").await;
}
