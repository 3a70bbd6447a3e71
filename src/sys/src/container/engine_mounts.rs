//! The mounts at /etc/hosts that the engine and the kubelet made, taken away before the seal is attached: a container
//! that may unmount in a user namespace of its own would find them beneath it.
//!
//! A runtime follows a symbolic link at /etc/hosts, the seal does not. So they may be in two places: at /etc/hosts
//! itself, where everything goes, and at the end of the link, where only what the engine mounted goes.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxAttributes, StatxFlags, openat, statx};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use crate::container::mount::unmount_fd;
use crate::container::rootfs::{RootFs, RootFsError};

/// Most mounts that are taken away from one place.
const MOUNTS_MAX: usize = 64;

/// Mounts at /etc/hosts that the bundle still has.
#[derive(Debug, Clone, Default)]
pub struct EngineMounts<'a> {
    /// The file that each of them shows, as a path on the node.
    pub sources: Vec<&'a Path>,
    /// Whether they have to come back where the seal cannot be attached.
    pub put_back: bool,
}

/// Mounts that were taken away, the topmost first.
#[derive(Debug, Default)]
pub(super) struct Detached {
    count: usize,
    copies: Vec<(Place, OwnedFd)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Hosts,
    EndOfLink,
}

/// A file, and the mount it was reached by.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) fd: OwnedFd,
    pub(super) mount: u64,
    pub(super) kind: FileType,
    is_mount_root: bool,
    file: FileId,
}

type FileId = (u32, u32, u64);

const LOOK: StatxFlags = StatxFlags::MNT_ID.union(StatxFlags::TYPE).union(StatxFlags::INO);

impl Found {
    pub(super) fn new(fd: OwnedFd) -> rustix::io::Result<Self> {
        let seen = statx(&fd, c"", AtFlags::EMPTY_PATH, LOOK)?;
        Ok(Self {
            fd,
            mount: seen.stx_mnt_id,
            kind: FileType::from_raw_mode(seen.stx_mode.into()),
            is_mount_root: seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
            file: (seen.stx_dev_major, seen.stx_dev_minor, seen.stx_ino),
        })
    }
}

impl Detached {
    /// Takes away everything that is mounted at `hosts` in `etc`, and what the engine mounted at the end of a link
    /// there. Returns the file that was beneath; `None` where there is no such file.
    pub(super) fn take(
        &mut self,
        root: &RootFs,
        etc: &Found,
        engine: &EngineMounts<'_>,
    ) -> Result<Option<Found>, RootFsError> {
        let found = loop {
            let Some(found) = self.look(root, etc, Place::Hosts)? else { return self.all_of(engine, None) };
            if found.mount == etc.mount {
                break found;
            }
            self.detach(&found, Place::Hosts, engine)?;
        };
        if found.kind == FileType::Symlink && self.count < engine.sources.len() {
            self.take_at_end_of_link(root, etc, engine)?;
        }
        self.all_of(engine, Some(found))
    }

    /// Attaches everything again where it was. If that fails, the error that led here is the one to report.
    pub(super) fn put_back(&self, root: &RootFs, etc: &OwnedFd) {
        for (place, copy) in self.copies.iter().rev() {
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            let _ = open(root, etc, *place).and_then(|there| move_mount(copy, c"", there, c"", flags));
        }
    }

    fn look(&self, root: &RootFs, etc: &Found, place: Place) -> Result<Option<Found>, RootFsError> {
        if self.count > MOUNTS_MAX {
            return Err(RootFsError::TooManyMounts(MOUNTS_MAX));
        }
        match open(root, &etc.fd, place).and_then(Found::new) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(cause) => Err(RootFsError::at_hosts("open", cause)),
        }
    }

    fn take_at_end_of_link(
        &mut self,
        root: &RootFs,
        etc: &Found,
        engine: &EngineMounts<'_>,
    ) -> Result<(), RootFsError> {
        let sources: Vec<FileId> = engine.sources.iter().filter_map(|source| file_id(source)).collect();
        while let Some(found) = self.look(root, etc, Place::EndOfLink)? {
            if !found.is_mount_root || !sources.contains(&found.file) {
                break;
            }
            self.detach(&found, Place::EndOfLink, engine)?;
        }
        Ok(())
    }

    fn detach(&mut self, found: &Found, place: Place, engine: &EngineMounts<'_>) -> Result<(), RootFsError> {
        let failed = |cause| RootFsError::at_hosts("detach the engine's mount at", cause);
        if engine.put_back {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH;
            self.copies.push((place, open_tree(&found.fd, c"", flags).map_err(failed)?));
        }
        unmount_fd(&found.fd).map_err(failed)?;
        self.count += 1;
        Ok(())
    }

    /// Refuses to go on where one of the engine's mounts was not found: the container could reach it at another place.
    fn all_of(&self, engine: &EngineMounts<'_>, found: Option<Found>) -> Result<Option<Found>, RootFsError> {
        let expected = engine.sources.len();
        if self.count < expected {
            return Err(RootFsError::EngineMounts { found: self.count, expected });
        }
        Ok(found)
    }
}

fn open(root: &RootFs, etc: &OwnedFd, place: Place) -> rustix::io::Result<OwnedFd> {
    match place {
        Place::Hosts => {
            openat(etc, c"hosts", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        }
        Place::EndOfLink => root.open_inside(c"etc/hosts", OFlags::PATH),
    }
}

fn file_id(path: &Path) -> Option<FileId> {
    let seen = statx(CWD, path, AtFlags::empty(), LOOK).ok()?;
    Some((seen.stx_dev_major, seen.stx_dev_minor, seen.stx_ino))
}
