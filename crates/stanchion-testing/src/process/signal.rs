//! What is said to a child by the system.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use super::ServiceProcess;

/// How often it is looked whether a process stands still: a second in all.
const STOPPED_LOOKS_MAX: usize = 1_000;

/// A signal a service is expected to understand, or to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`: stop in good order.
    Terminate,
    /// `SIGINT`: what Ctrl-C sends.
    Interrupt,
    /// `SIGKILL`: end at once, with nothing flushed.
    Kill,
    /// `SIGSTOP`: stand still, sockets open.
    Stop,
    /// `SIGCONT`: go on after [`Signal::Stop`].
    Continue,
}

impl ServiceProcess {
    /// Sends a signal; a process that has ended already is no error.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        if signal == Signal::Kill {
            return self.child.kill().context("kill");
        }
        // Until we wait for it the id of an ended child is not given to another process.
        let status = Command::new("sh")
            .args(["-c", "kill \"$1\" \"$2\"", "kill", signal.flag()])
            .arg(self.pid().to_string())
            .status()?;
        ensure!(
            status.success(),
            "kill {} {}: {status}",
            signal.flag(),
            self.pid()
        );
        if signal == Signal::Stop {
            self.wait_until_stopped();
        }
        Ok(())
    }

    /// A process on another processor goes on for a moment; who goes on then may be answered.
    fn wait_until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.pid());
        for _ in 0..STOPPED_LOOKS_MAX {
            let said = fs::read_to_string(&stat).unwrap_or_default();
            // Behind the name, which may have spaces and parentheses of its own.
            let state = said.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
            if matches!(state, Some(b'T' | b'Z') | None) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Signal {
    fn flag(self) -> &'static str {
        match self {
            Self::Terminate => "-TERM",
            Self::Interrupt => "-INT",
            Self::Kill => "-KILL",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
        }
    }
}
