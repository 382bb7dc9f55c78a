//! The tables every module's store has: log, inbox, timers, checkpoints, parked messages, leases, snapshots, keys, relays, jobs, instances of processes.

/// Number, name, up and down of one migration of the scope `stanchion`.
pub(crate) type Text = (u32, &'static str, &'static str, &'static str);

pub(crate) const SCOPE: &str = "stanchion";

const LEASE: Text = (
    2,
    "lease",
    include_str!("schema/0002_lease.up.sql"),
    include_str!("schema/0002_lease.down.sql"),
);

const SNAPSHOT: Text = (
    3,
    "snapshot",
    include_str!("schema/0003_snapshot.up.sql"),
    include_str!("schema/0003_snapshot.down.sql"),
);

const SUBJECT: Text = (
    4,
    "subject",
    include_str!("schema/0004_subject.up.sql"),
    include_str!("schema/0004_subject.down.sql"),
);

const SUBJECT_MASTER: Text = (
    5,
    "subject_master",
    include_str!("schema/0005_subject_master.up.sql"),
    include_str!("schema/0005_subject_master.down.sql"),
);

const BROKER: Text = (
    6,
    "broker",
    include_str!("schema/0006_broker.up.sql"),
    include_str!("schema/0006_broker.down.sql"),
);

const JOB: Text = (
    7,
    "job",
    include_str!("schema/0007_job.up.sql"),
    include_str!("schema/0007_job.down.sql"),
);

const PROCESS_INSTANCE: Text = (
    9,
    "process_instance",
    include_str!("schema/0009_process_instance.up.sql"),
    include_str!("schema/0009_process_instance.down.sql"),
);

const LEASE_GRANTED: Text = (
    11,
    "lease_granted",
    include_str!("schema/0011_lease_granted.up.sql"),
    include_str!("schema/0011_lease_granted.down.sql"),
);

const PARKED_CONTRACT: Text = (
    12,
    "parked_contract",
    include_str!("schema/0012_parked_contract.up.sql"),
    include_str!("schema/0012_parked_contract.down.sql"),
);

const PARKED_BY_MESSAGE: Text = (
    13,
    "parked_by_message",
    include_str!("schema/0013_parked_by_message.up.sql"),
    include_str!("schema/0013_parked_by_message.down.sql"),
);

const PARKED_UNDER_WAY: Text = (
    14,
    "parked_under_way",
    include_str!("schema/0014_parked_under_way.up.sql"),
    include_str!("schema/0014_parked_under_way.down.sql"),
);

const CONSUMER_START: Text = (
    15,
    "consumer_start",
    include_str!("schema/0015_consumer_start.up.sql"),
    include_str!("schema/0015_consumer_start.down.sql"),
);

const PARKED_NOTE: Text = (
    16,
    "parked_note",
    include_str!("schema/0016_parked_note.up.sql"),
    include_str!("schema/0016_parked_note.down.sql"),
);

pub(crate) const POSTGRES: &[Text] = &[
    (
        1,
        "event_log",
        include_str!("schema/0001_event_log.postgres.up.sql"),
        include_str!("schema/0001_event_log.postgres.down.sql"),
    ),
    LEASE,
    SNAPSHOT,
    SUBJECT,
    SUBJECT_MASTER,
    BROKER,
    JOB,
    (
        8,
        "one_statement",
        include_str!("schema/0008_one_statement.postgres.up.sql"),
        include_str!("schema/0008_one_statement.postgres.down.sql"),
    ),
    PROCESS_INSTANCE,
    (
        10,
        "append_whole",
        include_str!("schema/0010_append_whole.postgres.up.sql"),
        include_str!("schema/0010_append_whole.postgres.down.sql"),
    ),
    LEASE_GRANTED,
    PARKED_CONTRACT,
    PARKED_BY_MESSAGE,
    PARKED_UNDER_WAY,
    CONSUMER_START,
    PARKED_NOTE,
];

pub(crate) const SQLITE: &[Text] = &[
    (
        1,
        "event_log",
        include_str!("schema/0001_event_log.sqlite.up.sql"),
        include_str!("schema/0001_event_log.sqlite.down.sql"),
    ),
    LEASE,
    SNAPSHOT,
    SUBJECT,
    SUBJECT_MASTER,
    BROKER,
    JOB,
    (
        8,
        "one_statement",
        include_str!("schema/0008_one_statement.sqlite.up.sql"),
        include_str!("schema/0008_one_statement.sqlite.down.sql"),
    ),
    PROCESS_INSTANCE,
    (
        10,
        "append_whole",
        include_str!("schema/0010_append_whole.sqlite.up.sql"),
        include_str!("schema/0010_append_whole.sqlite.down.sql"),
    ),
    LEASE_GRANTED,
    PARKED_CONTRACT,
    PARKED_BY_MESSAGE,
    PARKED_UNDER_WAY,
    CONSUMER_START,
    PARKED_NOTE,
];
