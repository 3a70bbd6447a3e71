//! The supported versions of the CNI specification.

use super::environment::Command;
use super::error::{CniError, Code};

/// A version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "their names say all")]
pub enum Version {
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    /// All versions, oldest first.
    pub(crate) const ALL: [Self; 5] = [Self::V0_3_0, Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];
    pub(crate) const CURRENT: Self = Self::V1_1_0;

    /// The form in configurations.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    pub(crate) fn names() -> [&'static str; 5] {
        Self::ALL.map(Self::name)
    }

    /// The version of a configuration; refused unless it has `command`.
    pub(crate) fn of_config(name: &str, command: Command) -> Result<Self, CniError> {
        let Some(version) = Self::ALL.into_iter().find(|version| version.name() == name) else {
            let details = format!("config is {name:?}, plugin supports {:?}", Self::names());
            let error = CniError::new(Code::IncompatibleVersion, "incompatible CNI versions");
            return Err(CniError { details, ..error });
        };
        let (since, command) = match command {
            Command::Check => (Self::V0_4_0, "CHECK"),
            Command::Gc => (Self::V1_1_0, "GC"),
            Command::Status => (Self::V1_1_0, "STATUS"),
            Command::Add | Command::Del | Command::Version => return Ok(version),
        };
        if version >= since {
            return Ok(version);
        }
        let msg =
            format!("config version {name} does not allow {command}, expected {} or later", since.name());
        Err(CniError::new(Code::IncompatibleVersion, msg))
    }
}
