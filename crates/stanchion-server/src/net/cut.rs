use std::io;
use std::pin::Pin;
use std::task::Context;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The end of what is read from a connection, or written to it, when everything is cut.
///
/// A connection of HTTP is dropped by who serves it. One that became another protocol is somebody else's, and ends there.
pub(super) struct Cut {
    moment: CancellationToken,
    awaited: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Cut {
    pub(super) fn at(moment: CancellationToken) -> Self {
        Self {
            moment,
            awaited: None,
        }
    }

    /// Whoever waits to read or write is woken then.
    ///
    /// # Errors
    /// It is cut.
    pub(super) fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let cut = || io::Error::new(io::ErrorKind::ConnectionAborted, "cut off by the stop");
        if self.moment.is_cancelled() {
            return Err(cut());
        }
        let moment = &self.moment;
        let begin = || Box::pin(moment.clone().cancelled_owned());
        let awaited = self.awaited.get_or_insert_with(begin);
        if awaited.as_mut().poll(context).is_ready() {
            return Err(cut());
        }
        Ok(())
    }
}
