use std::sync::Arc;

use super::Activity;

/// A request being answered on a connection.
#[derive(Debug)]
pub(crate) struct AtWork<'a>(pub(super) &'a Arc<Activity>);

/// The same, for as long as its answer is on its way.
#[derive(Debug)]
pub(crate) struct OnItsWay(Arc<Activity>);

impl AtWork<'_> {
    /// It goes on when its head is answered.
    pub(crate) fn on_its_way(self) -> OnItsWay {
        let on_its_way = OnItsWay(Arc::clone(self.0));
        // It is not done.
        std::mem::forget(self);
        on_its_way
    }
}

impl OnItsWay {
    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.0
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.done();
    }
}
