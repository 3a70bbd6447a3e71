//! Releases of Go.

/// Releases of Go in which regular expressions changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GoRelease {
    /// All before 1.22.
    Before1_22,
    /// `(?<name>` is as good as `(?P<name>`.
    From1_22,
    /// Names of Unicode classes are taken without regard to case, and may be the long ones.
    From1_25,
}
