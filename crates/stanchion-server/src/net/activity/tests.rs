use super::*;

#[tokio::test(start_paused = true)]
async fn a_half_sent_head_stalls_and_an_idle_connection_does_not() {
    let max = Duration::from_secs(10);
    let activity = Arc::new(Activity::new(Protocol::Any));
    tokio::time::advance(max).await;
    assert!(activity.is_stalled(max), "nothing was sent at all");
    assert!(activity.read(b"GET / HTTP/1.1\r\n\r\n"));
    drop(activity.request());
    tokio::time::advance(max * 3).await;
    assert!(!activity.is_stalled(max), "idle between requests");
    assert!(activity.read(b"GET / HT"));
    tokio::time::advance(max).await;
    assert!(activity.is_stalled(max), "half a head");
}

/// The clock is not read for a head that comes whole: nothing else may pass for one.
#[tokio::test(start_paused = true)]
async fn only_a_whole_head_is_no_wait() {
    let max = Duration::from_secs(10);
    let cases: [(&[&str], bool); 6] = [
        // Hyper makes a request of it at once; until then nothing is waited for.
        (&["GET / HTTP/1.1\r\nhost: a\r\n\r\n"], false),
        (&["GET / HTTP/1.1\r\n"], true),
        // Empty lines before a head are passed over.
        (&["\r\n\r\n"], true),
        (&["\r\n\r\n", "GET / HTTP/1.1\r\n"], true),
        // Of two pieces, each of which ends like one: what follows a body that nobody read.
        (&["a\r\n\r\n", "a\r\n\r\n"], true),
        (&["GET /a\r\n\r\n", "GET / HT"], true),
    ];
    for (pieces, stalls) in cases {
        let activity = Arc::new(Activity::new(Protocol::Http1));
        drop(activity.request());
        for piece in pieces {
            assert!(activity.read(piece.as_bytes()));
        }
        tokio::time::advance(max).await;
        assert_eq!(activity.is_stalled(max), stalls, "{pieces:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_waited_for_since_its_first_piece() {
    let max = Duration::from_secs(10);
    let activity = Arc::new(Activity::new(Protocol::Http1));
    drop(activity.request());
    for piece in ["GET / HTTP/1.1\r\n", "host: a\r\n"] {
        assert!(!activity.is_stalled(max), "{piece}");
        assert!(activity.read(piece.as_bytes()));
        tokio::time::advance(max / 2).await;
    }
    assert!(activity.is_stalled(max));
    drop(activity.request());
    assert!(!activity.is_stalled(max), "it is read");
}

#[test]
fn the_preface_is_recognised_byte_by_byte() {
    let activity = Activity::new(Protocol::Any);
    for byte in PREFACE {
        assert!(!activity.is_http2());
        assert!(activity.read(&[*byte]));
    }
    assert!(activity.is_http2());
    let other = Activity::new(Protocol::Any);
    assert!(other.read(b"PRI * HTTP/1.1\r\n"));
    assert!(other.read(b"0\r\n\r\nSM\r\n\r\n"));
    assert!(!other.is_http2());
}

#[test]
fn who_agreed_on_one_protocol_speaks_no_other() {
    let (h1, h2) = (b"GET / HTTP/1.1\r\n", PREFACE);
    for (agreed, said, fits) in [
        (Protocol::Http1, &h1[..], true),
        (Protocol::Http1, h2, false),
        (Protocol::Http2, h2, true),
        (Protocol::Http2, h1, false),
        (Protocol::Any, h1, true),
        (Protocol::Any, h2, true),
    ] {
        let activity = Activity::new(agreed);
        let taken = said.iter().all(|byte| activity.read(&[*byte]));
        assert_eq!(taken, fits, "{agreed:?}");
    }
}

/// What hyper makes of a head: without the length beside chunks.
fn parsed(headers: &[(&'static str, &'static str)]) -> Request<()> {
    let request = Request::post("/");
    let add = |request: http::request::Builder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, add).body(()).unwrap()
}

const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

#[test]
fn a_head_names_what_was_sent_however_it_came() {
    let activity = Arc::new(Activity::new(Protocol::Any));
    let named = |request| activity.head_names("content-length:", &request);
    assert!(activity.read(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nContent-"));
    assert!(activity.read(b"LENGTH: 5\r\n\r\n"));
    assert_eq!(named(parsed(&[CHUNKED])), Some(true));
    let answered = activity.request();
    assert_eq!(named(parsed(&[CHUNKED])), None, "it was read");
    drop(answered);
    assert!(activity.read(b"\r\nPOST / HTTP/1.1\ntransfer-encoding: chunked\n\n0\r\n\r\n"));
    assert_eq!(named(parsed(&[CHUNKED])), Some(false));
}

#[test]
fn what_a_head_does_not_name_is_known_only_of_a_whole_one() {
    let activity = Arc::new(Activity::new(Protocol::Any));
    let named = |request| activity.head_names("content-length:", &request);
    // The rest of a head whose beginning came with the request before, or with its body: as it is, and as one that
    // looks whole, being cut where a value looks like a first line.
    let hidden = "transfer-encoding: chunked\r\ncontent-length: 5\r\nx: ";
    for x in ["y", "POST / HTTP/1.1"] {
        let rest = format!("{x}\r\nz: w\r\n\r\n");
        let whole = || parsed(&[CHUNKED, ("x", x), ("z", "w")]);
        let before = format!("POST / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\n{hidden}");
        assert!(activity.read(before.as_bytes()));
        drop(activity.request());
        assert!(activity.read(rest.as_bytes()));
        assert_eq!(named(whole()), None, "{rest}");
        let answered = activity.request();
        assert!(activity.read(format!("POST / HTTP/1.1\r\n{hidden}").as_bytes()));
        drop(answered);
        assert!(activity.read(rest.as_bytes()));
        assert_eq!(named(whole()), None, "{rest}");
        drop(activity.request());
    }
    let padded = [
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: ".to_vec(),
        vec![b' '; HEAD_KEPT_MAX],
        b"a\r\n\r\n".to_vec(),
    ];
    assert!(activity.read(&padded.concat()));
    assert_eq!(named(parsed(&[CHUNKED, ("x", "a")])), None, "too long");
}

#[tokio::test(start_paused = true)]
async fn who_takes_something_of_one_answer_is_not_left_for_another() {
    let max = Duration::from_secs(30);
    let activity = Activity::new(Protocol::Any);
    tokio::time::advance(max).await;
    assert!(!activity.takes_nothing(max), "nothing was answered");
    activity.hold();
    activity.hold();
    tokio::time::advance(max / 2).await;
    activity.release();
    tokio::time::advance(max / 2).await;
    assert!(!activity.takes_nothing(max));
    tokio::time::advance(max / 2).await;
    assert!(activity.takes_nothing(max));
    activity.release();
    assert!(!activity.takes_nothing(max));
}

/// Whoever looks just when a request ends must not see one that ended long ago.
#[test]
fn the_end_of_a_request_is_seen_with_its_time() {
    const LASTS: Duration = Duration::from_millis(10);
    let activity = Arc::new(Activity::new(Protocol::Any));
    assert!(activity.read(PREFACE));
    let (over, turn) = (AtomicBool::new(false), AtomicUsize::new(0));
    let wrong = std::thread::scope(|scope| {
        let mut at_work = activity.request();
        let looking = scope.spawn(|| {
            let mut wrong = 0;
            while !over.load(Ordering::Relaxed) {
                // Within an even turn there is a request, or its end is being told.
                let before = turn.load(Ordering::SeqCst);
                let is_idle = activity.is_idle(LASTS / 2);
                let within = before % 2 == 0 && turn.load(Ordering::SeqCst) == before;
                wrong += u32::from(is_idle && within);
            }
            wrong
        });
        for _ in 0..100 {
            std::thread::sleep(LASTS);
            drop(at_work);
            turn.fetch_add(1, Ordering::SeqCst);
            at_work = activity.request();
            turn.fetch_add(1, Ordering::SeqCst);
        }
        over.store(true, Ordering::Relaxed);
        looking.join().unwrap()
    });
    assert_eq!(wrong, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http1_rests_between_its_requests() {
    let second = Duration::from_secs(1);
    let activity = Arc::new(Activity::new(Protocol::Any));
    let mut rest = Rest::begin();
    let mut look = async || {
        tokio::time::advance(second).await;
        rest.look(&activity)
    };
    assert_eq!(look().await, Duration::ZERO, "a head is awaited");
    assert!(activity.read(b"GET / HTTP/1.1\r\n\r\n"));
    let answering = activity.request();
    assert_eq!(look().await, Duration::ZERO);
    drop(answering);
    assert_eq!(look().await, Duration::ZERO, "seen for the first time");
    assert_eq!(look().await, second);
    drop(activity.request());
    assert_eq!(look().await, Duration::ZERO, "something was asked between");
    assert_eq!(look().await, second);
    assert!(activity.read(b"GET /"));
    assert_eq!(look().await, Duration::ZERO, "half a head");
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_http2_is_idle_when_nothing_is_asked_or_answered() {
    let max = Duration::from_secs(75);
    let activity = Arc::new(Activity::new(Protocol::Any));
    tokio::time::advance(max).await;
    assert!(!activity.is_idle(max), "it is HTTP/1.1 until the preface");
    assert!(activity.read(PREFACE));
    let request = activity.request();
    tokio::time::advance(max).await;
    assert!(!activity.is_idle(max), "it is being answered");
    activity.hold();
    drop(request);
    tokio::time::advance(max).await;
    assert!(!activity.is_idle(max), "the answer is not taken");
    activity.release();
    assert!(!activity.is_idle(max));
    tokio::time::advance(max).await;
    assert!(activity.is_idle(max));
}
