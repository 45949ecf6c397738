//! Sets of indexes: which destinations a peer has sent, was sent, waits for.
//!
//! Two octets for each member while members are few among their 65536 neighbours, one bit for each
//! neighbour once they are many. So the set of a client that has ten routes of a million costs tens
//! of octets, and that of a peer that has them all one bit for each.

/// Above so many members, a part is a bitmap: there both forms take 8 KiB.
const FEW_MAX: usize = 4096;
/// At so few members, a bitmap goes back to a list; well below the other bound, so that a set at the
/// bound does not change its form at every step.
const MANY_MIN: u32 = 1024;
const WORDS: usize = 65536 / 64;

/// A set of `u32`.
#[derive(Debug, Clone, Default)]
pub(super) struct IndexSet {
    /// Sorted by `high`; none is empty.
    parts: Vec<Part>,
    len: u32,
}

#[derive(Debug, Clone)]
struct Part {
    /// The upper half of its members.
    high: u16,
    members: Members,
}

#[derive(Debug, Clone)]
enum Members {
    /// The lower halves, sorted.
    Few(Vec<u16>),
    Many {
        bits: Box<[u64]>,
        count: u32,
    },
}

fn split(index: u32) -> (u16, u16) {
    ((index >> 16) as u16, index as u16)
}

fn join(high: u16, low: u16) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

impl IndexSet {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn contains(&self, index: u32) -> bool {
        let (high, low) = split(index);
        self.place(high)
            .is_ok_and(|at| self.parts[at].members.contains(low))
    }

    /// Returns whether it is new.
    pub(super) fn insert(&mut self, index: u32) -> bool {
        let (high, low) = split(index);
        let at = match self.place(high) {
            Ok(at) => at,
            Err(at) => {
                let members = Members::Few(Vec::new());
                self.parts.insert(at, Part { high, members });
                at
            }
        };
        let new = self.parts[at].members.insert(low);
        self.len += u32::from(new);
        new
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, index: u32) -> bool {
        let (high, low) = split(index);
        let Ok(at) = self.place(high) else {
            return false;
        };
        let members = &mut self.parts[at].members;
        let gone = members.remove(low);
        self.len -= u32::from(gone);
        if members.is_empty() {
            self.parts.remove(at);
        }
        gone
    }

    /// The lowest member that is not below `from`.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        let (high, low) = split(from);
        let at = match self.place(high) {
            Ok(at) => {
                if let Some(low) = self.parts[at].members.next(low) {
                    return Some(join(high, low));
                }
                at + 1
            }
            Err(at) => at,
        };
        let part = self.parts.get(at)?;
        part.members.next(0).map(|low| join(part.high, low))
    }

    /// All members from `from` on, in ascending order.
    pub(super) fn iter_from(&self, from: u32) -> impl Iterator<Item = u32> + '_ {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let found = self.next(next?)?;
            next = found.checked_add(1);
            Some(found)
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter_from(0)
    }

    /// Where the part `high` is, or would be.
    fn place(&self, high: u16) -> Result<usize, usize> {
        // In a dense set, the part is where its number says.
        if self
            .parts
            .get(usize::from(high))
            .is_some_and(|part| part.high == high)
        {
            return Ok(usize::from(high));
        }
        self.parts.binary_search_by_key(&high, |part| part.high)
    }
}

impl FromIterator<u32> for IndexSet {
    fn from_iter<I: IntoIterator<Item = u32>>(indexes: I) -> Self {
        let mut set = Self::default();
        for index in indexes {
            set.insert(index);
        }
        set
    }
}

impl Members {
    fn contains(&self, low: u16) -> bool {
        match self {
            Members::Few(list) => list.binary_search(&low).is_ok(),
            Members::Many { bits, .. } => bits[usize::from(low) / 64] >> (low % 64) & 1 == 1,
        }
    }

    fn insert(&mut self, low: u16) -> bool {
        match self {
            Members::Few(list) => {
                // Mostly the newest destination, which is the highest.
                if list.last().is_none_or(|last| *last < low) {
                    list.push(low);
                } else {
                    let Err(at) = list.binary_search(&low) else {
                        return false;
                    };
                    list.insert(at, low);
                }
                if list.len() > FEW_MAX {
                    *self = Members::many(list);
                }
                true
            }
            Members::Many { bits, count } => {
                let word = &mut bits[usize::from(low) / 64];
                let new = *word >> (low % 64) & 1 == 0;
                *word |= 1 << (low % 64);
                *count += u32::from(new);
                new
            }
        }
    }

    fn remove(&mut self, low: u16) -> bool {
        match self {
            Members::Few(list) => {
                let found = list.binary_search(&low);
                if let Ok(at) = found {
                    list.remove(at);
                }
                found.is_ok()
            }
            Members::Many { bits, count } => {
                let word = &mut bits[usize::from(low) / 64];
                let gone = *word >> (low % 64) & 1 == 1;
                *word &= !(1 << (low % 64));
                *count -= u32::from(gone);
                if *count <= MANY_MIN {
                    *self = self.few();
                }
                gone
            }
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Members::Few(list) if list.is_empty())
    }

    fn next(&self, from: u16) -> Option<u16> {
        match self {
            Members::Few(list) => {
                let at = list.partition_point(|low| *low < from);
                list.get(at).copied()
            }
            Members::Many { bits, .. } => {
                let first = usize::from(from) / 64;
                let mut mask = u64::MAX << (from % 64);
                for (at, word) in bits.iter().enumerate().skip(first) {
                    if word & mask != 0 {
                        let bit = (word & mask).trailing_zeros() as usize;
                        return u16::try_from(at * 64 + bit).ok();
                    }
                    mask = u64::MAX;
                }
                None
            }
        }
    }

    fn many(list: &[u16]) -> Members {
        let mut bits = vec![0; WORDS].into_boxed_slice();
        for low in list {
            bits[usize::from(*low) / 64] |= 1 << (low % 64);
        }
        let count = list.len() as u32;
        Members::Many { bits, count }
    }

    fn few(&self) -> Members {
        let mut list = Vec::new();
        let mut next = self.next(0);
        while let Some(low) = next {
            list.push(low);
            next = low.checked_add(1).and_then(|from| self.next(from));
        }
        Members::Few(list)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Ranges of insertions and removals, so that parts change their form both ways.
        #[test]
        fn behaves_like_a_set(
            steps in prop::collection::vec((any::<bool>(), 0_u32..200_000, 1_u32..9000), 1..20),
            probe in 0_u32..200_000,
        ) {
            let mut set = IndexSet::default();
            let mut model = BTreeSet::new();
            for (insert, from, count) in steps {
                for index in from..from + count {
                    if insert {
                        prop_assert_eq!(set.insert(index), model.insert(index));
                    } else {
                        prop_assert_eq!(set.remove(index), model.remove(&index));
                    }
                }
                prop_assert_eq!(set.len(), model.len());
                prop_assert_eq!(set.next(probe), model.range(probe..).next().copied());
                prop_assert_eq!(set.contains(probe), model.contains(&probe));
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            let all: Vec<u32> = set.iter().collect();
            for index in all {
                prop_assert!(set.remove(index));
            }
            prop_assert!(set.is_empty() && set.parts.is_empty());
        }
    }
}
