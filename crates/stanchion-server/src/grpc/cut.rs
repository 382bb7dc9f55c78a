//! Why a call does not go on.

use std::future::Future;
use std::time::Duration;

use stanchion_runtime::clock;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::{Problem, codes};

/// A stream that does not end by itself when a stop begins has this long; it then ends with `UNAVAILABLE`.
const STREAM_GRACE: Duration = Duration::from_secs(3);

/// Ends when the call's time or its caller's token is over, or the service stops; counted, and in gRPC's words.
pub(crate) fn cut(context: &Context) -> impl Future<Output = Problem> + Send + use<> {
    let metrics = context.lent.metrics.clone();
    let (deadline, stopping) = (context.deadline(), context.stopping().clone());
    let expires_at = context
        .principal()
        .and_then(|principal| principal.expires_at);
    let left = expires_at.map(|end| end.duration_since(clock::now()));
    let left = left.map(|left| Duration::try_from(left).unwrap_or_default());
    async move {
        let (bound, problem) = until(deadline, left, stopping).await;
        metrics.call_cut(bound);
        problem
    }
}

async fn until(
    deadline: Option<Instant>,
    token: Option<Duration>,
    stopping: CancellationToken,
) -> (&'static str, Problem) {
    let late = async {
        match deadline {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let expired = async {
        match token {
            Some(left) => sleep(left).await,
            None => std::future::pending().await,
        }
    };
    let stopped = async {
        stopping.cancelled().await;
        sleep(STREAM_GRACE).await;
    };
    tokio::select! {
        () = late => ("deadline", codes::DEADLINE_EXCEEDED.problem()),
        () = expired => (
            "token",
            Problem::unauthenticated().message("The access token ended: come back with a new one."),
        ),
        () = stopped => (
            "stop",
            codes::UNAVAILABLE.problem().message("The service is stopping: ask again."),
        ),
    }
}
