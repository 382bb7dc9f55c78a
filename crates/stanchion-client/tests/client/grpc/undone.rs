//! What a status says, and what it does not say, of whether a call was done.

use std::net::SocketAddr;

use stanchion_runtime::task::spawn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;

/// HTTP/2 by hand: to each call the head of an answer, and then the word that nothing was done for it.
async fn refuses_after_its_heads() -> (SocketAddr, Arc<AtomicUsize>) {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const END_HEADERS: u8 = 4;
    /// `:status: 200`, of the static table; REFUSED_STREAM.
    const OK: [u8; 1] = [0x88];
    const REFUSED: [u8; 4] = [0, 0, 0, 7];
    let frame = |kind: u8, flags: u8, stream: [u8; 4], payload: &[u8]| {
        let head = [0, 0, payload.len() as u8, kind, flags];
        [&head[..], &stream[..], payload].concat()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    drop(spawn("refusing host", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).await.unwrap();
            let settings = frame(SETTINGS, 0, [0; 4], &[]);
            stream.write_all(&settings).await.unwrap();
            let mut head = [0; 9];
            while stream.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                stream.read_exact(&mut payload).await.unwrap();
                if head[3] == HEADERS {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let of = [head[5], head[6], head[7], head[8]];
                    let begun = frame(HEADERS, END_HEADERS, of, &OK);
                    stream.write_all(&begun).await.unwrap();
                    // The head is read before the reset comes.
                    sleep(Duration::from_millis(50)).await;
                    let refused = frame(RST_STREAM, 0, of, &REFUSED);
                    stream.write_all(&refused).await.unwrap();
                }
            }
        }
    }));
    (address, calls)
}

#[tokio::test]
async fn what_is_refused_after_its_answer_began_may_have_been_done() {
    let (address, calls) = refuses_after_its_heads().await;
    let url = format!("http://{address}");
    let mut client = HealthClient::new(channel(&url, &quick()));
    let status = client.check(asked("")).await.unwrap_err();
    let error = ClientError::of_status(&status).unwrap();
    assert!(matches!(error.reason(), Reason::Broken(_)), "{error}");
    assert_eq!((calls.load(Ordering::SeqCst), error.attempts()), (1, 1));
}

/// Without a wait nobody says that nothing was done: the answer may have been too large to be sent.
#[tokio::test]
async fn what_is_exhausted_is_sent_again_when_a_wait_is_named_or_it_may_be_repeated() {
    let host = Host::start().await;
    let mut client = HealthClient::new(channel(&host.url(), &quick()));
    host.answer(|nth, _| match nth {
        0 => status_alone("8", &[]),
        1 => status_alone("8", &[("grpc-retry-pushback-ms", "1")]),
        3 => status_alone("8", &[]),
        _ => message_then("0", &[]),
    });
    let status = client.check(asked("")).await.unwrap_err();
    assert_eq!((status.code(), host.calls()), (Code::ResourceExhausted, 1));
    client.check(asked("")).await.unwrap();
    assert_eq!(host.calls(), 3);
    client.check(repeatable("")).await.unwrap();
    assert_eq!(host.calls(), 5);
}
