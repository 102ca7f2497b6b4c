//! A cache bounded in bytes.

use alloy_primitives::B256;
use lru::LruCache;
use std::sync::Arc;

/// Values by hash, the least recently used of which go when there are too many bytes of them.
#[derive(Debug)]
pub(crate) struct ByteCache<V> {
    entries: LruCache<B256, (Arc<V>, usize)>,
    bytes: usize,
    max_bytes: usize,
}

impl<V> ByteCache<V> {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { entries: LruCache::unbounded(), bytes: 0, max_bytes }
    }

    pub(crate) fn get(&mut self, key: &B256) -> Option<Arc<V>> {
        self.entries.get(key).map(|(value, _)| value.clone())
    }

    pub(crate) fn insert(&mut self, key: B256, value: Arc<V>, bytes: usize) {
        if let Some((_, old)) = self.entries.put(key, (value, bytes)) {
            self.bytes -= old;
        }
        self.bytes += bytes;
        while self.bytes > self.max_bytes {
            let Some((_, (_, bytes))) = self.entries.pop_lru() else { break };
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded() {
        let mut cache = ByteCache::new(100);
        let key = B256::with_last_byte;
        for index in 0..4 {
            cache.insert(key(index), Arc::new(index), 40);
            cache.get(&key(0));
        }
        assert_eq!(cache.bytes, 80);
        assert_eq!(cache.get(&key(0)).as_deref(), Some(&0), "used all the time");
        assert_eq!(cache.get(&key(1)), None);
        assert_eq!(cache.get(&key(3)).as_deref(), Some(&3));
        cache.insert(key(3), Arc::new(9), 10);
        assert_eq!(cache.bytes, 50);
        cache.insert(key(5), Arc::new(5), 101);
        assert_eq!((cache.bytes, cache.entries.len()), (0, 0), "larger than the cache");
    }
}
