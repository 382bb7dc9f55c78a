use super::*;
use uuid::Uuid;

const LOG: LogId = LogId(Uuid::nil());

fn line() -> Line {
    Line {
        log: LOG,
        partition: 3,
        family: "x.y".into(),
    }
}

fn link(prev: i64, position: i64) -> Link {
    Link {
        log: LOG,
        partition: 3,
        prev: Position(prev),
        position: Position(position),
    }
}

fn at(position: i64) -> Marks {
    let mut marks = Marks::default();
    marks.take(&line(), Position(position));
    marks.settle(&line(), Position(position));
    marks
}

#[test]
fn what_follows_is_next_what_is_behind_a_repeat_and_what_is_beyond_a_hole() {
    let marks = at(5);
    for (prev, position, expected) in [
        (5, 8, Verdict::Next),
        (3, 8, Verdict::Next),
        (3, 5, Verdict::Repeat),
        (5, 5, Verdict::Repeat),
        (6, 8, Verdict::Missing),
        (8, 8, Verdict::Missing),
    ] {
        assert_eq!(
            marks.look(&line(), &link(prev, position)),
            expected,
            "{prev} {position}"
        );
    }
}

#[test]
fn who_read_the_log_itself_before_goes_on_from_there() {
    let place = Place {
        position: Position(7),
        event: None,
    };
    let marks = Marks::new(&HashMap::from([(LOG, place)]), Vec::new(), Instant::now());
    assert_eq!(marks.look(&line(), &link(3, 7)), Verdict::Repeat);
    assert_eq!(marks.look(&line(), &link(6, 9)), Verdict::Next);
    assert_eq!(marks.look(&line(), &link(8, 9)), Verdict::Missing);
}

#[test]
fn a_hole_is_asked_for_at_once_then_less_and_less_often_and_not_while_it_is_being_filled() {
    let mut marks = at(5);
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    marks.misses(&line(), Position(9), start);
    assert_eq!(marks.asks(start, 64), [(line(), Position(5))]);
    let asked: Vec<_> = (1..=20)
        .filter(|s| !marks.asks(after(*s), 64).is_empty())
        .collect();
    assert_eq!(asked, [2, 6, 14]);
    marks.take(&line(), Position(7));
    assert!(marks.asks(after(50), 64).is_empty(), "it is being handled");
    marks.settle(&line(), Position(7));
    assert!(marks.asks(after(60), 64).is_empty(), "it got on");
    assert_eq!(marks.asks(after(62), 64), [(line(), Position(7))]);
    marks.take(&line(), Position(9));
    assert_eq!((marks.holes(), marks.asks(after(999), 64).len()), (0, 0));
}

#[test]
fn a_line_whose_relay_is_heard_is_asked_for_soon() {
    let mut marks = at(5);
    let start = Instant::now();
    marks.misses(&line(), Position(9), start);
    // Into the void, less and less often.
    let after = |millis| start + Duration::from_millis(millis);
    let asked = [0, 2_000, 6_000].map(|it| marks.asks(after(it), 64).len());
    assert_eq!(asked, [1; 3]);
    marks.hears(&line(), Position(9), after(7_000));
    assert!(marks.asks(after(7_400), 64).is_empty());
    assert_eq!(marks.asks(after(7_500), 64), [(line(), Position(5))]);
    assert!(marks.asks(after(9_400), 64).is_empty());
    assert_eq!(marks.asks(after(9_500), 64).len(), 1);
}

#[test]
fn a_line_that_ends_where_the_consumer_is_has_no_hole() {
    let mut marks = at(5);
    marks.misses(&line(), Position(9), Instant::now());
    assert!(!marks.ends(&line(), Position(3)), "an old word");
    assert_eq!(marks.holes(), 1);
    assert!(marks.ends(&line(), Position(5)));
    assert_eq!(
        (marks.holes(), marks.settle(&line(), Position(5)).ahead),
        (0, None)
    );
    assert!(!marks.ends(&line(), Position(5)), "there was none");
}

#[test]
fn a_mark_remembers_the_hole_and_never_goes_back() {
    let mut marks = at(5);
    marks.misses(&line(), Position(9), Instant::now());
    let mark = marks.settle(&line(), Position(4));
    assert_eq!(
        (mark.position, mark.ahead),
        (Position(5), Some(Position(9)))
    );
    let mut again = Marks::new(&HashMap::new(), vec![mark], Instant::now());
    assert_eq!(again.asks(Instant::now(), 64), [(line(), Position(5))]);
}

#[test]
fn a_hole_that_only_beacons_told_of_ends_with_them_and_one_opens_it_again() {
    let mut marks = at(5);
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    marks.hears(&line(), Position(9), start);
    marks.hears(&line(), Position(9), after(200));
    assert!(marks.lapse(after(499)).is_empty());
    let lapsed = marks.lapse(after(500));
    let [mark] = &lapsed[..] else {
        panic!("{lapsed:?}");
    };
    assert_eq!((mark.position, mark.ahead), (Position(5), None));
    assert_eq!((marks.holes(), marks.asks(after(999), 64).len()), (0, 0));
    marks.hears(&line(), Position(9), after(1_000));
    assert_eq!(marks.asks(after(1_000), 64).len(), 1);
    // A message that came and was left aside is in its line.
    marks.misses(&line(), Position(9), after(1_001));
    assert!(marks.lapse(after(99_999)).is_empty());
}
