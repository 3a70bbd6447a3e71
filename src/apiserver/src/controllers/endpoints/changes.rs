//! Changes of slices, from a plan to the registry.

use super::slice::Slice;
use crate::kinds::endpoint_slice::KIND;
use crate::registry::Write;

/// The slices to create, to replace and to delete.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) create: Vec<Slice>,
    pub(super) replace: Vec<Slice>,
    pub(super) delete: Vec<Slice>,
}

impl Changes {
    pub(super) fn add(&mut self, other: Self) {
        self.create.extend(other.create);
        self.replace.extend(other.replace);
        self.delete.extend(other.delete);
    }

    /// Lets new slices take the place of slices that would be deleted, where `may_stay` allows it: a change of one slice
    /// costs a proxy less than a new one.
    pub(super) fn recycle(&mut self, may_stay: impl Fn(&Slice) -> bool) {
        let mut gone = Vec::new();
        for old in std::mem::take(&mut self.delete) {
            let is_like = |new: &Slice| new.family() == old.family();
            match self.create.iter().rposition(is_like).filter(|_| may_stay(&old)) {
                Some(index) => {
                    let mut new = self.create.remove(index);
                    new.instead_of(&old);
                    self.replace.push(new);
                }
                None => gone.push(old),
            }
        }
        self.delete = gone;
    }

    /// The same for the registry.
    pub(super) fn into_writes(self) -> Vec<Write> {
        let create = self.create.into_iter().map(|slice| Write::create(&KIND, slice.into_object()));
        let replace = self.replace.into_iter().map(|slice| Write::replace(&KIND, slice.into_object()));
        let delete = self.delete.into_iter().map(|slice| Write::delete(&KIND, &slice.into_object()));
        create.chain(replace).chain(delete).collect()
    }
}
