//! How a kernel without nf_tables answers; each table has an error of its own for that.

use std::io;

/// Whether a socket cannot be opened, or takes no transaction, because there is no nf_tables.
pub(in crate::net) fn is_missing(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::EOPNOTSUPP))
}

/// Whether a question has no answer because there is no nf_tables: the questions are valid, so EINVAL means that no subsystem
/// answers them.
pub(in crate::net) fn is_unanswered(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(libc::EINVAL)
}
