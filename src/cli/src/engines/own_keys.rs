//! The keys of an engine's TOML that are podhosts', for files of which no journal tells.

/// What is podhosts' in an engine's TOML by its name.
pub(crate) struct OwnKeys {
    /// The handlers.
    pub(crate) handlers: Vec<Vec<&'static str>>,
    /// What may name them.
    pub(crate) names: Vec<Vec<&'static str>>,
    /// Values that can be told to be ours only in a file of ours.
    pub(crate) ours: Vec<Vec<&'static str>>,
    /// A list of which the same holds.
    pub(crate) list: OwnList,
}

/// A list with entries of ours.
pub(crate) struct OwnList {
    /// Its place.
    pub(crate) keys: Vec<&'static str>,
    /// Our entries.
    pub(crate) own: Vec<String>,
    /// Those that it has because they would be there without it.
    pub(crate) inherited: Vec<String>,
}
