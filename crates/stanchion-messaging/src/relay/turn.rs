//! One tenure of a relay: from the loaded state until the stop, or until something takes the lease away.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use stanchion_runtime::{clock, random};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use super::publish::Outgoing;
use super::{Forwarder, Redrive, RelayState};
use crate::{BrokerError, Envelope, FeedPage, Place, Position, StoreError};

/// The most log entries read at once.
const PAGE_ENTRIES_MAX: usize = 256;

/// How long the feed's hints are trusted before the log is looked at without one.
const LOOK: Duration = Duration::from_secs(1);

/// How often the state is saved at most: what is announced again after a crash is what came in that time.
const SAVE_EVERY: Duration = Duration::from_millis(50);

/// How often the broker's store and the wishes are looked at.
const TEND: Duration = Duration::from_secs(2);

/// How long a stop waits for confirmations.
const FLUSH: Duration = Duration::from_secs(2);

/// How long the last save of a stop may take.
const SAVE_LAST: Duration = Duration::from_secs(1);

/// What a read of the feed was for.
enum Read {
    /// What is new.
    Onward(Result<FeedPage, BrokerError>),
    /// What is wanted again after that position.
    Again(Position, Result<FeedPage, BrokerError>),
}

/// What is looked after beside announcing.
struct Tended {
    store: Result<String, BrokerError>,
    wishes: Result<Vec<(Uuid, Redrive)>, StoreError>,
}

type Wait<'a, T> = Option<BoxFuture<'a, T>>;

pub(super) struct Turn<'a> {
    relay: &'a Forwarder,
    name: &'a str,
    token: i64,
    /// As it is once everything that was read is confirmed.
    state: RelayState,
    /// The newest state that holds and is not saved.
    settled: Option<RelayState>,
    /// Everything up to here is confirmed.
    confirmed: Position,
    outgoing: Outgoing,
    /// The wishes that the state has, to be struck off once it is saved.
    granted: Vec<Uuid>,
    /// The log may have more than was read.
    more: bool,
    /// Which read is next when both are due.
    again_next: bool,
    read_failures: u32,
    read_after: Instant,
}

impl<'a> Turn<'a> {
    pub(super) fn new(relay: &'a Forwarder, name: &'a str, token: i64, state: RelayState) -> Self {
        Self {
            relay,
            name,
            token,
            confirmed: state.through.position,
            state,
            settled: None,
            outgoing: Outgoing::default(),
            granted: Vec::new(),
            more: true,
            again_next: true,
            read_failures: 0,
            read_after: Instant::now(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut asked: mpsc::Receiver<Redrive>,
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
                publishing.push(confirm(relay, window));
            }
            if reading.is_none() && stopping.is_none() {
                reading = self.read();
            }
            if stopping.is_some() && self.is_saved() && saving.is_none() {
                return Ok(());
            }
            tokio::select! {
                () = stop.cancelled(), if stopping.is_none() => {
                    reading = None;
                    stopping = Some(Box::pin(tokio::time::sleep(FLUSH)));
                }
                () = wait(&mut stopping) => return self.save_last().await,
                Some(partition) = publishing.next(), if !publishing.is_empty() => {
                    self.outgoing.confirmed(partition);
                    self.settle();
                }
                page = wait(&mut reading) => { reading = None; self.take(page); }
                saved = wait(&mut saving) => { saving = None; self.saved(saved)?; }
                tended = wait(&mut tending) => { tending = None; self.tended(tended); }
                Some(wish) = asked.recv() => { self.redrive(&wish); }
                Ok(()) = changes.changed() => self.more = true,
                _ = look.tick() => { self.more = true; self.show_lag(*changes.borrow()); }
                _ = save.tick(), if saving.is_none() && self.settled.is_some() => saving = self.save(),
                _ = tend.tick(), if tending.is_none() && stopping.is_none() => tending = Some(self.tend()),
                _ = beacons.tick(), if stopping.is_none() => self.beacons(),
            }
        }
    }

    /// Reads on, where there is more and room for it.
    fn read(&mut self) -> Wait<'a, Read> {
        if !self.outgoing.has_room(self.relay.limits.unconfirmed_max) {
            return None;
        }
        let again = self.state.again_from();
        let (feed, from, pause) = (&self.relay.feed, self.state.through, self.read_after);
        if let Some(position) = again.filter(|_| self.again_next || !self.more) {
            self.again_next = false;
            let event = None;
            let from = Place { position, event };
            return Some(Box::pin(async move {
                tokio::time::sleep_until(pause).await;
                Read::Again(position, feed.read(from, PAGE_ENTRIES_MAX).await)
            }));
        }
        self.again_next = true;
        if !self.more {
            return None;
        }
        self.more = false;
        Some(Box::pin(async move {
            tokio::time::sleep_until(pause).await;
            Read::Onward(feed.read(from, PAGE_ENTRIES_MAX).await)
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
        if self.read_failures > 0 {
            self.read_failures = 0;
            self.relay.health.well();
        }
        match again {
            Some(start) => self.repeat(start, page),
            None => self.announce(page),
        }
    }

    fn not_read(&mut self, error: &BrokerError) {
        self.read_failures += 1;
        self.more = true;
        self.read_after = Instant::now() + backoff(self.relay, self.read_failures);
        let context = self.name;
        error!(context, %error, "the relay cannot read its feed");
        self.relay.health.failed(&error.to_string());
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
            self.count("repeated");
        }
        self.state.repeated(start, page.through.position);
        self.push(envelopes);
    }

    fn redrive(&mut self, wish: &Redrive) {
        if self.state.redrive(wish) {
            self.push(Vec::new());
        }
    }

    fn beacons(&mut self) {
        // Those of a while ago may still be on their way.
        let has_room = self.outgoing.has_room(self.relay.limits.unconfirmed_max);
        if !has_room || self.relay.health.is_failing() {
            return;
        }
        let beacons = self.state.beacons(self.relay.feed.log_id());
        for _ in &beacons {
            self.count("beacon");
        }
        self.push(beacons);
    }

    fn push(&mut self, envelopes: Vec<Envelope>) {
        self.outgoing.push(envelopes, self.state.clone());
        self.settle();
    }

    fn settle(&mut self) {
        if let Some(state) = self.outgoing.settled() {
            self.confirmed = state.through.position;
            self.settled = Some(state);
        }
    }

    fn is_saved(&self) -> bool {
        self.outgoing.is_empty() && self.settled.is_none()
    }

    fn save(&mut self) -> Wait<'a, (Result<bool, StoreError>, RelayState)> {
        let state = self.settled.take()?;
        let (relay, name, token) = (self.relay, self.name, self.token);
        let granted = if state == self.state {
            std::mem::take(&mut self.granted)
        } else {
            Vec::new()
        };
        Some(Box::pin(async move {
            let log = relay.feed.log_id();
            let saved = relay.store.save(name, log, token, &state).await;
            if matches!(saved, Ok(true)) && !granted.is_empty() {
                // Taken up twice at worst.
                let _ = relay.store.granted(name, &granted).await;
            }
            (saved, state)
        }))
    }

    /// What was confirmed by the end of a stop need not be announced again.
    async fn save_last(&mut self) -> Result<(), StoreError> {
        if let Some(saving) = self.save() {
            let saved = tokio::time::timeout(SAVE_LAST, saving).await;
            return saved.map_or(Ok(()), |saved| self.saved(saved));
        }
        Ok(())
    }

    fn saved(&mut self, saved: (Result<bool, StoreError>, RelayState)) -> Result<(), StoreError> {
        match saved {
            (Ok(true), _) => Ok(()),
            (Ok(false), _) => Err(StoreError("another holder of the lease has come".into())),
            (Err(error), state) => {
                warn!(context = self.name, %error, "the relay's checkpoint waits for its store");
                self.settled.get_or_insert(state);
                Ok(())
            }
        }
    }

    fn tend(&self) -> BoxFuture<'a, Tended> {
        let (relay, name) = (self.relay, self.name);
        Box::pin(async move {
            let (store, wishes) =
                tokio::join!(relay.publisher.store_id(), relay.store.wishes(name));
            Tended { store, wishes }
        })
    }

    fn tended(&mut self, tended: Tended) {
        if let Ok(store) = tended.store {
            self.found(store);
        }
        for (id, wish) in tended.wishes.unwrap_or_default() {
            if self.granted.contains(&id) {
                continue;
            }
            info!(
                context = self.name,
                ?wish,
                "an operator wants it announced again"
            );
            self.state.redrive(&wish);
            self.granted.push(id);
            self.push(Vec::new());
        }
    }

    /// What the broker's store is known by; another one has nothing of what was announced.
    fn found(&mut self, store: String) {
        let before = self.state.store.replace(store);
        if before == self.state.store {
            return;
        }
        if before.is_some() {
            warn!(
                context = self.name,
                "the broker's store is another one than before: who misses something asks for it"
            );
            self.count("store_lost");
            if self.relay.asks.is_none() {
                self.state.redrive(&Redrive::default());
            }
        }
        self.push(Vec::new());
        self.beacons();
    }

    fn show_lag(&self, head: Position) {
        let Some(metrics) = &self.relay.metrics else {
            return;
        };
        let behind = (head.0 - self.confirmed.0).max(0);
        let age = self
            .outgoing
            .oldest()
            .map(|at| clock::now().duration_since(at));
        let seconds = age.map_or(0, |age| age.as_secs().max(0));
        metrics.lag(behind, seconds, self.outgoing.waiting());
    }

    fn count(&self, outcome: &'static str) {
        count(self.relay, outcome);
    }
}

/// Hands messages of a partition to the broker until all are confirmed; gives the partition. After a refusal they go one by
/// one, then in growing numbers: one that the broker does not take holds up no other that comes before it.
async fn confirm(relay: &Forwarder, window: Vec<Envelope>) -> u16 {
    let partition = window.first().map_or(0, |first| first.partition);
    let (mut rest, mut width, mut failures) = (window.as_slice(), window.len(), 0);
    while !rest.is_empty() {
        let together = &rest[..width.min(rest.len())];
        match relay.publisher.publish_all(together).await {
            Ok(()) => {
                rest = &rest[together.len()..];
                (width, failures) = (width * 2, 0);
                relay.health.well();
                for _ in together {
                    count(relay, "confirmed");
                }
            }
            Err(error) => {
                (width, failures) = (1, failures + 1);
                if failures == 1 {
                    warn!(context = relay.feed.name(), %error, "the relay waits for the broker");
                }
                relay.health.failed(&error.to_string());
                count(relay, "refused");
                tokio::time::sleep(backoff(relay, failures)).await;
            }
        }
    }
    partition
}

fn count(relay: &Forwarder, outcome: &'static str) {
    if let Some(metrics) = &relay.metrics {
        metrics.count(outcome);
    }
}

fn backoff(relay: &Forwarder, failures: u32) -> Duration {
    let limits = &relay.limits;
    let doubled = limits
        .backoff_base
        .saturating_mul(1 << failures.min(16).saturating_sub(1));
    let cap = doubled.min(limits.backoff_max);
    cap / 10 + random::jitter(cap - cap / 10)
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
