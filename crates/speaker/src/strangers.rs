//! Peers from ranges of which nothing is known but their address.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use chanter_types::{Instant, Prefix};

use crate::PeerAddr;

/// Who came this short a time ago is not put out for another one: OPEN may be on its way.
const GRACE: Duration = Duration::from_secs(2);

/// What one owner of addresses can be expected to have: of IPv6 a whole link.
const NETWORK_LEN_V4: u8 = 24;
const NETWORK_LEN_V6: u8 = 64;

/// Peers from ranges of which no OPEN has been accepted yet, by network, the oldest first. Where
/// there are too many, the network with most of them loses one.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    by_network: BTreeMap<Prefix, VecDeque<(Instant, PeerAddr)>>,
    count: usize,
}

impl Strangers {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn insert(&mut self, name: PeerAddr, now: Instant) {
        if let Some(network) = network(&name) {
            let of_network = self.by_network.entry(network).or_default();
            of_network.push_back((now, name));
            self.count += 1;
        }
    }

    pub(crate) fn remove(&mut self, name: &PeerAddr) {
        let Some(network) = network(name) else {
            return;
        };
        let Some(of_network) = self.by_network.get_mut(&network) else {
            return;
        };
        let before = of_network.len();
        of_network.retain(|(_, other)| other != name);
        self.count -= before - of_network.len();
        if of_network.is_empty() {
            self.by_network.remove(&network);
        }
    }

    /// Who has to go so that there is room for another one; `None`: nobody has been there for long
    /// enough.
    pub(crate) fn victim(&self, now: Instant) -> Option<PeerAddr> {
        let fullest = self.by_network.values().max_by_key(|queue| queue.len())?;
        let (since, name) = fullest.front()?;
        (now.saturating_since(*since) >= GRACE).then(|| name.clone())
    }
}

fn network(name: &PeerAddr) -> Option<Prefix> {
    let addr = name.ip()?;
    let len = match addr {
        IpAddr::V4(_) => NETWORK_LEN_V4,
        IpAddr::V6(_) => NETWORK_LEN_V6,
    };
    Prefix::new(addr, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_with_most_of_them_loses_its_oldest() {
        let name = |text: &str| text.parse::<PeerAddr>().unwrap();
        let at = Instant::from_secs;
        let mut strangers = Strangers::default();
        strangers.insert(name("192.0.2.1"), at(0));
        for (second, host) in (1..).zip(["198.51.100.7", "198.51.100.8", "198.51.100.9"]) {
            strangers.insert(name(host), at(second));
        }
        assert_eq!(strangers.len(), 4);
        assert_eq!(strangers.victim(at(2)), None, "it has just come");
        assert_eq!(strangers.victim(at(3)), Some(name("198.51.100.7")));
        strangers.remove(&name("198.51.100.7"));
        strangers.remove(&name("203.0.113.1"));
        assert_eq!(strangers.len(), 3);
        assert_eq!(strangers.victim(at(9)), Some(name("198.51.100.8")));
        for host in ["192.0.2.1", "198.51.100.8", "198.51.100.9"] {
            strangers.remove(&name(host));
        }
        assert_eq!((strangers.len(), strangers.victim(at(99))), (0, None));
    }
}
