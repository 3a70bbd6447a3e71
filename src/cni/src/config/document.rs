//! The network configuration on standard input.
//!
//! The outlines that every command needs are read first and leniently, so that DEL works with a configuration that was
//! changed since ADD. Everything else is checked as a whole before anything is touched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::roles::Role;
use crate::protocol::environment::{Command, is_name};
use crate::protocol::error::{CniError, Code};
use crate::protocol::previous_result::PreviousResult;
use crate::protocol::result::{CniResult, Dns};
use crate::protocol::version::Version;
use pod::json::Object;
use records::DATA_DIR;
use records::attachment::Holder;

/// Longest name of a network, in bytes. It becomes a directory's name.
pub(crate) const NAME_MAX: usize = 200;

/// The network of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `name`.
    pub name: String,
    /// The directory of its state.
    pub(crate) dir: PathBuf,
}

impl Network {
    /// Whether its state is where it is unless a configuration names another place.
    pub(crate) fn is_in_default_dir(&self) -> bool {
        self.dir.parent() == Some(Path::new(DATA_DIR))
    }
}

/// A configuration whose outlines were read; everything else is read when a command needs it.
#[derive(Debug)]
pub struct Document {
    value: Value,
    /// `cniVersion`.
    pub version: Version,
    /// `name`, and the place of the network's state.
    pub network: Network,
    /// What this plugin is in it.
    pub(crate) role: Role,
}

/// The keys with what GC has to keep: that of the specification, and that of libcni.
const ATTACHMENTS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

impl Document {
    /// Reads the outlines of a configuration.
    ///
    /// # Errors
    /// [`CniError`] naming the key.
    pub fn parse(stdin: &[u8], command: Command) -> Result<Self, CniError> {
        let value: Value = serde_json::from_slice(stdin).map_err(|error| {
            CniError::new(Code::Decode, format!("cannot read the network configuration from stdin: {error}"))
        })?;
        if !value.is_object() {
            let msg = "cannot read the network configuration from stdin: expected a JSON object";
            return Err(CniError::new(Code::Decode, msg));
        }
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        // The specification defines this version for a configuration without one.
        let version = if value["cniVersion"].is_null() { "0.1.0" } else { text("cniVersion") };
        let version = Version::of_config(version, command)?;
        let name = text("name").to_owned();
        if name.is_empty() {
            return Err(CniError::config("missing network name: name is absent or no string"));
        }
        if !is_name(&name, NAME_MAX) {
            return Err(CniError::config(format!(
                "name: {name:?} is invalid, expected a letter or digit, then letters, digits, '_', '.' and '-', \
                 at most {NAME_MAX}"
            )));
        }
        // A configuration whose `ipam` is no object would be taken for the chained role.
        if matches!(command, Command::Add | Command::Check | Command::Status) && !value["ipam"].is_null() {
            read_value::<Object<BTreeMap<String, IgnoredAny>>>(&value["ipam"], "ipam")?;
        }
        let role = Role::of(text("type"), value["ipam"].is_object());
        let data_dir = value["ipam"]["dataDir"].as_str().filter(|dir| !dir.is_empty()).unwrap_or(DATA_DIR);
        let network = Network { dir: Path::new(data_dir).join(&name), name };
        Ok(Self { version, network, role, value })
    }

    /// Reads a key as a `T`.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CniError> {
        match &self.value[key] {
            Value::Null => Ok(None),
            value => read_value(value, key).map(Some),
        }
    }

    /// Reads a key, which has to be an object, as a `T`.
    pub(crate) fn read_object<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CniError> {
        Ok(self.read::<Object<T>>(key)?.map(|Object(value)| value))
    }

    /// Reads the whole configuration as a `T`.
    pub(crate) fn read_all<T: DeserializeOwned>(&self) -> Result<T, CniError> {
        read_value(&self.value, "")
    }

    /// `prevResult`, checked.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn prev_result(&self) -> Result<Option<CniResult>, CniError> {
        let result: Option<CniResult> = self.read_object("prevResult")?;
        if let Some(CniResult { ips, interfaces, .. }) = &result {
            for (at, ip) in ips.iter().enumerate() {
                if let Some(index) = ip.interface.filter(|index| *index >= interfaces.len()) {
                    let count = interfaces.len();
                    return Err(CniError::config(format!(
                        "prevResult.ips[{at}].interface: {index}, expected the index of one of {count} interfaces"
                    )));
                }
            }
        }
        Ok(result)
    }

    /// `prevResult` as the chained role needs it.
    ///
    /// # Errors
    /// [`CniError`] where the addresses cannot be read.
    pub fn previous(&self) -> Result<Option<PreviousResult>, CniError> {
        self.read_object("prevResult")
    }

    /// `prevResult` unchanged but for its version: the result that the chained role passes on.
    pub fn raw_prev_result(&self) -> Value {
        let mut result = self.value["prevResult"].clone();
        result["cniVersion"] = self.version.name().into();
        result
    }

    /// `dns`.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn dns(&self) -> Result<Option<Dns>, CniError> {
        Ok(self.read_object::<Dns>("dns")?.filter(|dns| !dns.is_empty()))
    }

    /// `ipam.dataDir` as it is written; null where it is missing.
    pub(crate) fn data_dir(&self) -> &Value {
        &self.value["ipam"]["dataDir"]
    }

    /// Whether `key` is true: `disableCheck` and `disableGC`, which the runtime should have obeyed.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.value[key] == true
    }

    /// The attachments that GC has to keep, sorted; `None` where the runtime gave no list.
    ///
    /// # Errors
    /// [`CniError`] naming the key that is no list.
    pub fn valid_attachments(&self) -> Result<Option<Vec<Holder>>, CniError> {
        #[derive(Deserialize)]
        struct Valid {
            #[serde(rename = "containerID")]
            container: String,
            ifname: String,
        }
        let present: Vec<&str> =
            ATTACHMENTS.into_iter().filter(|key| self.value.get(key).is_some()).collect();
        if present.is_empty() {
            return Ok(None);
        }
        let mut holders = Vec::new();
        for key in present {
            // libcni writes null for an empty list.
            let valid: Vec<Object<Valid>> = self.read(key)?.unwrap_or_default();
            holders.extend(
                valid.into_iter().map(|Object(v)| Holder { container: v.container, ifname: v.ifname }),
            );
        }
        holders.sort_unstable();
        Ok(Some(holders))
    }
}

/// Reads a value; errors call it `key`.
fn read_value<T: DeserializeOwned>(value: &Value, key: &str) -> Result<T, CniError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match (error.path().to_string(), key) {
            (path, "") => path,
            (path, key) if path == "." => key.to_owned(),
            (path, key) if path.starts_with('[') => format!("{key}{path}"),
            (path, key) => format!("{key}.{path}"),
        };
        CniError::config(format!("{path}: {}", error.into_inner()))
    })
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
