//! The table of one family: destinations, their paths, and who has been sent what.
//!
//! Nodes are of fixed size and stand in slabs; they name each other by index. A destination heads
//! the list of its paths, of which the first is the best. It lives while it has a path, or while
//! somebody who was sent it has yet to be told that it is gone (`holders`); only then is its index
//! used again, so a bit in a peer's set always means the destination that it meant when it was set.

mod add_path;
mod change;
mod group;
mod long_lived;
mod member;
mod monitor;
mod peer;
mod pull;
mod run;
mod select;
mod sent;
mod share;
mod show;

use chanter_bgp::Attributes;
use chanter_types::{Instant, RouteTarget};
use hashbrown::HashTable;
use smallvec::SmallVec;

use super::attr_store::AttrStore;
use super::chunked::{NONE, Slab, Slot};
use super::index_set::IndexSet;
use super::journal::Journal;
use super::key::Key;
use super::mac_index::MacIndex;
use super::peers::Source;
use super::rt_index::RtIndex;
use group::UpdateGroup;

pub(super) use change::NewPath;
use monitor::Watch;
use peer::PeerTable;
pub(super) use peer::Which;
pub(super) use pull::{Pull, Window};

/// The journal position of a destination that is not in it yet.
const UNWRITTEN: u32 = NONE - 1;
/// That of a destination that is gone, but still found by its key.
const RETIRED: u32 = NONE - 2;
/// Below so many of these, to sweep them out is not worth it.
const RETIRED_MIN: usize = 1024;

/// A digest as the hash table wants it, which looks at the highest and at the lowest bits.
fn spread(digest: u32) -> u64 {
    u64::from(digest).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[derive(Debug)]
struct Dest<K> {
    key: K,
    /// The best path. Of a vacant place, the next one.
    head: u32,
    /// Where it stands in the journal; [`NONE`] in a vacant place.
    journal: u32,
    /// How many were sent it: peers, and the import pipe.
    holders: u32,
}

impl<K: Key> Slot for Dest<K> {
    fn vacant(next_free: u32) -> Self {
        Dest {
            key: K::vacant(),
            head: next_free,
            journal: NONE,
            holders: 0,
        }
    }

    fn next_free(&self) -> Option<u32> {
        (self.journal == NONE).then_some(self.head)
    }
}

#[derive(Debug)]
struct Path<D> {
    since: Since,
    attributes: u32,
    source: Source,
    /// Tells paths of one source apart (RFC 7911); 0 where there is one only.
    path_id: u32,
    next: u32,
    marks: Marks,
    data: D,
}

/// What is to be known of a path beside what it says, in one octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Marks(u8);

impl Marks {
    /// Kept from before a restart of its peer (RFC 4724 section 4.2).
    const STALE: Marks = Marks(1);
    /// Yet to be repeated: the peer sends all its routes again (RFC 7313 section 4).
    const UNREPEATED: Marks = Marks(2);

    fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }

    fn set(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }
}

/// A time in whole seconds, in half the room.
#[derive(Debug, Clone, Copy, Default)]
struct Since(u32);

impl From<Instant> for Since {
    fn from(at: Instant) -> Self {
        Since(u32::try_from(at.since_epoch().as_secs()).unwrap_or(u32::MAX))
    }
}

impl From<Since> for Instant {
    fn from(since: Since) -> Self {
        Instant::from_secs(since.0.into())
    }
}

impl<D: Default> Slot for Path<D> {
    fn vacant(next_free: u32) -> Self {
        Path {
            since: Since::default(),
            attributes: NONE,
            source: Source::VACANT,
            path_id: 0,
            next: next_free,
            marks: Marks::default(),
            data: D::default(),
        }
    }

    fn next_free(&self) -> Option<u32> {
        (self.source == Source::VACANT).then_some(self.next)
    }
}

/// The consumer that imports into VPN instances.
#[derive(Debug, Default)]
struct Pipe {
    cursor: u32,
    /// What changed for it alone: a VPN instance looks at what peers say also where its own path is
    /// the best, which is what all others are sent.
    aside: IndexSet,
    /// What it was told and has not been told to be gone.
    seen: IndexSet,
    /// What it was told last, if that is gone: kept until it asks again.
    last_gone: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Table<K: Key> {
    dests: Slab<Dest<K>>,
    paths: Slab<Path<K::Data>>,
    /// Destinations with the digests of their keys, so that growing does not visit them.
    by_key: HashTable<(u32, u32)>,
    attrs: AttrStore,
    rts: RtIndex,
    macs: MacIndex,
    journal: Journal,
    /// By slot.
    peers: Vec<Option<Box<PeerTable>>>,
    /// Peers that are sent the same; by place.
    groups: Vec<Option<Box<UpdateGroup>>>,
    /// Peers that are sent several paths of a destination; by slot.
    takers: Vec<u32>,
    /// Peers that follow the journal, alone or in a group; by slot.
    followers: Vec<u32>,
    /// How much members of a group may be behind, in octets.
    pub(super) ring_len_max: usize,
    /// Destinations with a path that originates at this node, and how many such paths.
    local: IndexSet,
    local_paths: usize,
    pipe: Pipe,
    monitors: Vec<Watch<K::Data>>,
    /// Destinations without a path.
    gone: usize,
    /// Destinations that are gone, but still found by their keys: they are swept out together, as it
    /// costs a cache miss or two to take one out of a hash table.
    retired: usize,
    /// Whether the journal has grown since those who follow it were told.
    pub(super) has_grown: bool,
    /// Peers for which something was put aside while nothing was before.
    pub(super) woken: Vec<u32>,
}

impl<K: Key> Table<K> {
    pub(super) fn new() -> Self {
        Self {
            dests: Slab::new(),
            paths: Slab::new(),
            by_key: HashTable::new(),
            attrs: AttrStore::new(),
            rts: RtIndex::default(),
            macs: MacIndex::new(),
            journal: Journal::new(),
            peers: Vec::new(),
            groups: Vec::new(),
            takers: Vec::new(),
            followers: Vec::new(),
            ring_len_max: group::RING_LEN_MAX,
            local: IndexSet::default(),
            local_paths: 0,
            pipe: Pipe::default(),
            monitors: Vec::new(),
            gone: 0,
            retired: 0,
            has_grown: false,
            woken: Vec::new(),
        }
    }

    /// Destinations with a path.
    pub(super) fn destination_count(&self) -> usize {
        self.dests.used() - self.gone - self.retired
    }

    pub(super) fn path_count(&self) -> usize {
        self.paths.used()
    }

    pub(super) fn local_path_count(&self) -> usize {
        self.local_paths
    }

    pub(super) fn attribute_set_count(&self) -> usize {
        self.attrs.len()
    }

    /// Whether nothing is left: no destination, path, attribute set or index entry.
    pub(super) fn is_empty(&self) -> bool {
        self.dests.used() == 0
            && self.paths.used() == 0
            && self.by_key.is_empty()
            && self.attrs.len() == 0
            && self.rts.is_empty()
            && self.macs.is_empty()
            && self.local.is_empty()
            && self.pipe.seen.is_empty()
            && (0..self.journal.end()).all(|position| self.journal.get(position).is_none())
    }

    pub(super) fn find(&self, key: &K) -> Option<u32> {
        self.find_by_digest(key.digest(), key)
            .filter(|index| self.dests[*index].journal != RETIRED)
    }

    fn find_by_digest(&self, digest: u32, key: &K) -> Option<u32> {
        let is_it = |entry: &(u32, u32)| entry.0 == digest && self.dests[entry.1].key == *key;
        self.by_key.find(spread(digest), is_it).map(|entry| entry.1)
    }

    fn create(&mut self, digest: u32, key: K) -> u32 {
        // Nothing is gained by it before the room is needed.
        if self.retired > RETIRED_MIN.max(self.dests.end() as usize / 2) {
            self.sweep();
        }
        let mac = key.mac();
        let index = self.dests.insert(Dest {
            key,
            head: NONE,
            journal: UNWRITTEN,
            holders: 0,
        });
        self.by_key
            .insert_unique(spread(digest), (digest, index), |entry| spread(entry.0));
        if let Some(mac) = mac {
            self.macs.insert(mac, index);
        }
        self.gone += 1;
        index
    }

    /// Lets go of the destination, which has no path and no holder.
    fn remove_destination(&mut self, index: u32) {
        let position = std::mem::replace(&mut self.dests[index].journal, RETIRED);
        if position != UNWRITTEN {
            self.journal.erase(position);
        }
        self.gone -= 1;
        self.retired += 1;
        if self.retired == self.dests.used() {
            self.retired = 0;
            self.dests.clear();
            self.macs.clear();
            self.by_key = HashTable::new();
        }
    }

    /// Takes a destination into use again that was found by its key.
    fn revive(&mut self, index: u32) {
        if self.dests[index].journal == RETIRED {
            self.dests[index].journal = UNWRITTEN;
            self.retired -= 1;
            self.gone += 1;
        }
    }

    /// Frees the destinations that are gone.
    fn sweep(&mut self) {
        let dests = &self.dests;
        self.by_key
            .retain(|(_, index)| dests[*index].journal != RETIRED);
        for index in 0..self.dests.end() {
            if self.dests[index].journal == RETIRED && self.dests.remove(index).key.mac().is_some()
            {
                self.macs.remove(index);
            }
        }
        self.retired = 0;
    }

    /// Looks at what a key will lead to, and does nothing: many together make their cache misses
    /// overlap.
    pub(super) fn touch(&self, key: &K) -> u32 {
        let Some(index) = self.find_by_digest(key.digest(), key) else {
            return 0;
        };
        let dest = &self.dests[index];
        let journal = self.journal.get(dest.journal).unwrap_or(0);
        let path = self.paths.get(dest.head).map_or(0, |path| path.attributes);
        journal ^ path
    }

    /// Takes one holder off the destination, which goes if it has no path either.
    fn release_destination(&mut self, index: u32) {
        let dest = &mut self.dests[index];
        dest.holders -= 1;
        if dest.holders == 0 && dest.head == NONE {
            self.remove_destination(index);
        }
    }

    /// The paths of a destination, the best first.
    fn paths_of(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        let head = Some(self.dests[index].head).filter(|head| *head != NONE);
        std::iter::successors(head, |path| {
            Some(self.paths[*path].next).filter(|next| *next != NONE)
        })
    }

    fn path_from(&self, index: u32, source: Source, path_id: u32) -> Option<u32> {
        self.paths_of(index).find(|path| {
            let path = &self.paths[*path];
            path.source == source && path.path_id == path_id
        })
    }

    /// All paths of a source: several where it sends several (RFC 7911).
    fn paths_from(&self, index: u32, source: Source) -> SmallVec<[u32; 2]> {
        self.paths_of(index)
            .filter(|path| self.paths[*path].source == source)
            .collect()
    }

    /// The attribute set of the best path.
    fn best_set(&self, index: u32) -> Option<u32> {
        let head = self.dests[index].head;
        (head != NONE).then(|| self.paths[head].attributes)
    }

    fn best_is_local(&self, index: u32) -> bool {
        let head = self.dests[index].head;
        head != NONE && self.paths[head].source.is_local()
    }

    /// Holds an attribute set for a batch, until [`Table::release_set`].
    pub(super) fn hold_set(&mut self, attributes: &Attributes) -> u32 {
        let (set, is_new) = self.attrs.intern(attributes);
        if is_new && K::BY_ROUTE_TARGET {
            let mut rts: SmallVec<[RouteTarget; 2]> = attributes.route_targets().collect();
            rts.sort_unstable();
            rts.dedup();
            let numbers = rts.into_iter().map(|rt| self.rts.add_set(rt)).collect();
            self.attrs.set_rts(set, numbers);
        }
        set
    }

    pub(super) fn release_set(&mut self, set: u32) {
        if let Some(set) = self.attrs.release(set) {
            for number in set.rts {
                self.rts.remove_set(number);
            }
        }
    }

    /// The next destination of which the best path, or the best path of the peers, changed, for the
    /// import pipe.
    pub(super) fn poll_changed(&mut self) -> Option<u32> {
        if let Some(index) = self.pipe.last_gone.take() {
            self.release_destination(index);
        }
        while let Some(index) = self.pipe.aside.next(0) {
            self.pipe.aside.remove(index);
            // One without a path stands in the journal, if it was ever told.
            if self.is_live(index) {
                self.tell_pipe(index);
                return Some(index);
            }
        }
        while let Some(index) = self.journal.next(&mut self.pipe.cursor) {
            if self.dests[index].head != NONE {
                self.tell_pipe(index);
                return Some(index);
            }
            if self.pipe.seen.remove(index) {
                self.pipe.last_gone = Some(index);
                return Some(index);
            }
        }
        None
    }

    fn tell_pipe(&mut self, index: u32) {
        if self.pipe.seen.insert(index) {
            self.dests[index].holders += 1;
        }
    }
}
