//! CNI errors: a code for the runtime, and a text for people.

use std::fmt;

use serde_json::{Value, json};

use pod::validation::printable;
use sys::fs::files::FileError;
use sys::net::nft::NftError;
use sys::net::rtnetlink::NetworkError;
use sys::net::rtnetlink::localnet::LocalnetError;

/// The codes of the specification, and from 100 on ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Code {
    /// The configuration's version is not supported, or does not have the command.
    IncompatibleVersion = 1,
    /// A field asks for something that this plugin does not do.
    UnsupportedField = 2,
    /// An environment variable is missing or invalid.
    InvalidEnvironment = 4,
    /// A file cannot be read or written.
    Io = 5,
    /// Standard input is not JSON.
    Decode = 6,
    /// The network configuration is invalid.
    InvalidConfig = 7,
    /// `CNI_NETNS` is not a container's network namespace.
    InvalidNetns = 8,
    /// A state that will pass: all addresses are in use, or another process holds a lock.
    TryAgainLater = 11,
    /// STATUS: ADD cannot be served.
    NotAvailable = 50,
    /// The kernel refused a change to the network.
    Network = 100,
    /// A requested address is not available, or the attachment has addresses already.
    Address = 101,
    /// CHECK found a difference from what ADD left.
    Check = 102,
    /// A host port is taken.
    Port = 103,
    /// A fault of podhosts.
    Internal = 999,
}

impl Code {
    /// The code of a file's error: a lock that another process holds may be free later.
    pub(crate) fn of_file(error: &FileError) -> Self {
        if matches!(error, FileError::Held { .. }) { Self::TryAgainLater } else { Self::Io }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CniError {
    /// For the runtime.
    pub(crate) code: Code,
    /// For people.
    pub(crate) msg: String,
    /// More for people; may be empty.
    pub(crate) details: String,
}

impl CniError {
    pub(crate) fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// An invalid value in the network configuration.
    pub(crate) fn config(msg: impl Into<String>) -> Self {
        Self::new(Code::InvalidConfig, msg)
    }

    /// The form that the specification prescribes for stdout.
    pub fn to_json(&self, version: &str) -> Value {
        let mut error = json!({"cniVersion": version, "code": self.code as u32, "msg": printable(&self.msg)});
        if !self.details.is_empty() {
            error["details"] = printable(&self.details).into();
        }
        error
    }

    /// Several errors as one, with the code of the first.
    pub(crate) fn joined(errors: &[Self]) -> Option<Self> {
        let (first, rest) = errors.split_first()?;
        let msg = rest.iter().fold(first.msg.clone(), |all, error| format!("{all}; {}", error.msg));
        Some(Self { code: first.code, msg, details: first.details.clone() })
    }
}

impl fmt::Display for CniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)
    }
}

impl From<FileError> for CniError {
    fn from(error: FileError) -> Self {
        Self::new(Code::of_file(&error), error.to_string())
    }
}

impl From<NetworkError> for CniError {
    fn from(error: NetworkError) -> Self {
        let code = match error {
            NetworkError::NoNamespace(_) | NetworkError::Namespace { .. } => Code::InvalidNetns,
            NetworkError::Refused { .. } | NetworkError::Sysctl { .. } => Code::Network,
        };
        Self::new(code, error.to_string())
    }
}

impl From<LocalnetError> for CniError {
    fn from(error: LocalnetError) -> Self {
        match error {
            LocalnetError::Network(error) => error.into(),
            LocalnetError::File(error) => error.into(),
        }
    }
}

impl From<NftError> for CniError {
    fn from(error: NftError) -> Self {
        let code = match &error {
            NftError::PortTaken { .. } => Code::Port,
            NftError::Lock(error) | NftError::Localnet(LocalnetError::File(error)) => Code::of_file(error),
            _ => Code::Network,
        };
        Self::new(code, error.to_string())
    }
}
