use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// As [`timeout_at`], which makes a timer even for work that is done at once.
///
/// # Errors
/// The work was not done by then, and is dropped.
pub(crate) async fn timely<F: Future>(deadline: Instant, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    let at_once = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    match at_once {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout_at(deadline, work).await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_ends_at_its_deadline_unless_it_is_done() {
        let in_a_second = Instant::now() + Duration::from_secs(1);
        assert_eq!(timely(in_a_second, async { 7 }).await.ok(), Some(7));
        let short = sleep(Duration::from_millis(999));
        assert!(timely(in_a_second, short).await.is_ok());
        assert!(
            timely(in_a_second, sleep(Duration::from_secs(1)))
                .await
                .is_err()
        );
        assert_eq!(Instant::now(), in_a_second);
        // Done at once, it is never too late.
        assert_eq!(timely(in_a_second, async { 8 }).await.ok(), Some(8));
    }
}
