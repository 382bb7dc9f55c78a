//! A throwaway RabbitMQ: folders, ports and name server of its own, gone when dropped.

mod options;

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

pub use options::{RabbitMqOptions, RabbitMqTls};

use super::Account;
use crate::process::free_port;

/// Debian's own programs in `/usr/sbin` change to an account and folders of their own first; these do not.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// Starting takes 10 s of an idle machine.
const START_SECONDS_MAX: u32 = 120;
const START_POLL: Duration = Duration::from_millis(100);

/// The user that may do everything, and its password; listeners are on 127.0.0.1 alone.
const USER: &str = "stanchion";
const PASSWORD: &str = "secret";

/// Runs the server below a shell that takes orders from a pipe of ours: however we end, the pipe closes, the shell ends
/// the server and its name server at once and removes the folder.
const WATCHDOG: &str = r#"trap '' INT TERM HUP
folder=$1
epmd -port "$ERL_EPMD_PORT" </dev/null >/dev/null 2>&1 &
epmd=$!
serve() { /usr/lib/rabbitmq/bin/rabbitmq-server </dev/null >>"$folder/log" 2>&1 & server=$!; }
serve
while read -r order; do
    case $order in
    kill) kill -KILL "$server"; wait "$server" ;;
    stop) kill -TERM "$server"; wait "$server" ;;
    pause) kill -STOP "$server" ;;
    resume) kill -CONT "$server" ;;
    wipe) rm -rf "$folder/mnesia" ;;
    start) : >"$folder/log"; serve ;;
    esac
    echo done
done
kill -KILL "$server" 2>/dev/null
wait "$server"
kill -KILL "$epmd" 2>/dev/null
rm -rf "$folder""#;

/// A RabbitMQ of one's own, to be killed, paused, wiped and started again, or one shared by a whole test run.
#[derive(Debug)]
pub struct RabbitMq {
    url: String,
    owned: Option<Owned>,
}

#[derive(Debug)]
struct Owned {
    watchdog: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    options: RabbitMqOptions,
    ports: Ports,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    tls: u16,
    names: u16,
    cluster: u16,
}

impl RabbitMq {
    /// Whether a server can be had: one is named in `STANCHION_TEST_RABBITMQ`, or it is installed.
    #[must_use]
    pub fn available() -> bool {
        shared_url().is_some() || installed()
    }

    /// One of a test's own with the default options, or `None` after saying loudly that the test is skipped.
    ///
    /// # Panics
    /// When it is there but does not start, and as [`skip`](super::skip) does.
    #[must_use]
    pub fn required() -> Option<Self> {
        Self::required_with(RabbitMqOptions::default())
    }

    /// The same with other options.
    ///
    /// # Panics
    /// As [`required`](Self::required).
    #[must_use]
    pub fn required_with(options: RabbitMqOptions) -> Option<Self> {
        if !super::wanted() || !installed() {
            super::skip("rabbitmq");
            return None;
        }
        let started = options.start();
        Some(
            started.unwrap_or_else(|error| panic!("rabbitmq is installed but unusable: {error:#}")),
        )
    }

    /// The server of this test run: the one in `STANCHION_TEST_RABBITMQ`, else one for this process, started at the
    /// first call. Tests that share it take names of their own. `None` as [`required`](Self::required).
    ///
    /// # Panics
    /// As [`required`](Self::required).
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<RabbitMq>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match shared_url() {
            Some(url) if super::wanted() => Some(Self { url, owned: None }),
            _ => Self::required(),
        });
        shared.as_ref()
    }

    /// Starts one and waits until it takes connections.
    ///
    /// # Errors
    /// When it cannot be started; the message carries its log.
    pub fn start() -> Result<Self> {
        RabbitMqOptions::default().start()
    }

    /// `amqp://USER:PASSWORD@127.0.0.1:PORT/%2f`; the user may do everything.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `amqps://localhost:PORT/%2f`, without a user.
    ///
    /// # Panics
    /// Without [`RabbitMqOptions::tls`].
    #[must_use]
    pub fn tls_url(&self) -> String {
        let owned = self.owned.as_ref().filter(|owned| owned.options.has_tls());
        let port = owned.expect("it was started with TLS").ports.tls;
        format!("amqps://localhost:{port}/%2f")
    }

    /// Where it listens without TLS.
    ///
    /// # Panics
    /// When somebody else's URL names no address and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let authority = self
            .url
            .rsplit('@')
            .next()
            .and_then(|rest| rest.split('/').next());
        let address = authority.and_then(|authority| authority.parse().ok());
        address.unwrap_or_else(|| panic!("{} names no address and port", self.url))
    }

    /// Kills it (`kill -9`): connections are reset, what it has on disk stays.
    ///
    /// # Errors
    /// When the shell that runs it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.order("kill")
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// As [`kill`](Self::kill).
    pub fn stop(&mut self) -> Result<()> {
        self.order("stop")
    }

    /// Freezes it: connections stay open, nothing is answered.
    ///
    /// # Errors
    /// As [`kill`](Self::kill).
    pub fn pause(&mut self) -> Result<()> {
        self.order("pause")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`kill`](Self::kill).
    pub fn resume(&mut self) -> Result<()> {
        self.order("resume")
    }

    /// Removes everything that a killed or stopped one has on disk.
    ///
    /// # Errors
    /// As [`kill`](Self::kill).
    pub fn wipe(&mut self) -> Result<()> {
        self.order("wipe")
    }

    /// Starts a killed or stopped one again on the same ports and waits until it takes connections.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&mut self) -> Result<()> {
        self.order("start")?;
        self.owned()?.wait_until_ready()
    }

    /// Runs `rabbitmqctl` with these arguments and gives what it printed; takes some seconds.
    ///
    /// # Errors
    /// When it fails; the message carries what it said.
    pub fn ctl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String> {
        let owned = self.owned.as_ref().context("a server of somebody else")?;
        let output = owned
            .command(format!("{PROGRAMS}/rabbitmqctl"))?
            .arg("--quiet")
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "rabbitmqctl: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn owned(&mut self) -> Result<&mut Owned> {
        self.owned.as_mut().context("a server of somebody else")
    }

    fn order(&mut self, order: &str) -> Result<()> {
        let owned = self.owned()?;
        let orders = owned.orders.as_mut().context("no longer watched")?;
        writeln!(orders, "{order}")?;
        let mut answer = String::new();
        owned.answers.read_line(&mut answer)?;
        ensure!(answer == "done\n", "the shell that runs RabbitMQ is gone");
        Ok(())
    }
}

impl RabbitMqOptions {
    /// Starts the server and waits until it takes connections.
    ///
    /// # Errors
    /// As [`RabbitMq::start`].
    pub fn start(self) -> Result<RabbitMq> {
        let account = Account::unprivileged()?;
        let ports = Ports {
            plain: free_port()?,
            tls: free_port()?,
            names: free_port()?,
            cluster: free_port()?,
        };
        // Removed by the watchdog, whatever comes of this.
        let folder = tempfile::Builder::new()
            .prefix("stanchion-rabbitmq-")
            .tempdir()?
            .keep();
        account.take_over(&folder)?;
        for (name, text) in self.files(&folder, ports.plain, ports.tls) {
            fs::write(folder.join(&name), text)?;
            account.take_over(&folder.join(&name))?;
        }
        let mut watchdog = command(&account, "sh", &folder, ports)
            .args(["-c", WATCHDOG, "rabbitmq-watchdog"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("the shell that watches RabbitMQ did not start")?;
        let answers = watchdog.stdout.take().context("it was piped")?;
        let mut owned = Owned {
            orders: watchdog.stdin.take(),
            answers: BufReader::new(answers),
            watchdog,
            folder,
            options: self,
            ports,
        };
        owned.wait_until_ready()?;
        Ok(RabbitMq {
            url: format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}/%2f", ports.plain),
            owned: Some(owned),
        })
    }
}

impl Owned {
    fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let account = Account::unprivileged()?;
        Ok(command(&account, program, &self.folder, self.ports))
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..START_SECONDS_MAX * 10 {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            if log.contains("Server startup complete") {
                return Ok(());
            }
            if log.contains("BOOT FAILED") || self.watchdog.try_wait()?.is_some() {
                bail!("RabbitMQ did not start:\n{log}");
            }
            thread::sleep(START_POLL);
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        bail!("RabbitMQ was not ready within {START_SECONDS_MAX} s:\n{log}")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Closing the pipe is the order to end; the watchdog ends once server and folder are gone.
        drop(self.orders.take());
        let _ended = self.watchdog.wait();
    }
}

/// A command in the surroundings of one server.
fn command(account: &Account, program: impl AsRef<OsStr>, folder: &Path, ports: Ports) -> Command {
    let mut command = account.command(program);
    command
        .env("HOME", folder)
        .env("ERL_EPMD_PORT", ports.names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", "stanchion@localhost")
        .env("RABBITMQ_DIST_PORT", ports.cluster.to_string())
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.join("logs"))
        // The program becomes the server instead of starting it, so that its number is the server's.
        .env("RABBITMQ_ALLOW_INPUT", "1")
        // No thread that burns a core while it waits for work.
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        );
    command
}

fn installed() -> bool {
    Path::new(PROGRAMS).join("rabbitmq-server").exists()
}

fn shared_url() -> Option<String> {
    env::var("STANCHION_TEST_RABBITMQ")
        .ok()
        .filter(|url| !url.is_empty())
}
