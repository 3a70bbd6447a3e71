//! What this plugin is in a configuration.

/// The name of this plugin in configurations.
pub(crate) const PLUGIN: &str = records::PLUGIN;

/// What this plugin is in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It makes the interface, with addresses of its own address book.
    Main,
    /// Another plugin asks it for addresses.
    Ipam,
    /// It records the addresses that the plugins before it gave the pod.
    Chained,
}

impl Role {
    /// The role by the configuration's `type`, and whether it has `ipam`.
    pub(crate) fn of(plugin: &str, has_ipam: bool) -> Self {
        match (plugin == PLUGIN, has_ipam) {
            (true, true) => Self::Main,
            (true, false) => Self::Chained,
            (false, _) => Self::Ipam,
        }
    }
}
