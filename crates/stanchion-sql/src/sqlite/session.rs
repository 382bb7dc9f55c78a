use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use super::writer::Pen;
use super::{Call, connection};
use crate::SqlError;
use crate::row::Outcome;

/// Commands sent and not yet taken: the transaction sends one at a time, a cancelled call may leave some behind.
const COMMANDS_MAX: usize = 16;

/// A transaction that holds the writer between its statements, for a bounded time. Dropped, it is rolled back.
#[derive(Debug)]
pub(crate) struct Session(mpsc::SyncSender<Command>);

pub(super) enum Command {
    Run {
        calls: Vec<Call>,
        reply: oneshot::Sender<Result<Outcome, SqlError>>,
    },
    With(Box<dyn FnOnce(&Connection) + Send>),
    Commit {
        calls: Vec<Call>,
        reply: oneshot::Sender<Result<(), SqlError>>,
    },
}

pub(super) fn pair() -> (Session, mpsc::Receiver<Command>) {
    let (commands, taken) = mpsc::sync_channel(COMMANDS_MAX);
    (Session(commands), taken)
}

impl Session {
    /// Runs the calls in order; the last one's outcome.
    pub(crate) async fn run(&self, calls: Vec<Call>) -> Result<Outcome, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Run { calls, reply })?;
        answer.await.map_err(|_| expired())?
    }

    /// Runs `work` within the transaction.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::With(Box::new(move |conn| {
            drop(reply.send(work(conn)));
        })))?;
        answer.await.map_err(|_| expired())?
    }

    /// Runs the calls and commits; once sent it runs to its end.
    pub(crate) async fn commit(self, calls: Vec<Call>) -> Result<(), SqlError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Commit { calls, reply })?;
        answer.await.map_err(|_| expired())?
    }

    fn send(&self, command: Command) -> Result<(), SqlError> {
        self.0.try_send(command).map_err(|_| expired())
    }
}

/// The writer's side: begins, obeys until commit, drop or the end of its time.
pub(super) fn serve(
    pen: &mut Pen,
    commands: &mpsc::Receiver<Command>,
    hold: Duration,
    begun: oneshot::Sender<Result<(), SqlError>>,
) {
    if begun.is_closed() {
        return;
    }
    let start = pen.begin();
    let failed = start.is_err();
    if begun.send(start).is_err() || failed {
        return pen.roll_back();
    }
    let end = Instant::now() + hold;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let command = commands.recv_timeout(left);
        pen.bound(left);
        match command {
            Ok(Command::Run { calls, reply }) => drop(reply.send(run(pen.conn(), &calls))),
            Ok(Command::With(work)) => work(pen.conn()),
            Ok(Command::Commit { calls, reply }) => return drop(reply.send(commit(pen, &calls))),
            Err(RecvTimeoutError::Disconnected) => return pen.roll_back(),
            Err(RecvTimeoutError::Timeout) => {
                warn!(
                    ?hold,
                    "a transaction held the writer for too long and was rolled back"
                );
                return pen.roll_back();
            }
        }
    }
}

fn run(conn: &Connection, calls: &[Call]) -> Result<Outcome, SqlError> {
    let mut last = Outcome::default();
    for call in calls {
        last = connection::run(conn, call)?;
    }
    Ok(last)
}

fn commit(pen: &mut Pen, calls: &[Call]) -> Result<(), SqlError> {
    if let Err(error) = run(pen.conn(), calls) {
        pen.roll_back();
        return Err(error);
    }
    pen.commit()
}

fn expired() -> SqlError {
    SqlError::Timeout("the transaction held the writer for too long and was rolled back".into())
}
