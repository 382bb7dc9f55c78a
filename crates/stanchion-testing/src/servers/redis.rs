//! A throwaway Redis: a port of its own, nothing on disk, gone when dropped.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::process::{Launch, ServiceProcess, Signal, free_port};

/// Where Debian puts it.
const PROGRAM: &str = "/usr/bin/redis-server";

const START_POLLS_MAX: u32 = 500;
const START_POLL: Duration = Duration::from_millis(20);

/// A Redis of one test's own, to be killed, paused and started again; it forgets everything when it ends.
#[derive(Debug)]
pub struct Redis {
    launch: Launch,
    process: ServiceProcess,
    port: u16,
}

impl Redis {
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
        if !super::wanted() || !Self::available() {
            super::skip("redis");
            return None;
        }
        Some(
            Self::start()
                .unwrap_or_else(|error| panic!("redis is installed but unusable: {error:#}")),
        )
    }

    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started; the message carries its log.
    pub fn start() -> Result<Self> {
        let port = free_port()?;
        let mut launch = Launch::new(PROGRAM);
        let port_text = port.to_string();
        for argument in [
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ] {
            launch = launch.arg(argument);
        }
        let process = launch.spawn()?;
        let mut server = Self {
            launch,
            process,
            port,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// `redis://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Kills it: connections are reset, everything is forgotten.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// Starts it again on the same port, empty.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&mut self) -> Result<()> {
        self.process = self.launch.spawn()?;
        self.wait_until_ready()
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

    /// Sends one command of words without blanks and gives the answer as it came over the wire.
    ///
    /// # Errors
    /// When it does not answer within a second.
    pub fn command(&self, words: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("{words}\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..START_POLLS_MAX {
            if self
                .command("PING")
                .is_ok_and(|answer| answer.starts_with("+PONG"))
            {
                return Ok(());
            }
            if self.process.exited()?.is_some() {
                break;
            }
            thread::sleep(START_POLL);
        }
        bail!("Redis did not start:\n{}", self.process.stdout())
    }
}
