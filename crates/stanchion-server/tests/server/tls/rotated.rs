//! D5: certificates that change under load, among files that are none: no handshake and no request fails.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const ROTATIONS: usize = 20;
const CLIENTS: usize = 8;
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

/// Asks again and again, each time on a connection of its own; how often.
async fn ask_anew(address: SocketAddr, client: Arc<ClientConfig>, over: Arc<AtomicBool>) -> usize {
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        let stream = connect(address, &client).await.expect("a handshake");
        assert_eq!(ask_http1(stream).await.status(), 200);
        asked += 1;
    }
    asked
}

/// Asks again and again on one connection.
async fn ask_on(address: SocketAddr, client: Arc<ClientConfig>, over: Arc<AtomicBool>) -> usize {
    let io = TokioIo::new(connect(address, &client).await.expect("a handshake"));
    let shaken = http2::handshake(TokioExecutor::new(), io).await;
    let (mut sender, connection) = shaken.unwrap();
    drive(connection);
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        let answer = sender.send_request(request()).await.expect("an answer");
        assert_eq!(read(answer).await.status(), 200);
        asked += 1;
        sleep(Duration::from_millis(1)).await;
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_change_under_load_fail_nobody() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let settings = ServerSettings {
        tls: files.settings(),
        ..settings()
    };
    let router = axum::Router::new().route("/whoami", get(async || "whoever"));
    let service = Service::new(settings).mount(Module::new("tls").http_router(router));
    let running = service.start().await.unwrap();
    let address = running.addresses().public.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let anew = authority.client(&[&TLS13], &[H1], None);
    let kept = authority.client(&[&TLS13], &[H2], None);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| task::spawn("client", ask_anew(address, anew.clone(), over.clone())))
        .collect();
    clients.push(task::spawn("client", ask_on(address, kept, over.clone())));
    for rotation in 0..ROTATIONS {
        // Half written, of another key, or nothing at all: somebody is at it.
        let another = authority.identity("localhost").chain;
        let wrong: [&str; 3] = ["-----BEGIN CERTIFICATE-----\nMII", &another, ""];
        files.put("server.pem", wrong[rotation % wrong.len()]);
        sleep(Duration::from_millis(120)).await;
        let new = authority.identity("localhost");
        files.write(&new);
        let began = Instant::now();
        while shown(address, &anew).await != new.der() {
            assert!(began.elapsed() < TAKEN_WITHIN, "{rotation}: never taken");
            sleep(Duration::from_millis(10)).await;
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut asked = 0;
    for client in clients {
        asked += client.await.expect("nobody failed");
    }
    println!("{asked} requests beside {ROTATIONS} certificates");
    assert!(asked > 10 * ROTATIONS);
}
