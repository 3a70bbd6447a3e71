//! Which Service has a place that several claim: the oldest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sys::net::services::Place;

use crate::objects::ObjectName;

/// A place that two Services claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The place.
    pub place: Place,
    /// The older Service, which has it.
    pub owner: Arc<ObjectName>,
    /// The Service that gets it once the older ones let it go.
    pub waiting: Arc<ObjectName>,
}

/// The age of a Service, then its name.
pub(crate) type Rank = (i64, Arc<ObjectName>);

/// The owners of all places.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    owners: HashMap<Place, Rank>,
    /// The claims to places with more than one, the owner's first.
    contested: BTreeMap<Place, Vec<Rank>>,
}

impl Owners {
    pub(crate) fn claim(&mut self, place: Place, rank: Rank) {
        let Some(owner) = self.owners.get_mut(&place) else {
            self.owners.insert(place, rank);
            return;
        };
        let claims = self.contested.entry(place).or_insert_with(|| vec![owner.clone()]);
        claims.push(rank);
        claims.sort();
        if let Some(first) = claims.first() {
            owner.clone_from(first);
        }
    }

    pub(crate) fn release(&mut self, place: Place, name: &ObjectName) {
        if let Some(claims) = self.contested.get_mut(&place) {
            claims.retain(|(_, claimant)| **claimant != *name);
            if let Some(first) = claims.first() {
                self.owners.insert(place, first.clone());
            }
            if claims.len() < 2 {
                self.contested.remove(&place);
            }
        } else if self.is_owner(place, name) {
            self.owners.remove(&place);
        }
    }

    pub(crate) fn owner(&self, place: Place) -> Option<&Arc<ObjectName>> {
        self.owners.get(&place).map(|(_, name)| name)
    }

    pub(crate) fn is_owner(&self, place: Place, name: &ObjectName) -> bool {
        self.owner(place).is_some_and(|owner| **owner == *name)
    }

    /// All places.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.owners.keys().copied()
    }

    /// All Services that claim a place.
    pub(crate) fn claimants(&self, place: Place) -> Vec<Arc<ObjectName>> {
        match self.contested.get(&place) {
            Some(claims) => claims.iter().map(|(_, name)| Arc::clone(name)).collect(),
            None => self.owner(place).cloned().into_iter().collect(),
        }
    }

    pub(crate) fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.contested.iter().flat_map(|(place, claims)| {
            let owner = claims.first().into_iter();
            owner.flat_map(|(_, owner)| {
                claims.iter().skip(1).map(|(_, waiting)| Conflict {
                    place: *place,
                    owner: Arc::clone(owner),
                    waiting: Arc::clone(waiting),
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use sys::net::nft::Protocol;

    use super::*;

    fn place() -> Place {
        Place { address: [192, 0, 2, 1].into(), protocol: Protocol::Tcp, port: 80 }
    }

    fn rank(created: i64, name: &str) -> Rank {
        (created, Arc::new(ObjectName::new("default", name)))
    }

    fn owner(owners: &Owners) -> Option<&str> {
        owners.owner(place()).map(|owner| owner.name.as_str())
    }

    #[test]
    fn the_oldest_has_a_place_and_of_two_of_an_age_the_first_by_name() {
        let mut owners = Owners::default();
        let order = [(5, "e", "e"), (7, "a", "e"), (3, "d", "d"), (3, "c", "c")];
        for (created, name, expected) in order {
            owners.claim(place(), rank(created, name));
            assert_eq!(owner(&owners), Some(expected));
        }
        let waiting: Vec<_> =
            owners.conflicts().map(|it| (it.owner.name.clone(), it.waiting.name.clone())).collect();
        assert_eq!(waiting, ["d", "e", "a"].map(|waiting| ("c".to_owned(), waiting.to_owned())));
        for (name, expected) in [("d", Some("c")), ("c", Some("e")), ("e", Some("a")), ("a", None)] {
            owners.release(place(), &ObjectName::new("default", name));
            assert_eq!(owner(&owners), expected);
        }
        assert!(owners.owners.is_empty() && owners.contested.is_empty());
    }

    #[test]
    fn who_does_not_own_a_place_cannot_release_it() {
        let mut owners = Owners::default();
        owners.claim(place(), rank(1, "a"));
        owners.release(place(), &ObjectName::new("default", "b"));
        assert_eq!(owner(&owners), Some("a"));
    }
}
