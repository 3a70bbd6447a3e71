//! Transactions on the tables, and their errors.

use super::error::NftError;
use super::maps::Table;
use crate::net::netfilter::message::Attributes;
use crate::net::netfilter::operations::CREATE;
use crate::net::netfilter::socket::{Change, Netfilter, Refusal};

/// Changes to make, all or none.
#[derive(Debug, Default)]
pub(super) struct Batch {
    changes: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    change: Change,
    table: Table,
    /// The words after "cannot" in an error.
    name: String,
}

impl Batch {
    pub(super) fn change(
        &mut self,
        table: Table,
        operation: u16,
        flags: u16,
        attributes: Attributes,
        name: String,
    ) {
        let change = Change { operation, flags, family: table.family(), attributes };
        self.changes.push(Step { change, table, name });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The error for a refusal.
    pub(super) fn explain(&self, refusal: Refusal) -> NftError {
        let step = refusal.change.and_then(|index| self.changes.get(index));
        match (step, refusal.cause.raw_os_error()) {
            (None, _) => NftError::of_socket("change")(refusal.cause),
            // A kernel without the bridge family refuses the table or its chain.
            (Some(step), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::ENOENT))
                if step.table == Table::Bridge && step.change.flags & CREATE != 0 =>
            {
                NftError::NoBridges
            }
            (Some(step), _) => NftError::Refused { step: step.name.clone(), cause: refusal.cause },
        }
    }
}

impl Netfilter {
    pub(super) fn open() -> Result<Self, NftError> {
        Self::new().map_err(NftError::of_socket("open a socket to"))
    }

    /// Makes all changes, or none.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), Refusal> {
        self.transact(None, batch.changes.iter().map(|step| &step.change))
    }

    /// Makes all changes if the packet filter has this generation, or none.
    pub(super) fn commit_at(&mut self, generation: u32, batch: &Batch) -> Result<(), Refusal> {
        self.transact(Some(generation), batch.changes.iter().map(|step| &step.change))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_refusal_names_the_step_or_the_kernel_that_has_no_nf_tables() {
        let mut batch = Batch::default();
        for name in ["make a", "make b"] {
            batch.change(Table::Inet, 6, CREATE, Attributes::new(), name.to_owned());
        }
        let explained = |change, errno| {
            batch.explain(Refusal { change, cause: io::Error::from_raw_os_error(errno) }).to_string()
        };
        let refused = explained(Some(1), libc::EPERM);
        assert!(refused.starts_with("cannot make b: Operation not permitted"), "{refused}");
        assert!(explained(None, libc::EOPNOTSUPP).contains("this kernel has no nf_tables"));
        assert!(explained(None, libc::EPERM).starts_with("cannot change the packet filter: Operation"));
    }
}
