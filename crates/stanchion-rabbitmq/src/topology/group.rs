//! Which queues a group has, and what they are bound to.

use stanchion_messaging::{Group, PARTITIONS};

/// What the contracts begin with that relays and consumers talk to each other in.
const RELAYS: &str = "stanchion.";

/// Which messages a group is sent, and over how many queues.
///
/// Relays' own messages, such as consumers' asks, have routing keys of their own: consumers are not sent them, and who
/// takes nothing else is not sent everything. Those few need no partitions.
#[derive(Debug, Clone)]
pub(crate) struct GroupKind {
    pub(crate) name: String,
    pub(super) is_relays: bool,
}

impl GroupKind {
    pub(crate) fn of(group: &Group) -> Self {
        Self {
            name: group.name.clone(),
            is_relays: !group.contracts.is_empty()
                && group.contracts.iter().all(|contract| is_relays(contract)),
        }
    }

    /// Its queues are numbered from 0.
    pub(crate) fn queues(&self) -> u16 {
        if self.is_relays { 1 } else { PARTITIONS }
    }

    /// What the queue of that number is bound to.
    pub(super) fn keys(&self, number: u16) -> Vec<String> {
        if self.is_relays {
            (0..PARTITIONS).map(relays_key).collect()
        } else {
            vec![number.to_string()]
        }
    }
}

/// The routing key of a message.
pub(crate) fn routing_key(contract: &str, partition: u16) -> String {
    if is_relays(contract) {
        relays_key(partition)
    } else {
        partition.to_string()
    }
}

fn relays_key(partition: u16) -> String {
    format!("{RELAYS}{partition}")
}

pub(crate) fn is_relays(contract: &str) -> bool {
    contract.starts_with(RELAYS)
}
