//! Releases of Go.

/// What has come to the patterns with releases of Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GoRelease {
    /// All before 1.22.
    Before1_22,
    /// `(?<name>` is as good as `(?P<name>`.
    From1_22,
    /// Names of Unicode classes are taken without regard to case, and may be the long ones.
    From1_25,
}
