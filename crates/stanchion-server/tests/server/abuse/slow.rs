//! G1: clients who take their time.

use tokio::task::JoinSet;

use super::super::shop::settings;
use super::wire::{self, Wire, ask};
use super::*;

/// Attackers of a kind.
const EACH: usize = 60;
/// The service's timeouts here.
const TIMEOUT: Duration = Duration::from_millis(600);
/// Longer than a busy machine keeps the neighbour waiting for its turn.
const IDLE: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug)]
enum Slow {
    Head,
    Body,
    Http2Body,
    Reader,
    Http2Reader,
    Idle,
    Http2Idle,
}

#[tokio::test]
async fn slow_clients_are_left_in_time_and_nobody_else_waits() {
    let abused = Abused::start(ServerSettings {
        header_timeout: TIMEOUT,
        write_timeout: TIMEOUT,
        idle_timeout: IDLE,
        body_rate_min: stanchion_config::ByteSize(1_000),
        ..settings()
    })
    .await;
    let neighbour = abused.neighbour();
    for kind in [
        Slow::Head,
        Slow::Body,
        Slow::Http2Body,
        Slow::Reader,
        Slow::Http2Reader,
        Slow::Idle,
        Slow::Http2Idle,
    ] {
        let mut attackers = JoinSet::new();
        for _ in 0..EACH {
            attackers.spawn(attack(kind, abused.address));
        }
        sleep(Duration::from_millis(300)).await;
        let there = abused.connections();
        assert!(there > EACH / 2, "{kind:?}: {there}");
        let timeout = match kind {
            Slow::Idle => IDLE,
            // It is told to go first.
            Slow::Http2Idle => IDLE + TIMEOUT,
            _ => TIMEOUT,
        };
        let left = abused.left_with(1, timeout + Duration::from_secs(2)).await;
        println!("{kind:?}: {there} connections, the last was left after {left:?}");
        attackers.shutdown().await;
    }
    neighbour.noticed_nothing().await;
}

/// Holds its connection for as long as it can.
async fn attack(kind: Slow, address: SocketAddr) {
    match kind {
        Slow::Head => drip(address, "GET /echo HTTP/1.1\r\nhost: a\r\nx: ", "y").await,
        Slow::Body => {
            let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
            drip(address, head, "z").await;
        }
        Slow::Http2Body => {
            let mut wire = Wire::open(address, &[]).await;
            wire.send(&ask(1, "/echo", true)).await;
            // The stream ends, not the connection: it then sits there until it is idle for too long.
            while wire.send(&wire::frame(wire::DATA, 0, 1, b"z")).await {
                if wire.next_of(wire::HEADERS).await.is_some() {
                    return;
                }
            }
        }
        Slow::Reader => {
            let mut line = Line::open(address).await;
            line.say("GET /huge HTTP/1.1\r\nhost: a\r\n\r\n").await;
            sleep(Duration::from_secs(60)).await;
        }
        Slow::Http2Reader => {
            // No window: heads come, bodies cannot.
            let mut wire = Wire::open(address, &[(4, 0)]).await;
            for stream in [1, 3, 5] {
                wire.send(&ask(stream, "/large", false)).await;
            }
            while wire.next().await.is_some() {}
        }
        Slow::Idle => {
            let mut line = Line::open(address).await;
            line.get("/seen").await;
            line.answer().await;
            line.ended().await;
        }
        Slow::Http2Idle => {
            let mut wire = Wire::open(address, &[]).await;
            while wire.next().await.is_some() {}
        }
    }
}

/// A byte every 50 ms, until the connection is gone.
async fn drip(address: SocketAddr, head: &str, byte: &str) {
    let mut line = Line::open(address).await;
    line.say(head).await;
    loop {
        use tokio::io::AsyncWriteExt;
        if line.0.write_all(byte.as_bytes()).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What comes in meanwhile is the beginning of the next request, and none that is late.
#[tokio::test]
async fn a_long_answer_is_not_cut_for_the_next_head_that_has_begun() {
    use tokio::io::AsyncReadExt;

    let abused = Abused::start(ServerSettings {
        header_timeout: Duration::from_millis(400),
        ..settings()
    })
    .await;
    let mut line = Line::open(abused.address).await;
    line.say("GET /drips HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
    line.say("GET /api/v1/se").await;
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    while !answer.ends_with(b"0\r\n\r\n") {
        let read = line.0.read(&mut piece).await.unwrap();
        assert!(read > 0, "cut after {} bytes", answer.len());
        answer.extend_from_slice(&piece[..read]);
    }
    line.say("en HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn a_body_that_drips_is_refused_in_words() {
    let abused = Abused::start(ServerSettings {
        header_timeout: Duration::from_millis(300),
        ..settings()
    })
    .await;
    let mut line = Line::open(abused.address).await;
    line.say(
        "POST /api/v1/things HTTP/1.1\r\nhost: a\r\nauthorization: Bearer writer\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"name\"",
    )
    .await;
    let began = Instant::now();
    let (head, body) = line.answer().await.unwrap();
    assert!(head.starts_with("http/1.1 408"), "{head}{body}");
    assert!(head.contains("connection: close") && body.contains("REQUEST_TIMEOUT"));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    line.ended().await;
}
