//! `__service__ health`: asks the running service whether it is ready; for containers, which have no curl.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use stanchion::server::{Options, Stopped};

/// How long connecting and the answer may take, each.
const PATIENCE: Duration = Duration::from_secs(3);

/// More than the first line of an answer.
const HEAD_BYTES_MAX: u64 = 64;

/// Ends well if `/ready` answers 200.
pub(crate) fn ask(options: &Options) -> Result<(), Stopped> {
    let mut address = crate::load(options)?.value.admin.listen;
    if address.ip().is_unspecified() {
        address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
    }
    let answer = first_line(address).map_err(|error| Stopped::Failed(format!("{address}: {error}")))?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(Stopped::Failed(format!("not ready: {answer}")))
}

fn first_line(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut head = String::new();
    stream.take(HEAD_BYTES_MAX).read_to_string(&mut head)?;
    Ok(head.lines().next().unwrap_or_default().to_owned())
}
