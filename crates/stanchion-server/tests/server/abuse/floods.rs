//! G3: frames without end, and heads that unfold.

use super::super::shop::settings;
use super::wire::*;
use super::*;

/// What is sent at most of each flood, in frames; an offender is gone long before.
const FRAMES_MAX: u32 = 20_000;

/// Sends it again and again, until nothing is taken any more; what the kernel took beyond that is for nobody.
async fn flooded(wire: &mut Wire, next: impl Fn(u32) -> Vec<u8>) {
    for number in (0..FRAMES_MAX).step_by(50) {
        let batch: Vec<u8> = (number..number + 50).flat_map(&next).collect();
        if !wire.send(&batch).await {
            return println!("gone after about {number} frames");
        }
        wire.discard();
        tokio::task::yield_now().await;
    }
    wire.ended().await;
}

#[tokio::test]
async fn frames_that_ask_for_nothing_are_taken_for_a_while_only() {
    let abused = Abused::start(settings()).await;
    let neighbour = abused.neighbour();
    let before = resident_bytes();
    let floods: [(&str, Vec<u8>); 7] = [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("answers to PING", frame(PING, 1, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("PRIORITY", frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 1])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("unknown kinds", frame(200, 0, 0, &[])),
    ];
    for (name, flood) in floods {
        println!("{name}");
        let mut wire = Wire::open(abused.address, &[]).await;
        wire.send(&ask(1, "/hold", true)).await;
        flooded(&mut wire, |_| flood.clone()).await;
    }
    abused.left_with(1, Duration::from_secs(3)).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    let counted = abused.metrics.encode();
    assert!(
        counted.contains(r#"refused_total{reason="flood"}"#),
        "{counted}"
    );
    neighbour.noticed_nothing().await;
}

/// As grpc-go does, which estimates the bandwidth: a PING and a window for every piece of a long answer of small ones.
#[tokio::test]
async fn who_answers_every_frame_with_two_of_its_own_is_no_offender() {
    let abused = Abused::start(settings()).await;
    let mut wire = Wire::open(abused.address, &[]).await;
    wire.send(&ask(1, "/pieces", false)).await;
    let mut pieces = 0;
    while let Some(piece) = wire.next_of(DATA).await {
        if piece.payload.is_empty() {
            break;
        }
        pieces += 1;
        let window = (piece.payload.len() as u32).to_be_bytes();
        let answer = [
            frame(PING, 0, 0, &[0; 8]),
            frame(WINDOW_UPDATE, 0, 1, &window),
            frame(WINDOW_UPDATE, 0, 0, &window),
        ];
        assert!(
            wire.send(&answer[..2].concat()).await,
            "left after {pieces}"
        );
        if pieces % 100 == 0 {
            let all = (100 * piece.payload.len() as u32).to_be_bytes();
            wire.send(&frame(WINDOW_UPDATE, 0, 0, &all)).await;
        }
    }
    assert_eq!(pieces, 4_000);
    let counted = abused.metrics.encode();
    assert!(!counted.contains(r#"reason="flood""#), "{counted}");
}

#[tokio::test]
async fn an_offender_is_told_to_go() {
    let abused = Abused::start(settings()).await;
    let mut wire = Wire::open(abused.address, &[]).await;
    let flood = frame(PING, 0, 0, &[0; 8]).repeat(3_000);
    wire.send(&flood).await;
    assert!(wire.ended().await.is_some(), "no GOAWAY");
}

#[tokio::test]
async fn a_head_in_a_thousand_pieces_and_one_that_unfolds_are_refused() {
    let abused = Abused::start(settings()).await;
    let neighbour = abused.neighbour();
    let before = resident_bytes();
    let beginning =
        |stream: u32| frame(HEADERS, END_STREAM, stream, &fields(&[(":method", "GET")]));

    // CONTINUATION without end (CVE-2024-27316), with something in it and without.
    for piece in [fields(&[("x", "y")]), Vec::new()] {
        let mut wire = Wire::open(abused.address, &[]).await;
        wire.send(&beginning(1)).await;
        flooded(&mut wire, |_| frame(CONTINUATION, 0, 1, &piece)).await;
    }

    // One entry of the table, four kilobytes long, named 12,000 times.
    let mut block = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/large"),
    ]);
    block.extend([0x40, 1, b'x']);
    length(&mut block, 4_000);
    block.extend([b'y'; 4_000]);
    block.extend([0xbe; 12_000]);
    for _ in 0..20 {
        let mut wire = Wire::open(abused.address, &[]).await;
        let (first, rest) = block.split_at(16_000);
        wire.send(&frame(HEADERS, END_STREAM, 1, first)).await;
        wire.send(&frame(CONTINUATION, END_HEADERS, 1, rest)).await;
        let refused = wire.next_of(HEADERS).await;
        // 431 from the static table's neighbourhood, a reset, or the end: but no answer of 256 kB.
        let body = match refused {
            Some(_) => wire.next_of(DATA).await,
            None => None,
        };
        let bytes = body.map_or(0, |frame| frame.payload.len());
        assert!(bytes < 2_000, "it was answered: {bytes} bytes");
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    neighbour.noticed_nothing().await;
}

#[tokio::test]
async fn what_breaks_the_rules_of_the_connection_ends_it() {
    let abused = Abused::start(settings()).await;
    let neighbour = abused.neighbour();
    let asked = ask(1, "/hold", false);
    let cases: [(&str, Vec<u8>); 10] = [
        ("a request on stream 0", ask(0, "/large", false)),
        ("an even stream", ask(2, "/large", false)),
        ("DATA on stream 0", frame(DATA, 0, 0, b"x")),
        ("a frame of 1 MB", frame(DATA, 0, 1, &vec![0; 1 << 20])),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        (
            "a window of 4 GB",
            frame(SETTINGS, 0, 0, &[0, 4, 255, 255, 255, 255]),
        ),
        (
            "PUSH_PROMISE",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
        ("PING of seven bytes", frame(PING, 0, 0, &[0; 7])),
        (
            "a window that grows by nothing",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        ),
        (
            "CONTINUATION of nothing",
            frame(CONTINUATION, END_HEADERS, 1, &[]),
        ),
    ];
    for (name, wrong) in cases {
        let mut wire = Wire::open(abused.address, &[]).await;
        wire.send(&[asked.clone(), wrong].concat()).await;
        let code = wire.ended().await;
        assert!(code.is_some_and(|code| code > 0), "{name}: {code:?}");
    }
    abused.left_with(1, Duration::from_secs(3)).await;
    neighbour.noticed_nothing().await;
}

#[tokio::test]
async fn a_client_that_says_goodbye_and_stays_is_served_no_more() {
    let abused = Abused::start(settings()).await;
    let neighbour = abused.neighbour();
    let mut wire = Wire::open(abused.address, &[]).await;
    let goodbye = frame(GOAWAY, 0, 0, &[0; 8]);
    wire.send(&[ask(1, "/large", false), goodbye.clone()].concat())
        .await;
    assert!(
        wire.next_of(DATA).await.is_some(),
        "what was asked before is answered"
    );
    flooded(&mut wire, |_| goodbye.clone()).await;
    drop(wire);
    abused.left_with(1, Duration::from_secs(3)).await;
    neighbour.noticed_nothing().await;
}
