//! The points that need waiting: a client that sends its head byte by byte, and one that says nothing.

use std::time::Duration;

use jiff::SignedDuration;
use stanchion_runtime::clock;

use super::http::{Target, Wire};
use super::{Point, Verdict};

pub(super) fn all(public: &Target, patience: Duration) -> Vec<Point> {
    vec![header_timeout(public, patience)]
}

/// Half a request head; the server must not wait for the rest for ever.
fn header_timeout(public: &Target, patience: Duration) -> Point {
    let name = "header timeout";
    let began = clock::now();
    let ended = public
        .connect_for(patience)
        .and_then(|mut wire| Ok(ends_within(&mut *wire, patience)?));
    let took = clock::now().duration_since(began).as_secs();
    match ended {
        Ok(true) => Point::new(
            name,
            Verdict::Ok,
            format!("half a head is given up after {took} s"),
            "",
        ),
        Ok(false) => Point::new(
            name,
            Verdict::Fail,
            format!(
                "half a head is still waited for after {} s",
                patience.as_secs()
            ),
            "bound the time in which a head must arrive: a few clients that send none otherwise hold every connection",
        ),
        Err(error) => Point::new(name, Verdict::Skipped, error.to_string(), ""),
    }
}

fn ends_within(wire: &mut dyn Wire, patience: Duration) -> std::io::Result<bool> {
    let most = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
    let began = clock::now();
    wire.write_all(b"GET / HTTP/1.1\r\nhost: doctor\r\nx-slow: ")?;
    let mut buffer = [0; 512];
    loop {
        match wire.read(&mut buffer) {
            Ok(0) => return Ok(true),
            // Whoever goes on talking waits all the same.
            Ok(_) if clock::now().duration_since(began) > most => return Ok(false),
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                return Ok(false);
            }
            // A reset is an end as well.
            Err(_) => return Ok(true),
        }
    }
}
