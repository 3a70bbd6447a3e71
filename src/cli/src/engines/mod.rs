//! The engines' own configuration: how it is read, and which files make engines call podhosts.
//!
//! Each engine has a folder. Its reader returns what the engine makes of its files together, not what one file says; its
//! plan decides which files are to have which text, and writes none. `configure` writes them.

pub mod containerd;
pub mod crio;
pub(crate) mod edit;
pub(crate) mod engine;
pub(crate) mod error;
pub mod files;
pub(crate) mod go;
pub mod hooks;
pub(crate) mod in_use;
pub(crate) mod layers;
pub(crate) mod low_level;
pub(crate) mod names;
pub(crate) mod own_keys;
pub(crate) mod podman;
pub(crate) mod setup;
pub(crate) mod version;

pub use error::EngineError;
pub use names::NAME;
pub use version::Version;
