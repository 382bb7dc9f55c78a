//! Asks a running service for what the shipping checklist wants, over its ports; any service, in any language.
//!
//! Everything is asked over plain sockets, so that bad requests can be sent as well. Nothing is changed: requests are GET,
//! HEAD, OPTIONS and ones that no service takes. The number of connections and the time of each are bounded.

mod checks;
mod http;
mod slow;
mod stop;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use http::Target;

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;

/// What is asked, and how.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The public port: `http://127.0.0.1:8080`.
    pub(crate) url: String,
    /// The operator's port, if it is another one.
    pub(crate) admin: Option<String>,
    /// Its bearer token.
    pub(crate) admin_token: Option<String>,
    /// A path that is served, for headers and rate limits; `/` unless given.
    pub(crate) path: String,
    /// Whether hosts other than this machine may be asked.
    pub(crate) anywhere: bool,
    /// Metrics that must be there, by name.
    pub(crate) metrics: Vec<String>,
    /// The process that is to be stopped at the end.
    pub(crate) stop: Option<u32>,
    /// How long the slow questions (header timeout, stop) may take.
    pub(crate) patience: Duration,
    /// The certificates of whoever signed the service's, in a file.
    pub(crate) roots: Option<std::path::PathBuf>,
}

/// What one point came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It holds.
    Ok,
    /// It should be looked at.
    Warn,
    /// It does not hold.
    Fail,
    /// It could not be asked.
    Skipped,
}

/// One point of the checklist.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Point {
    /// Its name: `readiness`.
    pub(crate) name: &'static str,
    /// What it came to.
    pub(crate) verdict: Verdict,
    /// What was seen.
    pub(crate) seen: String,
    /// How it is mended; empty if there is nothing to mend.
    pub(crate) mend: String,
}

impl Point {
    fn new(name: &'static str, verdict: Verdict, seen: impl Into<String>, mend: &str) -> Self {
        let mend = if matches!(verdict, Verdict::Ok) {
            ""
        } else {
            mend
        };
        Self {
            name,
            verdict,
            seen: seen.into(),
            mend: mend.to_owned(),
        }
    }
}

/// Asks everything.
///
/// # Errors
/// The service cannot be reached at all, or is on another machine and nobody said that it may be asked.
pub(crate) fn examine(asked: &Asked) -> anyhow::Result<Vec<Point>> {
    let plain = |c: char| c.is_ascii_graphic();
    ensure!(
        asked.path.starts_with('/') && asked.path.chars().all(plain),
        "`{}` is no path: it begins with `/`, and has neither spaces nor other letters than ASCII's",
        asked.path.escape_debug()
    );
    let public = target(&asked.url, asked)?;
    let admin = match &asked.admin {
        Some(url) => target(url, asked)?.with_token(asked.admin_token.as_deref()),
        None => public.clone(),
    };
    public
        .get("/")
        .with_context(|| format!("{} does not answer", asked.url))?;
    let mut points = checks::all(&public, &admin, asked);
    points.extend(slow::all(&public, asked.patience));
    if let Some(process) = asked.stop {
        points.extend(stop::all(&public, &admin, process, asked.patience));
    }
    Ok(points)
}

fn target(url: &str, asked: &Asked) -> anyhow::Result<Target> {
    let (tls, rest) = match url.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        _ => bail!("`{url}` is no URL that begins with http:// or https://"),
    };
    let host = rest.split('/').next().unwrap_or_default();
    ensure!(
        !host.is_empty() && !host.contains('@'),
        "`{url}` names no host"
    );
    let default = if tls { 443 } else { 80 };
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port {
        host.to_owned()
    } else {
        format!("{host}:{default}")
    };
    let addresses: Vec<SocketAddr> = with_port
        .to_socket_addrs()
        .with_context(|| format!("{host} cannot be found"))?
        .take(ADDRESSES_MAX)
        .collect();
    // `localhost` is two addresses, and a service often listens on one of them.
    let listens = addresses.iter().find(|address| {
        addresses.len() > 1 && (asked.anywhere || is_here(address.ip())) && http::listens(**address)
    });
    let address = *listens
        .or(addresses.first())
        .with_context(|| format!("{host} has no address"))?;
    ensure!(
        asked.anywhere || is_here(address.ip()),
        "{host} is not this machine; say --anywhere if you may ask it"
    );
    Target::new(tls, host, address, asked.roots.as_deref())
}

fn is_here(address: IpAddr) -> bool {
    address.is_loopback()
}
