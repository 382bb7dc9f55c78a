use std::sync::Arc;
use std::task::Poll;

use futures_util::{Stream, StreamExt, stream};
use parking_lot::Mutex;
use stanchion_runtime::task::spawn_apart;
use tokio::sync::oneshot;

/// What this stream has until the `end`, when it is dropped with all that it holds, whether its next item is asked for or
/// not: for a client that leaves its window shut HTTP/2 asks for none.
pub(super) fn lasting<S>(
    stream: S,
    end: impl Future<Output = ()> + Send + 'static,
) -> impl Stream<Item = S::Item> + Send + 'static
where
    S: Stream + Send + Unpin + 'static,
{
    let kept = Arc::new(Mutex::new(Some(stream)));
    let ending = Arc::downgrade(&kept);
    let (mut asking, ended) = oneshot::channel::<()>();
    let watch = async move {
        tokio::select! {
            () = end => {
                if let Some(kept) = ending.upgrade() {
                    // Dropped without the lock.
                    let stream = kept.lock().take();
                    drop(stream);
                }
            }
            // Who asked has left.
            () = asking.closed() => {}
        }
    };
    // Outside the request's span, which would last as long.
    drop(spawn_apart("stream end", watch));
    let items = stream::poll_fn(move |context| match &mut *kept.lock() {
        Some(stream) => stream.poll_next_unpin(context),
        None => Poll::Ready(None),
    });
    items.take_until(ended)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use futures_util::poll;
    use tokio::time::sleep;

    use super::*;

    /// Says nothing, and holds this.
    fn silent(held: &Arc<()>) -> impl Stream<Item = ()> + Send + Unpin + use<> {
        let held = Arc::clone(held);
        stream::poll_fn(move |_| {
            let _held = &held;
            Poll::Pending
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_gone_at_its_end_whether_anybody_asks_or_not() {
        const END: Duration = Duration::from_secs(1);
        for is_asked in [true, false] {
            let held = Arc::new(());
            let mut items = Box::pin(lasting(silent(&held), sleep(END)));
            if is_asked {
                assert_eq!(items.next().await, None);
            } else {
                sleep(END * 2).await;
            }
            assert_eq!(Arc::strong_count(&held), 1, "{is_asked}");
            assert_eq!(items.next().await, None);
        }
    }

    #[tokio::test]
    async fn who_leaves_a_stream_takes_it_along() {
        let held = Arc::new(());
        let mut items = Box::pin(lasting(silent(&held), pending()));
        assert!(poll!(items.next()).is_pending());
        drop(items);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
