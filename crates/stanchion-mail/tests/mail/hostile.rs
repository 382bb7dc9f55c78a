//! Servers that say nothing, too much, or what they should not. Each is a socket and a few lines.

use std::net::SocketAddr;
use std::time::Duration;

use stanchion_mail::{MailError, MailSettings};
use stanchion_runtime::task;
use stanchion_testing::servers::Smtp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::support::{is_unavailable, mail, send, settings};

/// What a server does with its one caller.
#[derive(Clone, Copy)]
enum Manner {
    /// It takes the connection and says nothing.
    Silent,
    /// It greets, and says nothing more.
    SilentAfter(&'static str),
    /// It says this again and again.
    Endless(&'static str),
    /// It hangs up at once.
    Gone,
}

async fn server(manner: Manner) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(task::spawn("server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(task::spawn("caller", behave(stream, manner)));
        }
    }));
    address
}

async fn behave(mut stream: TcpStream, manner: Manner) {
    match manner {
        Manner::Gone => {}
        Manner::Silent => hear(&mut stream).await,
        Manner::SilentAfter(line) => {
            let _ = stream.write_all(line.as_bytes()).await;
            hear(&mut stream).await;
        }
        Manner::Endless(line) => while stream.write_all(line.as_bytes()).await.is_ok() {},
    }
}

/// Until the caller has gone.
async fn hear(stream: &mut TcpStream) {
    let mut bytes = [0; 1024];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

fn hasty() -> MailSettings {
    MailSettings {
        timeout: Duration::from_secs(1),
        ..settings()
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_holds_nobody_longer_than_the_bound() {
    for manner in [
        Manner::Silent,
        Manner::SilentAfter("220 localhost\r\n"),
        Manner::SilentAfter("220-localhost and\r\n"),
        Manner::Endless("220-and one more line\r\n"),
    ] {
        let url = format!("smtp+plain://{}", server(manner).await);
        let began = Instant::now();
        let outcome = send(&url, &hasty(), &mail("ada@example.com")).await;
        assert!(is_unavailable(&outcome), "{outcome:?}");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_server_that_hangs_in_the_middle_holds_nobody_longer_than_the_bound() {
    let Some(server) = Smtp::required() else {
        return;
    };
    let url = format!("smtp+plain://{}", server.address());
    let began = Instant::now();
    let outcome = send(&url, &hasty(), &mail("slow@example.com")).await;
    assert!(is_unavailable(&outcome), "{outcome:?}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn whoever_is_gone_or_speaks_something_else_is_unavailable() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let mut addresses = vec![closed, server(Manner::Gone).await];
    for said in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\r\n",
        "999 ?\r\n",
        "421 full\r\n",
    ] {
        addresses.push(server(Manner::SilentAfter(said)).await);
    }
    for address in addresses {
        let url = format!("smtp+plain://{address}");
        let outcome = send(&url, &hasty(), &mail("ada@example.com")).await;
        assert!(is_unavailable(&outcome), "{address}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_a_server_says_is_not_repeated() {
    let said = "550 ada@example.com is nobody here, canary\r\n";
    let url = format!("smtp+plain://{}", server(Manner::SilentAfter(said)).await);
    let outcome = send(&url, &hasty(), &mail("ada@example.com")).await;
    assert_eq!(
        outcome,
        Err(MailError::Unavailable("the server said 550".into()))
    );
    let shown = format!("{outcome:?}");
    assert!(
        !shown.contains("ada") && !shown.contains("canary"),
        "{shown}"
    );
}

#[tokio::test]
async fn starttls_is_not_done_without() {
    // A man in the middle who takes STARTTLS out of the server's list gets no mail.
    let url = format!(
        "smtp://{}",
        server(Manner::SilentAfter("220 localhost\r\n250 localhost\r\n")).await
    );
    let outcome = send(&url, &hasty(), &mail("ada@example.com")).await;
    let why = "the server lacks what the mail needs, such as STARTTLS, AUTH or SMTPUTF8";
    assert_eq!(outcome, Err(MailError::Unavailable(why.into())));
}
