//! One subscription, from the stored progress until it is told to stop or something fails. What is being handled then is
//! finished, unless it is the consumer's store that failed. What was put aside is tried again while the broker is still to
//! be subscribed to, and while it cannot be.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Interval, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Consumer;
use super::flight::{Flight, Work};
use super::marks::{Line, Marks};
use super::retry::{Looks, Retries, Tried};
use super::subscribed::{acknowledge, extend_all, next, takes_no_more};
use super::waits::Waits;
use crate::relay::RedriveAsked;
use crate::{Mark, Place, Position, Receipt, Subscription};

/// How often lines that something is missing of are looked at.
const ASK: Duration = Duration::from_secs(1);

/// The most lines asked for at once.
const ASKS_MAX: usize = 64;

/// What became of a message in flight.
enum Done {
    Dealt {
        key: String,
        parked: bool,
    },
    /// The end came first.
    NotBegun,
}

pub(super) type Wait<'a, T> = Option<BoxFuture<'a, T>>;

pub(super) struct Follow<'a> {
    pub(super) consumer: &'a Consumer,
    pub(super) marks: Marks,
    pub(super) flight: Flight,
    pub(super) waits: Waits,
    /// When the stored marks were last looked at.
    pub(super) refreshed: Instant,
    /// Something came.
    pub(super) was_given: bool,
    pub(super) paced: HashMap<String, Instant>,
}

impl<'a> Follow<'a> {
    /// Gives why the broker or a feed ended it, unless it was told to stop.
    ///
    /// # Errors
    /// The consumer's store failed.
    pub(super) async fn run(
        &mut self,
        subscribing: BoxFuture<'a, Result<Box<dyn Subscription>, String>>,
        stop: &CancellationToken,
    ) -> Result<Option<String>, String> {
        let consumer = self.consumer;
        let limits = &consumer.limits;
        let looks_for = Looks::now();
        let slots = Semaphore::new(limits.keys_max.max(1));
        // The end of the subscription is an end as well: what is being handled is finished, or it would begin anew each time
        // that one feed cannot be read.
        let (ending, mut ended) = (stop.child_token(), None);
        let (mut working, mut trying) = (FuturesUnordered::new(), FuturesUnordered::new());
        let (mut arriving, mut settling): (Wait<'_, _>, Wait<'_, _>) = (None, None);
        let (mut looking, mut asking): (Wait<'_, _>, Wait<'_, _>) = (None, None);
        let (mut stopping, mut looked) = (false, false);
        let (mut subscribing, mut subscription): (Wait<'_, _>, _) = (Some(subscribing), None);
        let mut retries = Retries::new(limits.keys_max.max(1));
        let mut extend = ticks(limits.extend_every);
        let mut ask = ticks(ASK);
        loop {
            while let Some(work) = self.flight.next() {
                let start = self.starts(&work);
                working.push(consumer.deal_with(work, start, &slots, &ending));
            }
            if settling.is_none() {
                settling = self.settle();
            }
            let is_told = stop.is_cancelled();
            let rests = working.is_empty() && settling.is_none() && trying.is_empty();
            if stopping && rests && looking.is_none() && (looked || is_told) {
                return Ok(ended);
            }
            // What is due is looked at in any case: a subscription that ends at once would keep it waiting.
            let looks = !is_told && (!stopping || !looked);
            let has_room = self.flight.has_room(limits.messages_max, limits.bytes_max);
            let takes = !stopping && arriving.is_none() && has_room;
            let mut failed = |error: String| {
                ended.get_or_insert(error);
                ending.cancel();
            };
            tokio::select! {
                () = ending.cancelled(), if !stopping => {
                    (stopping, arriving, subscribing) = (true, None, None);
                    self.flight.give_back();
                    takes_no_more(&mut subscription);
                    looking = looking.filter(|_| !stop.is_cancelled());
                }
                Some(done) = working.next(), if !working.is_empty() => {
                    self.done(done?);
                    // Those whose effects share a commit end together.
                    while let Some(Some(done)) = working.next().now_or_never() {
                        self.done(done?);
                    }
                }
                subscribed = wait(&mut subscribing) => {
                    subscribing = None;
                    subscription = subscribed.map_err(&mut failed).ok();
                }
                receipts = wait(&mut settling) => {
                    settling = None;
                    let receipts = receipts?;
                    let telling = acknowledge(&mut subscription, &receipts);
                    let told = self.meanwhile(telling, &mut working, &mut trying, &mut retries);
                    told.await?.unwrap_or_else(&mut failed);
                }
                arrived = wait(&mut arriving) => { arriving = None; self.admit(arrived?); }
                delivery = next(&mut subscription), if takes => match delivery {
                    Ok(delivery) => arriving = self.arrives(delivery, subscription.as_deref()),
                    Err(error) => failed(error.to_string()),
                },
                () = sleep_until(retries.looks_at()), if looking.is_none() && looks && retries.has_room() => {
                    looked = true;
                    looking = Some(Box::pin(consumer.look_for_due(&looks_for, retries.begin_look())));
                }
                due = wait(&mut looking) => {
                    looking = None;
                    let begun = retries.begin(due?, |parked| self.held_until(parked));
                    trying.extend(begun.into_iter().map(|parked| consumer.retry(parked)));
                }
                Some(tried) = trying.next(), if !trying.is_empty() => {
                    let next = retries.goes_on(tried?, |parked| self.held_until(parked));
                    trying.extend(next.filter(|_| !stopping).map(|parked| consumer.retry(parked)));
                }
                () = wait(&mut asking) => asking = None,
                _ = ask.tick(), if asking.is_none() && subscription.is_some() && !stopping => asking = self.ask(),
                _ = extend.tick() => {
                    let old = Instant::now().checked_sub(limits.extend_every);
                    let old = old.map_or_else(Vec::new, |old| self.flight.older_than(old));
                    let telling = extend_all(&mut subscription, &old);
                    let told = self.meanwhile(telling, &mut working, &mut trying, &mut retries);
                    told.await?.unwrap_or_else(&mut failed);
                }
            }
        }
    }

    /// Waits until the broker was told, which may be long. What is being handled goes on meanwhile: it may hold locks.
    async fn meanwhile(
        &mut self,
        telling: impl Future<Output = Result<(), String>>,
        working: &mut (impl Stream<Item = Result<Done, String>> + Unpin),
        trying: &mut (impl Stream<Item = Result<Tried, String>> + Unpin),
        retries: &mut Retries,
    ) -> Result<Result<(), String>, String> {
        let mut telling = pin!(telling);
        loop {
            tokio::select! {
                told = &mut telling => return Ok(told),
                Some(done) = working.next() => self.done(done?),
                Some(tried) = trying.next() => retries.tried(tried?.message),
            }
        }
    }

    fn done(&mut self, done: Done) {
        let Done::Dealt { key, parked } = done else {
            return;
        };
        self.flight.done(&key, parked);
        if parked {
            self.waits.parks(&key);
        }
        self.consumer.show_taken(self.flight.taken());
    }

    /// Stores how far the finished deliveries bring the consumer; gives what the broker is to be told then.
    fn settle(&mut self) -> Wait<'a, Result<Vec<Receipt>, String>> {
        let endings = self.flight.settled();
        if endings.is_empty() {
            return None;
        }
        let (mut marks, mut receipts) = (HashMap::new(), Vec::new());
        let mut places: HashMap<_, Place> = HashMap::new();
        for ending in endings {
            receipts.extend(ending.receipt);
            places.extend(ending.place);
            for (line, position) in ending.lines {
                let Some(position) = position else {
                    continue;
                };
                let mark = self.marks.settle(&line, position);
                marks.insert(line, mark);
            }
        }
        let consumer = self.consumer;
        let marks: Vec<Mark> = marks.into_values().collect();
        Some(Box::pin(async move {
            for (log, through) in places {
                let advanced = consumer.store.advance(consumer.name, log, through).await;
                advanced.map_err(|error| error.to_string())?;
            }
            if !marks.is_empty() {
                let settled = consumer.store.settle(consumer.name, &marks).await;
                settled.map_err(|error| error.to_string())?;
            }
            Ok(receipts)
        }))
    }

    /// Asks the relays for what is missing, and stores that what nobody tells of any more is not.
    fn ask(&mut self) -> Wait<'a, ()> {
        let (consumer, now) = (self.consumer, Instant::now());
        let lapsed = self.marks.lapse(now);
        let asks = match &consumer.publisher {
            Some(_) => self.marks.asks(now, ASKS_MAX),
            None => Vec::new(),
        };
        if lapsed.is_empty() && asks.is_empty() {
            return None;
        }
        consumer.show_holes(self.marks.holes());
        Some(Box::pin(async move {
            if !lapsed.is_empty() {
                info!(
                    consumer = consumer.name,
                    ?lapsed,
                    "what was missing is announced no more: it is not asked for"
                );
                // Where it is not stored it is missing again, and forgotten again.
                let settled = consumer.store.settle(consumer.name, &lapsed).await;
                settled.unwrap_or_else(
                    |error| warn!(consumer = consumer.name, %error, "marks are not stored"),
                );
            }
            if let Err(reason) = consumer.ask_for(asks).await {
                // Asked for again later.
                warn!(consumer = consumer.name, reason, "the ask did not arrive");
            }
        }))
    }
}

impl Consumer {
    /// Asks for each of these lines, from where it was dealt with.
    async fn ask_for(&self, asks: Vec<(Line, Position)>) -> Result<(), String> {
        let Some(publisher) = &self.publisher else {
            return Ok(());
        };
        for (line, after) in asks {
            warn!(consumer = self.name, ?line, %after, "something is missing, and asked for");
            self.count("asked");
            let asked = RedriveAsked {
                log: line.log,
                consumer: self.name.to_owned(),
                partition: line.partition,
                family: line.family,
                after,
            };
            let published = publisher.publish(&asked.envelope()?).await;
            published.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn deal_with(
        &self,
        work: Work,
        start: Option<Instant>,
        slots: &Semaphore,
        ending: &CancellationToken,
    ) -> Result<Done, String> {
        let key = work.message.key.clone();
        if work.blocked && !work.given_up {
            self.park_behind(work.message).await?;
            return Ok(Done::Dealt { key, parked: true });
        }
        let turn = async {
            if let Some(start) = start {
                sleep_until(start).await;
            }
            slots.acquire().await
        };
        let _slot = tokio::select! {
            biased;
            () = ending.cancelled() => return Ok(Done::NotBegun),
            slot = turn => slot,
        };
        let blocks = self.attempt_first(work.message, work.given_up).await?;
        Ok(Done::Dealt {
            key,
            parked: blocks,
        })
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for it if it is there; else for ever.
async fn wait<T>(future: &mut Wait<'_, T>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
