//! What a subscription hands on, and how it is paused, resumed and rewound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stanchion_eventsourcing::{
    CheckpointStore, Filter, MemoryCheckpoints, Position, Subscription, SubscriptionState,
};
use stanchion_messaging::HandlerError;
use stanchion_runtime::task;
use tokio_util::sync::CancellationToken;

use crate::support::{LONG, Noted, fill, log_of};

#[tokio::test(start_paused = true)]
async fn entries_come_in_order_from_the_saved_checkpoint_and_as_they_are_appended() {
    let (log, kept) = (log_of(7).await, Arc::<MemoryCheckpoints>::default());
    let first = Noted::new(&log, &kept, Filter::all());
    let running = first.run();
    first.reaches(7).await;
    fill(&log, 2).await;
    first.reaches(9).await;
    first.stop.cancel();
    running.await.unwrap();
    assert_eq!(first.taken(), (1..=9).collect::<Vec<_>>());
    assert_eq!(
        *first.subscription.state().borrow(),
        SubscriptionState::Stopped
    );

    fill(&log, 2).await;
    let second = Noted::new(&log, &kept, Filter::all());
    let _running = second.run();
    second.reaches(11).await;
    assert_eq!(second.taken(), [10, 11]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_halts_its_subscription_until_a_resume() {
    let (log, kept) = (log_of(5).await, Arc::<MemoryCheckpoints>::default());
    let fixed = Arc::new(AtomicBool::new(false));
    let handled = Arc::clone(&fixed);
    let subscription = Subscription::with_pages(
        "careless",
        Arc::clone(&log),
        Arc::clone(&kept) as Arc<dyn CheckpointStore>,
        Filter::all(),
        (2, 2),
        move |entries| {
            let fixed = handled.load(Ordering::SeqCst);
            async move {
                let unexpected = entries.iter().any(|entry| entry.position == Position(4));
                assert!(fixed || !unexpected, "an entry of the third kind");
                Ok(())
            }
        },
    );
    let stop = CancellationToken::new();
    let running = task::spawn("careless", subscription.clone().run(stop.clone()));
    let mut state = subscription.state();
    let halted = state.wait_for(|state| matches!(state, SubscriptionState::Halted(_)));
    let halted = tokio::time::timeout(LONG, halted).await.unwrap().unwrap();
    let said = format!("{:?}", *halted);
    drop(halted);
    assert!(
        said.contains("panicked") && said.contains("the third kind"),
        "{said}"
    );
    assert_eq!(*subscription.position().borrow(), Position(2));
    fixed.store(true, Ordering::SeqCst);
    subscription.resume().await.unwrap();
    let mut at = subscription.position();
    let reached = at.wait_for(|at| *at == Position(5));
    tokio::time::timeout(LONG, reached).await.unwrap().unwrap();
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_passes_what_the_filter_does_not() {
    let (log, kept) = (log_of(8).await, Arc::<MemoryCheckpoints>::default());
    let odd = Noted::new(&log, &kept, Filter::category("odd"));
    let _running = odd.run();
    odd.reaches(8).await;
    assert_eq!(odd.taken(), [1, 3, 5, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_failed_comes_again_and_one_that_was_rejected_halts_until_a_resume() {
    let (log, kept) = (log_of(5).await, Arc::<MemoryCheckpoints>::default());
    let noted = Noted::new(&log, &kept, Filter::all());
    noted.answers.lock().extend([
        HandlerError::Later("busy".into()),
        HandlerError::Failed("broken".into()),
        HandlerError::Rejected("poison".into()),
    ]);
    let _running = noted.run();
    let halted = noted
        .is(|state| matches!(state, SubscriptionState::Halted(_)))
        .await;
    assert!(format!("{halted:?}").contains("poison"), "{halted:?}");
    assert_eq!(noted.taken(), [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    assert!(
        kept.load("subscription/noted").await.unwrap().is_empty(),
        "nothing was skipped"
    );
    noted.subscription.resume().await.unwrap();
    noted.reaches(5).await;
    assert_eq!(noted.taken(), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_during_a_pause() {
    let (log, kept) = (log_of(3).await, Arc::<MemoryCheckpoints>::default());
    let noted = Noted::new(&log, &kept, Filter::all());
    let _running = noted.run();
    noted.reaches(3).await;
    noted.subscription.pause().await.unwrap();
    noted
        .is(|state| matches!(state, SubscriptionState::Paused))
        .await;
    fill(&log, 2).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(noted.taken(), [1, 2, 3]);
    noted.subscription.resume().await.unwrap();
    noted.reaches(5).await;
    assert_eq!(noted.taken(), [4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_over_a_restart_and_is_ended_from_another_process() {
    let (log, kept) = (log_of(3).await, Arc::<MemoryCheckpoints>::default());
    let paused = |state: &SubscriptionState| matches!(state, SubscriptionState::Paused);
    let first = Noted::new(&log, &kept, Filter::all());
    let running = first.run();
    first.reaches(3).await;
    // Whoever is at hand says so: a process that does not run it.
    let operator = Noted::new(&log, &kept, Filter::all());
    operator.subscription.pause().await.unwrap();
    first.is(paused).await;
    first.stop.cancel();
    running.await.unwrap();
    fill(&log, 2).await;
    let second = Noted::new(&log, &kept, Filter::all());
    let _running = second.run();
    second.is(paused).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(second.taken().is_empty());
    operator.subscription.rewind(Position(2)).await.unwrap();
    operator.subscription.resume().await.unwrap();
    second.reaches(5).await;
    assert_eq!(second.taken(), [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_rewind_brings_entries_again_or_leaves_them_out_and_knows_the_logs_end() {
    let (log, kept) = (log_of(6).await, Arc::<MemoryCheckpoints>::default());
    let noted = Noted::new(&log, &kept, Filter::all());
    let _running = noted.run();
    noted.reaches(6).await;
    noted.taken();
    noted.subscription.rewind(Position(4)).await.unwrap();
    noted.reaches(6).await;
    assert_eq!(noted.taken(), [5, 6]);
    let beyond = noted.subscription.rewind(Position(7)).await.unwrap_err();
    assert!(beyond.to_string().contains("ends at 6"), "{beyond}");
    noted.subscription.rewind(Position::START).await.unwrap();
    noted.reaches(6).await;
    assert_eq!(noted.taken(), [1, 2, 3, 4, 5, 6]);
}
