//! Answers that are ready at the same moment go out together.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::activity::Activity;

/// Has a connection of HTTP/2 wait for one round of its processor's tasks, as long as requests of its own are answered.
///
/// The first of several requests to have its answer wakes the connection, which a runtime runs next: it would write that one
/// answer, and the next one after that, each with a call of the system that costs half of what a small answer does. One
/// round later all that could be answered without a wait are. Where one request is asked after the other none is answered
/// by then, and nothing waits.
#[derive(Debug, Default)]
pub(super) struct Together {
    has_waited: bool,
}

impl Together {
    /// Polls the connection, or puts it behind all that is ready.
    pub(super) fn poll<C: Future>(
        &mut self,
        connection: Pin<&mut C>,
        activity: &Activity,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        self.has_waited = !self.has_waited && activity.is_http2() && activity.is_at_work();
        if self.has_waited {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        connection.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::super::activity::Protocol;
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn activity(first: &[u8]) -> Arc<Activity> {
        let activity = Arc::new(Activity::new(Protocol::Any));
        assert!(activity.read(first));
        activity
    }

    /// Whether it wrote at once, after how many times of being woken by itself.
    fn polled(together: &mut Together, activity: &Activity) -> (bool, usize) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let polled = together.poll(pin!(ready(())), activity, &mut context);
        (polled.is_ready(), woken.0.load(Ordering::Relaxed))
    }

    #[test]
    fn while_requests_are_answered_a_connection_waits_for_one_round_and_never_for_two() {
        let activity = activity(PREFACE);
        let mut together = Together::default();
        let at_work = activity.request();
        for _ in 0..3 {
            assert_eq!(polled(&mut together, &activity), (false, 1));
            assert_eq!(polled(&mut together, &activity), (true, 0));
        }
        assert_eq!(polled(&mut together, &activity), (false, 1));
        drop(at_work);
        assert_eq!(polled(&mut together, &activity), (true, 0));
        assert_eq!(polled(&mut together, &activity), (true, 0), "none is there");
    }

    #[test]
    fn below_http2_nothing_waits() {
        let activity = activity(b"GET / HTTP/1.1\r\n\r\n");
        let _at_work = activity.request();
        assert_eq!(polled(&mut Together::default(), &activity), (true, 0));
    }
}
