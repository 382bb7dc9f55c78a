//! How soon what is taken from a user is gone everywhere: rows E4 and E14 of the abuse tables, measured.

use std::time::Duration;

use serde_json::json;
use shop_cluster::Broker;
use tokio::time::{Instant, sleep};

use crate::support::pair::refresh;
use crate::support::{Answer, Caller, PASSWORD, Pair, Shop};

/// No request that begins later after the answer to a revocation is let in, anywhere.
const EFFECTIVE_WITHIN: Duration = Duration::from_secs(1);

/// What is taken from somebody, and how they are refused then.
const TAKEN: [(&str, u16); 6] = [
    ("one session is ended", 401),
    ("logged out everywhere", 401),
    ("another password", 401),
    ("suspended", 401),
    ("a role is taken", 403),
    ("a refresh token is used twice", 401),
];

/// Does it as whoever may, at this process.
async fn take(what: &str, at: &Shop, who: &Caller, name: &str) {
    let mut self_there = at.anyone();
    self_there.token.clone_from(&who.token);
    let admin = || at.admin();
    let done = match what {
        "one session is ended" => {
            self_there
                .post("/auth/logout")
                .json(&json!({}))
                .send()
                .await
        }
        "logged out everywhere" => {
            let all = json!({"all": true});
            self_there.post("/auth/logout").json(&all).send().await
        }
        "another password" => {
            // By another session of the same user: its own goes on.
            let mut elsewhere = at.anyone();
            elsewhere.log_in(name, PASSWORD).await;
            let body = json!({"current_password": PASSWORD, "new_password": "another password"});
            elsewhere.post("/auth/password").json(&body).send().await
        }
        "suspended" => {
            let path = format!("/users/{}/status", who.id);
            let body = json!({"status": "suspended"});
            admin().await.put(&path).json(&body).send().await
        }
        "a role is taken" => {
            let path = format!("/users/{}/roles", who.id);
            let body = json!({"roles": ["customer"]});
            admin().await.put(&path).json(&body).send().await
        }
        _ => {
            refresh(at, &who.refresh).await.expect(200);
            refresh(at, &who.refresh).await
        }
    };
    assert!(matches!(done.status, 200 | 204 | 401), "{}", done.text);
}

/// Somebody of the staff, who may list users.
async fn staff(at: &Shop, name: &str) -> Caller {
    at.staff(name).await
}

async fn look(caller: &Caller) -> Answer {
    caller.get("/users?limit=1").send().await
}

/// From the answer to the revocation until a request was refused, by when the last one began that was not.
async fn measured(what: &str, at: &Shop, elsewhere: &Shop, name: &str, refused: u16) -> Duration {
    let who = staff(at, name).await;
    let mut there = elsewhere.anyone();
    there.token.clone_from(&who.token);
    // It is remembered there, as of a moment ago.
    for _ in 0..3 {
        look(&there).await.expect(200);
        sleep(Duration::from_millis(50)).await;
    }
    take(what, at, &who, name).await;
    let answered = Instant::now();
    let mut last_let_in = Duration::ZERO;
    loop {
        let asked = answered.elapsed();
        let answer = look(&there).await;
        if answer.status == refused {
            return last_let_in;
        }
        answer.expect(200);
        last_let_in = asked;
        assert!(
            asked < EFFECTIVE_WITHIN,
            "{what}: let in {asked:?} after it"
        );
        sleep(Duration::from_millis(2)).await;
    }
}

async fn all_are_effective(how: &str, at: &Shop, elsewhere: &Shop) {
    for (nth, (what, refused)) in TAKEN.into_iter().enumerate() {
        let name = format!("{}{nth}", how.replace(' ', ""));
        let last = measured(what, at, elsewhere, &name, refused).await;
        println!("{how}: {what}: last let in {last:?} after the answer");
    }
}

#[tokio::test]
async fn e4_e14_what_is_taken_from_a_user_is_gone_in_one_process_at_once() {
    let shop = Shop::start_with(&[("SHOP__IDENTITY__HASH_MEMORY_KIB", "8")]).await;
    all_are_effective("alone", &shop, &shop).await;
}

#[tokio::test]
async fn e4_e14_what_is_taken_from_a_user_at_one_process_is_gone_at_the_other_within_a_second() {
    let Some(pair) = Pair::start(&[]).await else {
        return;
    };
    all_are_effective("told", &pair.one, &pair.other).await;
    all_are_effective("told back", &pair.other, &pair.one).await;

    // The connections of the notifications are cut again and again: what is left is that the log is asked.
    let cutting = async {
        let mut cut = 0;
        loop {
            cut += pair.cut_listeners().await;
            println!("{cut} listeners cut so far");
            sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::select! {
        () = all_are_effective("cut", &pair.one, &pair.other) => {}
        () = cutting => {}
    }
    // And they come back.
    sleep(Duration::from_secs(3)).await;
    all_are_effective("told again", &pair.one, &pair.other).await;
}

/// A process that can neither hear nor ask lets nobody in by what it remembers for longer than a second, and knows what
/// happened meanwhile when it can ask again.
#[tokio::test]
async fn e14_a_process_without_its_database_lets_nobody_in_by_memory_after_a_second() {
    let Some(pair) = Pair::start(&[("SHOP__DATABASE__STATEMENT_TIMEOUT", "500ms")]).await else {
        return;
    };
    let who = staff(&pair.other, "ada").await;
    let mut there = pair.one.anyone();
    there.token.clone_from(&who.token);
    let one_who_stays = staff(&pair.other, "bob").await;
    for _ in 0..3 {
        look(&there).await.expect(200);
        sleep(Duration::from_millis(50)).await;
    }
    pair.proxy.stall(true);
    take("one session is ended", &pair.other, &who, "ada").await;
    let answered = Instant::now();
    while answered.elapsed() < Duration::from_secs(4) {
        let asked = answered.elapsed();
        let answer = tokio::time::timeout(Duration::from_secs(2), look(&there)).await;
        let status = answer.map(|answer| answer.status);
        assert!(
            status != Ok(200) || asked < EFFECTIVE_WITHIN,
            "let in {asked:?} after"
        );
        sleep(Duration::from_millis(100)).await;
    }
    pair.proxy.stall(false);
    crate::support::eventually("it can ask again", Duration::from_secs(20), || async {
        (look(&there).await.status == 401).then_some(())
    })
    .await;
    let mut stays = pair.one.anyone();
    stays.token.clone_from(&one_who_stays.token);
    crate::support::eventually("others are let in", Duration::from_secs(20), || async {
        (look(&stays).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn e4_e14_what_is_taken_from_a_user_is_gone_in_the_other_services_within_a_second() {
    let Some(shop) = Shop::start_in_services(Broker::None).await else {
        return;
    };
    for (nth, what) in ["one session is ended", "logged out everywhere", "suspended"]
        .into_iter()
        .enumerate()
    {
        let name = format!("ada{nth}");
        let ada = shop.customer(&name).await;
        let orders = || async { ada.get("/orders").send().await };
        for _ in 0..3 {
            orders().await.expect(200);
        }
        take(what, &shop, &ada, &name).await;
        let answered = Instant::now();
        let mut last_let_in = Duration::ZERO;
        loop {
            let asked = answered.elapsed();
            let answer = orders().await;
            if answer.status == 401 {
                break;
            }
            answer.expect(200);
            assert!(
                asked < EFFECTIVE_WITHIN,
                "{what}: let in {asked:?} after it"
            );
            last_let_in = asked;
        }
        println!("in services: {what}: last let in {last_let_in:?} after the answer");
    }
}
