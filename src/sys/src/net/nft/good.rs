//! Remembers at which generation of the packet filter the guards were correct, so that ADD need not read them each
//! time. nf_tables counts the transactions of all programs in a network namespace, and refuses a transaction for
//! another count.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat, stat};
use rustix::io::{pread, pwrite};

use super::maps::Table;
use crate::fs::files::FileError;
use crate::fs::state_dir;

/// The file with the hash of the guards, the network namespace, the generation and the tables. Its content is only used
/// with a transaction for that generation, which the kernel checks.
const FILE: &str = "/run/podhosts/nftables.good";
/// The hash of the guards, which differs between versions of podhosts with different guards.
pub(super) const GUARDS: u64 = 0x37a8_946e_2d88_cbcd;
/// The length of the file.
const LENGTH: usize = 24;

/// The open file and its content. The packet filter's lock has to be held.
#[derive(Debug)]
pub(super) struct Good {
    path: PathBuf,
    file: Option<OwnedFd>,
    /// The inode of the thread's network namespace; 0 if unknown.
    namespace: u64,
    /// The generation at which the guards were correct; 0 if unknown.
    generation: u32,
    tables: u32,
}

impl Good {
    /// Reads the file. If that fails, nothing is known.
    pub(super) fn read() -> Self {
        Self::read_from(Path::new(FILE), stat("/proc/thread-self/ns/net").map_or(0, |found| found.st_ino))
    }

    fn read_from(path: &Path, namespace: u64) -> Self {
        let file = open(path, OFlags::empty());
        let mut bytes = [0; LENGTH];
        let length = file.as_ref().and_then(|file| pread(file, &mut bytes, 0).ok());
        let here = [GUARDS.to_ne_bytes(), namespace.to_ne_bytes()].concat();
        let (generation, tables) = match (length, bytes.split_at(16)) {
            (Some(LENGTH), (place, rest)) if namespace != 0 && place == here => {
                let number = |at| u32::from_ne_bytes(*rest[at..].first_chunk().unwrap_or(&[0; 4]));
                (number(0), number(4))
            }
            _ => (0, 0),
        };
        Self { path: path.to_owned(), file, namespace, generation, tables }
    }

    /// The generation at which the guards of these tables were correct, if known.
    pub(super) fn generation(&self, tables: impl IntoIterator<Item = Table>) -> Option<u32> {
        let wanted = bits(tables);
        (self.generation != 0 && wanted & self.tables == wanted).then_some(self.generation)
    }

    /// Records that a transaction of ours came after `generation`, and that the guards of `tables` are correct, too.
    pub(super) fn advance(&mut self, generation: u32, tables: impl IntoIterator<Item = Table>) {
        let known = if self.generation == generation { self.tables } else { 0 };
        self.tables = known | bits(tables);
        // The kernel skips 0 as well.
        self.generation = generation.checked_add(1).unwrap_or(1);
        self.write();
    }

    /// Records that the generation is unknown, after a rebuild.
    pub(super) fn doubt(&mut self) {
        (self.generation, self.tables) = (0, 0);
        self.write();
    }

    fn write(&mut self) {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&GUARDS.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.namespace.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.generation.to_ne_bytes());
        bytes[20..].copy_from_slice(&self.tables.to_ne_bytes());
        // If this fails, the file keeps a generation that is over.
        self.file = self.file.take().or_else(|| open(&self.path, OFlags::CREATE));
        let _ = self.file.as_ref().map(|file| pwrite(file, &bytes, 0));
    }

    /// Removes the file after the tables.
    pub(super) fn forget() -> Result<(), FileError> {
        state_dir::remove(Path::new(FILE)).map(drop)
    }
}

/// Opens the file, unless another process has a lease on it: its release is not waited for.
fn open(path: &Path, create: OFlags) -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | create;
    openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).ok()
}

fn bits(tables: impl IntoIterator<Item = Table>) -> u32 {
    tables.into_iter().fold(0, |bits, table| {
        bits | match table {
            Table::Inet => 1,
            Table::Bridge => 2,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fnv;
    use crate::fs::files::{self, LastLink};
    use crate::net::netfilter::message::Attributes;
    use crate::net::nft::chains::Chain;

    #[test]
    fn the_number_of_the_guards_is_of_their_rules() {
        let bytes = Table::ALL.map(Chain::guard).into_iter().flat_map(|chain| {
            let rules = chain.rules.iter().flat_map(|rule| rule.expressions().as_bytes());
            [chain.describe(Attributes::new()).as_bytes(), &rules.copied().collect::<Vec<u8>>()].concat()
        });
        let bytes: Vec<u8> = bytes.collect();
        assert_eq!(GUARDS, fnv::hash(&bytes), "the guards have changed: GUARDS has to change with them");
    }

    #[test]
    fn what_was_good_is_good_until_something_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("good");
        let read = |namespace| Good::read_from(&path, namespace);
        assert_eq!(read(5).generation([Table::Inet]), None);
        read(5).advance(7, [Table::Inet]);
        assert_eq!(read(5).generation([Table::Inet]), Some(8));
        assert_eq!(read(5).generation(Table::ALL), None);
        read(5).advance(8, [Table::Bridge]);
        assert_eq!(read(5).generation(Table::ALL), Some(9));
        read(5).advance(11, [Table::Bridge]);
        assert_eq!(read(5).generation([Table::Bridge]), Some(12));
        assert_eq!(read(5).generation(Table::ALL), None);
        read(5).advance(u32::MAX, [Table::Inet]);
        assert_eq!(read(5).generation([Table::Inet]), Some(1));
        // Another network namespace has a count of its own.
        assert_eq!(read(6).generation([Table::Inet]), None);
        read(0).advance(7, [Table::Inet]);
        assert_eq!(read(0).generation([Table::Inet]), None, "nobody knows where that was");
        read(5).advance(1, [Table::Inet]);
        let mut bytes = files::read(&path, LENGTH, LastLink::Refuse).unwrap();
        bytes[0] ^= 1;
        state_dir::replace(&path, &bytes).unwrap();
        assert_eq!(read(5).generation([Table::Inet]), None);
    }
}
