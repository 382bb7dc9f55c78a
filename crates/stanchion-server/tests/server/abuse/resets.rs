//! G3: requests that are begun and taken back, by the client or, at its will, by ourselves.

use super::super::shop::settings;
use super::wire::*;
use super::*;

/// The bound of streams at once, which resets do not lift.
const STREAMS_MAX: usize = 200;
const RESETS: u32 = 5_000;

#[tokio::test]
async fn resets_do_not_lift_the_bound_of_handlers_at_once() {
    let abused = Abused::start(settings()).await;
    let neighbour = abused.neighbour();
    let before = resident_bytes();
    // Some at a time in one packet each: those are counted before they are begun, or after.
    for batch in [10, 100] {
        let mut wire = Wire::open(abused.address, &[]).await;
        let mut taken = true;
        for number in (0..RESETS).step_by(batch) {
            let streams = (number..number + batch as u32).map(|number| 1 + 2 * number);
            let bytes = streams.flat_map(|stream| {
                let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
                [ask(stream, "/hold", false), reset].concat()
            });
            taken = wire.send(&bytes.collect::<Vec<_>>()).await;
            if !taken {
                break;
            }
            wire.discard();
            // Time to begin them.
            tokio::task::yield_now().await;
        }
        println!(
            "{batch} at a time: at most {} handlers",
            abused.holding.most()
        );
        if taken {
            wire.ended().await;
        }
    }
    assert!(
        abused.holding.most() <= STREAMS_MAX,
        "{}",
        abused.holding.most()
    );
    abused.left_with(1, Duration::from_secs(3)).await;
    nobody_holds(&abused).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    neighbour.noticed_nothing().await;
}

/// MadeYouReset (CVE-2025-8671): after its request a client makes an error, and we reset the stream ourselves.
#[tokio::test]
async fn errors_that_make_us_reset_do_not_lift_it_either() {
    let abused = Abused::start(settings()).await;
    let neighbour = abused.neighbour();
    let before = resident_bytes();
    type Error = fn(u32) -> Vec<u8>;
    let errors: [(&str, Error); 6] = [
        ("a window that grows by nothing", |s| {
            frame(WINDOW_UPDATE, 0, s, &[0; 4])
        }),
        ("a window beyond its bound", |s| {
            frame(WINDOW_UPDATE, 0, s, &[127, 255, 255, 255])
        }),
        ("DATA behind the end", |s| frame(DATA, 0, s, b"x")),
        ("a head behind the end", |s| {
            frame(HEADERS, END_HEADERS, s, &fields(&[("x", "y")]))
        }),
        ("PRIORITY of four bytes", |s| frame(PRIORITY, 0, s, &[0; 4])),
        ("a stream that depends on itself", |s| {
            frame(PRIORITY, 0, s, &[s.to_be_bytes().as_slice(), &[1]].concat())
        }),
    ];
    for (name, error) in errors {
        let mut wire = Wire::open(abused.address, &[]).await;
        let mut taken = true;
        for number in 0..RESETS {
            let stream = 1 + 2 * number;
            taken = wire
                .send(&[ask(stream, "/hold", false), error(stream)].concat())
                .await;
            if !taken {
                break;
            }
            wire.discard();
            tokio::task::yield_now().await;
        }
        println!("{name}: at most {} handlers", abused.holding.most());
        let most = abused.holding.most();
        assert!(most <= STREAMS_MAX, "{name}: {most}");
        // It was ended, or none of it is an error here and the streams are simply all taken.
        if taken {
            println!("{name}: {:?}", wire.next().await.map(|frame| frame.kind));
        }
        drop(wire);
        abused.left_with(1, Duration::from_secs(5)).await;
        nobody_holds(&abused).await;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    neighbour.noticed_nothing().await;
}

#[tokio::test]
async fn more_streams_than_the_bound_are_refused() {
    for bound in [STREAMS_MAX, 20] {
        // All that the connection lets in is let in.
        let mut all_in = settings();
        all_in.admission.adaptive_on = false;
        if bound != STREAMS_MAX {
            all_in.http2_streams_max = bound as u32;
        }
        let abused = Abused::start(all_in).await;
        let mut wire = Wire::open(abused.address, &[]).await;
        // Whoever knows the bound keeps it; h2 takes a few that do not, and refuses each.
        wire.next_of(SETTINGS).await.unwrap();
        for number in 0..(bound as u32 + 20) {
            wire.send(&ask(1 + 2 * number, "/hold", false)).await;
        }
        let refused = wire.next_of(RST_STREAM).await.unwrap();
        assert_eq!(refused.payload, [0, 0, 0, 7], "REFUSED_STREAM");
        assert!(refused.stream > 2 * bound as u32 - 2, "{}", refused.stream);
        let began = Instant::now();
        while abused.holding.most() < bound {
            let most = abused.holding.most();
            assert!(began.elapsed() < Duration::from_secs(3), "{most}");
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(50)).await;
        assert_eq!(abused.holding.most(), bound);
    }
}

/// Handlers end with their connections, soon.
pub(super) async fn nobody_holds(abused: &Abused) {
    let began = Instant::now();
    while abused.holding.now.load(Ordering::Relaxed) > 0 {
        assert!(began.elapsed() < Duration::from_secs(3), "handlers go on");
        sleep(Duration::from_millis(5)).await;
    }
}
