//! A throwaway mail server: aiosmtpd, a server of its own authors that knows nothing of us.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::process::{Launch, ServiceProcess, Signal, free_port};

/// From PyPI, where Debian's `python3-aiosmtpd` is not installed.
const PACKAGE: &str = "aiosmtpd==1.4.6";

const SCRIPT: &str = include_str!("smtp.py");

const START_POLLS_MAX: u32 = 1_000;
const START_POLL: Duration = Duration::from_millis(20);

/// How a throwaway mail server differs from the plain one.
#[derive(Debug, Clone, Default)]
pub struct SmtpOptions {
    tls: Option<SmtpTls>,
    user: Option<(String, String)>,
}

/// How a mail server speaks TLS; its files are PEM.
#[derive(Debug, Clone)]
pub struct SmtpTls {
    /// Its certificate.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// From the first byte; otherwise after STARTTLS, and nothing is taken before it.
    pub from_the_start: bool,
}

/// A mail server of one test's own. `nobody@…` is refused with 550, `later@…` with 451, and at `slow@…` it falls silent.
#[derive(Debug)]
pub struct Smtp {
    process: ServiceProcess,
    port: u16,
    folder: TempDir,
}

impl SmtpOptions {
    /// It speaks TLS.
    #[must_use]
    pub fn tls(mut self, tls: SmtpTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Only this user with this password may send.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// One that a test needs, or `None` after saying loudly that the test is skipped.
    ///
    /// # Panics
    /// When it can be had but does not start, and as [`skip`](super::skip) does.
    #[must_use]
    pub fn required(&self) -> Option<Smtp> {
        let python = super::wanted().then(python).and_then(Result::ok);
        let Some(python) = python else {
            super::skip("aiosmtpd (python3-aiosmtpd, or python3-venv and PyPI)");
            return None;
        };
        let started = self.start(&python);
        Some(started.unwrap_or_else(|error| panic!("aiosmtpd is there but unusable: {error:#}")))
    }

    fn start(&self, python: &Path) -> Result<Smtp> {
        let folder = tempfile::Builder::new()
            .prefix("stanchion-smtp-")
            .tempdir()?;
        let port = free_port()?;
        let process = Launch::new(python)
            .arg("-c")
            .arg(SCRIPT)
            .arg(self.json(port, folder.path()))
            .spawn()?;
        let mut server = Smtp {
            process,
            port,
            folder,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// By hand: the crate is also built without its suites, and without `serde_json` then.
    fn json(&self, port: u16, folder: &Path) -> String {
        let text = |text: &str| format!("{text:?}");
        let path = |path: &Path| text(&path.display().to_string());
        let mode = match &self.tls {
            None => "plain",
            Some(tls) if tls.from_the_start => "tls",
            Some(_) => "starttls",
        };
        let none = || "null".to_owned();
        let certificate = self
            .tls
            .as_ref()
            .map_or_else(none, |tls| path(&tls.certificate));
        let key = self.tls.as_ref().map_or_else(none, |tls| path(&tls.key));
        let user = self.user.as_ref().map_or_else(none, |(user, _)| text(user));
        let password = self
            .user
            .as_ref()
            .map_or_else(none, |(_, password)| text(password));
        format!(
            "{{\"port\": {port}, \"folder\": {}, \"mode\": \"{mode}\", \"certificate\": {certificate}, \
             \"key\": {key}, \"user\": {user}, \"password\": {password}}}",
            path(folder)
        )
    }
}

impl Smtp {
    /// A plain one that a test needs, or `None` after saying loudly that the test is skipped.
    ///
    /// # Panics
    /// As [`SmtpOptions::required`] does.
    #[must_use]
    pub fn required() -> Option<Self> {
        SmtpOptions::default().required()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What it took, in order: JSON with `from`, `to`, `tls`, `user` and `content`.
    ///
    /// # Errors
    /// When what it keeps cannot be read.
    pub fn mails(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                files.push(path);
            }
        }
        files.sort_unstable();
        let texts = files.iter().map(fs::read_to_string);
        Ok(texts.collect::<Result<_, _>>()?)
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

    fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..START_POLLS_MAX {
            if TcpStream::connect(self.address()).is_ok() {
                return Ok(());
            }
            if self.process.exited()?.is_some() {
                break;
            }
            thread::sleep(START_POLL);
        }
        bail!("aiosmtpd did not start:\n{}", self.process.output())
    }
}

/// A Python that has aiosmtpd: the machine's, or one in an environment below `target` that is made once.
fn python() -> Result<PathBuf> {
    let system = PathBuf::from("/usr/bin/python3");
    if has_package(&system) {
        return Ok(system);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/aiosmtpd");
    let python = folder.join("venv/bin/python");
    fs::create_dir_all(&folder)?;
    // Tests of other processes want the same one.
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    if has_package(&python) {
        return Ok(python);
    }
    run(Command::new(&system)
        .args(["-m", "venv"])
        .arg(folder.join("venv")))?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        PACKAGE,
    ];
    run(Command::new(&python).args(pip))?;
    Ok(python)
}

fn has_package(python: &Path) -> bool {
    let mut import = Command::new(python);
    run(import.args(["-c", "import aiosmtpd.smtp"])).is_ok()
}

fn run(command: &mut Command) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status().context("it does not start")?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}
