//! A sorted set for maps with a set for each of many objects, where nearly all sets have one or two elements.

use std::borrow::Borrow;
use std::collections::BTreeSet;

/// The largest number of elements that are searched in a list: a tree's smallest node has room for as many.
const FEW: usize = 11;

/// A sorted set that takes the memory of its elements alone while they are few, and none beside itself for one.
#[derive(Debug)]
pub(crate) enum SmallSet<T> {
    One(T),
    Few(Vec<T>),
    Many(BTreeSet<T>),
}

impl<T> Default for SmallSet<T> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<T: Ord> SmallSet<T> {
    pub(crate) fn insert(&mut self, element: T) {
        match self {
            Self::One(own) if *own == element => {}
            Self::One(_) => {
                let Self::One(own) = std::mem::take(self) else { return };
                let both = if own < element { [own, element] } else { [element, own] };
                *self = Self::Few(both.into());
            }
            Self::Few(list) if list.is_empty() => *self = Self::One(element),
            Self::Few(list) => {
                let Err(place) = list.binary_search(&element) else { return };
                if list.len() < FEW {
                    list.reserve_exact(1);
                    list.insert(place, element);
                } else {
                    let all = std::mem::take(list).into_iter().chain([element]);
                    *self = Self::Many(all.collect());
                }
            }
            Self::Many(tree) => {
                tree.insert(element);
            }
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, element: &Q)
    where
        T: Borrow<Q>,
    {
        match self {
            Self::One(own) if (*own).borrow() == element => *self = Self::default(),
            Self::One(_) => {}
            Self::Few(list) => {
                if let Ok(place) = list.binary_search_by(|other| other.borrow().cmp(element)) {
                    list.remove(place);
                }
            }
            Self::Many(tree) => {
                tree.remove(element);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Few(list) => list.len(),
            Self::Many(tree) => tree.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let (few, many) = match self {
            Self::One(own) => (std::slice::from_ref(own), None),
            Self::Few(list) => (list.as_slice(), None),
            Self::Many(tree) => ([].as_slice(), Some(tree)),
        };
        few.iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_set_however_many_elements_it_has() {
        let (mut set, mut tree) = (SmallSet::default(), BTreeSet::new());
        // A fixed sequence that goes up to more elements than a list takes, and down again.
        for step in 0..200_u32 {
            let element = step.wrapping_mul(2_654_435_761) % 50;
            if (step / 50) % 2 == 0 {
                set.insert(element);
                tree.insert(element);
            } else {
                set.remove(&element);
                tree.remove(&element);
            }
            assert!(set.iter().eq(&tree), "{step}: {set:?}");
            assert_eq!((set.len(), set.is_empty()), (tree.len(), tree.is_empty()));
        }
        assert!(matches!(set, SmallSet::Many(_)));
    }

    #[test]
    fn few_elements_take_no_more_room_than_they_need() {
        let mut set = SmallSet::default();
        for element in 0..FEW {
            set.insert(element);
            let has_no_more = match &set {
                SmallSet::One(_) => element == 0,
                SmallSet::Few(list) => list.capacity() == list.len(),
                SmallSet::Many(_) => false,
            };
            assert!(has_no_more, "{set:?}");
        }
    }
}
