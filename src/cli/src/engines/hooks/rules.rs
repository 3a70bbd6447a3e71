//! What differs between engines, and between their releases, in how they read a hooks directory.

use crate::engines::go::release::GoRelease;
use crate::engines::version::Version;

/// The rules of one engine in one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The stages that the engine has beyond those of the runtime specification.
    pub(crate) stages: &'static [&'static str],
    /// The release of Go that its patterns are of.
    pub(crate) go: GoRelease,
    /// Whether the engine ignores a path that is no directory.
    pub(crate) skips_others: bool,
}

impl Rules {
    /// podman's: of this version, where it is known.
    pub fn podman(version: Option<Version>) -> Self {
        let go = match version {
            Some(version) if version < (5, 0) => GoRelease::Before1_22,
            Some(version) if version < (5, 6) => GoRelease::From1_22,
            _ => GoRelease::From1_25,
        };
        Self { stages: &["precreate"], go, skips_others: false }
    }

    /// CRI-O's.
    pub fn crio() -> Self {
        Self { stages: &[], go: GoRelease::From1_25, skips_others: true }
    }
}
