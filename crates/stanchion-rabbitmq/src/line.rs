//! A member's connection: a lane for each of the group's queues, and their upkeep beside the messages.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};
use lapin::Connection;
use stanchion_messaging::BrokerError;
use tokio::time::Instant;

use crate::balance::{Membership, count, surplus};
use crate::broker::Shared;
use crate::lane::Lane;
use crate::metrics::{BrokerMetrics, GroupMetrics};
use crate::topology::{self, GroupKind, Names, look};

/// A connection to consume on.
pub(crate) struct Line {
    kind: GroupKind,
    names: Names,
    connection: Arc<Connection>,
    membership: Membership,
    /// Without one where a partition was left to others and is not yet asked for again.
    pub(crate) lanes: Vec<Option<Lane>>,
    /// Receipts up to this one belong to an earlier connection.
    pub(crate) receipts_before: u64,
    balance_at: Instant,
    /// Partitions whose active members are to be told of a change.
    probe: Vec<u16>,
    /// Under way: it goes on where it was at the next wait, whatever interrupts this one.
    upkeep: Option<BoxFuture<'static, Result<Kept, BrokerError>>>,
}

/// What a step of the upkeep has brought.
enum Kept {
    /// So many members there are.
    Counted(u32),
    /// Lanes that were missing.
    Opened(Vec<(u16, Lane)>),
}

impl Line {
    pub(crate) async fn open(
        shared: &Shared,
        kind: GroupKind,
        receipts: u64,
    ) -> Result<Self, BrokerError> {
        let settings = &shared.settings;
        let names = Names::new(settings);
        let connection = shared.dialer.dial(&kind.name).await?;
        shared.metrics.connects.inc();
        topology::declare_shared(&connection, settings).await?;
        topology::declare_group(&connection, settings, &kind).await?;
        let membership = Membership::join(&connection, names.members(&kind.name)).await?;
        let mut line = Self {
            connection: Arc::new(connection),
            membership,
            lanes: (0..kind.queues()).map(|_| None).collect(),
            kind,
            names,
            receipts_before: receipts,
            balance_at: Instant::now() + settings.balance_every,
            probe: Vec::new(),
            upkeep: None,
        };
        // Where there are others, whoever is active learns that there is one more.
        line.upkeep = Some(line.count(None));
        while let Some(upkeep) = &mut line.upkeep {
            let kept = upkeep.await?;
            line.take(kept);
            line.begin(shared, None);
        }
        Ok(line)
    }

    /// Waits until something has arrived; looks after the lanes meanwhile. Cancel-safe.
    pub(crate) async fn wait(
        &mut self,
        shared: &Shared,
        metrics: &GroupMetrics,
    ) -> Result<(), BrokerError> {
        loop {
            self.begin(shared, Some(metrics));
            let balance_at = self.balance_at;
            tokio::select! {
                arrived = poll_fn(|context| self.poll(context, &shared.metrics)) => {
                    if arrived? {
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(balance_at) => {}
            }
        }
    }

    /// Ready with whether messages have arrived; without, when the lanes may need something.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        metrics: &BrokerMetrics,
    ) -> Poll<Result<bool, BrokerError>> {
        let (mut messages, mut probed) = (false, false);
        if let Some(upkeep) = &mut self.upkeep
            && let Poll::Ready(kept) = upkeep.poll_unpin(context)
        {
            self.upkeep = None;
            self.take(kept?);
            return Poll::Ready(Ok(false));
        }
        for lane in self.lanes.iter_mut().flatten() {
            lane.take_in(context, metrics)?;
            messages |= lane.has_arrived();
            probed |= lane.is_probed;
        }
        match (messages, probed && self.upkeep.is_none()) {
            (false, false) => Poll::Pending,
            (messages, _) => Poll::Ready(Ok(messages)),
        }
    }

    /// Begins what is due, unless something is under way.
    fn begin(&mut self, shared: &Shared, metrics: Option<&GroupMetrics>) {
        if self.upkeep.is_some() {
            return;
        }
        let looks = Instant::now() >= self.balance_at;
        if looks || self.lanes.iter().flatten().any(|lane| lane.is_probed) {
            self.balance_at = Instant::now() + shared.settings.balance_every;
            let metrics = metrics.filter(|_| looks).cloned();
            self.upkeep = Some(self.count(metrics.map(|it| (it, shared.metrics.clone()))));
        } else if !self.probe.is_empty() || self.lanes.iter().any(Option::is_none) {
            self.upkeep = Some(self.catch_up(shared.settings.prefetch));
        }
    }

    /// Counts the members; looks how much waits, if that is to be shown.
    fn count(
        &mut self,
        shows: Option<(GroupMetrics, BrokerMetrics)>,
    ) -> BoxFuture<'static, Result<Kept, BrokerError>> {
        for lane in self.lanes.iter_mut().flatten() {
            lane.is_probed = false;
        }
        let (connection, names) = (Arc::clone(&self.connection), self.names.clone());
        let kind = self.kind.clone();
        Box::pin(async move {
            let members = count(&connection, &names.members(&kind.name)).await?;
            if let Some((group, broker)) = shows {
                look_around(&connection, &names, &kind, &group, &broker).await?;
            }
            Ok(Kept::Counted(members))
        })
    }

    /// Asks again for the partitions that were left, and sends the probes that are not sent yet.
    fn catch_up(&mut self, prefetch: u16) -> BoxFuture<'static, Result<Kept, BrokerError>> {
        let (connection, names) = (Arc::clone(&self.connection), self.names.clone());
        let (group, prober) = (self.kind.name.clone(), self.membership.prober());
        let probe = std::mem::take(&mut self.probe);
        let missing = (0..).zip(&self.lanes).filter(|(_, lane)| lane.is_none());
        let missing: Vec<u16> = missing.map(|(partition, _)| partition).collect();
        Box::pin(async move {
            // All at the same time: each takes some round trips.
            let opening = missing.into_iter().map(|partition| {
                let (queue, connection) = (names.queue(&group, partition), &connection);
                async move {
                    let lane = Lane::open(connection, &queue, prefetch).await?;
                    Ok::<_, BrokerError>((partition, lane))
                }
            });
            let opened = try_join_all(opening).await?;
            for partition in probe {
                prober.probe(&names.queue(&group, partition)).await?;
            }
            Ok(Kept::Opened(opened))
        })
    }

    fn take(&mut self, kept: Kept) {
        self.upkeep = None;
        match kept {
            Kept::Counted(members) => self.balance(members),
            Kept::Opened(lanes) => {
                for (partition, lane) in lanes {
                    self.lanes[usize::from(partition)] = Some(lane);
                }
            }
        }
    }

    /// Leaves what is more than this member's share.
    fn balance(&mut self, members: u32) {
        let changed = self.membership.saw(members);
        let active = self.lanes.iter().flatten();
        let surplus = surplus(active.filter(|lane| lane.is_active).count(), members);
        let free = |lane: &Lane| lane.is_active && !lane.is_in_hands();
        let leave = (0..).zip(&mut self.lanes);
        let leave = leave.filter(|(_, lane)| lane.as_ref().is_some_and(free));
        for (partition, lane) in leave.take(surplus) {
            *lane = None;
            self.probe.push(partition);
        }
        if changed && members > 1 {
            self.probe = (0..self.kind.queues()).collect();
        }
    }
}

/// Looks how much waits.
async fn look_around(
    connection: &Connection,
    names: &Names,
    kind: &GroupKind,
    group: &GroupMetrics,
    broker: &BrokerMetrics,
) -> Result<(), BrokerError> {
    let queues = (0..kind.queues()).map(|number| names.queue(&kind.name, number));
    let looked = queues.map(|name| async move { look(connection, &name).await });
    let mut waiting = 0;
    for queue in try_join_all(looked).await? {
        let gone = || BrokerError("a queue of the group has been deleted".into());
        waiting += i64::from(queue.ok_or_else(gone)?.message_count());
    }
    group.waiting.set(waiting);
    if let Some(dead) = look(connection, &names.dead()).await? {
        broker.dead.set(i64::from(dead.message_count()));
    }
    Ok(())
}
