//! The keys of an engine's TOML that are podhosts', for files of which no journal tells.

/// Keys of an engine's TOML that are podhosts' by their names.
pub(crate) struct OwnKeys {
    /// Handlers.
    pub(crate) handlers: Vec<Vec<&'static str>>,
    /// Keys whose value may be the name of our handler.
    pub(crate) names: Vec<Vec<&'static str>>,
    /// Keys that we own only inside our own drop-in.
    pub(crate) ours: Vec<Vec<&'static str>>,
    /// A list that we own only inside our own drop-in.
    pub(crate) list: OwnList,
}

/// A list with entries of ours.
pub(crate) struct OwnList {
    pub(crate) keys: Vec<&'static str>,
    /// Our entries.
    pub(crate) own: Vec<String>,
    /// Default entries that we had to repeat.
    pub(crate) inherited: Vec<String>,
}
