//! The stop protocol, in process: nothing that was sent on an accepted connection is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use stanchion_runtime::task;
use stanchion_server::{Module, ServerSettings, Stopped};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::shop::{service_with, settings};
use super::sockets::{Line, start};

type Sender = http2::SendRequest<Empty<Bytes>>;

async fn h2(address: SocketAddr) -> Sender {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    task::spawn("h2 client", async move { drop(connection.await) });
    sender
}

async fn h2_get(sender: &mut Sender, path: &str) -> Result<u16, hyper::Error> {
    sender.ready().await?;
    let request = Request::get(format!("http://localhost/api/v1{path}"))
        .body(Empty::new())
        .unwrap();
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}

/// So many answers are a load.
const SERVED: u32 = 50;
const LOADED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_stop_under_keep_alive_loses_nothing() {
    let patient = ServerSettings {
        lame_duck: Some(Duration::from_millis(300)),
        ..settings()
    };
    let (mut running, address) = start(patient).await;
    let served = Arc::new(AtomicU32::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (served, over) = (served.clone(), over.clone());
            task::spawn("client", async move {
                while !over.load(Ordering::Relaxed) {
                    // A connection that cannot be opened was never accepted.
                    let Ok(stream) = TcpStream::connect(address).await else {
                        return;
                    };
                    let mut line = Line(stream);
                    loop {
                        line.get("/sleeps/5").await;
                        let Some((head, _)) = line.answer().await else {
                            panic!("a request was lost")
                        };
                        assert!(head.starts_with("http/1.1 200"), "{head}");
                        served.fetch_add(1, Ordering::Relaxed);
                        if head.contains("connection: close") {
                            over.store(true, Ordering::Relaxed);
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // A busy machine takes longer to serve so many.
    let loaded = timeout(LOADED_WITHIN, async {
        while served.load(Ordering::Relaxed) <= SERVED {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    loaded.await.expect("so many are never served");
    running.stop();
    for client in clients {
        client.await.unwrap();
    }
    assert!(matches!(running.stopped().await, Stopped::Clean));
}

#[tokio::test]
async fn a_stop_under_http2_finishes_every_stream() {
    let (mut running, address) = start(settings()).await;
    let mut sender = h2(address).await;
    assert_eq!(h2_get(&mut sender, "/seen").await.unwrap(), 200);
    let streams: Vec<_> = (0..20)
        .map(|_| {
            let mut sender = sender.clone();
            task::spawn("stream", async move {
                h2_get(&mut sender, "/sleeps/1500").await.unwrap()
            })
        })
        .collect();
    // Long enough for a busy machine to begin them all, and to end none.
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.stop();
    for stream in streams {
        assert_eq!(stream.await.unwrap(), 200);
    }
    assert!(matches!(running.stopped().await, Stopped::Clean));
    let refused = h2_get(&mut sender, "/seen").await.unwrap_err();
    assert!(
        refused.is_canceled() || refused.is_closed() || refused.source_is_goaway(),
        "{refused:?}"
    );
}

trait GoAway {
    fn source_is_goaway(&self) -> bool;
}

impl GoAway for hyper::Error {
    fn source_is_goaway(&self) -> bool {
        format!("{self:?}").to_lowercase().contains("go")
    }
}

#[tokio::test]
async fn a_request_that_crosses_the_stop_on_an_idle_connection_is_answered() {
    let gracious = ServerSettings {
        idle_grace: Duration::from_secs(2),
        ..settings()
    };
    let (mut running, address) = start(gracious).await;
    let mut line = Line::open(address).await;
    line.get("/seen").await;
    assert!(line.answer().await.is_some());
    running.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    line.get("/seen").await;
    let (head, _) = line.answer().await.expect("answered within the grace");
    assert!(head.contains("connection: close"));
    assert!(matches!(running.stopped().await, Stopped::Clean));
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn during_the_lame_duck_it_serves_and_is_not_ready() {
    let lame = ServerSettings {
        lame_duck: Some(Duration::from_secs(2)),
        ..settings()
    };
    let (mut running, address) = start(lame).await;
    running.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut line = Line::open(address).await;
    line.say("GET /ready HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (head, body) = line.answer().await.unwrap();
    assert!(
        head.starts_with("http/1.1 503") && body.contains("draining"),
        "{head}{body}"
    );
    let mut line = Line::open(address).await;
    line.get("/seen").await;
    assert!(line.answer().await.unwrap().0.starts_with("http/1.1 200"));
    assert!(matches!(running.stopped().await, Stopped::Clean));
}

#[tokio::test]
async fn a_stuck_request_is_cut_at_the_deadline_and_named() {
    let short = ServerSettings {
        drain: Duration::from_millis(400),
        ..settings()
    };
    let (mut running, address) = start(short).await;
    let mut line = Line::open(address).await;
    line.say("GET /api/v1/sleeps/600000 HTTP/1.1\r\nhost: a\r\nx-request-id: stuck-1\r\n\r\n")
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    running.stop();
    let stopped = running.stopped().await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(stopped.code(), 1);
    let Stopped::Cut { requests, workers } = stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!((requests.len(), workers.len()), (1, 0));
    let stuck = requests;
    assert_eq!(
        (stuck[0].method.as_str(), stuck[0].endpoint.as_str()),
        ("GET", "/api/v1/sleeps/{millis}")
    );
    assert_eq!(stuck[0].request_id, "stuck-1");
    assert!(line.answer().await.is_none());
}

#[tokio::test]
async fn waits_and_streams_end_as_they_stand_before_draining() {
    let (mut running, address) = start(settings()).await;
    let mut waiting = Line::open(address).await;
    waiting.say("POST /api/v1/waits HTTP/1.1\r\nhost: a\r\nprefer: wait=30\r\ncontent-length: 0\r\n\r\n").await;
    let mut watching = Line::open(address).await;
    watching
        .say("GET /api/v1/watch HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n")
        .await;
    let (head, _) = watching.answer().await.unwrap();
    assert!(head.contains("text/event-stream"), "{head}");
    let began = Instant::now();
    running.stop();
    let (head, body) = waiting.answer().await.unwrap();
    assert!(
        head.starts_with("http/1.1 202") && body.contains("as it stands"),
        "{head}"
    );
    watching.ended().await;
    assert!(matches!(running.stopped().await, Stopped::Clean));
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn workers_stop_after_requests_and_stores_close_last() {
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = order.clone();
        move || order.lock().push(what)
    };
    let (worker, closer) = (note("worker"), note("closer"));
    let module = Module::new("background")
        .worker("relay", |stop| async move {
            stop.cancelled().await;
            worker();
        })
        .worker_stopping_within(Duration::from_millis(100), "stubborn", |_| {
            std::future::pending()
        })
        .closer("pool", async move || closer());
    let mut running = service_with(settings())
        .mount(module)
        .start()
        .await
        .unwrap();
    let mut line = Line::open(running.addresses().public.unwrap()).await;
    line.get("/sleeps/1500").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    running.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(
        order.lock().is_empty(),
        "workers run while requests are served"
    );
    assert!(line.answer().await.is_some());
    let stopped = running.stopped().await;
    assert_eq!(*order.lock(), ["worker", "closer"]);
    assert_eq!(stopped.code(), 1, "what was aborted was cut off");
    let Stopped::Cut { requests, workers } = stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!(
        (requests.len(), workers),
        (0, vec!["background/stubborn".to_owned()])
    );
}

#[tokio::test]
async fn a_worker_that_panics_while_it_stops_is_a_failure() {
    let module = Module::new("background").worker("fragile", |stop| async move {
        stop.cancelled().await;
        panic!("out of luck")
    });
    let mut running = service_with(settings())
        .mount(module)
        .start()
        .await
        .unwrap();
    running.stop();
    let stopped = running.stopped().await;
    let Stopped::Failed(reason) = &stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!(reason, "worker background/fragile panicked: out of luck");
}

#[tokio::test]
async fn a_worker_that_panics_stops_the_service_with_a_failure() {
    let module = Module::new("background").worker("fragile", |_| async { panic!("out of luck") });
    let mut running = service_with(settings())
        .mount(module)
        .start()
        .await
        .unwrap();
    let stopped = timeout(Duration::from_secs(5), running.stopped())
        .await
        .unwrap();
    let Stopped::Failed(reason) = &stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!(reason, "worker background/fragile panicked: out of luck");
    assert_eq!(stopped.code(), 1);
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let (_running, address) = start(settings()).await;
    let again = ServerSettings {
        listen: address,
        ..settings()
    };
    let error = service_with(again).start().await.unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("another process"),
        "{error}"
    );
}
