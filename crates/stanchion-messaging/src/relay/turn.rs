//! One tenure of a relay: from the loaded state until the stop, or until something takes the lease away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;

use super::asks::Heard;
use super::hand::{Handed, hand_over};
use super::publish::Outgoing;
use super::state::Skipped;
use super::{Forwarder, Redrive, RelayState};
use crate::size::PageSize;
use crate::{BrokerError, Envelope, FeedPage, Place, Position, StoreError};

/// How long the feed's hints are trusted before the log is looked at without one.
const LOOK: Duration = Duration::from_secs(1);

/// How often the state is saved at most: what is announced again after a crash is what came in that time.
const SAVE_EVERY: Duration = Duration::from_millis(50);

/// How often the broker's store and the wishes are looked at.
const TEND: Duration = Duration::from_secs(2);

/// Reads that failed one after the other, some seconds, before another process may try.
const READ_FAILURES_MAX: u32 = 8;

/// How long a stop waits for confirmations.
const FLUSH: Duration = Duration::from_secs(2);

/// What a read of the feed was for.
enum Read {
    /// What is new.
    Onward(Result<FeedPage, BrokerError>),
    /// What is wanted again after that position.
    Again(Position, Result<FeedPage, BrokerError>),
}

pub(super) type Wait<'a, T> = Option<BoxFuture<'a, T>>;

pub(super) struct Turn<'a> {
    pub(super) relay: &'a Forwarder,
    pub(super) name: &'a str,
    pub(super) token: i64,
    /// As it is once everything that was read is confirmed.
    pub(super) state: RelayState,
    /// The newest state that holds and is not saved.
    pub(super) settled: Option<RelayState>,
    /// Everything up to here is confirmed.
    pub(super) confirmed: Position,
    /// Where that was when it last moved or was level with the log, and since when.
    pub(super) moved: (Position, Instant),
    /// What was put aside since a save began.
    pub(super) skipped: Vec<Skipped>,
    /// Somebody waits for beacons, who would wait long for the next ones.
    pub(super) owes_beacons: bool,
    pub(super) outgoing: Outgoing,
    /// The wishes that the state has since that stretch, to be struck off once one after it is saved.
    pub(super) granted: Vec<(u64, Uuid)>,
    /// The log may have more than was read.
    more: bool,
    /// Which read is next when both are due.
    again_next: bool,
    read_failures: u32,
    read_after: Instant,
    page: PageSize,
}

impl<'a> Turn<'a> {
    pub(super) fn new(relay: &'a Forwarder, name: &'a str, token: i64, state: RelayState) -> Self {
        Self {
            relay,
            name,
            token,
            confirmed: state.through.position,
            moved: relay.moved_before(state.through.position),
            skipped: Vec::new(),
            owes_beacons: false,
            state,
            settled: None,
            outgoing: Outgoing::default(),
            granted: Vec::new(),
            more: true,
            again_next: true,
            read_failures: 0,
            read_after: Instant::now(),
            page: PageSize::default(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut asked: mpsc::Receiver<Heard>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let relay = self.relay;
        let mut publishing = FuturesUnordered::new();
        let (mut reading, mut saving, mut tending): (Wait<'_, _>, Wait<'_, _>, Wait<'_, _>) =
            (None, None, None);
        let mut changes = relay.feed.changes();
        let mut look = ticks(LOOK);
        let mut save = ticks(SAVE_EVERY);
        let mut tend = ticks(TEND);
        let mut beacons = ticks(relay.limits.beacon_every);
        let mut stopping: Wait<'_, ()> = None;
        loop {
            for window in self.outgoing.next() {
                publishing.push(hand_over(relay, window));
            }
            if reading.is_none() && stopping.is_none() {
                reading = self.read();
            }
            if stopping.is_some() && self.is_saved() && saving.is_none() {
                return Ok(());
            }
            if self.cannot_read() && saving.is_none() && tending.is_none() {
                relay.cannot_read.store(true, Ordering::Relaxed);
                return Ok(());
            }
            tokio::select! {
                () = stop.cancelled(), if stopping.is_none() => {
                    reading = None;
                    stopping = Some(Box::pin(tokio::time::sleep(FLUSH)));
                }
                () = wait(&mut stopping) => return self.save_last().await,
                Some(handed) = publishing.next(), if !publishing.is_empty() => self.handed(&handed),
                page = wait(&mut reading) => { reading = None; self.take(page); }
                saved = wait(&mut saving) => { saving = None; self.saved(saved)?; }
                tended = wait(&mut tending) => { tending = None; self.tended(tended); }
                Some(heard) = asked.recv() => match heard {
                    Heard::Open => self.owes_beacons = true,
                    Heard::Ask(wish) => self.redrive(&wish),
                },
                Ok(()) = changes.changed() => self.more = true,
                _ = look.tick() => { self.more = true; self.show_lag(*changes.borrow()); }
                _ = save.tick(), if saving.is_none() && self.settled.is_some() => saving = self.save(),
                _ = tend.tick(), if tending.is_none() && stopping.is_none() => tending = Some(self.tend()),
                _ = beacons.tick(), if stopping.is_none() => { self.beacons(); }
            }
        }
    }

    /// Reads on, where there is more and room for it.
    fn read(&mut self) -> Wait<'a, Read> {
        if !self.has_room() {
            return None;
        }
        let entries = self.page.entries();
        let again = self.state.again_from();
        let (feed, from, pause) = (&self.relay.feed, self.state.through, self.read_after);
        if let Some(position) = again.filter(|_| self.again_next || !self.more) {
            self.again_next = false;
            let event = None;
            let from = Place { position, event };
            return Some(Box::pin(async move {
                tokio::time::sleep_until(pause).await;
                Read::Again(position, feed.read(from, entries).await)
            }));
        }
        self.again_next = true;
        if !self.more {
            return None;
        }
        self.more = false;
        Some(Box::pin(async move {
            tokio::time::sleep_until(pause).await;
            Read::Onward(feed.read(from, entries).await)
        }))
    }

    fn take(&mut self, read: Read) {
        let (page, again) = match read {
            Read::Onward(page) => (page, None),
            Read::Again(start, page) => (page, Some(start)),
        };
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.not_read(&error),
        };
        let could_not = self.relay.cannot_read.swap(false, Ordering::Relaxed);
        if self.read_failures > 0 || could_not {
            self.read_failures = 0;
            self.relay.health.well();
        }
        self.page.read(&page);
        match again {
            Some(start) => self.repeat(start, page),
            None => self.announce(page),
        }
    }

    fn has_room(&self) -> bool {
        let limits = &self.relay.limits;
        let (messages, bytes) = (limits.unconfirmed_max, limits.unconfirmed_bytes_max);
        self.outgoing.has_room(messages, bytes)
    }

    fn not_read(&mut self, error: &BrokerError) {
        self.read_failures += 1;
        self.more = true;
        self.read_after = Instant::now() + self.relay.backoff(self.read_failures);
        let context = self.name;
        error!(context, %error, "the relay cannot read its feed");
        self.relay.health.failed(&error.to_string());
    }

    /// It has tried for long enough, and nothing of what it read before is still on its way.
    fn cannot_read(&self) -> bool {
        self.read_failures >= READ_FAILURES_MAX && self.is_saved()
    }

    fn announce(&mut self, page: FeedPage) {
        if page.through.position <= self.state.through.position {
            return;
        }
        self.more = true;
        let messages = page.messages.into_iter();
        let envelopes = messages.filter_map(|it| self.state.announce(it)).collect();
        self.state.through = page.through;
        self.push(envelopes);
    }

    fn repeat(&mut self, start: Position, page: FeedPage) {
        let head = self.state.through.position;
        let messages = page.messages.into_iter();
        // What is beyond comes in its turn.
        let messages = messages.filter(|it| it.origin.position <= head);
        let envelopes: Vec<_> = messages
            .filter_map(|it| self.state.repeat(start, it))
            .collect();
        for _ in &envelopes {
            self.relay.count("repeated");
        }
        self.state.repeated(start, page.through.position);
        self.push(envelopes);
    }

    fn redrive(&mut self, wish: &Redrive) {
        if self.state.redrive(wish) {
            self.push(Vec::new());
        }
    }

    /// Tells of each line how far it is; not now, if those of a while ago may still be on their way.
    pub(super) fn beacons(&mut self) {
        if !self.has_room() || self.relay.health.is_failing() {
            return;
        }
        self.owes_beacons = false;
        let beacons = self.state.beacons(self.relay.feed.log_id());
        for _ in &beacons {
            self.relay.count("beacon");
        }
        self.push(beacons);
    }

    pub(super) fn handed(&mut self, handed: &Handed) {
        let partition = handed.partition;
        self.outgoing.confirmed(partition, handed.confirmed);
        if handed.is_aside
            && let Some(skipped) = self.outgoing.put_aside(partition)
        {
            self.state.skip(&skipped);
            // It waits to be saved, and may have been set back to what was announced before.
            self.settled.iter_mut().for_each(|it| it.skip(&skipped));
            self.skipped.push(skipped);
        }
        self.settle();
    }

    /// Gives the number of the stretch.
    pub(super) fn push(&mut self, envelopes: Vec<Envelope>) -> u64 {
        let number = self.outgoing.push(envelopes, self.state.clone());
        self.settle();
        number
    }

    fn settle(&mut self) {
        if let Some(state) = self.outgoing.settled() {
            self.confirmed = state.through.position;
            self.settled = Some(state);
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// Waits for it if it is there; else for ever.
async fn wait<T>(future: &mut Wait<'_, T>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
