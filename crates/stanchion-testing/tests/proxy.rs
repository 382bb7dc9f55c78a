//! The fault proxy, between a client and a server that repeats what it hears.
#![allow(clippy::unwrap_used, reason = "a test may die")]

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use stanchion_testing::proxy::{Cut, FaultProxy};

/// Answers each chunk with the same bytes, and tells what it heard on each connection once that ends.
fn parrot() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = mpsc::channel();
    let listen = move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut all, mut chunk) = (Vec::new(), [0; 1024]);
            while let Ok(length @ 1..) = stream.read(&mut chunk) {
                all.extend_from_slice(&chunk[..length]);
                let _ = stream.write_all(&chunk[..length]);
            }
            let _ = tell.send(all);
        }
    };
    thread::Builder::new().spawn(listen).unwrap();
    (address, heard)
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// What comes back until the connection ends; a reset is an end as well.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut chunk) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = stream.read(&mut chunk) {
        all.extend_from_slice(&chunk[..length]);
    }
    all
}

fn say(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text);
}

#[test]
fn a_connection_that_falls_silent_is_not_closed() {
    let (server, _heard) = parrot();
    let proxy = FaultProxy::start(server).unwrap();
    let mut silent = connect(&proxy);
    say(&mut silent, b"before");
    proxy.cut(Cut::Silence, b"hush");
    silent.write_all(b"hush").unwrap();
    silent
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let nothing = silent.read(&mut [0; 8]).unwrap_err().kind();
    let waited = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
    assert!(waited.contains(&nothing), "{nothing:?}");
    assert!(!proxy.armed());
    // Once; and the server listens to one at a time.
    drop(silent);
    say(&mut connect(&proxy), b"hush");
}

#[test]
fn what_is_not_hurt_passes_unchanged() {
    let (server, heard) = parrot();
    let proxy = FaultProxy::start(server).unwrap();
    let mut client = connect(&proxy);
    say(&mut client, b"hello");
    say(&mut client, b"again");
    drop(client);
    assert_eq!(heard.recv().unwrap(), b"helloagain");
    assert_eq!(proxy.counts().connections, 1);
}

#[test]
fn a_turn_is_cut_at_every_byte_and_the_server_never_sees_the_rest() {
    let (server, heard) = parrot();
    let proxy = FaultProxy::start(server).unwrap();
    let turn = b"insert; Commit;";
    for bytes in 0..=turn.len() {
        let mut client = connect(&proxy);
        say(&mut client, b"begin");
        proxy.cut(Cut::Turn(bytes), b"commit");
        client.write_all(turn).unwrap();
        let _answer = rest(&mut client);
        assert_eq!(heard.recv().unwrap(), [b"begin", &turn[..bytes]].concat());
        assert!(!proxy.armed());
    }
    assert_eq!(proxy.counts().cut_turns, turn.len() as u64 + 1);
    proxy.cut(Cut::Tail(4), b"");
    connect(&proxy).write_all(turn).unwrap();
    assert_eq!(heard.recv().unwrap(), turn[..turn.len() - 4]);
}

#[test]
fn a_reply_is_cut_at_every_byte_after_the_server_saw_the_whole_turn() {
    let (server, heard) = parrot();
    let proxy = FaultProxy::start(server).unwrap();
    for bytes in 0..6 {
        let mut client = connect(&proxy);
        say(&mut client, b"begin");
        proxy.cut(Cut::Reply(bytes), b"commit");
        say(&mut client, b"other");
        client.write_all(b"commit").unwrap();
        assert_eq!(rest(&mut client), b"commit"[..bytes]);
        assert_eq!(heard.recv().unwrap(), b"beginothercommit");
    }
    assert_eq!(proxy.counts().cut_replies, 6);
}

#[test]
fn severed_connections_end_and_new_ones_are_refused_until_told_otherwise() {
    let (server, _heard) = parrot();
    let proxy = FaultProxy::start(server).unwrap();
    let mut client = connect(&proxy);
    say(&mut client, b"hello");
    proxy.refuse(true);
    proxy.sever();
    assert_eq!(rest(&mut client), b"");
    assert_eq!(rest(&mut connect(&proxy)), b"");
    proxy.refuse(false);
    say(&mut connect(&proxy), b"hello");
}

#[test]
fn a_stalled_connection_goes_on_where_it_stood() {
    let (server, _heard) = parrot();
    let proxy = FaultProxy::start(server).unwrap();
    let mut client = connect(&proxy);
    say(&mut client, b"hello");
    proxy.stall(true);
    client.write_all(b"waits").unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut answer = [0; 5];
    assert!(
        client.read(&mut answer).is_err(),
        "nothing comes while it is stalled"
    );
    proxy.stall(false);
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"waits");
}
