//! What every remote tier of a cache must do.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_cache::{Change, Found, Kept, Put, Remote, Stamp};
use stanchion_runtime::{id, task};
use tokio::time::{Instant, sleep};

use super::{Case, cases, run_all};

/// One cache's tier as two processes have it.
pub type Subject = [Arc<dyn Remote>; 2];

/// How soon the other process hears of a change, on a loaded machine.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

const LIFE: Duration = Duration::from_secs(60);
const GUARD: Duration = Duration::from_secs(15);

const CASES: &[Case<Subject>] = cases![
    before_it_is_put_nothing_is_found,
    what_is_put_both_find_with_its_times,
    that_there_is_nothing_is_an_entry,
    an_entry_ends_with_its_time,
    beyond_its_time_it_is_found_as_long_as_it_is_kept,
    while_an_entry_counts_no_lower_version_replaces_it,
    a_lower_version_replaces_an_entry_that_has_ended,
    what_was_loaded_before_an_invalidation_is_refused,
    it_is_refused_even_after_a_newer_load_was_kept,
    what_is_loaded_after_an_invalidation_is_kept,
    below_the_version_of_an_invalidation_nothing_is_kept_for_a_while,
    keys_do_not_touch_each_other,
    a_key_may_be_any_text,
    the_other_hears_of_a_put_and_of_an_invalidation,
    of_many_who_put_at_once_the_highest_version_stays,
];

/// Runs every case, each on tiers of one server; they may be the same for all cases: keys are new ones.
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> Subject) {
    run_all("remote tier of a cache", CASES, fresh).await;
}

fn new_key() -> String {
    id::new_v7().to_string()
}

fn entry(version: u64) -> Kept {
    Kept {
        body: Some(version.to_string().into_bytes()),
        version,
        schema: 3,
        fresh_for: LIFE,
        kept_for: LIFE * 2,
        cost: Duration::from_millis(20),
    }
}

async fn look(remote: &Arc<dyn Remote>, key: &str) -> Found {
    remote.get(key).await.unwrap()
}

async fn now(remote: &Arc<dyn Remote>, key: &str) -> Stamp {
    look(remote, key).await.at
}

async fn version(remote: &Arc<dyn Remote>, key: &str) -> Option<u64> {
    look(remote, key).await.kept.map(|kept| kept.version)
}

async fn put(remote: &Arc<dyn Remote>, key: &str, entry: Kept, began: Stamp) -> bool {
    let put = Put {
        entry,
        began,
        guard: GUARD,
    };
    remote.put(key, put).await.unwrap()
}

async fn put_now(remote: &Arc<dyn Remote>, key: &str, entry: Kept) -> bool {
    let began = now(remote, key).await;
    put(remote, key, entry, began).await
}

async fn forget(remote: &Arc<dyn Remote>, key: &str, version: u64) {
    remote.forget(key, version, GUARD).await.unwrap();
}

async fn before_it_is_put_nothing_is_found([one, _]: Subject) {
    assert_eq!(look(&one, &new_key()).await.kept, None);
}

async fn what_is_put_both_find_with_its_times([one, other]: Subject) {
    let key = new_key();
    assert!(put_now(&one, &key, entry(7)).await);
    for remote in [&one, &other] {
        let kept = look(remote, &key).await.kept.unwrap();
        assert!(
            kept.fresh_for <= LIFE && kept.fresh_for > LIFE / 2,
            "{kept:?}"
        );
        assert!(
            kept.kept_for > LIFE && kept.kept_for <= LIFE * 2,
            "{kept:?}"
        );
        let timeless = Kept {
            fresh_for: LIFE,
            kept_for: LIFE * 2,
            ..kept
        };
        assert_eq!(timeless, entry(7));
    }
}

async fn that_there_is_nothing_is_an_entry([one, other]: Subject) {
    let key = new_key();
    let absence = Kept {
        body: None,
        ..entry(0)
    };
    assert!(put_now(&one, &key, absence).await);
    assert_eq!(look(&other, &key).await.kept.unwrap().body, None);
}

fn short(version: u64) -> Kept {
    Kept {
        fresh_for: Duration::from_millis(30),
        kept_for: Duration::from_millis(30),
        ..entry(version)
    }
}

async fn an_entry_ends_with_its_time([one, _]: Subject) {
    let key = new_key();
    assert!(put_now(&one, &key, short(1)).await);
    sleep(Duration::from_millis(100)).await;
    let kept = look(&one, &key).await.kept;
    assert!(kept.is_none_or(|kept| kept.kept_for.is_zero()));
}

async fn beyond_its_time_it_is_found_as_long_as_it_is_kept([one, _]: Subject) {
    let key = new_key();
    let stale = Kept {
        kept_for: LIFE,
        ..short(1)
    };
    assert!(put_now(&one, &key, stale).await);
    sleep(Duration::from_millis(100)).await;
    let kept = look(&one, &key).await.kept.unwrap();
    assert!(
        kept.fresh_for.is_zero() && !kept.kept_for.is_zero(),
        "{kept:?}"
    );
}

async fn while_an_entry_counts_no_lower_version_replaces_it([one, other]: Subject) {
    let key = new_key();
    assert!(put_now(&one, &key, entry(2)).await);
    assert!(!put_now(&other, &key, entry(1)).await);
    assert_eq!(version(&one, &key).await, Some(2));
    assert!(
        put_now(&other, &key, entry(2)).await,
        "the same is no lower one"
    );
    assert!(put_now(&other, &key, entry(3)).await);
}

async fn a_lower_version_replaces_an_entry_that_has_ended([one, _]: Subject) {
    let key = new_key();
    assert!(put_now(&one, &key, short(5)).await);
    sleep(Duration::from_millis(100)).await;
    assert!(put_now(&one, &key, entry(1)).await);
}

async fn what_was_loaded_before_an_invalidation_is_refused([one, other]: Subject) {
    let key = new_key();
    let began = now(&one, &key).await;
    forget(&other, &key, 0).await;
    assert!(!put(&one, &key, entry(9), began).await);
    assert_eq!(version(&other, &key).await, None);
}

async fn it_is_refused_even_after_a_newer_load_was_kept([one, other]: Subject) {
    let key = new_key();
    let began = now(&one, &key).await;
    forget(&other, &key, 0).await;
    assert!(put_now(&other, &key, short(1)).await);
    sleep(Duration::from_millis(100)).await;
    assert!(!put(&one, &key, entry(9), began).await);
}

async fn what_is_loaded_after_an_invalidation_is_kept([one, other]: Subject) {
    let key = new_key();
    assert!(put_now(&one, &key, entry(5)).await);
    forget(&other, &key, 0).await;
    assert_eq!(version(&one, &key).await, None);
    assert!(put_now(&one, &key, entry(1)).await);
    assert_eq!(version(&other, &key).await, Some(1));
}

async fn below_the_version_of_an_invalidation_nothing_is_kept_for_a_while([one, _]: Subject) {
    let key = new_key();
    forget(&one, &key, 5).await;
    assert!(!put_now(&one, &key, entry(4)).await);
    assert!(put_now(&one, &key, short(5)).await);
    sleep(Duration::from_millis(100)).await;
    assert!(
        !put_now(&one, &key, entry(4)).await,
        "its entry has ended, the guard has not"
    );
    let short = Duration::from_millis(50);
    one.forget(&key, 5, short).await.unwrap();
    sleep(short * 3).await;
    assert!(put_now(&one, &key, entry(4)).await);
}

async fn keys_do_not_touch_each_other([one, _]: Subject) {
    let (tea, milk) = (new_key(), new_key());
    assert!(put_now(&one, &tea, entry(1)).await);
    assert!(put_now(&one, &milk, entry(2)).await);
    forget(&one, &tea, 0).await;
    assert_eq!(version(&one, &tea).await, None);
    assert_eq!(version(&one, &milk).await, Some(2));
}

async fn a_key_may_be_any_text([one, other]: Subject) {
    let some = new_key();
    for odd in ["", ":", "a:b*c", "Käse\r\n", "\u{0}"] {
        let key = format!("{some}{odd}");
        assert!(put_now(&one, &key, entry(1)).await);
        assert_eq!(version(&other, &key).await, Some(1), "{key:?}");
    }
}

async fn the_other_hears_of_a_put_and_of_an_invalidation([one, other]: Subject) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    other.watch(Box::new(move |change| {
        hearing.lock().push(match change {
            Change::Key(key) => key.to_owned(),
            Change::Seeing => "seeing".to_owned(),
            Change::Blind => "blind".to_owned(),
        });
    }));
    let hears = async |what: &str| {
        let begun = Instant::now();
        while !heard.lock().iter().any(|heard| heard == what) {
            assert!(begun.elapsed() < HEARD_WITHIN, "{what}: {:?}", heard.lock());
            sleep(Duration::from_millis(5)).await;
        }
    };
    hears("seeing").await;
    let key = new_key();
    assert!(put_now(&one, &key, entry(1)).await);
    hears(&key).await;
    heard.lock().clear();
    forget(&one, &key, 0).await;
    hears(&key).await;
}

async fn of_many_who_put_at_once_the_highest_version_stays(both: Subject) {
    let key = new_key();
    let began = now(&both[0], &key).await;
    let puts: Vec<_> = (1..=50)
        .map(|number| {
            let (remote, key) = (Arc::clone(&both[number % 2]), key.clone());
            task::spawn("put", async move {
                put(&remote, &key, entry(number as u64), began).await
            })
        })
        .collect();
    for put in puts {
        put.await.unwrap();
    }
    assert_eq!(version(&both[0], &key).await, Some(50));
}
