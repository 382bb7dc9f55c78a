//! What to start, and how.

use std::{
    env,
    ffi::OsString,
    fs::File,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{Kept, ServiceProcess};

/// Of our environment only this reaches a child: a developer's `SHOP__…` must not change what a test sees.
const INHERITED: [&str; 7] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "LLVM_PROFILE_FILE",
];

/// What to start; kept by the caller, so that the same thing can be started again on the same folders.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    ready_url: Option<String>,
}

impl Launch {
    /// Starts `binary` with no argument, in the current folder, with almost nothing of our environment.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            ready_url: None,
        }
    }

    /// Another program in the place of that one, such as its next version.
    #[must_use]
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = binary.into();
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets one variable; the last one of a name wins.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The working folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The `http://HOST:PORT/PATH` that answers 200 once the service can be used.
    #[must_use]
    pub fn ready_when(mut self, url: impl Into<String>) -> Self {
        self.ready_url = Some(url.into());
        self
    }

    /// Starts the process without waiting for anything, in a process group of its own: a Ctrl-C in the terminal does not
    /// reach it.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn spawn(&self) -> Result<ServiceProcess> {
        let output = tempfile::Builder::new()
            .prefix("stanchion-process-")
            .tempdir()?;
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(inherited())
            .envs(self.environment.iter().cloned());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
            .stdin(Stdio::null())
            .stdout(File::create(output.path().join("stdout"))?)
            .stderr(File::create(output.path().join("stderr"))?);
        let (child, kept) = Kept::spawn(&mut command)
            .with_context(|| format!("{} did not start", self.binary.display()))?;
        Ok(ServiceProcess {
            child,
            kept: Some(kept),
            ready_url: self.ready_url.clone(),
            output,
        })
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready within `deadline`; the message carries its output.
    pub async fn start(&self, deadline: Duration) -> Result<ServiceProcess> {
        let mut process = self.spawn()?;
        process.ready(deadline).await?;
        Ok(process)
    }
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    INHERITED
        .iter()
        .filter_map(|name| Some((OsString::from(name), env::var_os(name)?)))
}
