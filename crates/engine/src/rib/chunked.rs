//! Storage that grows by chunks: no copy and no doubled memory while a table grows to its size, and
//! an index stays valid for as long as what it names.

use std::ops::{Index, IndexMut};

const CHUNK_BITS: u32 = 10;
const CHUNK_LEN: usize = 1 << CHUNK_BITS;
const CHUNK_MASK: u32 = (1 << CHUNK_BITS) - 1;

/// "No index": the end of a list, an empty head.
pub(super) const NONE: u32 = u32::MAX;

/// A vector in chunks of 1024, indexed by `u32`.
#[derive(Debug)]
pub(super) struct Chunked<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
}

impl<T> Chunked<T> {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.chunks
            .get((index >> CHUNK_BITS) as usize)?
            .get((index & CHUNK_MASK) as usize)
    }

    /// Appends, and returns the index.
    pub(super) fn push(&mut self, item: T) -> u32 {
        let index = self.len;
        // Four thousand million entries do not fit into memory before the count runs over.
        assert!(index < NONE, "a table holds at most 2^32 - 2 entries");
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => chunk.push(item),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(item);
                self.chunks.push(chunk);
            }
        }
        self.len += 1;
        index
    }

    /// Gives back the memory of what lies before `to`, as far as all of its chunk does; what lies before
    /// `from` was given back before. It reads as nothing, and must not be written.
    pub(super) fn forget(&mut self, from: u32, to: u32) {
        // The last one is where more is appended; when it no longer is, it follows.
        let is_next = from & CHUNK_MASK == 0;
        let first = (from >> CHUNK_BITS).saturating_sub(u32::from(is_next));
        for chunk in first..to >> CHUNK_BITS {
            if chunk as usize + 1 < self.chunks.len() {
                self.chunks[chunk as usize] = Vec::new();
            }
        }
    }

    /// Cuts off everything from `len` on, and gives the memory back.
    pub(super) fn truncate(&mut self, len: u32) {
        if len >= self.len {
            return;
        }
        self.len = len;
        self.chunks.truncate((len as usize).div_ceil(CHUNK_LEN));
        let rest = (len & CHUNK_MASK) as usize;
        if let (Some(chunk), 1..) = (self.chunks.last_mut(), rest) {
            chunk.truncate(rest);
        }
    }
}

impl<T> Index<u32> for Chunked<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        &self.chunks[(index >> CHUNK_BITS) as usize][(index & CHUNK_MASK) as usize]
    }
}

impl<T> IndexMut<u32> for Chunked<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[(index >> CHUNK_BITS) as usize][(index & CHUNK_MASK) as usize]
    }
}

/// What can stand in a [`Slab`]: its vacant form carries the list of free places.
pub(super) trait Slot {
    /// A vacant place; `next_free` is the next one, or [`NONE`].
    fn vacant(next_free: u32) -> Self;
    /// Of a vacant place, what [`Slot::vacant`] was given; of a used one, nothing.
    fn next_free(&self) -> Option<u32>;
}

/// Fixed-size nodes with reuse of freed places, the latest first.
#[derive(Debug)]
pub(super) struct Slab<T> {
    items: Chunked<T>,
    free: u32,
    used: u32,
}

impl<T: Slot> Slab<T> {
    pub(super) fn new() -> Self {
        Self {
            items: Chunked::new(),
            free: NONE,
            used: 0,
        }
    }

    /// How many nodes there are.
    pub(super) fn used(&self) -> usize {
        self.used as usize
    }

    /// One above the highest index that was ever given out.
    pub(super) fn end(&self) -> u32 {
        self.items.len()
    }

    pub(super) fn insert(&mut self, item: T) -> u32 {
        self.used += 1;
        let Some(next) = self.items.get(self.free).and_then(Slot::next_free) else {
            return self.items.push(item);
        };
        let index = std::mem::replace(&mut self.free, next);
        self.items[index] = item;
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> T {
        self.used -= 1;
        let item = std::mem::replace(&mut self.items[index], T::vacant(self.free));
        self.free = index;
        if self.used == 0 {
            self.clear();
        }
        item
    }

    /// Empties all places, and gives the memory back.
    pub(super) fn clear(&mut self) {
        self.items.truncate(0);
        self.free = NONE;
        self.used = 0;
    }

    /// The node, unless the place is vacant or was never used.
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.items
            .get(index)
            .filter(|item| item.next_free().is_none())
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        &self.items[index]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.items[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Slot for Option<u32> {
        fn vacant(_: u32) -> Self {
            None
        }
        fn next_free(&self) -> Option<u32> {
            self.is_none().then_some(NONE)
        }
    }

    #[test]
    fn chunks_are_crossed_and_given_back() {
        let mut items = Chunked::new();
        for number in 0..3000_u32 {
            assert_eq!(items.push(number), number);
        }
        assert!((0..3000).all(|index| items[index] == index));
        items.truncate(1024);
        assert_eq!((items.len(), items.chunks.len()), (1024, 1));
        assert_eq!(items.push(7), 1024);
        assert_eq!(items.get(1025), None);
    }

    #[test]
    fn an_empty_slab_holds_no_memory() {
        let mut slab = Slab::new();
        let a = slab.insert(Some(1));
        let b = slab.insert(Some(2));
        assert_eq!(slab.remove(a), Some(1));
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.insert(Some(3)), a);
        slab.remove(a);
        slab.remove(b);
        assert_eq!(
            (slab.used(), slab.end(), slab.items.chunks.len()),
            (0, 0, 0)
        );
    }
}
