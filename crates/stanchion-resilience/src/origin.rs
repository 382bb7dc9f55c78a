//! Origin: the request on whose behalf the current task works, as far as calls to others pass it on.
//!
//! Whoever serves requests makes itself the origin of its task; whoever calls others asks [`current`]. So a deadline
//! and a request's id reach the next hop without being handed through every function between, and a server and a
//! client need not know each other. A task that is spawned has no origin unless it is given one with [`scope`].

use std::sync::Arc;

use crate::deadline::Deadline;

tokio::task_local! {
    static CURRENT: Arc<dyn Origin>;
}

/// A request that is being served.
pub trait Origin: Send + Sync {
    /// When whoever sent it stops waiting; asked at each call, for it may become known late.
    fn deadline(&self) -> Deadline;

    /// The id that its log lines bear.
    fn request_id(&self) -> Option<&str>;

    /// A call on its behalf was given up after it had been tried again, here or further down: whoever waits for this request
    /// is told not to try it again. Of several tiers the one nearest to what fails does that.
    fn gave_up(&self) {}
}

/// The request on whose behalf the current task works, if there is one.
#[must_use]
pub fn current() -> Option<Arc<dyn Origin>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// When that request's sender stops waiting; [`Deadline::NONE`] without one.
#[must_use]
pub fn deadline() -> Deadline {
    CURRENT
        .try_with(|origin| origin.deadline())
        .unwrap_or(Deadline::NONE)
}

/// Tells that request, if there is one, that a call on its behalf was [given up](Origin::gave_up).
pub fn gave_up() {
    // Outside of a request there is nobody to tell.
    let _ = CURRENT.try_with(|origin| origin.gave_up());
}

/// Runs `work` on behalf of `origin`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::sync::Arc;
/// use stanchion_resilience::{deadline::Deadline, origin::{self, Origin}};
///
/// struct Job;
///
/// impl Origin for Job {
///     fn deadline(&self) -> Deadline { Deadline::NONE }
///     fn request_id(&self) -> Option<&str> { Some("nightly-7") }
/// }
///
/// let seen = origin::scope(Arc::new(Job), async {
///     origin::current().and_then(|job| job.request_id().map(str::to_owned))
/// });
/// assert_eq!(seen.await.as_deref(), Some("nightly-7"));
/// assert!(origin::current().is_none());
/// # }
/// ```
pub fn scope<F: Future>(origin: Arc<dyn Origin>, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(origin, work)
}

/// Runs `work`, which does not wait, on behalf of `origin`.
pub fn enter<T>(origin: Arc<dyn Origin>, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(origin, work)
}
