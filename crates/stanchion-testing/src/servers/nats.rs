//! A throwaway NATS with JetStream: a folder and a port of its own, gone when dropped.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::process::{Launch, ServiceProcess, Signal, free_port};

/// Where Debian puts it; not on everybody's path.
const PROGRAM: &str = "/usr/sbin/nats-server";

const START_POLLS_MAX: u32 = 1_000;
const START_POLL: Duration = Duration::from_millis(20);

/// The largest message it takes; by itself a server takes 1 MiB.
const PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What streams may reserve together: a stream's limit counts whether it is used or not.
const STORE_BYTES_MAX: u64 = 1 << 40;

/// How a throwaway server differs from the plain one.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    user: Option<(String, String)>,
    token: Option<String>,
    nkey: Option<String>,
    tls: Option<NatsTls>,
}

/// Files of a server that speaks TLS, as PEM.
#[derive(Debug, Clone)]
pub struct NatsTls {
    /// Its certificate.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The authority of the certificates that clients must show; `None` asks for none.
    pub clients: Option<PathBuf>,
}

/// A NATS of one test's own, to be killed, paused, wiped and started again; what it stores outlives its kills.
#[derive(Debug)]
pub struct Nats {
    launch: Launch,
    process: ServiceProcess,
    port: u16,
    folder: TempDir,
}

impl NatsOptions {
    /// Only this user with this password may connect.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Only who knows this token may connect.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Only who holds the seed of this public nkey may connect.
    #[must_use]
    pub fn nkey(mut self, public: &str) -> Self {
        self.nkey = Some(public.to_owned());
        self
    }

    /// It speaks TLS and nothing else.
    #[must_use]
    pub fn tls(mut self, tls: NatsTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started; the message carries its log.
    pub fn start(&self) -> Result<Nats> {
        let folder = tempfile::Builder::new()
            .prefix("stanchion-nats-")
            .tempdir()?;
        let port = free_port()?;
        let settings = folder.path().join("nats.conf");
        fs::write(&settings, self.settings(port, folder.path()))?;
        let launch = Launch::new(PROGRAM).arg("--config").arg(settings);
        let process = launch.spawn()?;
        let mut server = Nats {
            launch,
            process,
            port,
            folder,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn settings(&self, port: u16, folder: &Path) -> String {
        let mut text = format!(
            "host: \"127.0.0.1\"\nport: {port}\nmax_payload: {PAYLOAD_BYTES_MAX}\n\
             jetstream {{ store_dir: \"{}\", max_file_store: {STORE_BYTES_MAX} }}\n",
            folder.join("data").display()
        );
        if let Some((user, password)) = &self.user {
            text += &format!("authorization {{ user: \"{user}\", password: \"{password}\" }}\n");
        }
        if let Some(token) = &self.token {
            text += &format!("authorization {{ token: \"{token}\" }}\n");
        }
        if let Some(nkey) = &self.nkey {
            text += &format!("authorization {{ users: [ {{ nkey: \"{nkey}\" }} ] }}\n");
        }
        if let Some(tls) = &self.tls {
            let (certificate, key) = (tls.certificate.display(), tls.key.display());
            text += &format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\"");
            if let Some(clients) = &tls.clients {
                text += &format!(", ca_file: \"{}\", verify: true", clients.display());
            }
            text += " }\n";
        }
        text
    }
}

impl Nats {
    /// Whether it is installed.
    #[must_use]
    pub fn available() -> bool {
        Path::new(PROGRAM).exists()
    }

    /// One that a test needs, or `None` after saying loudly that the test is skipped.
    ///
    /// # Panics
    /// When it is there but does not start, and as [`skip`](super::skip) does.
    #[must_use]
    pub fn required() -> Option<Self> {
        Self::required_with(&NatsOptions::default())
    }

    /// As [`required`](Self::required), started with these options.
    ///
    /// # Panics
    /// As [`required`](Self::required) does.
    #[must_use]
    pub fn required_with(options: &NatsOptions) -> Option<Self> {
        if !super::wanted() || !Self::available() {
            super::skip("nats");
            return None;
        }
        let started = options.start();
        Some(started.unwrap_or_else(|error| panic!("nats is installed but unusable: {error:#}")))
    }

    /// Starts a plain one and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started; the message carries its log.
    pub fn start() -> Result<Self> {
        NatsOptions::default().start()
    }

    /// `nats://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Where it listens, also after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Kills it: connections are reset, nothing more is written. What the system has in its buffers is not lost; that
    /// takes a power cut.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Starts it again on the same port and folder.
    ///
    /// # Errors
    /// When it does not start; the message carries its log.
    pub fn restart(&mut self) -> Result<()> {
        self.process = self.launch.spawn()?;
        self.wait_until_ready()
    }

    /// Deletes everything it has stored; it must not run.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn wipe(&mut self) -> Result<()> {
        let data = self.folder.path().join("data");
        if data.exists() {
            fs::remove_dir_all(data)?;
        }
        Ok(())
    }

    /// A copy of everything it has stored; it must not run.
    ///
    /// # Errors
    /// When the folder cannot be copied.
    pub fn copy(&self) -> Result<TempDir> {
        let copy = tempfile::tempdir()?;
        copy_folder(&self.folder.path().join("data"), copy.path())?;
        Ok(copy)
    }

    /// Puts such a copy back in the place of what it has stored since; it must not run.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn restore(&mut self, copy: &TempDir) -> Result<()> {
        self.wipe()?;
        copy_folder(copy.path(), &self.folder.path().join("data"))
    }

    /// Freezes it: connections stay open, nothing is answered.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn pause(&mut self) -> Result<()> {
        self.process.signal(Signal::Stop)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::Continue)
    }

    /// It greets whoever connects once it is up; JetStream is recovered before it listens.
    fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..START_POLLS_MAX {
            if self.greets() {
                return Ok(());
            }
            if self.process.exited()?.is_some() {
                break;
            }
            thread::sleep(START_POLL);
        }
        bail!("NATS did not start:\n{}", self.process.output())
    }

    fn greets(&self) -> bool {
        let Ok(stream) = TcpStream::connect(self.address()) else {
            return false;
        };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut line = String::new();
        let read = BufReader::new(stream).read_line(&mut line);
        read.is_ok() && line.starts_with("INFO ")
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
