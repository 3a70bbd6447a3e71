//! The record of a pod that `podhosts-cni` leaves for the hook: `/run/podhosts/pods/<sandbox id>.json`.
//!
//! The plugin runs as root and writes what the engine passed over CNI, so the record has what engines do not tell
//! hooks: the addresses in the order of the CNI result and, under containerd, the pod's annotations.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use pod::annotations::Annotations;
use pod::json::Object;
use pod::pod_ip_errors;
use sys::fs::files::{self, FileError, LastLink};

/// The directory of the records.
pub const RECORD_DIR: &str = "/run/podhosts/pods";
/// Largest record that is read, in bytes: 256 KiB of annotations, escaped, and little else.
pub const RECORD_MAX: usize = 2 << 20;
/// The version that this program writes, and the only one that it reads.
pub const RECORD_VERSION: u32 = 1;

/// A pod as its engine described it when its network was set up. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodRecord {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// The CRI's pod sandbox id (CNI's container id).
    #[serde(rename = "sandboxID")]
    pub sandbox_id: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    #[serde(default)]
    pub uid: String,
    /// The pod's addresses, in the order of the CNI result.
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<String>,
    /// The host name that the engine gave the pod, if it is known.
    #[serde(default)]
    pub hostname: String,
    /// The pod's annotations.
    #[serde(default)]
    pub annotations: Annotations,
    /// The pod's labels, if its engine tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Annotations>,
    /// The network of the addresses.
    #[serde(default)]
    pub network: String,
    /// The time of ADD, RFC 3339 in UTC.
    #[serde(default)]
    pub since: String,
}

/// A record that cannot be used.
#[derive(Debug, Error)]
pub enum RecordError {
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("cannot read the pod's CNI record: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a later podhosts.
    #[error("cannot use the pod's CNI record: it has version {0}, expected {RECORD_VERSION}")]
    Version(u32),
    /// It is the record of another pod.
    #[error("cannot use the pod's CNI record: it is of sandbox {0:?}, expected {1:?}")]
    Sandbox(String, String),
    /// An invalid address.
    #[error("cannot use the pod's CNI record: {0}")]
    Address(String),
    /// A sandbox id that cannot name a file.
    #[error("cannot use sandbox id {0:?}: expected letters, digits, '.', '_' and '-', at most 128")]
    SandboxId(String),
}

/// The file of a sandbox's record under `dir`.
///
/// # Errors
/// An id that is no file name, or that no engine makes.
pub fn path(dir: &Path, sandbox_id: &str) -> Result<PathBuf, RecordError> {
    check_id(sandbox_id)?;
    Ok(dir.join(format!("{sandbox_id}.json")))
}

/// Checks that a sandbox id is one name in a path.
///
/// # Errors
/// An id that no engine makes.
pub fn check_id(sandbox_id: &str) -> Result<(), RecordError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fits = (1..=128).contains(&sandbox_id.len()) && sandbox_id.bytes().all(allowed);
    if !fits || sandbox_id.starts_with('.') {
        return Err(RecordError::SandboxId(sandbox_id.to_owned()));
    }
    Ok(())
}

/// The sandbox of a record, by the name of its file.
pub fn id_of(file_name: &str) -> Option<&str> {
    file_name.strip_suffix(".json")
}

impl PodRecord {
    /// Reads the record of `sandbox_id`.
    ///
    /// # Errors
    /// [`RecordError`] naming the field.
    pub fn parse(json: &[u8], sandbox_id: &str) -> Result<Self, RecordError> {
        let Object(record): Object<Self> = serde_json::from_slice(json)?;
        if record.version != RECORD_VERSION {
            return Err(RecordError::Version(record.version));
        }
        if record.sandbox_id != sandbox_id {
            return Err(RecordError::Sandbox(record.sandbox_id, sandbox_id.to_owned()));
        }
        match pod_ip_errors(&record.pod_ips).first() {
            Some(error) => Err(RecordError::Address(error.to_string())),
            None => Ok(record),
        }
    }
}

/// A record that exists and cannot be read or used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content cannot be used.
    #[error("{cause}, in {path}")]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: RecordError,
    },
    /// A sandbox id that cannot name a record.
    #[error(transparent)]
    SandboxId(RecordError),
}

/// Reads the record of a sandbox, if it has one.
///
/// # Errors
/// [`ReadError`] naming the file.
pub fn read(sandbox_id: &str) -> Result<Option<PodRecord>, ReadError> {
    let path = path(Path::new(RECORD_DIR), sandbox_id).map_err(ReadError::SandboxId)?;
    match files::read(&path, RECORD_MAX, LastLink::Refuse) {
        Ok(json) => match PodRecord::parse(&json, sandbox_id) {
            Ok(record) => Ok(Some(record)),
            Err(cause) => Err(ReadError::Record { path, cause }),
        },
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let record = PodRecord {
            version: RECORD_VERSION,
            sandbox_id: "s1".into(),
            namespace: "default".into(),
            name: "web".into(),
            uid: "u".into(),
            pod_ips: vec!["10.244.1.4".into(), "2001:db8::4".into()],
            hostname: "web".into(),
            annotations: [("podhosts.io/hostname".to_owned(), "x".to_owned())].into(),
            labels: Some([("app".to_owned(), "web".to_owned())].into()),
            network: "net".into(),
            since: String::new(),
        };
        let json = serde_json::to_vec(&record).unwrap();
        assert_eq!(PodRecord::parse(&json, "s1").unwrap(), record);
        assert!(String::from_utf8(json).unwrap().contains(r#""podIPs":["10.244.1.4","2001:db8::4"]"#));
    }

    #[test]
    fn a_foreign_record_is_refused() {
        let minimal =
            br#"{"version":1,"sandboxID":"s1","namespace":"n","name":"p","podIPs":["10.0.0.1"],"new":1}"#;
        assert!(PodRecord::parse(minimal, "s1").is_ok());
        assert!(PodRecord::parse(minimal, "s2").unwrap_err().to_string().contains("of sandbox \"s1\""));
        let bad_ip = br#"{"version":1,"sandboxID":"s1","namespace":"n","name":"p","podIPs":["10.0.0.1 x"]}"#;
        assert!(PodRecord::parse(bad_ip, "s1").unwrap_err().to_string().contains("podIPs[0].ip"));
        let later = br#"{"version":2,"sandboxID":"s1","namespace":"n","name":"p","podIPs":[]}"#;
        assert!(PodRecord::parse(later, "s1").unwrap_err().to_string().contains("version 2"));
    }

    #[test]
    fn an_id_never_leaves_the_directory() {
        let dir = Path::new(RECORD_DIR);
        assert_eq!(path(dir, "0af_-.9").unwrap(), dir.join("0af_-.9.json"));
        for bad in ["", ".", "..", "../x", "a/b", "a\0", ".hidden", &"a".repeat(129)] {
            assert!(path(dir, bad).is_err(), "{bad}");
        }
    }
}
