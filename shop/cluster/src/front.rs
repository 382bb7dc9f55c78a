//! HAProxy before all services: each path to the context that serves it.

use std::fs;
use std::path::Path;

use anyhow::Result;
use stanchion_testing::process::{Launch, ServiceProcess, free_port};

use crate::{CONTEXTS, Certificates};

const BINARY: &str = "/usr/sbin/haproxy";

/// Clients speak HTTP/1.1 or HTTP/2, gRPC goes on in HTTP/2. What services ask each other goes another way, and is
/// nobody's business here. No request is sent again but one that found no connection.
const CONFIG: &str = r#"global
    log stdout format raw daemon notice
    maxconn 4000
    nbthread 1
defaults
    mode http
    log global
    option forwardfor
    timeout connect 2s
    timeout client 90s
    timeout server 90s
    timeout http-keep-alive 60s
    retries 3
    option redispatch
{checks}frontend front
    bind 127.0.0.1:{port}
    http-request deny deny_status 404 if { path_beg /identity.v1. }
    acl grpc hdr_beg(content-type) application/grpc
    acl orders path_beg /api/v1/orders /order.v1.
    acl orders path_reg ^/api/v1/users/[^/]+/orders$
    acl inventory path_beg /api/v1/products /inventory.v1.
    acl payments path_beg /api/v1/payments /payment.v1.
    use_backend orders-grpc if grpc orders
    use_backend inventory-grpc if grpc inventory
    use_backend payments-grpc if grpc payments
    use_backend identity-grpc if grpc
    use_backend orders if orders
    use_backend inventory if inventory
    use_backend payments if payments
    default_backend identity
frontend here
    bind 127.0.0.1:{here}
    monitor-uri /here
"#;

/// Whether this machine has one.
#[must_use]
pub fn is_installed() -> bool {
    Path::new(BINARY).exists()
}

/// Where a context has several processes that serve: one that stops gets nothing new well within its lame duck.
const CHECKS: &str = r#"    timeout check 2s
    option httpchk GET /ready
    http-check expect status 200
    default-server check inter 300ms fall 3 rise 1
"#;

pub(crate) fn spawn(
    folder: &Path,
    port: u16,
    ports: &[Vec<u16>],
    tls: Option<&Certificates>,
) -> Result<ServiceProcess> {
    let here = free_port()?;
    let several = ports.iter().any(|ports| ports.len() > 1);
    let mut config = CONFIG
        .replace("{port}", &port.to_string())
        .replace("{here}", &here.to_string())
        .replace("{checks}", if several { CHECKS } else { "" });
    for (context, ports) in CONTEXTS.iter().zip(ports) {
        for (name, protocol) in [("", Protocol::Http1), ("-grpc", Protocol::Http2)] {
            config += &format!("backend {context}{name}\n");
            for (nth, port) in ports.iter().enumerate() {
                let how = protocol.how(several, tls);
                config += &format!("    server s{nth} 127.0.0.1:{port}{how}\n");
            }
        }
    }
    let file = folder.join("haproxy.cfg");
    fs::write(&file, config)?;
    let launch = Launch::new(BINARY).arg("-f").arg(file);
    launch
        .ready_when(format!("http://127.0.0.1:{here}/here"))
        .spawn()
}

/// What is spoken to the services.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// The words of a server's line.
    fn how(self, checked: bool, tls: Option<&Certificates>) -> String {
        let mut how = match self {
            Self::Http1 => String::new(),
            Self::Http2 => " proto h2".into(),
        };
        if checked {
            how += " check-proto h1";
        }
        if let Some(tls) = tls {
            how += &format!(
                " ssl verify required verifyhost localhost ca-file {} crt {}",
                tls.roots().display(),
                tls.bundle("front").display()
            );
            how += match self {
                Self::Http1 => " alpn http/1.1",
                Self::Http2 => " alpn h2",
            };
            if checked {
                how += " check-alpn http/1.1";
            }
        }
        how
    }
}
