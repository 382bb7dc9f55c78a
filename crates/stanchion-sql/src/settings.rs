use std::time::Duration;

use stanchion_config::Setting;

use crate::DatabaseUrl;

stanchion_config::settings! {
    /// Bounds of one module's database.
    pub struct DatabaseSettings {
        /// PostgreSQL: most open connections of a module's pool; its log has one more for itself.
        #[range(1..=1000)]
        pub connections_max: usize = 25usize,
        /// PostgreSQL: connections kept open while nobody uses them.
        #[range(0..=1000)]
        pub connections_idle: usize = 5usize,
        /// PostgreSQL: a connection older than this is closed once it is free.
        #[range("1s"..="24h")]
        pub connection_life: Duration = "1h",
        /// PostgreSQL: a connection unused for this long is closed.
        #[range("1s"..="24h")]
        pub connection_idle_time: Duration = "30m",
        /// PostgreSQL: several statements in one packet; off for poolers that cannot. A pooler must keep
        /// sessions (PgBouncer: `pool_mode = session`): one in transaction mode is refused at the start.
        pub pipelining: bool = true,
        /// PostgreSQL: one connection a process and database on which logs are told of other processes' appends; off
        /// for poolers that cannot: readers poll instead.
        pub listen: bool = true,
        /// PostgreSQL: open a log on a server with `synchronous_commit`, `fsync` or `full_page_writes` off, where a
        /// crash loses acknowledged events.
        pub allow_unsafe_durability: bool = false,
        /// Longest wait of an append in the log's queue, and of one whose commit's outcome is unknown for the answer.
        #[range("10ms"..="60s")]
        pub append_wait: Duration = "5s",
        /// Longest wait for a connection, a reader, or a place in SQLite's writer queue.
        #[range("1ms"..="60s")]
        pub acquire_timeout: Duration = "5s",
        /// Longest run of one statement.
        #[range("1ms"..="1h")]
        pub statement_timeout: Duration = "5s",
        /// PostgreSQL: longest wait for a lock, and longest pause within a transaction.
        #[range("1ms"..="60s")]
        pub lock_timeout: Duration = "2s",
        /// SQLite: threads that read.
        #[range(1..=64)]
        pub readers: usize = 2usize,
        /// SQLite: writes that may wait for the writer.
        #[range(1..=100000)]
        pub writer_queue_max: usize = 1024usize,
        /// SQLite: what is deleted or replaced is overwritten with zeroes in its page; for rows about people. PostgreSQL
        /// does so with VACUUM.
        pub overwrite_deleted: bool = false,
        /// SQLite: longest time one transaction may hold the writer between its statements.
        #[range("1ms"..="60s")]
        pub writer_hold: Duration = "2s",
    }
}

impl Setting for DatabaseUrl {
    fn expected() -> String {
        "`sqlite://DIR` or `postgres://USER:PASSWORD@HOST/DATABASE`".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|error: crate::InvalidDatabaseUrl| error.to_string())
    }

    /// Without the password.
    fn show(&self) -> Option<String> {
        Some(format!("\"{self}\""))
    }
}
