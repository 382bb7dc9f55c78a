//! What consumers take on, and how they try again.

use std::time::Duration;

use stanchion::config::settings;
use stanchion::messaging::ConsumerLimits;

settings! {
    /// What each consumer of inventory, orders and payments takes on, and how it tries again. Mails are tried for longer, and
    /// the gateway is called for fewer at a time.
    pub(crate) struct ConsumersSettings {
        /// Keys whose messages are handled at the same time.
        #[range(1..=10000)]
        pub(crate) keys_max: usize = 64,
        /// Messages taken up and not dealt with.
        #[range(1..=1000000)]
        pub(crate) messages_max: usize = 1024,
        /// How long one handling may take.
        #[range("100ms"..="1h")]
        pub(crate) handler_timeout: Duration = "30s",
        /// Attempts before a message is a dead letter; while something is out that it needs, they do not count.
        #[range(1..=10000)]
        pub(crate) attempts_max: u32 = 20,
        /// The wait before the second attempt, doubled each time.
        #[range("1ms"..="30s")]
        pub(crate) backoff_base: Duration = "100ms",
        /// The longest wait.
        #[range("1ms"..="30s")]
        pub(crate) backoff_max: Duration = "30s",
    }
}

impl ConsumersSettings {
    pub(crate) fn limits(&self) -> ConsumerLimits {
        ConsumerLimits {
            keys_max: self.keys_max,
            messages_max: self.messages_max,
            handler_timeout: self.handler_timeout,
            attempts_max: self.attempts_max,
            backoff_base: self.backoff_base,
            backoff_max: self.backoff_max,
            ..ConsumerLimits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_as_the_library_has_it() {
        let ours = format!("{:?}", ConsumersSettings::default().limits());
        assert_eq!(ours, format!("{:?}", ConsumerLimits::default()));
    }
}
