//! HAProxy before both instances.

use std::{fs, path::Path, time::Duration};

use anyhow::{Result, ensure};
use stanchion_testing::process::{Launch, ServiceProcess, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use super::Stage;
use crate::workspace;

const BINARY: &str = "/usr/sbin/haproxy";
const READY_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
/// Two in each of two backends.
const SERVERS: usize = 4;

/// A port for HTTP/1.1 and one for HTTP/2, each in the same protocol behind it, and one that tells how it is.
/// Three failed probes take a server out, well within its lame duck; one good one brings it back. No request is sent
/// again but one that found no connection.
const CONFIG: &str = r#"global
    log stdout format raw daemon notice
    maxconn 4000
    nbthread 1
defaults
    mode http
    log global
    timeout connect 2s
    timeout check 2s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option httpchk GET /ready
    http-check expect status 200
    default-server check inter 300ms fall 3 rise 1
    retries 3
    option redispatch
frontend http1
    bind 127.0.0.1:{http1}
    default_backend http1
frontend http2
    bind 127.0.0.1:{http2} proto h2
    default_backend http2
frontend here
    bind 127.0.0.1:{here}
    monitor-uri /here
    stats enable
    stats uri /stats
backend http1
    server a {a}
    server b {b}
backend http2
    server a {a} proto h2 check-proto h1
    server b {b} proto h2 check-proto h1
"#;

pub(super) struct Proxy {
    http1: u16,
    http2: u16,
    here: u16,
    process: ServiceProcess,
}

impl Proxy {
    pub(super) fn is_installed() -> bool {
        Path::new(BINARY).exists()
    }

    pub(super) async fn start(stage: &Stage) -> Result<Self> {
        let (http1, http2, here) = (free_port()?, free_port()?, free_port()?);
        let [a, b] = stage.instances.each_ref().map(|one| one.address.as_str());
        let config = CONFIG
            .replace("{http1}", &http1.to_string())
            .replace("{http2}", &http2.to_string())
            .replace("{here}", &here.to_string())
            .replace("{a}", a)
            .replace("{b}", b);
        let file = workspace::target().join("chaos/rolling/haproxy.cfg");
        fs::write(&file, config)?;
        let launch = Launch::new(BINARY).arg("-f").arg(file);
        let launch = launch.ready_when(format!("http://127.0.0.1:{here}/here"));
        Ok(Self {
            http1,
            http2,
            here,
            process: launch.start(READY_WITHIN).await?,
        })
    }

    /// Waits until each backend has both servers: before that, an operator does not restart the next one.
    pub(super) async fn sees_both(&self, within: Duration) -> Result<()> {
        let began = Instant::now();
        while self.servers_up().await.unwrap_or_default() < SERVERS {
            let late = began.elapsed() > within;
            ensure!(!late, "HAProxy sees no two servers\n{}", self.said());
            sleep(POLL).await;
        }
        Ok(())
    }

    /// What it logged of its servers' health.
    pub(super) fn said(&self) -> String {
        self.process.stdout()
    }

    async fn servers_up(&self) -> Result<usize> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.here)).await?;
        let ask = "GET /stats;csv HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(ask.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let lines = answer.lines().filter(|line| line.starts_with("http"));
        let servers = lines.filter(|line| matches!(line.split(',').nth(1), Some("a" | "b")));
        Ok(servers.filter(|line| line.contains(",UP,")).count())
    }

    pub(super) fn http1(&self) -> String {
        format!("127.0.0.1:{}", self.http1)
    }

    pub(super) fn http2(&self) -> String {
        format!("127.0.0.1:{}", self.http2)
    }
}
