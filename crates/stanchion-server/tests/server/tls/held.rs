//! What a client may hold over TLS, and for how long.

use rustls::HandshakeKind;

use super::*;

async fn serve(settings: ServerSettings, router: axum::Router) -> (Running, SocketAddr) {
    let service = Service::new(settings).mount(Module::new("tls").http_router(router));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    (running, address)
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_left_also_over_tls() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let impatient = ServerSettings {
        tls: files.settings(),
        write_timeout: Duration::from_millis(300),
        ..settings()
    };
    let large = axum::Router::new().route("/large", get(async || vec![b'x'; 40 * 1024]));
    let (_running, address) = serve(impatient, large).await;
    let client = authority.client(&[&TLS13], &[H1], None);
    let mut stream = connect(address, &client).await.unwrap();
    let began = Instant::now();
    // Asks, and reads nothing: nobody sees the end but whoever goes on to write.
    let left = loop {
        let asked = stream
            .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
            .await;
        let flushed = match asked {
            Ok(()) => timeout(Duration::from_secs(5), stream.flush()).await,
            Err(error) => Ok(Err(error)),
        };
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break true,
            Err(_) => break false,
        }
        if began.elapsed() > Duration::from_secs(8) {
            break false;
        }
        sleep(Duration::from_millis(1)).await;
    };
    assert!(left, "still held after {:?}", began.elapsed());
}

#[tokio::test]
async fn a_slow_client_that_takes_something_is_not_left() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let impatient = ServerSettings {
        tls: files.settings(),
        write_timeout: Duration::from_millis(800),
        ..settings()
    };
    let bytes = 24 * 1024 * 1024;
    let huge = axum::Router::new().route("/huge", get(async move || vec![b'x'; bytes]));
    let (_running, address) = serve(impatient, huge).await;
    let client = authority.client(&[&TLS13], &[H1], None);
    let mut stream = connect(address, &client).await.unwrap();
    let request = b"GET /huge HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let (mut got, mut piece) = (0, vec![0; 1024 * 1024]);
    let began = Instant::now();
    loop {
        let mut read = 0;
        while read < piece.len() {
            match stream.read(&mut piece[read..]).await.unwrap() {
                0 => break,
                more => read += more,
            }
        }
        got += read;
        if read == 0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(got > bytes, "{got} of {bytes}");
    assert!(began.elapsed() > Duration::from_millis(900), "slowly");
}

#[tokio::test]
async fn a_handshake_that_does_not_begin_holds_no_stop() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let patient = ServerSettings {
        tls: files.settings(),
        header_timeout: Duration::from_secs(60),
        ..settings()
    };
    let (mut running, address) = serve(patient, axum::Router::new()).await;
    let _silent = TcpStream::connect(address).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    running.stop();
    assert_eq!(running.stopped().await.code(), 0);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_client_with_a_certificate_shows_it_on_every_connection() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let roots = files.put("clients.pem", &authority.pem());
    let mutual = TlsSettings {
        client_roots: Some(roots),
        ..files.settings()
    };
    let friend = authority.identity("friend");
    for (settings, again) in [
        (mutual, HandshakeKind::Full),
        (files.settings(), HandshakeKind::Resumed),
    ] {
        let (_running, address) = start(settings).await;
        for version in [&TLS12, &TLS13] {
            let client = authority.client(&[version], &[H1], Some(&friend));
            for kind in [HandshakeKind::Full, again] {
                let mut stream = connect(address, &client).await.unwrap();
                assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
                // What sessions are resumed by comes with the answer.
                let request = b"GET /whoami HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
                stream.write_all(request).await.unwrap();
                stream.read_to_end(&mut Vec::new()).await.unwrap();
            }
        }
    }
}

/// G6: a thousand at once.
#[tokio::test]
async fn a_thousand_handshakes_that_stall_are_over_in_time_and_keep_nobody_out() {
    const STALLED: usize = 1_000;
    const PATIENCE: Duration = Duration::from_secs(2);
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let bounded = ServerSettings {
        tls: files.settings(),
        header_timeout: PATIENCE,
        connections_per_address_max: STALLED + 10,
        ..settings()
    };
    let whoami = axum::Router::new().route("/whoami", get(async || "somebody"));
    let (_running, address) = serve(bounded, whoami).await;
    let mut stalled = Vec::new();
    for number in 0..STALLED {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Every other one begins a record.
        if number.is_multiple_of(2) {
            stream.write_all(b"\x16\x03\x01\x00\x2d").await.unwrap();
        }
        stalled.push(stream);
    }
    let opened = Instant::now();
    let client = authority.client(&[&TLS13], &[H1], None);
    let answer = ask_http1(connect(address, &client).await.unwrap()).await;
    assert_eq!(answer.body(), "somebody");
    for stream in &mut stalled {
        let mut rest = Vec::new();
        // Ended in whatever way; what matters is that it is, and when.
        let ended = timeout(PATIENCE * 5, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still held");
    }
    let took = opened.elapsed();
    assert!(took < PATIENCE + Duration::from_secs(2), "{took:?}");
}
