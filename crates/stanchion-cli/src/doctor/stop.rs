//! The stop: SIGTERM, and what is seen of it.

use std::process::Command;
use std::time::Duration;

use stanchion_runtime::clock;

use super::http::Target;
use super::{Point, Verdict};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn all(public: &Target, admin: &Target, process: u32, patience: Duration) -> Vec<Point> {
    let name = "graceful stop";
    if !alive(process) {
        return vec![Point::new(
            name,
            Verdict::Skipped,
            format!("there is no process {process}"),
            "",
        )];
    }
    let signalled = Command::new("kill")
        .args(["-TERM", &process.to_string()])
        .status();
    if !signalled.is_ok_and(|status| status.success()) {
        return vec![Point::new(
            name,
            Verdict::Skipped,
            format!("process {process} cannot be signalled"),
            "",
        )];
    }
    let began = clock::now();
    let (mut unready, mut broken) = (false, false);
    while alive(process) {
        if clock::now().duration_since(began)
            > jiff::SignedDuration::try_from(patience).unwrap_or(jiff::SignedDuration::MAX)
        {
            let mend = "stop accepting, finish what was begun, and end within a bound that is below the grace period";
            return vec![Point::new(
                name,
                Verdict::Fail,
                format!("still running {} s after SIGTERM", patience.as_secs()),
                mend,
            )];
        }
        unready |= admin.get("/ready").is_ok_and(|reply| reply.status == 503);
        broken |= public.get("/").is_err_and(|error| cut(&error));
        std::thread::sleep(LOOK);
    }
    let took = clock::now().duration_since(began).as_millis();
    let mut points = vec![Point::new(
        name,
        Verdict::Ok,
        format!("ended {took} ms after SIGTERM"),
        "",
    )];
    points.push(if broken {
        Point::new(
            "no answer cut",
            Verdict::Fail,
            "a connection was accepted and cut without an answer",
            "stop accepting before you close; answer what was accepted",
        )
    } else {
        Point::new(
            "no answer cut",
            Verdict::Ok,
            "whatever was accepted was answered",
            "",
        )
    });
    points.push(if unready {
        Point::new("unready first", Verdict::Ok, "/ready said 503 before the port closed", "")
    } else {
        Point::new("unready first", Verdict::Warn, "no /ready with 503 was seen before the end", "say not ready and serve on for some seconds, so that balancers notice; on a terminal that may be 0")
    });
    points
}

/// Accepted, and ended without an answer; a refused connection is as it should be.
fn cut(error: &anyhow::Error) -> bool {
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind);
    kind.is_some_and(|kind| {
        !matches!(
            kind,
            std::io::ErrorKind::ConnectionRefused
                | std::io::ErrorKind::TimedOut
                | std::io::ErrorKind::WouldBlock
        )
    })
}

/// Whether a process runs; one that has ended and waits for its parent does not.
fn alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| {
        !status
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
    })
}
