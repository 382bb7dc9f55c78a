//! G1: clients who hang with an event stream open. Their systems take what is sent and say so; nobody reads it.

use super::super::shop::settings;
use super::wire::{DATA, HEADERS, Wire, ask};
use super::*;

const WATCH: &str = "/api/v1/watch";
const LASTS: Duration = Duration::from_secs(1);
/// Who reads comes back before that, on a busy machine too.
const IDLE_MAX: Duration = Duration::from_secs(3);
/// Beyond its idle time a connection of HTTP/2 has this long to go.
const HEAD_MAX: Duration = Duration::from_millis(500);
/// What a busy machine may take for it.
const LATE_MAX: Duration = Duration::from_secs(8);

fn brief() -> ServerSettings {
    ServerSettings {
        event_stream_timeout: LASTS,
        idle_timeout: IDLE_MAX,
        header_timeout: HEAD_MAX,
        ..settings()
    }
}

/// A client who has read the first event of a stream.
async fn watching(address: SocketAddr) -> Wire {
    let mut wire = Wire::open(address, &[]).await;
    wire.send(&ask(1, WATCH, false)).await;
    assert!(wire.next_of(DATA).await.is_some());
    wire
}

/// Reads the stream to its end and asks again, for as long as there is a connection; how often it asked.
async fn comes_back(wire: &mut Wire) -> u32 {
    let mut asked = 0;
    while let Some(frame) = wire.next_of(DATA).await {
        if frame.payload.is_empty() {
            asked += 1;
            wire.send(&ask(1 + 2 * asked, WATCH, false)).await;
        }
    }
    asked
}

#[tokio::test]
async fn a_client_that_hangs_is_left_when_its_event_stream_has_lasted_and_who_reads_stays() {
    let abused = Abused::start(brief()).await;
    let mut reader = watching(abused.address).await;
    let _hung = watching(abused.address).await;
    tokio::select! {
        left = abused.left_with(1, LASTS + IDLE_MAX + HEAD_MAX + LATE_MAX) => println!("left after {left:?}"),
        asked = comes_back(&mut reader) => panic!("who reads was left after asking {asked} times more"),
    }
    assert_eq!(abused.connections(), 1, "who reads is there");
    let ended = r#"stanchion_server_event_streams_cut_total{reason="timeout"} "#;
    assert!(abused.shows(&[ended]), "{}", abused.metrics.encode());
}

/// Of such a stream nobody asks for the next event, nor whether it is over.
#[tokio::test]
async fn a_stream_that_is_not_taken_gives_its_place_back_although_its_connection_stays() {
    let abused = Abused::start(brief()).await;
    let mut wire = Wire::open(abused.address, &[(4, 0)]).await;
    wire.send(&ask(1, WATCH, false)).await;
    assert!(wire.next_of(HEADERS).await.is_some());
    let given_back = [
        "stanchion_server_requests_waiting 0",
        r#"stanchion_server_event_streams_cut_total{reason="timeout"} 1"#,
    ];
    let began = Instant::now();
    while !abused.shows(&given_back) {
        let waited = began.elapsed();
        let shown = || abused.metrics.encode();
        assert!(waited < LASTS + LATE_MAX, "{waited:?}: {}", shown());
        sleep(Duration::from_millis(10)).await;
    }
    // Its first event was not taken for less than `write_timeout`.
    assert_eq!(abused.connections(), 1);
}
