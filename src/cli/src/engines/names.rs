//! The names by which podhosts is known in an engine's configuration.

use std::path::Path;

pub(crate) use container::programs::{HOOK, WRAPPER};
pub(crate) use records::PLUGIN;

/// Name of the runtime handler, and of the CNI network, that podhosts makes.
pub const NAME: &str = "podhosts";

/// The annotations that engines have to pass on, as containerd's patterns say it.
pub(crate) const ANNOTATIONS: &str = "podhosts.io/*";

/// Whether a program is the wrapper, by its name.
pub(crate) fn is_wrapper(program: &str) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == WRAPPER)
}
