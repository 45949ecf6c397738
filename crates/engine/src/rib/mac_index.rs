//! Destinations by MAC address. Those of one address are chained, since an address may stand in any
//! number of VPNs: a table of chains finds, adds and removes in constant time whatever their length.

use chanter_types::MacAddr;
use hashbrown::HashTable;
use rustc_hash::FxHasher;

use std::hash::Hasher;

use super::chunked::{Chunked, NONE};

#[derive(Debug)]
struct Link {
    mac: MacAddr,
    previous: u32,
    next: u32,
}

#[derive(Debug)]
pub(super) struct MacIndex {
    /// The first destination of each chain.
    heads: HashTable<u32>,
    /// By destination.
    links: Chunked<Link>,
}

fn digest(mac: MacAddr) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    let mut hasher = FxHasher::default();
    hasher.write_u64(u64::from_be_bytes([0, 0, a, b, c, d, e, f]));
    hasher.finish()
}

impl MacIndex {
    pub(super) fn new() -> Self {
        Self {
            heads: HashTable::new(),
            links: Chunked::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(super) fn insert(&mut self, mac: MacAddr, index: u32) {
        while self.links.len() <= index {
            let mac = MacAddr::ZERO;
            self.links.push(Link {
                mac,
                previous: NONE,
                next: NONE,
            });
        }
        let links = &self.links;
        let entry = self.heads.entry(
            digest(mac),
            |head| links[*head].mac == mac,
            |head| digest(links[*head].mac),
        );
        let mut next = NONE;
        entry
            .and_modify(|head| next = std::mem::replace(head, index))
            .or_insert(index);
        if next != NONE {
            self.links[next].previous = index;
        }
        self.links[index] = Link {
            mac,
            previous: NONE,
            next,
        };
    }

    pub(super) fn remove(&mut self, index: u32) {
        let Link {
            mac,
            previous,
            next,
        } = self.links[index];
        if next != NONE {
            self.links[next].previous = previous;
        }
        if previous != NONE {
            self.links[previous].next = next;
        } else if let Ok(mut head) = self.heads.find_entry(digest(mac), |head| *head == index) {
            if next == NONE {
                head.remove();
            } else {
                *head.get_mut() = next;
            }
        }
        if self.heads.is_empty() {
            self.links.truncate(0);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The destinations with this address, the latest first.
    pub(super) fn find(&self, mac: MacAddr) -> impl Iterator<Item = u32> + '_ {
        let head = self
            .heads
            .find(digest(mac), |head| self.links[*head].mac == mac)
            .copied();
        std::iter::successors(head, |index| {
            Some(self.links[*index].next).filter(|next| *next != NONE)
        })
    }
}
