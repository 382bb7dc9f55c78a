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
