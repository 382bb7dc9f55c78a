//! Whose turn it is, and who waits.

use serde::{Deserialize, Serialize};
use serde_json::json;
use stanchion_messaging::{AfterLastAttempt, Contract, Metadata, Parked, ParkedNote, ParkedState};
use stanchion_runtime::id;
use uuid::Uuid;

use super::{CONSUMER, Store, WAITS, after, due, parked, retry};

const GOES_ON: AfterLastAttempt = AfterLastAttempt::KeyGoesOn;

pub(super) async fn only_what_is_due_is_due_and_the_earliest_first(store: Store) {
    let (late, early, future) = (retry("a", 2), retry("b", 1), retry("c", 60));
    for one in [&late, &early, &future] {
        store.park(one).await.unwrap();
    }
    assert_eq!(due(&store, 2).await, [early.message.id, late.message.id]);
    assert_eq!(
        store
            .due(CONSUMER, after(90), WAITS, 2)
            .await
            .unwrap()
            .len(),
        2
    );
    assert!(
        store
            .due("other", after(90), WAITS, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(super) async fn only_the_oldest_of_a_key_is_due_and_none_behind_a_dead_one(store: Store) {
    let (first, second) = (retry("a", 5), retry("a", 0));
    let (dead, behind) = (parked("b", ParkedState::Dead, 0), retry("b", 0));
    for one in [&first, &second, &dead, &behind] {
        store.park(one).await.unwrap();
    }
    assert!(
        due(&store, 1).await.is_empty(),
        "a later message overtook one of its key"
    );
    assert_eq!(due(&store, 5).await, [first.message.id]);
    store.resolve(CONSUMER, first.message.id).await.unwrap();
    assert_eq!(due(&store, 5).await, [second.message.id]);
    assert!(store.discard(CONSUMER, dead.message.id).await.unwrap());
    assert_eq!(due(&store, 5).await.len(), 2);
}

pub(super) async fn that_an_attempt_is_under_way_is_told_until_somebody_tells_how_it_ended(
    store: Store,
) {
    let (first, other) = (retry("a", 0), retry("b", 0));
    let begun = Parked {
        attempts: 2,
        under_way: true,
        due_at: after(9),
        ..first.clone()
    };
    let failed = Parked {
        under_way: false,
        due_at: after(5),
        reason: "again".into(),
        ..begun.clone()
    };
    for one in [&first, &other] {
        store.park(one).await.unwrap();
    }
    let told = async || store.find(first.message.id).await.unwrap();
    for ended in [&first, &failed] {
        assert!(store.park_again(&begun).await.unwrap());
        assert_eq!(told().await, std::slice::from_ref(&begun));
        assert!(store.park_again(ended).await.unwrap());
        assert_eq!(told().await, std::slice::from_ref(ended));
    }
    // The other two ways in tell it as well, and so does what is due.
    store.park(&begun).await.unwrap();
    let due = store.due(CONSUMER, after(9), WAITS, 10).await.unwrap();
    assert_eq!(due, [other, begun.clone()]);
    let elsewhere = Parked {
        consumer: "other".into(),
        ..begun
    };
    store.wait_behind(&elsewhere).await.unwrap();
    assert!(told().await.iter().all(|one| one.under_way));
    // An operator begins anew.
    let dead = Parked {
        state: ParkedState::Dead,
        ..failed
    };
    store.park(&dead).await.unwrap();
    let (id, now) = (dead.message.id, after(9));
    assert!(store.redrive(CONSUMER, id, now).await.unwrap());
    let due = store.due(CONSUMER, now, WAITS, 10).await.unwrap();
    assert!(due.iter().all(|one| !one.under_way));
}

pub(super) async fn what_is_noted_of_a_message_stays_whatever_is_tried_and_said_since(
    store: Store,
) {
    let noted = Parked {
        note: Some(ParkedNote::AnnouncedBefore),
        ..retry("a", 0)
    };
    let behind = Parked {
        note: Some(ParkedNote::Suspect),
        ..retry("b", 0)
    };
    let bare = retry("c", 0);
    store.park(&noted).await.unwrap();
    store.wait_behind(&behind).await.unwrap();
    store.park(&bare).await.unwrap();
    let notes = async || {
        let due = store.due(CONSUMER, after(9), WAITS, 10).await.unwrap();
        let mut all: Vec<_> = due.iter().map(|one| (one.message.id, one.note)).collect();
        all.sort_unstable_by_key(|one| one.0);
        all
    };
    let mut expected = [&noted, &behind, &bare].map(|one| (one.message.id, one.note));
    expected.sort_unstable_by_key(|one| one.0);
    assert_eq!(notes().await, expected);
    // Whoever tells how an attempt ended need not know it, and one who does says nothing new.
    for one in [&noted, &behind, &bare] {
        let failed = Parked {
            note: None,
            reason: "again".into(),
            ..one.clone()
        };
        store.park(&failed).await.unwrap();
        assert!(store.park_again(&failed).await.unwrap());
        let failed_again = Parked {
            note: one.note,
            ..failed
        };
        assert!(store.park_again(&failed_again).await.unwrap());
    }
    assert_eq!(notes().await, expected);
}

/// What a consumer reminds itself of.
#[derive(Serialize, Deserialize)]
struct Reminder {}

impl Contract for Reminder {
    const NAME: &'static str = "orders.reminder.v1";

    fn key(&self) -> String {
        String::new()
    }
}

pub(super) async fn what_is_due_later_than_any_wait_lasts_is_found_unless_it_is_delayed(
    store: Store,
) {
    let [first, behind, other] =
        [("a", 7_200), ("a", 7_300), ("b", 7_100)].map(|it| retry(it.0, it.1));
    let (soon, dead) = (retry("c", 60), parked("d", ParkedState::Dead, 7_200));
    for one in [&first, &behind, &other, &soon, &dead] {
        store.park(one).await.unwrap();
    }
    let (id, metadata) = (id::new_v7(), Metadata::new(None));
    let delayed = Parked::delayed(CONSUMER, &Reminder {}, id, after(7_200), &metadata).unwrap();
    store.wait_behind(&delayed).await.unwrap();
    assert!(delayed.is_delayed() && !first.is_delayed());
    let beyond = async |end, limit| -> Vec<Uuid> {
        let found = store.due_beyond(CONSUMER, after(end), WAITS, limit).await;
        found.unwrap().iter().map(|one| one.message.id).collect()
    };
    let ids = [other.message.id, first.message.id];
    assert_eq!(beyond(3_600, 10).await, ids);
    assert_eq!(beyond(3_600, 1).await, ids[..1]);
    assert_eq!(beyond(7_100, 10).await, ids[1..]);
    assert!(due(&store, 0).await.is_empty());
}

pub(super) async fn a_key_that_goes_on_does_not_wait_behind_its_dead_letter(store: Store) {
    let (dead, behind) = (parked("a", ParkedState::Dead, 0), retry("a", 0));
    store.park(&dead).await.unwrap();
    assert!(
        store
            .blocked(CONSUMER, &["a"], GOES_ON)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.blocked(CONSUMER, &["a"], WAITS).await.unwrap(), ["a"]);
    store.park(&behind).await.unwrap();
    assert_eq!(
        store.blocked(CONSUMER, &["a"], GOES_ON).await.unwrap(),
        ["a"]
    );
    assert!(due(&store, 0).await.is_empty());
    let found = store.due(CONSUMER, after(0), GOES_ON, 10).await.unwrap();
    assert_eq!(found, [behind]);
}

pub(super) async fn an_unknown_message_waits_for_a_handler_and_later_ones_of_its_key_behind_it(
    store: Store,
) {
    let (unknown, behind) = (parked("a", ParkedState::Unknown, 0), retry("a", 0));
    store.park(&unknown).await.unwrap();
    store.park(&behind).await.unwrap();
    assert!(due(&store, 9).await.is_empty());
    assert_eq!(
        store.blocked(CONSUMER, &["a"], GOES_ON).await.unwrap(),
        ["a"]
    );
    let known = async |contracts: &[&str]| {
        let known = store.unknown(CONSUMER, contracts, WAITS, 10).await;
        known.unwrap()
    };
    assert!(known(&[]).await.is_empty());
    assert!(known(&["orders.order_placed.v2"]).await.is_empty());
    let found = known(&["x.y.v1", "orders.order_placed.v1"]).await;
    assert_eq!(found, std::slice::from_ref(&unknown));
    store.resolve(CONSUMER, unknown.message.id).await.unwrap();
    assert_eq!(due(&store, 9).await, [behind.message.id]);
    // An operator may give one up.
    store
        .park(&parked("b", ParkedState::Unknown, 0))
        .await
        .unwrap();
    let found = known(&["orders.order_placed.v1"]).await;
    assert!(
        !store
            .redrive(CONSUMER, found[0].message.id, after(0))
            .await
            .unwrap()
    );
    assert!(store.discard(CONSUMER, found[0].message.id).await.unwrap());
}

pub(super) async fn an_unknown_message_is_found_whatever_its_contract_is_called(store: Store) {
    for contract in ["a \"quoted\" name.v1", "back\\slash.v1", "nul\0.v1"] {
        let mut one = parked("a", ParkedState::Unknown, 0);
        one.message.contract = contract.into();
        // A text that looks like a contract stands before it for whoever searches the message as text.
        one.message.payload = json!({ "\"contract\":\"x.y.v1\"": 1, "contract": "x.y.v1" });
        store.park(&one).await.unwrap();
        let known = async |contracts: &[&str]| {
            let known = store.unknown(CONSUMER, contracts, WAITS, 10).await;
            known.unwrap()
        };
        assert!(known(&["x.y.v1"]).await.is_empty(), "{contract:?}");
        if !contract.contains('\0') {
            assert_eq!(known(&[contract]).await, std::slice::from_ref(&one));
        }
        store.resolve(CONSUMER, one.message.id).await.unwrap();
    }
}

pub(super) async fn what_comes_next_of_a_key_is_its_oldest_if_that_is_due(store: Store) {
    let (first, second, other) = (retry("a", 5), retry("a", 0), retry("b", 0));
    for one in [&first, &second, &other] {
        store.park(one).await.unwrap();
    }
    let next = async |now, then| {
        let next = store.next_of(CONSUMER, "a", after(now), then).await;
        next.unwrap().map(|it| it.message.id)
    };
    assert_eq!(next(4, WAITS).await, None, "a later one overtook it");
    assert_eq!(next(5, WAITS).await, Some(first.message.id));
    store.resolve(CONSUMER, first.message.id).await.unwrap();
    assert_eq!(next(0, WAITS).await, Some(second.message.id));
    let (dead, third) = (
        Parked {
            state: ParkedState::Dead,
            ..second
        },
        retry("a", 0),
    );
    for one in [&dead, &third] {
        store.park(one).await.unwrap();
    }
    assert_eq!(next(0, WAITS).await, None, "it waits behind a dead one");
    assert_eq!(next(0, GOES_ON).await, Some(third.message.id));
    let elsewhere = store.next_of("other", "a", after(9), WAITS).await;
    assert!(elsewhere.unwrap().is_none());
}
