use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::addresses::Counted;
use crate::metrics::Counting;

/// What a connection takes up, for as long as its socket is open: longer than its requests are served, where one of them
/// made another protocol of it.
#[derive(Debug)]
pub(super) struct Held {
    _slot: OwnedSemaphorePermit,
    _of_address: Counted,
    _open: Counting,
    /// A stop waits for it.
    _tracked: TaskTrackerToken,
}

impl Held {
    pub(super) fn new(
        slot: OwnedSemaphorePermit,
        of_address: Counted,
        open: Counting,
        tracked: TaskTrackerToken,
    ) -> Self {
        Self {
            _slot: slot,
            _of_address: of_address,
            _open: open,
            _tracked: tracked,
        }
    }
}
