//! Throwaway servers for tests, from the machine's own binaries.
//!
//! `cargo xtask test` starts one server of each kind for the whole run and names it in the environment; without it a
//! test process starts its own. Nothing has to be cleaned up: a server ends with the process that started it, even
//! when that process is killed.
//!
//! | variable | meaning |
//! |---|---|
//! | `STANCHION_TEST_POSTGRES` | URL of a server to share; its user may create databases |
//! | `STANCHION_TEST_RABBITMQ` | `amqp://` URL of a server to share; its user may do everything |
//! | `STANCHION_TEST_SERVERS` | `1`: a missing server fails the test; `0`: every test that needs one is skipped |
//! | `STANCHION_TEST_SKIPS` | a file that gets one line for each skipped test |

mod nats;
mod pgbouncer;
pub mod postgres;
mod rabbitmq;
mod redis;
mod smtp;

use std::{env, io::Write, thread};

pub use nats::{Nats, NatsOptions, NatsTls};
pub use pgbouncer::PgBouncer;
pub use postgres::{Cluster, Postgres};
pub use rabbitmq::{RabbitMq, RabbitMqOptions, RabbitMqTls};
pub use redis::Redis;
pub use smtp::{Smtp, SmtpOptions, SmtpTls};

use postgres::Account;

/// URL of a server that a test needs, or `None` after saying loudly that the test is skipped.
///
/// `"postgres"` gives the URL of a fresh, empty database. Where no server can be had the answer is `None` and the
/// test should return; with `STANCHION_TEST_SERVERS=1` it is a panic instead, so that CI never skips in silence.
///
/// ```no_run
/// # fn a_row_survives_a_restart() {
/// let Some(url) = stanchion_testing::servers::required("postgres") else { return };
/// # }
/// ```
///
/// # Panics
/// On a name that is no server, when a server is there but does not start, and as said above.
#[must_use]
pub fn required(server: &str) -> Option<String> {
    assert_eq!(server, "postgres", "known servers: postgres");
    if !wanted() || !Postgres::available() {
        skip(server);
        return None;
    }
    let database = Postgres::shared().and_then(Postgres::fresh_database);
    Some(database.unwrap_or_else(|error| panic!("{server} is installed but unusable: {error:#}")))
}

fn wanted() -> bool {
    env::var("STANCHION_TEST_SERVERS").as_deref() != Ok("0")
}

/// Says loudly that the current test is skipped because the machine lacks `what`, and records it.
///
/// For tests that need a program which is no server, such as a browser.
///
/// # Panics
/// With `STANCHION_TEST_SERVERS=1`, so that CI never skips in silence.
pub fn skip(what: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test} needs {what}, and none is installed or wanted");
    assert_ne!(
        env::var("STANCHION_TEST_SERVERS").as_deref(),
        Ok("1"),
        "{line}"
    );
    eprintln!("{line}");
    record_skip(&line);
}

/// Lets `cargo xtask test` count what libtest reports as passed.
fn record_skip(line: &str) {
    let Some(path) = env::var_os("STANCHION_TEST_SKIPS") else {
        return;
    };
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let written = file.and_then(|mut file| writeln!(file, "{line}"));
    written.expect("the file that STANCHION_TEST_SKIPS names can be appended to");
}
