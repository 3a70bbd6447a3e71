//! Gives up every capability that sealing does not need.

use caps::{CapSet, Capability, CapsHashSet};
use thiserror::Error;

/// The capabilities that the hook needs, and why.
const NEEDED: [Capability; 7] = [
    Capability::CAP_SYS_ADMIN,       // mount, and join the container's namespaces
    Capability::CAP_SYS_CHROOT,      // joining a mount namespace changes the root
    Capability::CAP_SYS_PTRACE,      // open /proc/PID/ns of a process with other ids or capabilities
    Capability::CAP_DAC_OVERRIDE,    // write to a root file system that belongs to another user
    Capability::CAP_DAC_READ_SEARCH, // walk to it
    Capability::CAP_SETUID,          // create a missing mount point as the owner of its directory
    Capability::CAP_SETGID,
];

/// Capabilities that could not be given up, or one that is missing.
#[derive(Debug, Error)]
pub enum CapabilityError {
    /// The hook does not run as root.
    #[error("cannot seal: {0} is missing, expected to be called by the runtime as root")]
    Missing(Capability),
    /// The kernel refused.
    #[error("cannot drop capabilities: {0}")]
    Kernel(#[from] caps::errors::CapsError),
}

/// The needed capabilities that this process has.
#[derive(Debug)]
pub struct Kept(CapsHashSet);

/// The first needed capability that this process lacks.
///
/// # Errors
/// The kernel's answer.
pub fn missing() -> Result<Option<Capability>, CapabilityError> {
    let effective = caps::read(None, CapSet::Effective)?;
    Ok(NEEDED.into_iter().find(|needed| !effective.contains(needed)))
}

/// Drops all capabilities but the needed ones, for good.
///
/// # Errors
/// The kernel's answer.
pub fn drop_others() -> Result<Kept, CapabilityError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = NEEDED.into_iter().filter(|needed| permitted.contains(needed)).collect();
    // Nothing is executed from here on, so the bounding and ambient sets have no effect.
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new())?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(Kept(kept))
}

/// Takes up again the right to pass over file modes, after a change of the effective user; tells whether it could.
pub(super) fn raise_dac_override() -> bool {
    caps::raise(None, CapSet::Effective, Capability::CAP_DAC_OVERRIDE).is_ok()
}

impl Kept {
    /// Checks that every needed one is there. A container that is skipped needs none.
    ///
    /// # Errors
    /// The first one that is missing.
    pub fn expect_all(&self) -> Result<(), CapabilityError> {
        let missing = NEEDED.into_iter().find(|needed| !self.0.contains(needed));
        missing.map_or(Ok(()), |missing| Err(CapabilityError::Missing(missing)))
    }
}
