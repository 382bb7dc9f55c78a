//! The model: lists and maps, no cleverness. It says what is right in the same words as the real ones.

use std::collections::BTreeMap;

use super::program::{Append, Entry, Expected, PAGE, STREAMS, SUBSCRIPTIONS, Shape, Step};

/// What the aggregate refuses to go beyond.
pub(crate) const FULL: i64 = 20;

#[derive(Default)]
pub(crate) struct Plain {
    /// Stream, version, number of the append it came with, and what it says.
    log: Vec<Event>,
    /// The append of each number, as given.
    appends: Vec<Append>,
    inbox: BTreeMap<u8, Row>,
    timers: BTreeMap<(u8, u8), i64>,
    kept: BTreeMap<u8, (i64, i64)>,
    /// How far each subscription came.
    followed: [i64; SUBSCRIPTIONS as usize],
}

#[derive(Clone)]
struct Event {
    stream: u8,
    version: i64,
    /// The append and the place in it; `None` for an event of an execution.
    from: Option<(usize, usize)>,
    shape: Shape,
}

enum Row {
    Claimed(u8),
    Settled {
        answer: Option<u8>,
        position: Option<i64>,
    },
}

impl Plain {
    pub(crate) fn answer(&mut self, step: &Step) -> String {
        match step {
            Step::Append(append) => {
                self.appends.push(append.clone());
                self.append(self.appends.len() - 1)
            }
            Step::Repeat(number) if *number < self.appends.len() => self.append(*number),
            Step::Repeat(_) => "nothing to repeat".into(),
            Step::Claim { key, owner } => self.claim(*key, *owner),
            Step::Complete { key, owner } => self.complete(*key, *owner),
            Step::Release { key, owner } => {
                if matches!(self.inbox.get(key), Some(Row::Claimed(holder)) if holder == owner) {
                    self.inbox.remove(key);
                }
                "released".into()
            }
            Step::ReadStream {
                stream,
                from,
                limit,
            } => {
                let of_stream = |event: &&Event| event.stream == *stream && event.version >= *from;
                self.shown(|log| log.filter(of_stream).take(*limit).collect())
            }
            Step::Read {
                after,
                filter,
                limit,
            } => self.shown(|log| {
                let after = log.skip(*after as usize);
                let wanted = after.filter(|event| !filter || event.stream == 0);
                wanted.take(*limit).collect()
            }),
            Step::Due { at, limit } => self.due(*at, *limit),
            Step::Fired { stream, timer, at } => {
                if self.timers.get(&(*stream, *timer)) == Some(at) {
                    self.timers.remove(&(*stream, *timer));
                }
                "cleared".into()
            }
            Step::Execute {
                stream,
                by,
                expected,
                ..
            } => self.execute(*stream, *by, *expected),
            Step::Load { stream, .. } => {
                format!("{} at {:?}", self.count(*stream), self.version(*stream))
            }
            Step::Keep {
                stream,
                version,
                schema,
            } => {
                let there = self.kept.get(stream);
                if there.is_none_or(|there| there.1 != *schema || there.0 < *version) {
                    self.kept.insert(*stream, (*version, *schema));
                }
                "kept".into()
            }
            Step::Discard { stream, version } => {
                if self
                    .kept
                    .get(stream)
                    .is_some_and(|there| there.0 == *version)
                {
                    self.kept.remove(stream);
                }
                "discarded".into()
            }
            Step::Kept { stream } => format!("{:?}", self.kept.get(stream)),
            Step::Follow {
                subscription,
                pages,
            } => self.follow(*subscription, *pages),
            Step::Rewind { subscription, to } if *to <= self.log.len() as i64 => {
                self.followed[usize::from(*subscription)] = *to;
                format!("rewound to {to}")
            }
            Step::Rewind { to, .. } => format!("{to} is beyond the end"),
        }
    }

    /// Every timer that is set, for whoever cleans up.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (u8, u8, i64)> {
        self.timers
            .iter()
            .map(|((stream, timer), at)| (*stream, *timer, *at))
    }

    fn append(&mut self, number: usize) -> String {
        let append = self.appends[number].clone();
        let nothing = append.inbox.is_none() || !append.timers.is_empty();
        if append.events.is_empty() && nothing {
            return "invalid".into();
        }
        let last = append.events.len().wrapping_sub(1);
        let before = self
            .log
            .iter()
            .position(|event| event.from == Some((number, last)));
        if let Some(before) = before {
            return format!(
                "at {} version {:?}",
                before + 1,
                Some(self.log[before].version)
            );
        }
        if let Some(unsettled) = append.inbox.and_then(|entry| self.unsettled(entry)) {
            return unsettled;
        }
        let actual = self.version(append.stream);
        let holds = match append.expected {
            Expected::NoStream => actual.is_none(),
            Expected::Exact(version) => actual == Some(version),
            Expected::Any => true,
        };
        if !holds {
            return format!("conflict with {actual:?}");
        }
        for (place, shape) in append.events.iter().enumerate() {
            self.push(append.stream, Some((number, place)), *shape);
        }
        for (timer, at) in &append.timers {
            match at {
                Some(at) => self.timers.insert((append.stream, *timer), *at),
                None => self.timers.remove(&(append.stream, *timer)),
            };
        }
        if let Some(entry) = append.inbox {
            let row = Row::Settled {
                answer: entry.answer,
                position: Some(self.log.len() as i64),
            };
            self.inbox.insert(entry.key, row);
        }
        format!(
            "at {} version {:?}",
            self.log.len(),
            self.version(append.stream)
        )
    }

    fn unsettled(&self, entry: Entry) -> Option<String> {
        match (self.inbox.get(&entry.key), entry.owner) {
            (None, None) => None,
            (Some(Row::Claimed(holder)), Some(owner)) if *holder == owner => None,
            (
                Some(Row::Settled {
                    answer, position, ..
                }),
                _,
            ) => Some(format!("handled at {position:?} with {answer:?}")),
            _ => Some("the claim was lost".into()),
        }
    }

    fn claim(&mut self, key: u8, owner: u8) -> String {
        match self.inbox.get(&key) {
            None => {
                self.inbox.insert(key, Row::Claimed(owner));
                "fresh".into()
            }
            Some(Row::Claimed(_)) => "running".into(),
            Some(Row::Settled {
                answer, position, ..
            }) => {
                format!("answered {:?} at {position:?}", answer.unwrap_or_default())
            }
        }
    }

    fn complete(&mut self, key: u8, owner: u8) -> String {
        let held = matches!(self.inbox.get(&key), Some(Row::Claimed(holder)) if *holder == owner);
        if held {
            let row = Row::Settled {
                answer: Some(owner),
                position: None,
            };
            self.inbox.insert(key, row);
        }
        format!("completed {held}")
    }

    fn due(&self, at: i64, limit: usize) -> String {
        let mut due: Vec<_> = self.timers().filter(|timer| timer.2 <= at).collect();
        due.sort_by_key(|timer| timer.2);
        // Which of those due at the same moment come first is left open: only their times are compared.
        let times: Vec<i64> = due.iter().take(limit).map(|timer| timer.2).collect();
        format!("due {times:?}")
    }

    fn execute(&mut self, stream: u8, by: i64, expected: Option<i64>) -> String {
        let actual = self.version(stream);
        if expected.is_some() && expected != actual {
            return format!("mismatch with {actual:?}");
        }
        if self.count(stream) + by > FULL {
            return "full".into();
        }
        // By nothing it decides to do nothing.
        if by > 0 {
            self.push(stream, None, Shape::Counted(by));
        }
        let (count, at) = (self.count(stream), self.log.len());
        format!("{count} at {at} version {:?}", self.version(stream))
    }

    fn follow(&mut self, subscription: u8, pages: Option<usize>) -> String {
        let number = usize::from(subscription);
        let (mut at, mut handed, mut seen) = (self.followed[number] as usize, 0, Vec::new());
        let halted = loop {
            let later = self.log.iter().enumerate().skip(at);
            let wanted = later.filter(|(_, event)| number == 0 || event.stream == 0);
            let page: Vec<_> = wanted.take(PAGE).collect();
            let (Some((last, _)), false) = (page.last(), pages == Some(handed)) else {
                break !page.is_empty();
            };
            // One that is not full reaches to the end, also past what was not wanted.
            at = if page.len() == PAGE {
                last + 1
            } else {
                self.log.len()
            };
            seen.extend(page.into_iter().map(|(_, event)| event));
            handed += 1;
        };
        if !halted {
            at = self.log.len();
        }
        let shown = self.shown(|_| seen.clone());
        self.followed[number] = at as i64;
        format!("{shown} halted {halted} at {at}")
    }

    fn push(&mut self, stream: u8, from: Option<(usize, usize)>, shape: Shape) {
        let version = self.version(stream).map_or(0, |version| version + 1);
        self.log.push(Event {
            stream,
            version,
            from,
            shape,
        });
    }

    fn version(&self, stream: u8) -> Option<i64> {
        let of_stream = self.log.iter().filter(|event| event.stream == stream);
        (of_stream.count() as i64)
            .checked_sub(1)
            .filter(|last| *last >= 0)
    }

    fn count(&self, stream: u8) -> i64 {
        let of_stream = self.log.iter().filter(|event| event.stream == stream);
        of_stream.map(|event| event.shape.counts()).sum()
    }

    fn shown<'a>(
        &'a self,
        pick: impl FnOnce(&mut dyn Iterator<Item = &'a Event>) -> Vec<&'a Event>,
    ) -> String {
        debug_assert!(self.log.iter().all(|event| event.stream < STREAMS));
        let mut all = self.log.iter();
        let picked = pick(&mut all);
        let shown: Vec<String> = picked
            .into_iter()
            .map(|event| format!("{}/{} {}", event.stream, event.version, event.shape.kind()))
            .collect();
        shown.join(", ")
    }
}

impl Shape {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Counted(_) => "counted.v3",
            Self::CountedV1(_) => "counted",
            Self::CountedV2(_) => "counted.v2",
        }
    }

    /// The first shape counted in tens.
    pub(crate) fn counts(self) -> i64 {
        match self {
            Self::Counted(by) | Self::CountedV2(by) => by,
            Self::CountedV1(tens) => tens * 10,
        }
    }
}
