//! Who takes part: the whole way of ours, its stages, and outboxes of other languages.

use std::process::Command;

use crate::bench::kits::{self, Kit};

/// Through which broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broker {
    /// None: consumers read the log itself.
    InProcess,
    Nats,
    RabbitMq,
}

/// One way of messages through one broker.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) broker: Broker,
    pub(super) ours: Contestant,
    pub(super) peers: Vec<Contestant>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Contestant {
    pub(super) about: &'static str,
    /// What it promises about the order of a key's messages.
    pub(super) order: &'static str,
    pub(super) driver: Driver,
    /// What its driver is asked for.
    pub(super) word: &'static str,
    /// A stage alone: a limit of the whole way, not another way.
    pub(super) stage: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    Ours,
    Python,
    Node,
}

impl Driver {
    pub(super) fn kit(self) -> Kit {
        match self {
            Self::Ours => Kit::Messaging,
            Self::Python => Kit::MessagingPython,
            Self::Node => Kit::MessagingNode,
        }
    }

    /// The program without the arguments that all drivers have.
    pub(super) fn command(self) -> Command {
        match self {
            Self::Ours => Command::new(kits::built("messaging", "messaging")),
            Self::Python => {
                let python = kits::folder().join("messaging-python/bin/python");
                let mut command = Command::new(python);
                command.arg(kits::messaging("python").join("driver.py"));
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(kits::folder().join("messaging-node/driver.js"));
                command
            }
        }
    }
}

const OURS: Contestant = Contestant {
    about: "ours",
    order: "key",
    driver: Driver::Ours,
    word: "through",
    stage: false,
};

const fn stage(about: &'static str, word: &'static str) -> Contestant {
    Contestant {
        about,
        order: "none",
        driver: Driver::Ours,
        word,
        stage: true,
    }
}

const fn outbox(about: &'static str, driver: Driver) -> Contestant {
    Contestant {
        about,
        order: "none",
        driver,
        word: "through",
        stage: false,
    }
}

/// All of them, in the order in which they run.
pub(super) fn all() -> Vec<Case> {
    let case = |name, broker, client: Option<&'static str>| {
        let mut peers = vec![
            stage("stage: durable append", "append"),
            stage("stage: inbox and effect", "effect"),
        ];
        peers.extend(client.map(|about| stage(about, "broker")));
        peers.push(outbox("faststream-outbox", Driver::Python));
        peers.push(outbox("pg-transactional-outbox", Driver::Node));
        Case {
            name,
            broker,
            ours: OURS,
            peers,
        }
    };
    let (nats, rabbitmq) = ("stage: async-nats, JetStream", "stage: lapin, quorum queue");
    vec![
        case("in-process", Broker::InProcess, None),
        case("nats", Broker::Nats, Some(nats)),
        case("rabbitmq", Broker::RabbitMq, Some(rabbitmq)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broker_has_its_stages_and_two_other_outboxes_beside_ours() {
        for case in all() {
            let stages = case.peers.iter().filter(|peer| peer.stage).count();
            let expected = if case.broker == Broker::InProcess {
                2
            } else {
                3
            };
            assert_eq!(
                (stages, case.peers.len()),
                (expected, expected + 2),
                "{}",
                case.name
            );
        }
    }
}
