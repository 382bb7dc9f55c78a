//! How long a system takes that RabbitMQ does not know yet.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::bounds::{join, open, settings};

/// As many as the shop has, without its relays' own.
const GROUPS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn many_new_groups_at_once_are_there_within_seconds() {
    let Some(settings) = settings() else { return };
    let begun = Instant::now();
    let groups = (0..GROUPS).map(|group| {
        let settings = settings.clone();
        async move {
            let (broker, _) = open(&settings);
            join(&broker, &format!("group-{group}")).await
        }
    });
    let members = join_all(groups).await;
    let first = begun.elapsed();
    drop(members);
    let begun = Instant::now();
    let (broker, _) = open(&settings);
    let _member = join(&broker, "group-0").await;
    let again = begun.elapsed();
    eprintln!("{GROUPS} groups: {first:?}; one of them again: {again:?}");
    // Of a loaded machine; an idle one takes a tenth.
    assert!(first < Duration::from_secs(30), "{first:?}");
}
