//! Other protocols within a stream of HTTP/2: what is taken, what is not, and what a stop makes of it.

use axum::extract::Request;
use axum::http::StatusCode;
use hyper_util::rt::TokioIo;
use stanchion_server::Stopped;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::super::shop::{service_with, settings};
use super::wire::*;
use super::*;

/// `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441, 3).
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// A way through to somewhere else: here, to an echo.
async fn tunnel(mut request: Request) -> StatusCode {
    let upgrading = hyper::upgrade::on(&mut request);
    drop(task::spawn("tunnel", async move {
        let mut io = TokioIo::new(upgrading.await.unwrap());
        let mut piece = [0; 64];
        while let Ok(read @ 1..) = io.read(&mut piece).await {
            io.write_all(&piece[..read]).await.unwrap();
        }
    }));
    StatusCode::OK
}

async fn echoes(wire: &mut Wire) {
    assert!(wire.send(&frame(DATA, 0, 1, b"hello")).await);
    let said = wire.next_of(DATA).await.expect("an echo");
    assert_eq!((said.stream, said.payload.as_slice()), (1, &b"hello"[..]));
}

/// A browser then opens its WebSocket over HTTP/1.1.
#[tokio::test]
async fn websockets_over_http2_are_not_offered() {
    let abused = Abused::start(settings()).await;
    let mut wire = Wire::open(abused.address, &[]).await;
    let offered = wire.next_of(SETTINGS).await.expect("its settings");
    let mut names = offered
        .payload
        .chunks_exact(6)
        .map(|one| u16::from_be_bytes([one[0], one[1]]));
    assert!(names.all(|name| name != ENABLE_CONNECT_PROTOCOL));
}

/// Nobody learns when it ends: it is served for as long as a stop waits for anything, and is no request that is named.
#[tokio::test]
async fn a_tunnel_over_http2_is_served_until_a_stop_has_drained() {
    let drain = Duration::from_millis(1_500);
    let settings = ServerSettings {
        drain,
        ..settings()
    };
    let router = Router::new().fallback(tunnel);
    let service = service_with(settings).mount(Module::new("own").http_router(router));
    let mut running = service.start().await.unwrap();
    let mut wire = Wire::open(running.addresses().public.unwrap(), &[]).await;
    let head = fields(&[(":method", "CONNECT"), (":authority", "b:1")]);
    wire.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    wire.next_of(HEADERS).await.expect("a way through");
    echoes(&mut wire).await;
    let began = Instant::now();
    running.stop();
    // Behind the grace of those that are idle.
    sleep(Duration::from_millis(400)).await;
    echoes(&mut wire).await;
    let stopped = timeout(Duration::from_secs(5), running.stopped()).await;
    assert!(matches!(stopped, Ok(Stopped::Clean)), "{stopped:?}");
    assert!(began.elapsed() >= drain, "{:?}", began.elapsed());
}
