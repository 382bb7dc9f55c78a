//! G3: whoever attacks over HTTP/2 and comes again as soon as it is ended, on one connection at a time: for a moment, or with
//! `STANCHION_ATTACK_SECONDS=60` for the minute of each kind that the row asks for.

use super::super::shop::settings;
use super::resets::nobody_holds;
use super::wire::*;
use super::*;

/// The bound of streams at once on a connection.
const STREAMS_MAX: usize = 200;
/// Frames that are sent at a time.
const BATCH: u32 = 50;
/// A connection that is not ended is given up by the attacker after as many streams.
const STREAMS_OF_ONE: u32 = 20_000;
const GROWN_MAX: usize = 64 << 20;

/// What is sent again and again on a connection.
struct Attack {
    name: &'static str,
    /// First, once.
    begins: fn() -> Vec<u8>,
    /// Then, by its number.
    goes_on: fn(u32) -> Vec<u8>,
    /// Whether it is a flood, of which the attacker is told; what stalls is left without a word.
    is_told: bool,
}

const ATTACKS: [Attack; 14] = [
    attack("rapid reset", none, |number| {
        let stream = 1 + 2 * number;
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        [ask(stream, "/hold", false), reset].concat()
    }),
    attack("made to reset: a window of nothing", none, |number| {
        begun(number, |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]))
    }),
    attack("made to reset: a window too large", none, |number| {
        begun(number, |stream| {
            frame(WINDOW_UPDATE, 0, stream, &[127, 255, 255, 255])
        })
    }),
    attack("made to reset: DATA behind the end", none, |number| {
        begun(number, |stream| frame(DATA, 0, stream, b"x"))
    }),
    attack("made to reset: HEADERS behind the end", none, |number| {
        begun(number, |stream| {
            frame(HEADERS, END_HEADERS, stream, &fields(&[("x", "y")]))
        })
    }),
    attack("made to reset: PRIORITY of four bytes", none, |number| {
        begun(number, |stream| frame(PRIORITY, 0, stream, &[0; 4]))
    }),
    attack("made to reset: depends on itself", none, |number| {
        begun(number, |stream| {
            let itself = [stream.to_be_bytes().as_slice(), &[1]].concat();
            frame(PRIORITY, 0, stream, &itself)
        })
    }),
    attack("CONTINUATION", headless, |_| {
        frame(CONTINUATION, 0, 1, &fields(&[("x", "y")]))
    }),
    attack("SETTINGS", none, |_| frame(SETTINGS, 0, 0, &[])),
    attack("PING", none, |_| frame(PING, 0, 0, &[0; 8])),
    attack("empty DATA", open, |_| frame(DATA, 0, 1, &[])),
    attack("DATA of one byte", open, |_| frame(DATA, 0, 1, b"x")),
    attack("GOAWAY", open, |_| frame(GOAWAY, 0, 0, &[0; 8])),
    Attack {
        is_told: false,
        ..attack("shut windows", shut, |number| {
            ask(1 + 2 * number, "/large", false)
        })
    },
];

const fn attack(
    name: &'static str,
    begins: fn() -> Vec<u8>,
    goes_on: fn(u32) -> Vec<u8>,
) -> Attack {
    Attack {
        name,
        begins,
        goes_on,
        is_told: true,
    }
}

fn none() -> Vec<u8> {
    Vec::new()
}

/// A request whose body is never read.
fn open() -> Vec<u8> {
    ask(1, "/hold", true)
}

/// A head that does not end.
fn headless() -> Vec<u8> {
    frame(HEADERS, END_STREAM, 1, &fields(&[(":method", "GET")]))
}

/// No window for any answer.
fn shut() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])
}

/// A request, and what makes us take it back.
fn begun(number: u32, wrong: fn(u32) -> Vec<u8>) -> Vec<u8> {
    let stream = 1 + 2 * number;
    [ask(stream, "/hold", false), wrong(stream)].concat()
}

impl Attack {
    /// One connection, until it is ended or the time is over; whether the attacker was told to go.
    async fn once(&self, abused: &Abused, until: Instant) -> bool {
        let mut wire = Wire::open(abused.address, &[]).await;
        let mut taken = wire.send(&(self.begins)()).await;
        for number in (0..STREAMS_OF_ONE).step_by(BATCH as usize) {
            if !taken || Instant::now() >= until {
                break;
            }
            let batch: Vec<u8> = (number..number + BATCH).flat_map(self.goes_on).collect();
            taken = wire.send_within(&batch, Duration::from_secs(1)).await;
            let holding = abused.holding.now.load(Ordering::Relaxed);
            assert!(holding <= STREAMS_MAX, "{}: {holding} handlers", self.name);
            wire.discard();
            tokio::task::yield_now().await;
        }
        // The kernel takes more than the service reads: what was sent to its end was read until it was too much.
        if self.is_told && taken && Instant::now() < until {
            wire.ended().await;
            return true;
        }
        !taken
    }
}

/// How long each kind attacks.
fn seconds() -> u64 {
    let given = std::env::var("STANCHION_ATTACK_SECONDS").ok();
    given.map_or(1, |given| given.parse().expect("a number of seconds"))
}

#[tokio::test]
async fn whoever_attacks_and_comes_again_is_bounded_for_as_long_as_it_goes_on() {
    let abused = Abused::start(ServerSettings {
        write_timeout: Duration::from_secs(2),
        ..settings()
    })
    .await;
    let span = Duration::from_secs(seconds());
    for attack in ATTACKS {
        let neighbour = abused.neighbour();
        let before = resident_bytes();
        let (mut connections, mut ended) = (0, 0);
        let until = Instant::now() + span;
        while Instant::now() < until {
            ended += u32::from(attack.once(&abused, until).await);
            connections += 1;
            nobody_holds(&abused).await;
        }
        abused.left_with(1, Duration::from_secs(5)).await;
        let grown = resident_bytes().saturating_sub(before);
        println!(
            "{}: {connections} connections, {ended} ended, {} handlers at most, {grown} bytes more",
            attack.name,
            abused.holding.most()
        );
        assert!(grown < GROWN_MAX, "{}: {grown} bytes more", attack.name);
        assert!(ended > 0 || !attack.is_told, "{}: goes on", attack.name);
        neighbour.noticed_nothing().await;
    }
    assert!(abused.holding.most() <= STREAMS_MAX);
}
