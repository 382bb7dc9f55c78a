//! What things are called in the server.

use std::fmt::Write;

use stanchion_messaging::PARTITIONS;

/// Names of one system in the server.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: token(prefix),
        }
    }

    pub(crate) fn stream(&self) -> &str {
        &self.prefix
    }

    /// Everything of the stream.
    pub(crate) fn all(&self) -> String {
        format!("{}.>", self.prefix)
    }

    pub(crate) fn subject(&self, partition: u16, contract: &str) -> String {
        let mut subject = format!("{}.{partition:02}", self.prefix);
        for part in contract.split('.') {
            subject.push('.');
            subject.push_str(&token(part));
        }
        subject
    }

    /// Everything of a partition.
    pub(crate) fn partition(&self, partition: u16) -> String {
        format!("{}.{partition:02}.>", self.prefix)
    }

    /// The partition that a subject of ours is of.
    pub(crate) fn partition_of(&self, subject: &str) -> Option<u16> {
        let rest = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let partition = rest.split('.').next()?.parse().ok()?;
        (partition < PARTITIONS).then_some(partition)
    }

    pub(crate) fn consumer(group: &str, partition: u16) -> String {
        format!("{}-{partition:02}", token(group))
    }
}

/// As one token of a subject, which is also a name of a stream or consumer: what is no letter, digit, `_` or `-` becomes
/// `=` and its bytes in hexadecimal, so that different texts stay different.
fn token(text: &str) -> String {
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            token.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(token, "={byte:02x}");
        }
    }
    if token.is_empty() {
        token.push('=');
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_hold_no_wildcard_and_lead_back_to_their_partition() {
        let names = Names::new("my.shop");
        let subject = names.subject(7, "orders.order_placed.v1");
        assert_eq!(subject, "my=2eshop.07.orders.order_placed.v1");
        assert_eq!(names.partition_of(&subject), Some(7));
        assert_eq!(names.partition(7), "my=2eshop.07.>");
        assert_eq!(names.subject(0, "a.*.> b."), "my=2eshop.00.a.=2a.=3e=20b.=");
        let foreign = ["my=2eshop.16.a", "my=2eshop.x.a", "other.07.a", "my=2eshop"];
        assert!(foreign.iter().all(|one| names.partition_of(one).is_none()));
    }

    #[test]
    fn different_groups_have_different_consumers() {
        let names = ["a.b", "a=2eb", "a b", "", "="].map(|group| Names::consumer(group, 3));
        let distinct: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }
}
