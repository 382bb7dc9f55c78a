//! The binary's commands for operators.

use std::time::Duration;

use stanchion_testing::process::Launch;

/// Longer than any command of an operator takes.
const OPERATED_WITHIN: Duration = Duration::from_secs(30);

/// What a command of an operator came to.
#[derive(Debug)]
pub(crate) struct Operated {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Operated {
    /// Dies with everything it said unless it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    /// Dies unless the operator is told all of these.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let said = format!("{}{}", self.out, self.err);
        for word in words {
            assert!(said.contains(word), "no {word:?} in\n{said}");
        }
        self
    }
}

/// Runs `shop` with these arguments to its end.
pub(crate) async fn operate(launch: Launch, arguments: &[&str]) -> Operated {
    let launch = arguments
        .iter()
        .fold(launch, |launch, argument| launch.arg(argument));
    let mut process = launch.spawn().unwrap();
    let status = process.wait(OPERATED_WITHIN).await.unwrap();
    Operated {
        code: status.code(),
        out: process.stdout(),
        err: process.stderr(),
    }
}

/// The binary with these settings and no others.
pub(crate) fn launch(settings: &[(&str, &str)]) -> Launch {
    let bare = Launch::new(env!("CARGO_BIN_EXE_shop"));
    let set = |launch: Launch, (name, value): &(&str, &str)| launch.env(*name, *value);
    settings.iter().fold(bare, set)
}
