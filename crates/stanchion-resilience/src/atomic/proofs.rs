//! Every interleaving of the hand-made atomics, by loom, over the very same source files.

#[path = "cell.rs"]
mod cell;
#[path = "ring.rs"]
mod ring;

#[path = "standing.rs"]
mod standing;

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

use cell::Cell;
use loom::sync::Arc;
use loom::thread;
use ring::Ring;
use standing::Standing;

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
