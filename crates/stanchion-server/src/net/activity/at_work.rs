use std::sync::Arc;

use super::Activity;

/// A request being answered on a connection, for as long as its answer is made or on its way.
#[derive(Debug)]
pub(crate) struct AtWork(pub(super) Arc<Activity>);

impl AtWork {
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.0
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.done();
    }
}
