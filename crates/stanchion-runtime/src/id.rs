//! Ids: new ones sort by time, derived ones repeat.

use uuid::Uuid;

/// A new UUIDv7: unique, and later ones of this process sort after earlier ones.
#[must_use]
pub fn new_v7() -> Uuid {
    #[allow(clippy::disallowed_methods, reason = "the one place that makes ids")]
    Uuid::now_v7()
}

/// The UUIDv5 of `name` in `namespace`: the same input always gives the same id.
#[must_use]
pub fn derived(namespace: &Uuid, name: &[u8]) -> Uuid {
    Uuid::new_v5(namespace, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_sort_in_the_order_they_were_made() {
        let ids: Vec<_> = (0..10_000).map(|_| new_v7()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_derived_id_depends_on_namespace_and_name_alone() {
        let (one, other) = (new_v7(), new_v7());
        assert_eq!(derived(&one, b"a"), derived(&one, b"a"));
        assert_ne!(derived(&one, b"a"), derived(&one, b"b"));
        assert_ne!(derived(&one, b"a"), derived(&other, b"a"));
    }
}
