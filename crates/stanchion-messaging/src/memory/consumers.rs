use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::{
    AfterLastAttempt, ConsumerStore, DeadLetterFilter, LogId, Mark, Parked, ParkedState, Place,
    Position, StoreError,
};

/// A consumer's rows in memory, for tests.
#[derive(Default)]
pub struct MemoryConsumerStore {
    progress: Mutex<HashMap<(String, LogId), Place>>,
    /// After which place processes began last, and how many.
    begun: Mutex<HashMap<(String, LogId), (Position, u32)>>,
    parked: Mutex<Vec<Parked>>,
    marks: Mutex<HashMap<String, Vec<Mark>>>,
}

impl MemoryConsumerStore {
    /// The oldest parked message of each key.
    fn heads(&self, consumer: &str, after: AfterLastAttempt) -> Vec<Parked> {
        let rows = self.parked.lock();
        let mut seen = HashSet::new();
        let own = rows
            .iter()
            .filter(|row| row.consumer == consumer && blocks(row, after));
        let heads = own.filter(|row| seen.insert(row.message.key.clone()));
        heads.cloned().collect()
    }
}

fn blocks(row: &Parked, after: AfterLastAttempt) -> bool {
    row.state != ParkedState::Dead || after == AfterLastAttempt::KeyWaits
}

/// Updates the row of that message, if it is there.
fn update(rows: &mut [Parked], parked: &Parked) -> bool {
    let same =
        |row: &&mut Parked| row.consumer == parked.consumer && row.message.id == parked.message.id;
    let Some(row) = rows.iter_mut().find(same) else {
        return false;
    };
    row.state = parked.state;
    row.attempts = parked.attempts;
    row.under_way = parked.under_way;
    row.due_at = parked.due_at;
    row.reason.clone_from(&parked.reason);
    true
}

#[async_trait]
impl ConsumerStore for MemoryConsumerStore {
    async fn progress(&self, consumer: &str) -> Result<HashMap<LogId, Place>, StoreError> {
        let progress = self.progress.lock();
        let own = progress.iter().filter(|((name, _), _)| name == consumer);
        Ok(own.map(|((_, log), position)| (*log, *position)).collect())
    }

    async fn advance(&self, consumer: &str, log: LogId, to: Place) -> Result<(), StoreError> {
        let mut progress = self.progress.lock();
        let at = progress.entry((consumer.to_owned(), log)).or_default();
        if at.position < to.position {
            *at = to;
        }
        Ok(())
    }

    async fn begins(&self, consumer: &str, log: LogId, after: Position) -> Result<u32, StoreError> {
        let mut begun = self.begun.lock();
        let (place, times) = begun.entry((consumer.to_owned(), log)).or_default();
        if *place != after {
            (*place, *times) = (after, 0);
        }
        *times += 1;
        Ok(*times - 1)
    }

    async fn ends(&self, consumer: &str, log: LogId, after: Position) -> Result<(), StoreError> {
        let mut begun = self.begun.lock();
        if let Some((place, times)) = begun.get_mut(&(consumer.to_owned(), log))
            && *place == after
        {
            *times = times.saturating_sub(1);
        }
        Ok(())
    }

    async fn marks(&self, consumer: &str) -> Result<Vec<Mark>, StoreError> {
        Ok(self.marks.lock().get(consumer).cloned().unwrap_or_default())
    }

    async fn settle(&self, consumer: &str, marks: &[Mark]) -> Result<(), StoreError> {
        let mut kept = self.marks.lock();
        let kept = kept.entry(consumer.to_owned()).or_default();
        for mark in marks {
            let line = |it: &&mut Mark| {
                (it.log, it.partition, &it.family) == (mark.log, mark.partition, &mark.family)
            };
            match kept.iter_mut().find(line) {
                Some(known) if known.position > mark.position => {}
                Some(known) => known.clone_from(mark),
                None => kept.push(mark.clone()),
            }
        }
        Ok(())
    }

    async fn blocked(
        &self,
        consumer: &str,
        keys: &[&str],
        after: AfterLastAttempt,
    ) -> Result<Vec<String>, StoreError> {
        let heads = self.heads(consumer, after).into_iter();
        let keys = heads.filter(|row| keys.contains(&row.message.key.as_str()));
        Ok(keys.map(|row| row.message.key).collect())
    }

    async fn parked_keys(
        &self,
        consumer: &str,
        limit: usize,
    ) -> Result<Option<Vec<String>>, StoreError> {
        let rows = self.parked.lock();
        let own = rows.iter().filter(|row| row.consumer == consumer);
        let keys: HashSet<&String> = own.map(|row| &row.message.key).collect();
        Ok((keys.len() <= limit).then(|| keys.into_iter().cloned().collect()))
    }

    async fn wait_behind(&self, parked: &Parked) -> Result<(), StoreError> {
        let mut rows = self.parked.lock();
        let same =
            |row: &Parked| row.consumer == parked.consumer && row.message.id == parked.message.id;
        if !rows.iter().any(same) {
            rows.push(parked.clone());
        }
        Ok(())
    }

    async fn park(&self, parked: &Parked) -> Result<(), StoreError> {
        let mut rows = self.parked.lock();
        if !update(&mut rows, parked) {
            rows.push(parked.clone());
        }
        Ok(())
    }

    async fn park_again(&self, parked: &Parked) -> Result<bool, StoreError> {
        Ok(update(&mut self.parked.lock(), parked))
    }

    async fn due(
        &self,
        consumer: &str,
        now: Timestamp,
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let mut due = self.heads(consumer, after);
        due.retain(|row| row.state == ParkedState::Retry && row.due_at <= now);
        due.sort_by_key(|row| row.due_at);
        due.truncate(limit);
        Ok(due)
    }

    async fn due_beyond(
        &self,
        consumer: &str,
        end: Timestamp,
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let mut beyond = self.heads(consumer, after);
        beyond
            .retain(|row| row.state == ParkedState::Retry && row.due_at > end && !row.is_delayed());
        beyond.sort_by_key(|row| row.due_at);
        beyond.truncate(limit);
        Ok(beyond)
    }

    async fn next_of(
        &self,
        consumer: &str,
        key: &str,
        now: Timestamp,
        after: AfterLastAttempt,
    ) -> Result<Option<Parked>, StoreError> {
        let mut heads = self.heads(consumer, after).into_iter();
        let next = heads.find(|row| row.message.key == key);
        Ok(next.filter(|row| row.state == ParkedState::Retry && row.due_at <= now))
    }

    async fn unknown(
        &self,
        consumer: &str,
        contracts: &[&str],
        after: AfterLastAttempt,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let mut known = self.heads(consumer, after);
        known.retain(|row| {
            row.state == ParkedState::Unknown && contracts.contains(&row.message.contract.as_str())
        });
        known.truncate(limit);
        Ok(known)
    }

    async fn counts(&self, consumer: &str) -> Result<Vec<(ParkedState, u64)>, StoreError> {
        let rows = self.parked.lock();
        let states = [ParkedState::Retry, ParkedState::Dead, ParkedState::Unknown];
        let count = |state| {
            let own = rows.iter().filter(|row| row.consumer == consumer);
            (state, own.filter(|row| row.state == state).count() as u64)
        };
        Ok(states
            .map(count)
            .into_iter()
            .filter(|it| it.1 > 0)
            .collect())
    }

    async fn resolve(&self, consumer: &str, message: Uuid) -> Result<(), StoreError> {
        let mut rows = self.parked.lock();
        rows.retain(|row| row.consumer != consumer || row.message.id != message);
        Ok(())
    }

    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<Parked>, StoreError> {
        let rows = self.parked.lock();
        let wanted = rows.iter().filter(|row| filter.wants(row));
        let mut wanted: Vec<Parked> = wanted.cloned().collect();
        wanted.sort_by_key(|row| row.parked_at);
        wanted.truncate(filter.limit.min(1_000));
        Ok(wanted)
    }

    async fn find(&self, message: Uuid) -> Result<Vec<Parked>, StoreError> {
        let rows = self.parked.lock();
        let found = rows.iter().filter(|row| row.message.id == message);
        Ok(found.cloned().collect())
    }

    async fn dead_before(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let rows = self.parked.lock();
        let old = |row: &&Parked| row.state == ParkedState::Dead && row.due_at < before;
        let mut dead: Vec<Parked> = rows.iter().filter(old).cloned().collect();
        dead.sort_by_key(|row| row.due_at);
        dead.truncate(limit);
        Ok(dead)
    }

    async fn redrive(
        &self,
        consumer: &str,
        message: Uuid,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut rows = self.parked.lock();
        let dead = |row: &&mut Parked| {
            row.consumer == consumer && row.message.id == message && row.state == ParkedState::Dead
        };
        let Some(row) = rows.iter_mut().find(dead) else {
            return Ok(false);
        };
        row.state = ParkedState::Retry;
        row.attempts = 0;
        row.due_at = now;
        Ok(true)
    }

    async fn discard(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError> {
        let mut rows = self.parked.lock();
        let before = rows.len();
        rows.retain(|row| {
            row.consumer != consumer || row.message.id != message || row.state == ParkedState::Retry
        });
        Ok(rows.len() < before)
    }

    async fn withdraw(&self, consumer: &str, message: Uuid) -> Result<bool, StoreError> {
        let mut rows = self.parked.lock();
        let before = rows.len();
        let waits = |row: &Parked| row.state == ParkedState::Retry && !row.under_way;
        rows.retain(|row| row.consumer != consumer || row.message.id != message || !waits(row));
        Ok(rows.len() < before)
    }
}
