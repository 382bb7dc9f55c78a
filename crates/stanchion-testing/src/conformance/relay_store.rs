//! What every relay's store must do.

use std::sync::Arc;
use std::time::Duration;

use stanchion_messaging::{
    Again, LogId, PARTITIONS, Place, Position, Redrive, RelayState, RelayStore,
};
use uuid::Uuid;

use super::{Case, cases, run_all};

type Store = Arc<dyn RelayStore>;

const CASES: &[Case<Store>] = cases![
    a_token_grows_with_every_holder,
    a_lease_that_was_given_up_is_free_at_once,
    the_state_comes_back_as_it_went_for_each_log,
    a_stale_holders_write_is_refused,
    wishes_are_there_until_they_are_granted,
];

/// Runs every case, each on a fresh and empty store.
///
/// # Panics
/// At the first case that fails.
pub async fn run(fresh: impl AsyncFn() -> Store) {
    run_all("relay store", CASES, fresh).await;
}

const RELAY: &str = "orders";
const LOG: LogId = LogId(Uuid::from_u128(7));
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(150);

fn state(position: i64) -> RelayState {
    let mut last = [Position::START; PARTITIONS as usize];
    last[3] = Position(position);
    RelayState {
        through: Place {
            position: Position(position),
            event: Some(Uuid::from_u128(position as u128)),
        },
        store: Some("a \"store\"".into()),
        last: [("orders.order_placed".to_owned(), last)].into(),
        again: vec![Again {
            partition: 3,
            family: "orders.order_placed".into(),
            from: Position(1),
            prev: Position(1),
            through: None,
        }],
    }
}

async fn take(store: &Store, ttl: Duration) -> i64 {
    store.take(RELAY, ttl).await.unwrap().unwrap()
}

async fn a_token_grows_with_every_holder(store: Store) {
    let first = take(&store, LONG).await;
    // From here on it is a matter of time.
    assert!(store.renew(RELAY, first, SHORT).await.unwrap());
    tokio::time::sleep(SHORT * 2).await;
    let second = take(&store, LONG).await;
    assert!(second > first);
    assert!(!store.renew(RELAY, first, LONG).await.unwrap());
    assert!(store.renew(RELAY, second, LONG).await.unwrap());
    assert!(store.take("payments", LONG).await.unwrap().is_some());
}

async fn a_lease_that_was_given_up_is_free_at_once(store: Store) {
    let first = take(&store, LONG).await;
    store.release(RELAY, first).await.unwrap();
    let second = take(&store, LONG).await;
    store.release(RELAY, first).await.unwrap();
    assert!(store.renew(RELAY, second, LONG).await.unwrap());
}

async fn the_state_comes_back_as_it_went_for_each_log(store: Store) {
    let token = take(&store, LONG).await;
    let fresh = store.load(RELAY, LOG, token).await.unwrap();
    assert_eq!(fresh, Some(RelayState::default()));
    assert!(store.save(RELAY, LOG, token, &state(5)).await.unwrap());
    let kept = store.load(RELAY, LOG, token).await.unwrap();
    assert_eq!(kept, Some(state(5)));
    let other = LogId(Uuid::from_u128(8));
    let fresh = store.load(RELAY, other, token).await.unwrap();
    assert_eq!(fresh, Some(RelayState::default()));
}

async fn a_stale_holders_write_is_refused(store: Store) {
    let stale = take(&store, LONG).await;
    store.load(RELAY, LOG, stale).await.unwrap();
    assert!(store.save(RELAY, LOG, stale, &state(5)).await.unwrap());
    assert!(store.renew(RELAY, stale, SHORT).await.unwrap());
    tokio::time::sleep(SHORT * 2).await;
    let current = take(&store, LONG).await;
    let kept = store.load(RELAY, LOG, current).await.unwrap();
    assert_eq!(kept, Some(state(5)));
    assert!(!store.save(RELAY, LOG, stale, &state(9)).await.unwrap());
    assert_eq!(store.load(RELAY, LOG, stale).await.unwrap(), None);
    assert!(store.save(RELAY, LOG, current, &state(6)).await.unwrap());
}

async fn wishes_are_there_until_they_are_granted(store: Store) {
    let wish = |after| Redrive {
        partition: Some(3),
        family: None,
        after: Position(after),
        through: Some(Position(9)),
    };
    store.wish(RELAY, &wish(1)).await.unwrap();
    store.wish(RELAY, &wish(2)).await.unwrap();
    store.wish("payments", &wish(3)).await.unwrap();
    let wishes = store.wishes(RELAY).await.unwrap();
    let wanted: Vec<_> = wishes.iter().map(|(_, wish)| wish.after.0).collect();
    assert_eq!((wanted, &wishes[0].1), (vec![1, 2], &wish(1)));
    store.granted(RELAY, &[wishes[0].0]).await.unwrap();
    assert_eq!(store.wishes(RELAY).await.unwrap(), wishes[1..]);
}
