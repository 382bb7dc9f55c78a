//! What an operator sees and does, and what age ends.

use stanchion_messaging::{DeadLetterFilter, Parked, ParkedState};
use uuid::Uuid;

use super::{CONSUMER, Store, WAITS, after, due, parked, retry};

pub(super) async fn the_operator_sees_what_was_asked_for_oldest_first(store: Store) {
    let oldest = Parked {
        parked_at: after(-9),
        ..parked("a", ParkedState::Dead, 0)
    };
    let newest = Parked {
        parked_at: after(-1),
        ..retry("b", 0)
    };
    let foreign = Parked {
        consumer: "other".into(),
        parked_at: after(-5),
        ..retry("c", 0)
    };
    for one in [&newest, &foreign, &oldest] {
        store.park(one).await.unwrap();
    }
    let list = async |consumer: Option<&str>, state, limit| -> Vec<Uuid> {
        let filter = DeadLetterFilter {
            consumer: consumer.map(str::to_owned),
            state,
            limit,
        };
        store
            .list(&filter)
            .await
            .unwrap()
            .iter()
            .map(|one| one.message.id)
            .collect()
    };
    let ids = [oldest.message.id, foreign.message.id, newest.message.id];
    assert_eq!(list(None, None, 10).await, ids);
    assert_eq!(list(None, None, 1).await, ids[..1]);
    assert_eq!(list(Some(CONSUMER), None, 10).await, [ids[0], ids[2]]);
    assert_eq!(list(None, Some(ParkedState::Dead), 10).await, ids[..1]);
}

pub(super) async fn a_message_is_found_by_its_id_however_many_are_older(store: Store) {
    for _ in 0..1_000 {
        let older = parked("a", ParkedState::Retry, 60);
        store.park(&older).await.unwrap();
    }
    let last = parked("b", ParkedState::Dead, 0);
    let others = Parked {
        consumer: "other".into(),
        ..last.clone()
    };
    for one in [&last, &others] {
        store.park(one).await.unwrap();
    }
    let everything = DeadLetterFilter {
        limit: usize::MAX,
        ..DeadLetterFilter::default()
    };
    let listed = store.list(&everything).await.unwrap();
    assert!(listed.iter().all(|it| it.message.id != last.message.id));
    let found = store.find(last.message.id).await.unwrap();
    assert_eq!(found, [last, others]);
    assert!(store.find(Uuid::from_u128(3)).await.unwrap().is_empty());
}

pub(super) async fn what_died_long_ago_is_found_however_many_failed_before_it_and_died_since(
    store: Store,
) {
    for _ in 0..1_000 {
        // Redriven, and dead again.
        let again = Parked {
            parked_at: after(-90),
            ..parked("a", ParkedState::Dead, 60)
        };
        store.park(&again).await.unwrap();
    }
    let longer_ago = Parked {
        consumer: "other".into(),
        parked_at: after(-1),
        ..parked("b", ParkedState::Dead, 0)
    };
    let long_ago = Parked {
        parked_at: after(-5),
        ..parked("c", ParkedState::Dead, 1)
    };
    let unknown = parked("d", ParkedState::Unknown, 0);
    for one in [&long_ago, &longer_ago, &unknown, &retry("e", 0)] {
        store.park(one).await.unwrap();
    }
    let dead_before = async |before, limit| store.dead_before(after(before), limit).await.unwrap();
    let both = [longer_ago, long_ago];
    assert_eq!(dead_before(60, 10).await, both);
    assert_eq!(dead_before(60, 1).await, both[..1]);
    assert_eq!(dead_before(1, 10).await, both[..1]);
    assert!(dead_before(0, 10).await.is_empty());
}

pub(super) async fn only_dead_letters_are_redriven_or_discarded(store: Store) {
    let (dead, alive) = (parked("a", ParkedState::Dead, 0), retry("b", 60));
    store.park(&dead).await.unwrap();
    store.park(&alive).await.unwrap();
    for id in [alive.message.id, Uuid::from_u128(3)] {
        assert!(!store.redrive(CONSUMER, id, after(0)).await.unwrap());
        assert!(!store.discard(CONSUMER, id).await.unwrap());
    }
    assert!(
        store
            .redrive(CONSUMER, dead.message.id, after(1))
            .await
            .unwrap()
    );
    let found = store.due(CONSUMER, after(1), WAITS, 10).await.unwrap();
    assert_eq!(
        (found.len(), found[0].message.id, found[0].attempts),
        (1, dead.message.id, 0)
    );
    assert!(
        !store.discard(CONSUMER, dead.message.id).await.unwrap(),
        "it is alive again"
    );
    assert!(
        !store
            .redrive("other", dead.message.id, after(1))
            .await
            .unwrap()
    );
}

pub(super) async fn what_waits_is_withdrawn_unless_an_attempt_at_it_is_under_way(store: Store) {
    let (first, behind) = (retry("a", 60), retry("a", 0));
    let begun = Parked {
        under_way: true,
        ..retry("b", 0)
    };
    let others = [
        parked("c", ParkedState::Dead, 0),
        parked("d", ParkedState::Unknown, 0),
    ];
    for one in [&first, &behind, &begun].into_iter().chain(&others) {
        store.park(one).await.unwrap();
    }
    let withdraw = async |consumer: &str, id| store.withdraw(consumer, id).await.unwrap();
    let id = first.message.id;
    assert!(!withdraw("other", id).await);
    assert!(withdraw(CONSUMER, id).await);
    assert!(!withdraw(CONSUMER, id).await, "it is gone");
    assert!(!store.park_again(&first).await.unwrap(), "nobody tries it");
    let due: Vec<Uuid> = due(&store, 0).await;
    assert!(due.contains(&behind.message.id), "its key goes on");
    for stays in [&begun].into_iter().chain(&others) {
        assert!(!withdraw(CONSUMER, stays.message.id).await);
        let found = store.find(stays.message.id).await.unwrap();
        assert_eq!(found, std::slice::from_ref(stays));
    }
    let ended = Parked {
        under_way: false,
        due_at: after(5),
        ..begun
    };
    assert!(store.park_again(&ended).await.unwrap());
    assert!(withdraw(CONSUMER, ended.message.id).await);
}
