//! `doctor` asks a server that does everything wrong, and one of ours.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};

use serde_json::Value;

/// Answers 200 and HTML to whatever comes, lets every origin in, tells its version, waits for ever.
fn bad_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    #[allow(
        clippy::disallowed_methods,
        reason = "a server of a test, which ends with it"
    )]
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(connection));
        }
    });
    address
}

fn answer(connection: TcpStream) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
    let (mut origin, mut path) = (String::from("*"), String::new());
    while let Some(Ok(line)) = lines.next() {
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(value) = line.strip_prefix("origin: ") {
            value.clone_into(&mut origin);
        }
        if line.is_empty() {
            break;
        }
    }
    let status = if path.contains("health") || path.contains("ready") {
        "404 Not Found"
    } else {
        "200 OK"
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nserver: Toy/1.2.3\r\naccess-control-allow-origin: {origin}\r\naccess-control-allow-credentials: true\r\n\
         content-type: text/html\r\nconnection: close\r\n\r\n<p>thread 'main' panicked at src/main.rs:1</p>"
    );
    let mut connection = connection;
    let _ = connection.write_all(head.as_bytes());
    let _ = connection.shutdown(std::net::Shutdown::Write);
    let _ = connection.read(&mut [0; 64]);
}

fn doctor(arguments: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .arg("doctor")
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    let points = serde_json::from_slice(&stdout).unwrap_or_default();
    (status.code(), points, String::from_utf8(stderr).unwrap())
}

fn verdict<'a>(points: &'a [Value], name: &str) -> &'a str {
    let point = points.iter().find(|point| point["name"] == name);
    point.map_or("missing", |point| point["verdict"].as_str().unwrap())
}

#[test]
fn a_bad_server_fails_every_point_that_it_breaks() {
    let url = format!("http://{}", bad_server());
    let (code, points, err) = doctor(&[&url, "--patience", "1"]);
    assert_eq!(code, Some(1), "{err}");
    for name in [
        "liveness",
        "readiness",
        "security headers",
        "cors",
        "error shape",
        "request id",
        "bad requests",
        "header timeout",
    ] {
        assert_eq!(verdict(&points, name), "fail", "{name}: {points:#?}");
    }
    for name in ["openapi", "rate limit", "nothing told of itself", "metrics"] {
        assert!(
            matches!(verdict(&points, name), "warn" | "fail"),
            "{name}: {points:#?}"
        );
    }
    for point in points.iter().filter(|point| point["verdict"] == "fail") {
        assert!(!point["mend"].as_str().unwrap().is_empty(), "{point}");
    }
}

/// A stream of events, which says something for ever.
fn streaming_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    #[allow(
        clippy::disallowed_methods,
        reason = "a server of a test, which ends with it"
    )]
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let _ = connection.read(&mut [0; 1024]);
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                let mut said = connection.write_all(head.as_bytes());
                while said.is_ok() {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                    said = connection.write_all(b": still here\n\n");
                }
            });
        }
    });
    address
}

#[test]
fn a_service_that_never_ends_an_answer_is_examined_to_the_end() {
    let url = format!("http://{}", streaming_server());
    let (code, points, err) = doctor(&[&url, "--path", "/events", "--patience", "1"]);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(verdict(&points, "header timeout"), "fail", "{points:#?}");
}

#[test]
fn a_path_is_a_path_and_no_second_request() {
    for path in ["events", "/a b", "/a\r\nx-admin: yes"] {
        let (code, _, err) = doctor(&["http://127.0.0.1:9", "--path", path]);
        assert!(code == Some(2) && err.contains("is no path"), "{err}");
    }
}

#[test]
fn other_machines_are_not_asked_unless_that_is_said_and_nobody_there_is_a_failure() {
    let (code, _, err) = doctor(&["http://192.0.2.1"]);
    assert!(
        code == Some(2) && err.contains("is not this machine"),
        "{err}"
    );
    let (code, _, err) = doctor(&["http://127.0.0.1:9"]);
    assert!(code == Some(2) && err.contains("does not answer"), "{err}");
    let (code, _, err) = doctor(&["127.0.0.1:8080"]);
    assert!(code == Some(2) && err.contains("is no URL"), "{err}");
}
