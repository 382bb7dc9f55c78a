use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stanchion_testing::process::{Launch, ServiceProcess, Signal, free_port};

use crate::Plan;
use crate::plan::IDENTITY;

/// The roles of each context's processes, in the order they are stopped.
pub(crate) const ROLES: [&str; 2] = ["api", "worker"];

/// What a process is told to be.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// It serves requests at that port; the first one is called by context and role alone.
    Api { nth: usize, port: u16 },
    /// It works.
    Worker,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Api { .. } => "api",
            Self::Worker => "worker",
        }
    }

    /// Of those that serve a context: 1, 2 and so on; 0 for who works.
    fn number(self) -> usize {
        match self {
            Self::Api { nth, .. } => nth + 1,
            Self::Worker => 0,
        }
    }
}

/// One process of a context.
pub struct Service {
    name: String,
    context: String,
    role: &'static str,
    admin: String,
    launch: Launch,
    process: Option<ServiceProcess>,
}

impl Service {
    pub(crate) fn new(plan: &Plan, common: &Launch, context: &str, role: Role) -> Result<Self> {
        let admin = format!("127.0.0.1:{}", free_port()?);
        let word = role.word();
        let name = match role {
            Role::Api { nth: 1.., .. } => format!("{context}-{word}-{}", role.number()),
            _ => format!("{context}-{word}"),
        };
        let folder = plan.folder.join(&name);
        std::fs::create_dir_all(&folder)?;
        let mut launch = common
            .clone()
            .folder(folder)
            .env("SHOP__ADMIN__LISTEN", &admin)
            .arg(format!("--modules={context}"))
            .arg(format!("--role={word}"));
        if let Role::Api { port, .. } = role {
            launch = launch.env("SHOP__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        }
        if role.number() != 1 {
            // One process is enough to stock an empty store.
            launch = launch.arg("--no-demo");
        }
        if context == "identity" {
            for (name, value) in IDENTITY {
                launch = launch.env(name, value);
            }
        }
        for (name, value) in plan.tls.iter().flat_map(|tls| tls.settings(context)) {
            launch = launch.env(name, value);
        }
        // The operator's port has it in every role.
        let launch = launch.ready_when(format!("http://{admin}/ready"));
        Ok(Self {
            name,
            context: context.to_owned(),
            role: word,
            admin,
            launch,
            process: None,
        })
    }

    /// Its name: context and role, such as `orders-worker`; of several that serve, the second one is `orders-api-2`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_of(&self, context: &str) -> bool {
        self.context == context
    }

    /// Its role: `api` or `worker`.
    #[must_use]
    pub fn role(&self) -> &str {
        self.role
    }

    /// Its operator's port, `HOST:PORT`.
    #[must_use]
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServiceProcess::pid)
    }

    /// What it has said so far.
    #[must_use]
    pub fn said(&self) -> String {
        let said = self.process.as_ref();
        said.map(|process| process.stdout() + &process.stderr())
            .unwrap_or_default()
    }

    /// From the next start on it is told this as well.
    pub fn set(&mut self, name: &str, value: &str) {
        self.launch = self.launch.clone().env(name, value);
    }

    /// From the next start on it is that binary.
    pub fn becomes(&mut self, binary: &Path) {
        self.launch = self.launch.clone().binary(binary);
    }

    /// Starts it unless it runs; waits for nothing.
    ///
    /// # Errors
    /// The binary cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        if self.process.is_none() || self.exited()?.is_some() {
            self.process = Some(self.launch.spawn()?);
        }
        Ok(())
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// It is not within `deadline`, or has ended; the message carries what it said.
    pub async fn ready(&mut self, deadline: Duration) -> Result<Duration> {
        let process = self.process.as_mut().context("it was not started")?;
        process.ready(deadline).await
    }

    /// Kills it and waits for its end: nothing is flushed, nothing said goodbye.
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill().map(drop),
            None => Ok(()),
        }
    }

    /// Kills it and does not wait for its end.
    pub(crate) fn strike(&mut self) -> Result<()> {
        match &mut self.process {
            Some(process) => process.signal(Signal::Kill),
            None => Ok(()),
        }
    }

    /// Asks it to stop.
    ///
    /// # Errors
    /// The system refuses.
    pub fn terminate(&mut self) -> Result<()> {
        match &mut self.process {
            Some(process) => process.signal(Signal::Terminate),
            None => Ok(()),
        }
    }

    /// Waits until it has stopped, with exit code 0.
    ///
    /// # Errors
    /// It still runs after `deadline`, or ended otherwise.
    pub async fn stopped(&mut self, deadline: Duration) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let status = process.wait(deadline).await?;
        let said = process.stdout() + &process.stderr();
        ensure!(status.success(), "ended with {status}\n{said}");
        Ok(())
    }

    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.process {
            Some(process) => process.exited(),
            None => Ok(None),
        }
    }
}
