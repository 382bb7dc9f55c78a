//! A throwaway PgBouncer in front of a PostgreSQL.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::postgres::Account;
use crate::process::Kept;

/// Where Debian puts it; not on everybody's path.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

const START_POLLS_MAX: u32 = 500;
const START_POLL: Duration = Duration::from_millis(20);

/// A PgBouncer that passes every database on to one server; dropped, it ends.
#[derive(Debug)]
pub struct PgBouncer {
    process: Child,
    /// Dropped after the process was waited for.
    _kept: Kept,
    address: SocketAddr,
    folder: TempDir,
}

impl PgBouncer {
    /// Whether it is installed.
    #[must_use]
    pub fn available() -> bool {
        Path::new(PROGRAM).exists()
    }

    /// Starts one before the server at `target`, which must trust `postgres`; `mode` is its `pool_mode`: `session`,
    /// `transaction` or `statement`.
    ///
    /// # Errors
    /// When it cannot be started; the message carries its log.
    pub fn start(target: SocketAddr, mode: &str) -> Result<Self> {
        let account = Account::unprivileged()?;
        let folder = tempfile::tempdir()?;
        account.take_over(folder.path())?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        drop(free);
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(&settings, ini(target, address, mode))?;
        account.take_over(&settings)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = account.command(PROGRAM);
        command
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let (process, kept) = Kept::spawn(&mut command)?;
        let mut started = Self {
            process,
            _kept: kept,
            address,
            folder,
        };
        for _ in 0..START_POLLS_MAX {
            if TcpStream::connect(address).is_ok() {
                return Ok(started);
            }
            if started.process.try_wait()?.is_some() {
                break;
            }
            thread::sleep(START_POLL);
        }
        let log = fs::read_to_string(started.folder.path().join("log")).unwrap_or_default();
        bail!("PgBouncer did not start:\n{log}")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn ini(target: SocketAddr, address: SocketAddr, mode: &str) -> String {
    format!(
        "[databases]\n* = host={} port={} user=postgres\n\
         [pgbouncer]\nlisten_addr={}\nlisten_port={}\nauth_type=any\npool_mode={mode}\n\
         default_pool_size=50\nmax_client_conn=200\nunix_socket_dir=\n",
        target.ip(),
        target.port(),
        address.ip(),
        address.port(),
    )
}
