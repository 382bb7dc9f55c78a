//! G3, G5: windows that stay shut, and protocols that are mixed up.

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::shop::{service_with, settings};
use super::wire::*;
use super::*;

#[tokio::test]
async fn answers_that_nobody_takes_are_not_kept_for_long() {
    let abused = Abused::start(ServerSettings {
        write_timeout: Duration::from_millis(600),
        ..settings()
    })
    .await;
    let neighbour = abused.neighbour();
    let before = resident_bytes();
    let mut wires = Vec::new();
    // A shut window, and one that opens by a byte: 100 answers of 256 kB on each of two connections.
    for window in [0, 1] {
        let mut wire = Wire::open(abused.address, &[(4, window)]).await;
        for number in 0..100 {
            wire.send(&ask(1 + 2 * number, "/large", false)).await;
        }
        wires.push(wire);
    }
    abused.left_with(1, Duration::from_secs(4)).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("{grown} bytes more");
    assert!(grown < 128 << 20, "{grown} bytes more");
    neighbour.noticed_nothing().await;
}

/// What was given away of an answer without end, told when nobody wants more of it.
struct Given {
    bytes: usize,
    told: mpsc::UnboundedSender<usize>,
}

impl Drop for Given {
    fn drop(&mut self) {
        let _ = self.told.send(self.bytes);
    }
}

/// What the kernel takes of an answer is memory as well, of all connections together.
#[tokio::test]
async fn a_client_that_takes_nothing_is_given_little() {
    const PIECE: [u8; 4096] = [b'x'; 4096];
    let impatient = ServerSettings {
        write_timeout: Duration::from_millis(300),
        ..settings()
    };
    let (told, mut given) = mpsc::unbounded_channel();
    let endless = move || {
        let told = told.clone();
        let pieces = stream::unfold(Given { bytes: 0, told }, async |mut given| {
            given.bytes += PIECE.len();
            let piece = Ok::<_, Infallible>(Bytes::from_static(&PIECE));
            Some((piece, given))
        });
        async move { Body::from_stream(pieces) }
    };
    let router = Router::new().route("/endless", get(endless));
    let module = Module::new("own").http_router(router);
    let running = service_with(impatient).mount(module).start().await.unwrap();
    let mut line = Line::open(running.addresses().public.unwrap()).await;
    line.say("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let given = timeout(Duration::from_secs(5), given.recv()).await;
    let given = given.expect("it is left").unwrap();
    println!("{given} bytes");
    assert!(given < 1 << 20, "{given} bytes");
    // And keeps nothing of it for a client that is left.
    let rest = line.0.read_to_end(&mut Vec::new()).await;
    let kind = rest.expect_err("it was reset").kind();
    assert_eq!(kind, std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_client_that_takes_its_answers_slowly_is_not_left() {
    let abused = Abused::start(ServerSettings {
        write_timeout: Duration::from_secs(1),
        ..settings()
    })
    .await;
    let mut wire = Wire::open(abused.address, &[(4, 40_000)]).await;
    wire.send(&ask(1, "/large", false)).await;
    let mut got = 0;
    while got < 256 * 1024 {
        let Some(frame) = wire.next_of(DATA).await else {
            panic!("left after {got} bytes");
        };
        got += frame.payload.len();
        sleep(Duration::from_millis(100)).await;
        let more = (frame.payload.len() as u32).to_be_bytes();
        let both = [frame_of(1, &more), frame_of(0, &more)].concat();
        if !frame.payload.is_empty() {
            wire.send(&both).await;
        }
    }
}

fn frame_of(stream: u32, more: &[u8]) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, more)
}

#[tokio::test]
async fn a_preface_that_comes_byte_by_byte_is_one_all_the_same() {
    let abused = Abused::start(settings()).await;
    let whole = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
        &frame(SETTINGS, 0, 0, &[]),
        &ask(1, "/large", false),
    ]
    .concat();
    let mut line = Line::open(abused.address).await;
    for byte in whole {
        use tokio::io::AsyncWriteExt;
        line.0.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut wire = Wire::over(line.0);
    assert!(wire.next_of(DATA).await.is_some());
}

#[tokio::test]
async fn an_upgrade_to_another_protocol_is_not_taken() {
    let abused = Abused::start(settings()).await;
    let mut line = Line::open(abused.address).await;
    for (upgrade, more) in [
        ("h2c", "http2-settings: AAMAAABkAAQAAP__\r\n"),
        (
            "websocket",
            "sec-websocket-version: 13\r\nsec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n",
        ),
    ] {
        line.say(&format!(
            "GET /api/v1/seen HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n{more}\r\n"
        ))
        .await;
        let (head, _) = line.answer().await.unwrap();
        assert!(head.starts_with("http/1.1 200"), "{upgrade}: {head}");
    }
}

#[tokio::test]
async fn tls_on_a_plain_port_ends_at_once() {
    let abused = Abused::start(settings()).await;
    let mut line = Line::open(abused.address).await;
    use tokio::io::AsyncWriteExt;
    let hello = [&[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3][..], &[7; 196]].concat();
    line.0.write_all(&hello).await.unwrap();
    assert!(line.ended().await < Duration::from_secs(2));
}
