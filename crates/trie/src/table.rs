//! A fixed table of things found by their hash.

use alloy_primitives::B256;
use std::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering},
};

/// Slots from a hash's own that are searched for it.
const WINDOW: usize = 8;
/// Look-ups ahead of which the processor fetches a slot, and then what it holds.
const FETCH_SLOT: usize = 16;
const FETCH_VALUE: usize = 8;
/// Bytes of the pages that tables are asked to be put on.
#[cfg(target_os = "linux")]
const HUGE_PAGE: usize = 2 << 20;

/// The form in which a [`Table`] holds something.
pub(crate) trait Cacheable: Sized {
    /// What it holds.
    type Of;
    /// Takes the form.
    fn keep(of: &Self::Of) -> Self;
    /// Gives back what took it.
    fn give(&self) -> Self::Of;
    /// Bytes held outside the slot.
    fn bytes(&self) -> usize;
    /// Has the processor fetch the beginning of what lies outside the slot.
    fn fetch(&self);
}

/// Things by the keccak256 hash that names them, bounded in bytes.
///
/// A hash names one thing for ever, so nothing in here goes stale; what has not been asked for
/// lately gives way. Several threads read and write at once. Nobody waits: a slot that someone else
/// is at counts as empty for a reader and as taken for a writer.
pub(crate) struct Table<V> {
    slots: Box<[Slot<V>]>,
    /// Bytes the slots' values may hold outside the slots.
    bound: usize,
    held: AtomicU64,
    /// Where the search for something to give up goes on.
    hand: AtomicUsize,
}

/// One line of the processor's cache, if the value takes no more than three words. All zeros is an
/// empty slot.
#[repr(align(64))]
struct Slot<V> {
    busy: AtomicBool,
    /// Asked for since the hand went by.
    used: AtomicBool,
    /// Some bits of the hash; zero in an empty slot. A slot with other bits need not be entered.
    tag: AtomicU16,
    entry: UnsafeCell<Entry<V>>,
}

/// Initialized where the slot is not empty.
type Entry<V> = MaybeUninit<(B256, V)>;

// SAFETY: an entry is only touched by the thread that has set its slot's `busy`.
unsafe impl<V: Send> Sync for Table<V> {}

impl<V: Cacheable> Table<V> {
    /// Bytes of a slot.
    pub(crate) const SLOT: usize = size_of::<Slot<V>>();

    /// A table of at most `bytes` bytes, its slots included. Memory is taken as slots come into
    /// use. `typical` is what a value holds outside its slot.
    pub(crate) fn new(bytes: usize, typical: usize) -> Self {
        // At typical values, six in ten slots are full.
        let slots = bytes / (Self::SLOT + typical * 6 / 10);
        let slots = if slots < WINDOW { 0 } else { slots };
        // SAFETY: zeros are an empty slot.
        let slots = unsafe { huge_zeroed(slots).assume_init() };
        Self {
            bound: bytes - slots.len() * Self::SLOT,
            slots,
            held: AtomicU64::new(0),
            hand: AtomicUsize::new(0),
        }
    }

    /// Bytes in use, the slots included.
    pub(crate) fn bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed) + (self.slots.len() * Self::SLOT) as u64
    }

    /// Looks up many hashes; those that are `None` are not looked up.
    pub(crate) fn get_many<'a>(
        &self,
        hashes: impl Iterator<Item = Option<&'a B256>> + Clone,
    ) -> Vec<Option<V::Of>> {
        if self.slots.is_empty() {
            return hashes.map(|_| None).collect();
        }
        let mut slots = hashes.clone();
        let mut values = hashes.clone();
        let fetch_slot = |hash: Option<Option<&B256>>| {
            if let Some(hash) = hash.flatten() {
                fetch(&raw const self.slots[self.home(hash)]);
            }
        };
        let fetch_value = |hash: Option<Option<&B256>>| {
            if let Some(hash) = hash.flatten() {
                self.find(hash, |_, value| value.fetch());
            }
        };
        for _ in 0..FETCH_SLOT {
            fetch_slot(slots.next());
        }
        for _ in 0..FETCH_VALUE {
            fetch_value(values.next());
        }
        hashes
            .map(|hash| {
                fetch_slot(slots.next());
                fetch_value(values.next());
                self.find(hash?, |slot, value| {
                    slot.used.store(true, Ordering::Relaxed);
                    value.give()
                })
            })
            .collect()
    }

    /// Keeps what there is room for near its hash and within the bound.
    pub(crate) fn insert_many<'a>(
        &self,
        values: impl Iterator<Item = (&'a B256, &'a V::Of)> + Clone,
    ) where
        V::Of: 'a,
    {
        if self.slots.is_empty() {
            return;
        }
        let mut slots = values.clone();
        let fetch_slot = |value: Option<(&B256, &V::Of)>| {
            if let Some((hash, _)) = value {
                fetch(&raw const self.slots[self.home(hash)]);
            }
        };
        for _ in 0..FETCH_SLOT {
            fetch_slot(slots.next());
        }
        for (hash, value) in values {
            fetch_slot(slots.next());
            self.insert(hash, V::keep(value));
        }
        self.shrink();
    }

    fn insert(&self, hash: &B256, value: V) {
        if value.bytes() > self.bound {
            return;
        }
        let tag = tag(hash);
        let mut place = None;
        for index in self.window(self.home(hash)) {
            let slot = &self.slots[index];
            match slot.tag.load(Ordering::Relaxed) {
                0 => {
                    place = Some(index);
                    break;
                }
                same if same == tag && slot.find(hash, |_| ()).is_some() => return,
                // What is not asked for gives way; the rest gets another round.
                _ if slot.used.load(Ordering::Relaxed) => {
                    slot.used.store(false, Ordering::Relaxed);
                }
                _ => {
                    place.get_or_insert(index);
                }
            }
        }
        let Some(place) = place else { return };
        self.held.fetch_add(value.bytes() as u64, Ordering::Relaxed);
        self.release(match self.slots[place].enter() {
            Some(mut slot) => slot.replace(tag, (*hash, value)),
            None => Some(value),
        });
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        for slot in &self.slots {
            self.release(slot.enter().and_then(|mut slot| slot.take()));
        }
    }

    /// Gives things up until the rest is within the bound.
    fn shrink(&self) {
        // One round clears every mark, so that the next finds something.
        for _ in 0..2 * self.slots.len() {
            if self.held.load(Ordering::Relaxed) <= self.bound as u64 {
                return;
            }
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % self.slots.len();
            let slot = &self.slots[index];
            if !slot.used.swap(false, Ordering::Relaxed) {
                self.release(slot.enter().and_then(|mut slot| slot.take()));
            }
        }
    }

    fn release(&self, old: Option<V>) {
        if let Some(old) = old {
            self.held.fetch_sub(old.bytes() as u64, Ordering::Relaxed);
        }
    }

    fn find<T>(&self, hash: &B256, found: impl Fn(&Slot<V>, &V) -> T) -> Option<T> {
        let tag = tag(hash);
        self.window(self.home(hash)).find_map(|index| {
            let slot = &self.slots[index];
            if slot.tag.load(Ordering::Relaxed) != tag {
                return None;
            }
            slot.find(hash, |value| found(slot, value))
        })
    }

    fn window(&self, home: usize) -> impl Iterator<Item = usize> + use<V> {
        let len = self.slots.len();
        (home..home + WINDOW).map(move |index| if index < len { index } else { index - len })
    }

    /// The first slot a hash may be in: hashes are evenly spread already.
    fn home(&self, hash: &B256) -> usize {
        let [word, ..] = hash.0.as_chunks::<8>().0 else { return 0 };
        ((u128::from(u64::from_be_bytes(*word)) * self.slots.len() as u128) >> 64) as usize
    }
}

/// What a slot says of a hash: bits that do not choose the slot.
const fn tag(hash: &B256) -> u16 {
    let tag = u16::from_be_bytes([hash.0[8], hash.0[9]]);
    if tag == 0 { 1 } else { tag }
}

impl<V> Slot<V> {
    /// Nothing if someone else is at the slot.
    fn enter(&self) -> Option<Entered<'_, V>> {
        (!self.busy.swap(true, Ordering::Acquire)).then_some(Entered(self))
    }

    fn find<T>(&self, hash: &B256, found: impl FnOnce(&V) -> T) -> Option<T> {
        self.enter()?.get(hash).map(found)
    }
}

/// A slot that this thread has to itself.
struct Entered<'a, V>(&'a Slot<V>);

impl<V> Entered<'_, V> {
    fn get(&self, hash: &B256) -> Option<&V> {
        if self.0.tag.load(Ordering::Relaxed) == 0 {
            return None;
        }
        // SAFETY: nobody else is at the slot, and it is not empty.
        let (named, value) = unsafe { (*self.0.entry.get()).assume_init_ref() };
        (named == hash).then_some(value)
    }

    fn take(&mut self) -> Option<V> {
        if self.0.tag.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.0.tag.store(0, Ordering::Relaxed);
        // SAFETY: nobody else is at the slot; it was not empty, and is from now on.
        Some(unsafe { (*self.0.entry.get()).assume_init_read() }.1)
    }

    fn replace(&mut self, tag: u16, entry: (B256, V)) -> Option<V> {
        let old = self.take();
        // SAFETY: nobody else is at the slot.
        unsafe { (*self.0.entry.get()).write(entry) };
        self.0.tag.store(tag, Ordering::Relaxed);
        old
    }
}

impl<V> Drop for Entered<'_, V> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl<V> Drop for Slot<V> {
    fn drop(&mut self) {
        if let Some(mut slot) = self.enter() {
            slot.take();
        }
    }
}

/// Zeros, in pages of megabytes if the system has them: what is looked up at random all over a
/// table of small pages waits for the processor to find the page each time.
fn huge_zeroed<T>(len: usize) -> Box<[MaybeUninit<T>]> {
    let zeros = Box::new_zeroed_slice(len);
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        let address = zeros.as_ptr().cast_mut().cast::<std::ffi::c_void>();
        let skip = address.align_offset(HUGE_PAGE);
        let len = size_of_val(&*zeros).saturating_sub(skip) / HUGE_PAGE * HUGE_PAGE;
        // SAFETY: the range lies in the allocation, and the advice changes no content. A system
        // that does not take it goes on with small pages.
        let _ = unsafe { madvise(address.wrapping_byte_add(skip), len, Advice::LinuxHugepage) };
    }
    zeros
}

/// Has the processor fetch what is at an address while something else is done.
#[inline]
pub(crate) fn fetch<T: ?Sized>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint: it has no effect on memory, and any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;
    use std::sync::Arc;

    impl Cacheable for Arc<Vec<u64>> {
        type Of = Self;

        fn keep(of: &Self) -> Self {
            of.clone()
        }

        fn give(&self) -> Self {
            self.clone()
        }

        fn bytes(&self) -> usize {
            self.len() * 8
        }

        fn fetch(&self) {
            fetch(self.as_ptr());
        }
    }

    fn hash(n: u64) -> B256 {
        keccak256(n.to_be_bytes())
    }

    fn value(n: u64) -> Arc<Vec<u64>> {
        Arc::new(vec![n; 10])
    }

    fn insert(table: &Table<Arc<Vec<u64>>>, n: u64, value: Arc<Vec<u64>>) {
        table.insert_many(std::iter::once((&hash(n), &value)));
    }

    fn get(table: &Table<Arc<Vec<u64>>>, n: u64) -> Option<Arc<Vec<u64>>> {
        table.get_many(std::iter::once(Some(&hash(n)))).pop().flatten()
    }

    #[test]
    fn a_slot_is_one_line() {
        assert_eq!(Table::<crate::Node>::SLOT, 64);
    }

    #[test]
    fn what_fits_is_found_and_nothing_else() {
        let table = Table::new(1 << 20, 80);
        for n in 0..1000 {
            insert(&table, n, value(n));
            insert(&table, n, value(n));
        }
        let hashes: Vec<_> = (0..2000).map(hash).collect();
        let found = table.get_many(hashes.iter().map(|hash| (hash[0] > 9).then_some(hash)));
        for (n, (hash, found)) in hashes.iter().zip(found).enumerate() {
            let expected = (n < 1000 && hash[0] > 9).then(|| value(n as u64));
            assert_eq!(found, expected, "{n}");
        }
        assert_eq!(table.held.load(Ordering::Relaxed), 1000 * 80);
        table.clear();
        assert_eq!(table.held.load(Ordering::Relaxed), 0);
        assert_eq!(get(&table, 3), None);
    }

    #[test]
    fn the_bound_holds_and_what_is_asked_for_stays() {
        let bytes = 64 << 10;
        let table = Table::new(bytes, 80);
        for n in 0..20_000 {
            insert(&table, n, value(n));
            // Asked for between any two insertions.
            get(&table, 7);
            assert!(table.bytes() <= bytes as u64);
        }
        assert_eq!(get(&table, 7), Some(value(7)));
        let kept = (0..20_000).filter(|n| get(&table, *n).is_some()).count();
        assert!(kept > bytes / (80 + 64) / 3, "{kept} kept");
        assert!(table.held.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn a_table_without_room_is_empty() {
        for bytes in [0, 100, 600] {
            let table = Table::new(bytes, 80);
            for n in 0..100 {
                insert(&table, n, Arc::new(vec![n; 100]));
            }
            assert!((0..100).all(|n| get(&table, n).is_none()));
        }
    }

    #[test]
    fn threads_never_see_one_value_under_anothers_hash() {
        let table = Table::new(32 << 10, 80);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let table = &table;
                scope.spawn(move || {
                    for round in 0..40_000u64 {
                        let n = (round * (2 * thread + 1)) % 700;
                        match get(table, n) {
                            Some(found) => assert_eq!(found, value(n)),
                            None => insert(table, n, value(n)),
                        }
                    }
                });
            }
        });
        let left = (0..700).filter_map(|n| get(&table, n)).count() as u64;
        assert_eq!(table.held.load(Ordering::Relaxed), left * 80);
    }
}
