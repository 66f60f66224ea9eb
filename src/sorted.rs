//! A map in one piece of memory, in the order of its keys. BTreeMap was 30 KB of code, a
//! tenth of the smallest psilogd. To insert moves what is behind: for thousands of keys that
//! come in no order, BTreeMap it is.

use std::borrow::Borrow;

/// Values by their keys.
#[derive(Clone, Debug)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap(Vec::new())
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Where the key is, or would be.
    fn slot<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0
            .binary_search_by(|(other, _)| other.borrow().cmp(key))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of this key.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.slot(key).is_ok()
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.slot(key).ok().map(|at| &self.0[at].1)
    }

    /// The same, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.slot(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Adds a value; the one that the key had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.slot(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// The value of a key, which is made if there is none.
    pub fn or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let at = self.slot(&key).unwrap_or_else(|at| {
            self.0.insert(at, (key, value()));
            at
        });
        &mut self.0[at].1
    }

    /// Takes a key out; its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.slot(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The values, in the order of their keys.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It does what std's map does, whatever is done to both.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u8..4, 0u8..20), 0..200)) {
            let (mut map, mut peer) = (SortedMap::default(), BTreeMap::new());
            for (number, (step, key)) in steps.into_iter().enumerate() {
                match step {
                    0 => prop_assert_eq!(map.insert(key, number), peer.insert(key, number)),
                    1 => prop_assert_eq!(map.remove(&key), peer.remove(&key)),
                    2 => {
                        let ours = map.or_insert_with(key, || number);
                        prop_assert_eq!(ours, peer.entry(key).or_insert(number));
                    }
                    _ => prop_assert_eq!(map.get_mut(&key), peer.get_mut(&key)),
                }
                prop_assert_eq!(map.get(&key), peer.get(&key));
                prop_assert_eq!(map.contains(&key), peer.contains_key(&key));
                prop_assert_eq!((map.len(), map.is_empty()), (peer.len(), peer.is_empty()));
                prop_assert!(map.iter().eq(&peer));
            }
            prop_assert!(map.into_values().eq(peer.into_values()));
        }
    }
}
