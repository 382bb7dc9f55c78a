//! The books, once everything has come to rest.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Shop;

const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Shop {
    /// Dies with the balance sheet unless the auditor has nothing to complain of within that time.
    pub(crate) async fn adds_up(&self, within: Duration) {
        let end = Instant::now() + within;
        loop {
            let audit = self.audit().await;
            if audit.complaints.is_empty() {
                return;
            }
            let sheet = audit.sheet;
            assert!(Instant::now() < end, "the books do not add up:\n{sheet}");
            sleep(LOOK_AGAIN).await;
        }
    }
}
