//! What a message is agreed to be: contracts and the families their versions form.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A named, versioned message between contexts.
///
/// The name is `context.what_happened.vN` for an event and `context.do_this.vN` for a command.
/// A field is never removed or renamed within a version; what changes meaning gets the next one. Versions begin with 1:
/// version 0 of a family is a relay's own.
pub trait Contract: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The full name with its version, such as `orders.order_placed.v1`.
    const NAME: &'static str;

    /// What order is kept by: messages with the same key arrive in the order they were announced.
    fn key(&self) -> String;
}

/// A message whose payload is not what its contract says.
#[derive(Debug, thiserror::Error)]
#[error("message {id} is not a valid {contract}: {reason}")]
pub struct DecodeError {
    /// The message's id.
    pub id: uuid::Uuid,
    /// The contract that was wanted.
    pub contract: &'static str,
    /// What serde said.
    pub reason: String,
}

/// A contract's name without its version: `orders.order_placed` of `orders.order_placed.v1`. A name without a version is
/// its own family. Who takes one version of a contract is given all of them, so that a newer one is put aside until the
/// consumer is upgraded, and not lost.
#[must_use]
pub fn family(name: &str) -> &str {
    let digits = |version: &str| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    match name.rsplit_once(".v") {
        Some((family, version)) if digits(version) => family,
        _ => name,
    }
}

/// A relay's sign of how far a line of announcements came; version 0 of the family, for nobody's handler.
const BEACON: &str = ".v0";

/// The beacon's contract of a family: whoever takes the family is given it.
pub(crate) fn beacon_of(family: &str) -> String {
    format!("{family}{BEACON}")
}

/// Whether that is the contract of a beacon.
pub(crate) fn is_beacon(contract: &str) -> bool {
    contract.ends_with(BEACON)
}

#[cfg(test)]
mod tests {
    use super::family;

    #[test]
    fn a_family_is_the_name_without_its_version() {
        for (name, expected) in [
            ("orders.order_placed.v1", "orders.order_placed"),
            ("orders.order_placed.v12", "orders.order_placed"),
            ("orders.order_placed", "orders.order_placed"),
            ("orders.v", "orders.v"),
            ("orders.voucher", "orders.voucher"),
            ("orders.v1.placed", "orders.v1.placed"),
        ] {
            assert_eq!(family(name), expected);
        }
    }
}
