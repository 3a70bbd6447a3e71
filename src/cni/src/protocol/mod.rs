//! What a runtime and a plugin say to each other, as the CNI specification has it.

pub(crate) mod addresses;
pub mod answer;
pub mod environment;
pub mod error;
pub mod previous_result;
pub mod result;
pub mod version;
