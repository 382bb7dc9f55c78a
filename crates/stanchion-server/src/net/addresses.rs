use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::admission::network;

/// How many connections each address has, of IPv6 each network of 64 bits: whoever has one address of it has them all.
/// Bounded by the connections there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of an address.
#[derive(Debug)]
pub(crate) struct Counted {
    addresses: Addresses,
    address: IpAddr,
}

impl Addresses {
    /// One more of that address, unless it has `max` already.
    pub(crate) fn enter(&self, address: IpAddr, max: usize) -> Option<Counted> {
        let address = network(address);
        let mut counts = self.0.lock();
        let count = counts.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Counted {
            addresses: self.clone(),
            address,
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_own_bound_and_leaves_nothing_behind() {
        let addresses = Addresses::default();
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = addresses.enter(one, 1);
        assert!(first.is_some() && addresses.enter(one, 1).is_none());
        assert!(addresses.enter(other, 1).is_some());
        drop(first);
        assert!(addresses.0.lock().is_empty());
    }

    #[test]
    fn the_addresses_of_a_network_of_ipv6_are_one() {
        let addresses = Addresses::default();
        let of = |text: &str| addresses.enter(text.parse().unwrap(), 1);
        let first = of("2001:db8:1:2::1");
        assert!(first.is_some() && of("2001:db8:1:2:ffff::2").is_none());
        let next = of("2001:db8:1:3::1");
        assert!(next.is_some());
        drop(first);
        assert!(of("2001:db8:1:2:ffff::2").is_some());
        // However the kernel writes an address of IPv4.
        let mapped = of("::ffff:10.0.0.1");
        assert!(mapped.is_some() && of("10.0.0.1").is_none());
    }
}
