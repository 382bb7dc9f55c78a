//! Every interleaving of the hand-made atomics, by loom, over the very same source files.

#[path = "cell.rs"]
mod cell;
#[path = "ring.rs"]
mod ring;

#[path = "standing.rs"]
mod standing;
#[path = "turnstile.rs"]
mod turnstile;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

    /// loom's lock with the face of parking_lot's.
    #[derive(Debug)]
    pub(super) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

use cell::Cell;
use loom::sync::Arc;
use loom::thread;
use ring::Ring;
use standing::Standing;
use turnstile::{Asked, Had, Turnstile};

/// Runs `work` on two threads at once and waits for both.
fn race(work: impl Fn(u64) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let other = {
        let work = work.clone();
        thread::spawn(move || work(2))
    };
    work(1);
    other.join().unwrap();
}

#[test]
fn two_takers_never_share_a_token() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(0));
        let taken = Arc::new(loom::sync::atomic::AtomicU64::new(0));
        let (bucket, count) = (cell.clone(), taken.clone());
        race(move |_| {
            for _ in 0..2 {
                if bucket.take(0, 10, 30).is_ok() {
                    count.fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
                }
            }
        });
        // Three tokens, four takers.
        assert_eq!(taken.load(loom::sync::atomic::Ordering::Relaxed), 3);
        assert_eq!(cell.holds(0, 30), 0);
    });
}

#[test]
fn a_token_given_beside_a_taker_is_not_lost() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(20));
        let bucket = cell.clone();
        race(move |who| {
            if who == 1 {
                bucket.give(0, 10);
            } else {
                assert!(bucket.take(0, 10, 40).is_ok());
            }
        });
        assert_eq!(cell.holds(0, 40), 20);
    });
}

#[test]
fn a_bucket_never_holds_more_than_its_room() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(15));
        let bucket = cell.clone();
        race(move |_| bucket.give(0, 10));
        assert_eq!(cell.holds(0, 40), 40);
    });
}

#[test]
fn a_bucket_is_not_noted_as_full_over_a_taker() {
    loom::model(|| {
        let cell = Arc::new(Cell::new(15));
        let bucket = cell.clone();
        race(move |who| {
            if who == 1 {
                bucket.give(20, 1);
            } else {
                assert!(bucket.take(20, 10, 40).is_ok());
            }
        });
        assert!(!cell.is_untouched());
        assert!((30..=31).contains(&cell.holds(20, 40)));
        cell.give(31, 1);
        assert!(cell.is_untouched());
    });
}

#[test]
fn no_word_of_two_writers_is_lost_while_there_is_room() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1, 4));
        let written = ring.clone();
        race(move |who| {
            written.push(0, who * 10 + 1);
            written.push(0, who * 10 + 2);
        });
        let mut words: Vec<u64> = ring.words().collect();
        words.sort_unstable();
        assert_eq!(words, [11, 12, 21, 22]);
    });
}

#[test]
fn a_reader_beside_a_writer_sees_whole_words_only() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1, 1));
        ring.push(0, 7);
        let shared = ring.clone();
        race(move |who| {
            if who == 1 {
                shared.push(0, 8);
            } else {
                let words: Vec<u64> = shared.words().collect();
                assert!(words == [7] || words == [8], "{words:?}");
            }
        });
    });
}

#[test]
fn who_sees_a_state_sees_its_moments_or_later_ones() {
    loom::model(|| {
        let standing = Arc::new(Standing::new(1, 10));
        let shared = standing.clone();
        race(move |who| {
            if who == 1 {
                shared.change(2, 20, 25);
                shared.change(3, 30, 35);
            } else {
                let (word, since, until) = (shared.word(), shared.since(), shared.until());
                assert!(
                    since >= word * 10 && until >= word * 10,
                    "{word} {since} {until}"
                );
            }
        });
        assert_eq!(standing.word(), 3);
    });
}

/// A waiter of the turnstile's proofs: a flag that whoever hands it a slot raises.
type Handed = Arc<loom::sync::atomic::AtomicBool>;

/// Leaves a slot, and tells who has it now.
fn leave(turnstile: &Turnstile<Handed>) {
    if let Some(next) = turnstile.leave() {
        next.store(true, loom::sync::atomic::Ordering::Release);
    }
}

#[test]
fn a_slot_is_never_given_twice_and_none_is_lost() {
    loom::model(|| {
        let turnstile = Arc::new(Turnstile::<Handed>::new(1, 0));
        let inside = Arc::new(loom::sync::atomic::AtomicU64::new(0));
        let (shared, visits) = (turnstile.clone(), inside.clone());
        race(move |_| {
            if shared.enter() {
                // Odd while somebody is in. Relaxed: that it is seen is the turnstile's doing.
                let before = visits.load(loom::sync::atomic::Ordering::Relaxed);
                assert!(before.is_multiple_of(2), "two are in");
                visits.store(before + 1, loom::sync::atomic::Ordering::Relaxed);
                visits.store(before + 2, loom::sync::atomic::Ordering::Relaxed);
                leave(&shared);
            }
        });
        assert_eq!((turnstile.running(), turnstile.waiting()), (0, 0));
        assert!(turnstile.enter());
    });
}

#[test]
fn who_waits_is_handed_the_slot_of_who_leaves() {
    loom::model(|| {
        let turnstile = Arc::new(Turnstile::<Handed>::new(1, 1));
        assert!(turnstile.enter());
        let shared = turnstile.clone();
        let handed = Handed::default();
        let flag = handed.clone();
        let asked = Arc::new(loom::sync::Mutex::new(None));
        let told = asked.clone();
        race(move |who| {
            if who == 1 {
                leave(&shared);
            } else {
                *told.lock().unwrap() = Some(shared.wait(flag.clone()));
            }
        });
        let is_handed = handed.load(loom::sync::atomic::Ordering::Acquire);
        match asked.lock().unwrap().take().unwrap() {
            Asked::Slot => assert!(!is_handed),
            Asked::Place(_) => assert!(is_handed, "a waiter was left behind"),
            Asked::Full => panic!("there is a place"),
        }
        assert_eq!((turnstile.running(), turnstile.waiting()), (1, 0));
    });
}

#[test]
fn who_gives_up_beside_who_leaves_has_either_a_place_or_the_slot() {
    loom::model(|| {
        let turnstile = Arc::new(Turnstile::<Handed>::new(1, 1));
        assert!(turnstile.enter());
        let handed = Handed::default();
        let Asked::Place(number) = turnstile.wait(handed.clone()) else {
            panic!("the slot is taken");
        };
        let shared = turnstile.clone();
        race(move |who| {
            if who == 1 || shared.give_up(number) == Had::Slot {
                leave(&shared);
            }
        });
        assert_eq!((turnstile.running(), turnstile.waiting()), (0, 0));
    });
}

#[test]
fn no_newcomer_passes_who_waits() {
    loom::model(|| {
        let turnstile = Arc::new(Turnstile::<Handed>::new(1, 1));
        assert!(turnstile.enter());
        let handed = Handed::default();
        assert!(matches!(turnstile.wait(handed.clone()), Asked::Place(_)));
        let shared = turnstile.clone();
        race(move |who| {
            if who == 1 {
                leave(&shared);
            } else {
                assert!(!shared.enter(), "it passed the line");
            }
        });
        assert!(handed.load(loom::sync::atomic::Ordering::Acquire));
        assert_eq!(turnstile.running(), 1);
    });
}
