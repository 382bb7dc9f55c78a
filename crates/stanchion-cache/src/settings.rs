use std::time::Duration;

use stanchion_config::ByteSize;

stanchion_config::settings! {
    /// How long a cache keeps what, and how long it waits for whom.
    pub struct CacheSettings {
        /// Entries in this process; beyond, the least used go.
        #[range(1..=10000000)]
        pub entries_max: u32 = 10000,
        /// How long an entry counts, give or take a tenth.
        #[range("10ms"..="30d")]
        pub ttl: Duration = "5m",
        /// How long it counts that there is nothing; zero keeps no such entries.
        #[range("0s"..="1h")]
        pub absent_ttl: Duration = "2s",
        /// How long beyond its time an entry is given when loading fails; zero gives the failure.
        #[range("0s"..="30d")]
        pub stale_max: Duration = "0s",
        /// How long this process may take a load to last; also how long an invalidation is remembered against it.
        #[range("10ms"..="5m")]
        pub load_timeout: Duration = "10s",
        /// Whether entries near their end are loaded again while they are still given.
        pub refresh_on: bool = true,
        /// The longest this process goes without asking the remote tier.
        #[range("10ms"..="1d")]
        pub local_ttl: Duration = "1m",
        /// The same while the remote tier does not tell what others change.
        #[range("1ms"..="1m")]
        pub blind_ttl: Duration = "1s",
        /// Larger values, as JSON, stay in this process.
        pub value_bytes_max: ByteSize = "256KiB",
        /// Invalidations that are owed to a remote tier that cannot be reached; beyond, they are lost on it.
        #[range(1..=1000000)]
        pub owed_max: u32 = 10000,
    }
}
