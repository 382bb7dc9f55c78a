//! What the streams' keys stand for, as this process has read it: a page of the log needs no look at each entry's stream.

use std::collections::HashMap;

use stanchion_eventsourcing::StreamId;
use uuid::Uuid;

/// Streams whose names are remembered, at most; about 10 MiB with names of 36 bytes.
pub(super) const STREAMS_MAX: usize = 65_536;

/// Streams by their keys, which are hashes of them: never false, whichever log is read. Forgets what was not used for long.
#[derive(Debug, Default)]
pub(crate) struct Names {
    young: HashMap<Uuid, StreamId>,
    old: HashMap<Uuid, StreamId>,
}

impl Names {
    /// The stream of a key, if it is remembered.
    pub(super) fn get(&mut self, key: Uuid) -> Option<StreamId> {
        if let Some(stream) = self.young.get(&key) {
            return Some(stream.clone());
        }
        let stream = self.old.remove(&key)?;
        self.keep(key, stream.clone());
        Some(stream)
    }

    /// Remembers a stream.
    pub(super) fn keep(&mut self, key: Uuid, stream: StreamId) {
        if self.young.len() >= STREAMS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_used() {
        let mut names = Names::default();
        let used = StreamId::new("order", "used");
        names.keep(used.key(), used.clone());
        for n in 0..STREAMS_MAX as u128 * 2 {
            names.keep(Uuid::from_u128(n), StreamId::new("order", "1"));
            if n % 1_000 == 0 {
                assert_eq!(names.get(used.key()), Some(used.clone()));
            }
        }
        assert!(names.young.len() + names.old.len() <= STREAMS_MAX);
        assert_eq!(names.get(Uuid::from_u128(0)), None);
    }
}
