//! Reading all of the log page by page, and reading streams.

use std::sync::Arc;

use load::{Job, Report, STREAM_EVENTS};
use stanchion_eventsourcing::{Checkpoint, EventLog, Filter, Pages, Version};

use crate::store;

/// The smallest page, and the largest unless the option `page` says otherwise.
const PAGES: (usize, usize) = (100, 10_000);

pub async fn feed(job: &Job) -> Report {
    let (_db, log) = store::log(job).await;
    store::fill(&log, job).await;
    let sizes = (PAGES.0, job.option("page").unwrap_or(PAGES.1));
    load::read_feed(job, || all(log.clone(), sizes)).await
}

async fn all(log: Arc<dyn EventLog>, sizes: (usize, usize)) -> u64 {
    let start = Checkpoint::start(log.id());
    let mut pages = Pages::new(log, Filter::all(), start, sizes);
    let mut read = 0;
    loop {
        let page = pages.next().await.expect("a page");
        if page.entries.is_empty() {
            return read;
        }
        read += page.entries.len() as u64;
    }
}

pub async fn stream(job: &Job) -> Report {
    let (_db, log) = store::log(job).await;
    store::fill(&log, job).await;
    load::read_streams(job, |stream| {
        let log = log.clone();
        async move {
            let stream = store::stream(stream);
            let read = log
                .read_stream(&stream, Version(0), 10 * STREAM_EVENTS)
                .await;
            read.expect("a stream").len()
        }
    })
    .await
}
