//! Bulkhead: one dependency that hangs cannot hold every task of the service.
//!
//! The usual defects: calls to a hanging dependency pile up until nothing else gets a connection; the slot is given
//! back when the caller goes away, though the work goes on; and a waiting caller that goes away takes its place in
//! the queue with it. Here slots and places are bounded, the slot goes where the work goes, and whatever is dropped is
//! free again.

use std::future::pending;
use std::time::Duration;

use stanchion::resilience::bulkhead::{Bulkhead, BulkheadSettings};
use stanchion::resilience::{Failure, Refusal};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let settings = BulkheadSettings {
        slots: 3,
        queue: 2,
        wait: Duration::from_millis(30),
    };
    let (reports, payments) = (Bulkhead::new(&settings), Bulkhead::new(&settings));

    let hanging: Vec<_> = (0..3)
        .map(|_| reports.try_enter().expect("a slot is free"))
        .collect();
    let begun = Instant::now();
    let waited = reports.call(async { Ok::<_, ()>(()) }).await;
    println!("reports hang: {waited:?} after the bounded wait");
    assert_eq!(waited, Err(Failure::Refused(Refusal::BulkheadFull)));
    assert!(begun.elapsed() >= settings.wait);

    let paid = payments.call(async { Ok::<_, ()>(42) }).await;
    println!("payments meanwhile: {paid:?}");
    assert_eq!(paid, Ok(42));

    drop(hanging);
    for _ in 0..100 {
        let gone = timeout(Duration::ZERO, reports.call(pending::<Result<(), ()>>())).await;
        assert!(gone.is_err());
    }
    println!("a hundred callers gone: {} slots taken", reports.running());
    assert_eq!((reports.running(), reports.waiting()), (0, 0));

    let (finish, finished) = oneshot::channel::<()>();
    let caller = async {
        reports
            .spawn("report", finished)
            .await?
            .await
            .map_err(|_| Refusal::Closed)
    };
    assert!(timeout(Duration::from_millis(5), caller).await.is_err());
    println!(
        "caller gone, work goes on: {} slot taken",
        reports.running()
    );
    assert_eq!(reports.running(), 1);
    finish.send(()).expect("it still runs");
}
