//! Many who ask at once while the store fails, or while the remote tier is out: the store is asked little.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::support::{Store, alone, key, pair};

#[tokio::test(start_paused = true)]
async fn a_thousand_hear_of_a_failure_and_none_of_them_loads_again() {
    let (store, cache) = (Store::new(7).slow(200), alone());
    store.break_it(true);
    let mut asking = JoinSet::new();
    for _ in 0..1_000 {
        let (store, cache) = (store.clone(), cache.clone());
        asking.spawn(async move { cache.get_or_load(&key(), store.loader()).await });
    }
    while let Some(answer) = asking.join_next().await {
        assert!(answer.unwrap().is_err());
    }
    assert_eq!(store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_the_remote_tier_the_store_is_asked_about_once_a_second_however_many_ask() {
    let (remote, [cache, _]) = pair();
    let store = Store::new(7).slow(20);
    remote.set_out(true);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        let mut asking = JoinSet::new();
        for _ in 0..100 {
            let (store, cache) = (store.clone(), cache.clone());
            asking.spawn(async move { store.get(&cache).await });
        }
        while let Some(answer) = asking.join_next().await {
            assert_eq!(answer.unwrap(), Some(7));
        }
        sleep(Duration::from_millis(10)).await;
    }
    // Refreshed a little before each second is over.
    assert!(
        (18..=30).contains(&store.loads()),
        "{} loads",
        store.loads()
    );
}
