//! How a command ends and how it prints: exit codes, colours, a reader that went away.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// What a command came to when it did what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to mend: exit code 0.
    Clean,
    /// Something to mend: exit code 1.
    Findings,
}

impl Outcome {
    pub(crate) fn of(findings: bool) -> Self {
        if findings {
            Self::Findings
        } else {
            Self::Clean
        }
    }

    /// The exit code; a failure is said on stderr and is 2, as wrong usage is.
    pub(crate) fn exit(done: anyhow::Result<Self>) -> ExitCode {
        match done {
            Ok(Self::Clean) => ExitCode::SUCCESS,
            Ok(Self::Findings) => ExitCode::from(1),
            Err(error) => {
                let error = format!("stanchion: {error:#}");
                let _ = writeln!(io::stderr(), "{error}");
                ExitCode::from(2)
            }
        }
    }
}

/// Prints; a reader that has seen enough (`| head`) is no failure.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// A text of somebody else's as a terminal shows it in one line: it moves no cursor and sets no title.
pub(crate) fn plain(text: &str) -> String {
    let shown = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().map(shown).collect()
}

/// Colours, where somebody sees them and has not said `NO_COLOR`.
#[derive(Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(io::stdout().is_terminal() && !refused && !dumb)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrapped("1", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.wrapped("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.wrapped("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.wrapped("33", text)
    }

    fn wrapped(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
