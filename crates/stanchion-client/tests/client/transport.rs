//! Networks that fail (row C14 of the fault catalogue), connections that are kept, and bodies that are bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use stanchion_client::{ClientSettings, HttpClient, Reason};
use stanchion_resilience::Moment;
use stanchion_resilience::deadline::Deadline;
use stanchion_runtime::task::spawn;
use stanchion_telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use super::host::{Host, eventually, quick};

fn client(address: SocketAddr, settings: &ClientSettings) -> HttpClient {
    let url = format!("http://{address}");
    HttpClient::new("stub", &url, settings, &Metrics::default()).unwrap()
}

/// A port that hands each connection, once its request's head is there, to `answer`.
async fn raw<F>(answer: impl Fn(usize, TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(spawn("raw host", async move {
        for nth in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            drop(spawn("raw answer", answer(nth, stream)));
        }
    }));
    address
}

#[tokio::test]
async fn a_black_hole_costs_one_second_and_nothing_was_sent() {
    // A full backlog on Linux: further handshakes are not answered at all.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        let connect = TcpStream::connect(address);
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(100), connect).await {
            held.push(stream);
        }
    }
    let mut settings = quick();
    settings.policy.retry_on = false;
    let begun = Instant::now();
    let error = client(address, &settings)
        .post("/")
        .send()
        .await
        .unwrap_err();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(950) && took < Duration::from_millis(1_500),
        "{took:?}"
    );
    assert!(
        matches!(error.reason(), Reason::Connect(_)) && error.had_no_effect(),
        "{error}"
    );
}

#[tokio::test]
async fn a_reset_within_the_body_is_an_unknown_outcome_and_a_read_goes_on() {
    let address = raw(|nth, mut stream| async move {
        if nth > 0 {
            let whole = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwhole";
            stream.write_all(whole.as_bytes()).await.unwrap();
            return;
        }
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        stream.write_all(half.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let answer = client(address, &quick()).get("/").send().await.unwrap();
    assert_eq!(answer.text(), "whole");

    let address = raw(|_, mut stream| async move {
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        stream.write_all(half.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(20)).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let error = client(address, &quick())
        .post("/")
        .send()
        .await
        .unwrap_err();
    assert!(matches!(error.reason(), Reason::Broken(_)), "{error}");
    assert!(!error.had_no_effect() && error.attempts() == 1);
}

#[tokio::test]
async fn a_body_of_a_byte_a_second_ends_with_the_deadline() {
    let address = raw(|_, mut stream| async move {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    let client = client(address, &quick());
    let begun = Instant::now();
    let until = || Deadline::after(Moment::now(), Duration::from_millis(700));
    let error = client.get("/").until(until()).send().await.unwrap_err();
    assert!(error.is_late(), "{error}");
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(600) && took < Duration::from_millis(1_000),
        "{took:?}"
    );

    // Streamed, the head is there at once and the deadline ends the body.
    let begun = Instant::now();
    let mut streamed = client.get("/").until(until()).stream().await.unwrap();
    assert_eq!(streamed.status(), StatusCode::OK);
    let mut read = 0;
    let error = loop {
        match streamed.chunk().await {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) => panic!("it does not end"),
            Err(error) => break error,
        }
    };
    assert!(error.is_late() && read >= 1, "{error}");
    assert!(begun.elapsed() < Duration::from_millis(1_000));
}

#[tokio::test]
async fn a_piece_that_is_there_is_too_late_once_the_deadline_has_come() {
    let address = raw(|_, mut stream| async move {
        let two = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n";
        stream.write_all(two.as_bytes()).await.unwrap();
        std::future::pending().await
    })
    .await;
    let client = client(address, &quick());
    let within = Duration::from_secs(1);
    let until = Deadline::after(Moment::now(), within);
    let mut streamed = client.get("/").until(until).stream().await.unwrap();
    let first = streamed.chunk().await.unwrap();
    assert_eq!(first.as_deref(), Some(&b"a"[..]));
    // The other one comes meanwhile.
    sleep(within).await;
    for _ in 0..2 {
        let error = streamed.chunk().await.unwrap_err();
        assert!(error.is_late(), "{error}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_one_that_the_host_closed_is_replaced_unseen() {
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    let address = raw(move |_, mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(whole.as_bytes()).await.unwrap();
            // Closed a moment later, without a word about it.
            sleep(Duration::from_millis(30)).await;
        }
    })
    .await;
    let client = client(address, &quick());
    for nth in 1..=5 {
        client.post("/").send().await.unwrap();
        // A busy machine tells of the end later.
        sleep(Duration::from_millis(300)).await;
        assert_eq!(opened.load(Ordering::SeqCst), nth);
    }

    let host = Host::start().await;
    let metrics = Metrics::default();
    let client = HttpClient::new("kept", &host.url(), &quick(), &metrics).unwrap();
    for _ in 0..20 {
        client.get("/").send().await.unwrap();
    }
    let text = metrics.encode();
    assert!(
        text.contains("stanchion_client_connects_total{dependency=\"kept\",outcome=\"ok\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn connections_to_a_host_are_bounded_and_idle_ones_are_closed() {
    let host = Host::start().await;
    host.takes(Duration::from_millis(30));
    let mut settings = quick();
    settings.connections_max = 4;
    settings.idle_timeout = Duration::from_millis(500);
    let metrics = Metrics::default();
    let client = HttpClient::new("stub", &host.url(), &settings, &metrics).unwrap();
    let calls = (0..20).map(|_| client.get("/").send());
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    let opened = "stanchion_client_connects_total{dependency=\"stub\",outcome=\"ok\"} 4";
    assert!(metrics.encode().contains(opened), "{}", metrics.encode());
    eventually("nobody uses them", || {
        metrics
            .encode()
            .contains("stanchion_client_connections{dependency=\"stub\"} 0")
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_and_not_asked_for_again() {
    let host = Host::start().await;
    host.answer(|_, _| "x".repeat(100_000));
    let mut settings = quick();
    settings.body_bytes_max = "64KiB".parse_into();
    let error = host.client(&settings).get("/").send().await.unwrap_err();
    assert!(
        matches!(error.reason(), Reason::TooLarge(65_536)),
        "{error}"
    );
    assert_eq!(host.calls(), 1);
}

#[tokio::test]
async fn streamed_bodies_have_places_of_their_own_and_give_them_back() {
    let host = Host::start().await;
    host.answer(|_, _| super::host::endless());
    let mut settings = quick();
    settings.streams_max = 2;
    let metrics = Metrics::default();
    let client = HttpClient::new("stub", &host.url(), &settings, &metrics).unwrap();
    let one = client.get("/").stream().await.unwrap();
    let _other = client.get("/").stream().await.unwrap();
    assert_eq!(
        client.policy().bulkhead().unwrap().running(),
        0,
        "the policy is done with them"
    );
    let third = client.get("/").stream().await.unwrap_err();
    assert!(matches!(third.reason(), Reason::Refused(_)), "{third}");
    drop(one);
    client.get("/").stream().await.unwrap();
}

#[tokio::test]
async fn a_path_or_header_that_is_none_is_told_before_anything_is_sent() {
    let host = Host::start().await;
    let client = host.client(&quick());
    for call in [
        client.get("things"),
        client.get("/a b"),
        // What stands behind it would not be sent: another thing would be asked for.
        client.delete("/things/7#8"),
        client.get("/").header("x y", "1"),
        client.get("/").header("x-y", "1\n2"),
    ] {
        let error = call.send().await.unwrap_err();
        assert!(
            matches!(error.reason(), Reason::Malformed(_)) && error.had_no_effect(),
            "{error}"
        );
    }
    assert_eq!(host.calls(), 0);
}

trait ParseInto {
    fn parse_into(&self) -> stanchion_config::ByteSize;
}

impl ParseInto for str {
    fn parse_into(&self) -> stanchion_config::ByteSize {
        <stanchion_config::ByteSize as stanchion_config::Setting>::parse(self).unwrap()
    }
}
