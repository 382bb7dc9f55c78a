//! The tables every module's store has: log, inbox, timers, checkpoints, parked messages.

/// Number, name, up and down of one migration of the scope `stanchion`.
pub(crate) type Text = (u32, &'static str, &'static str, &'static str);

pub(crate) const SCOPE: &str = "stanchion";

const LEASE: Text = (
    2,
    "lease",
    include_str!("schema/0002_lease.up.sql"),
    include_str!("schema/0002_lease.down.sql"),
);

pub(crate) const POSTGRES: &[Text] = &[
    (
        1,
        "event_log",
        include_str!("schema/0001_event_log.postgres.up.sql"),
        include_str!("schema/0001_event_log.down.sql"),
    ),
    LEASE,
];

pub(crate) const SQLITE: &[Text] = &[
    (
        1,
        "event_log",
        include_str!("schema/0001_event_log.sqlite.up.sql"),
        include_str!("schema/0001_event_log.down.sql"),
    ),
    LEASE,
];
