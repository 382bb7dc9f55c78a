//! G6: what a handshake cannot be talked into.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;

/// A record of TLS's handshake.
fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[0x16, 3, 1][..], &length, payload].concat()
}

/// A greeting of TLS 1.2 as whoever sits in between leaves it over: nothing in it says that more is spoken.
fn greeting_of_12() -> Vec<u8> {
    let extensions = [
        // P-256; points as they are; ECDSA with SHA-256; the extended master secret.
        &[0, 10, 0, 4, 0, 2, 0, 0x17][..],
        &[0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 4, 0, 2, 4, 3],
        &[0, 23, 0, 0],
    ]
    .concat();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    // No session; ECDHE-ECDSA-AES128-GCM-SHA256 alone; no compression.
    hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    hello.extend((extensions.len() as u16).to_be_bytes());
    hello.extend(extensions);
    let length = (hello.len() as u32).to_be_bytes();
    record(&[&[1, length[1], length[2], length[3]], &hello[..]].concat())
}

/// RFC 8446, 4.1.3: a client that speaks 1.3 knows by it that somebody took that away.
#[tokio::test]
async fn who_is_spoken_12_to_is_told_that_13_is_spoken_here() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&greeting_of_12()).await.unwrap();
    // Record, handshake and version, then 32 bytes of chance, of which the last eight are none.
    let mut answer = [0; 43];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!((answer[0], answer[5]), (0x16, 2), "{answer:?}");
    assert_eq!(&answer[35..], b"DOWNGRD\x01");
}

#[tokio::test]
async fn a_handshake_is_not_begun_again_on_a_connection() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    let ran = task::blocking("openssl", move || {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-tls1_2", "-connect", &address.to_string()]);
        let piped = openssl.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().ok()?;
        let mut said = child.stdin.take().unwrap();
        // Asks for it, and then for an answer, on a line of its own each.
        said.write_all(b"R\n").unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let _gone = said.write_all(b"GET /whoami HTTP/1.1\r\nhost: localhost\r\n\r\n");
        std::thread::sleep(Duration::from_millis(300));
        drop(said);
        Some(child.wait_with_output().unwrap())
    });
    let Some(ran) = ran.await.unwrap() else {
        return eprintln!("skipped: openssl is not installed");
    };
    let told = [ran.stdout, ran.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("RENEGOTIATING"), "{told}");
    assert!(!told.contains("nobody"), "and it went on: {told}");
}

#[tokio::test]
async fn a_greeting_without_measure_ends_the_connection_at_once() {
    let authority = Authority::new("ours");
    let files = Files::of(&authority.identity("localhost"));
    let (_running, address) = start(files.settings()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // One message of 16 MB, in as many records as it takes.
    let began = Instant::now();
    let first = record(&[1, 0xff, 0xff, 0xff]);
    let more = record(&[7; 16 * 1024]);
    let mut sent = 0;
    let _gone = stream.write_all(&first).await;
    while stream.write_all(&more).await.is_ok() {
        sent += more.len();
        assert!(sent < 32 << 20, "it is listened to");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{sent} bytes");
    let client = authority.client(&[&TLS13], &[H1], None);
    assert!(connect(address, &client).await.is_ok());
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_shown_ours_and_goes() {
    let authority = Authority::new("ours");
    let own = authority.identity("localhost");
    let files = Files::of(&own);
    let (_running, address) = start(files.settings()).await;
    let client = authority.client(&[&TLS13], &[H1], None);
    let stream = TcpStream::connect(address).await.unwrap();
    let other = ServerName::try_from("another.example").unwrap();
    let connector = TlsConnector::from(Arc::clone(&client));
    let refused = connector.connect(other, stream).await.unwrap_err();
    assert!(refused.to_string().contains("not valid for"), "{refused}");
    assert_eq!(shown(address, &client).await, own.der());
}
