//! The state that an OCI runtime hands to its hooks on stdin.
//!
//! Only `id`, `pid` and `bundle` are read: runc drops and mangles annotations there, and a runtime may have statuses of its
//! own, which oci-spec's type would refuse.

use std::path::PathBuf;

use oci_spec::runtime;
use serde::de::Error as _;
use thiserror::Error;

use pod::json;

/// Largest state that is read, in bytes. A state repeats the annotations, so it has the bound of config.json.
pub const STATE_MAX: usize = crate::bundle::CONFIG_MAX;

/// The container that a hook is called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Container id.
    pub id: String,
    /// The container's first process, in the hook's pid namespace.
    pub pid: i32,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
}

/// A state that cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Nothing on stdin.
    #[error("cannot read the container's state from stdin: it is empty, expected the OCI state as JSON")]
    Empty,
    /// Not UTF-8.
    #[error("cannot read the container's state from stdin: it is not UTF-8")]
    NotUtf8,
    /// Not JSON, or a field of the wrong type.
    #[error("cannot read the container's state from stdin: {0}")]
    Json(#[from] serde_json::Error),
    /// A process id that cannot be a container's.
    #[error("cannot use the state's pid {0}: expected the container's process, greater than 1")]
    Pid(i32),
    /// A bundle that is not an absolute path.
    #[error("cannot use the state's bundle {0:?}: expected an absolute path")]
    Bundle(PathBuf),
    /// No container id.
    #[error("cannot use the state's id: it is empty")]
    Id,
}

impl State {
    /// Reads and checks a state.
    ///
    /// # Errors
    /// [`StateError`] naming what is missing or wrong.
    pub fn parse(json: &[u8]) -> Result<Self, StateError> {
        if json.trim_ascii().is_empty() {
            return Err(StateError::Empty);
        }
        let text = str::from_utf8(json).map_err(|_| StateError::NotUtf8)?;
        let state: runtime::State = json::members(text, &["id", "pid", "bundle"])?;
        let pid = state.pid().ok_or_else(|| serde_json::Error::missing_field("pid"))?;
        if state.id().is_empty() {
            return Err(StateError::Id);
        }
        if pid <= 1 {
            return Err(StateError::Pid(pid));
        }
        if !state.bundle().is_absolute() {
            return Err(StateError::Bundle(state.bundle().clone()));
        }
        Ok(Self { id: state.id().clone(), pid, bundle: state.bundle().clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn what_runc_and_crun_write() {
        let runc = br#"{"ociVersion":"1.0.2-dev","id":"c","status":"creating","pid":42,"bundle":"/b"}"#;
        let crun =
            br#"{"ociVersion":"1.0","id":"c","pid":42,"root":"/b/rootfs","bundle":"/b","status":"created"}"#;
        assert_eq!(State::parse(runc).unwrap(), State::parse(crun).unwrap());
    }

    #[test]
    fn members_that_are_not_read_may_hold_anything() {
        let minimal = State::parse(br#"{"id":"c","pid":42,"bundle":"/b"}"#).unwrap();
        for other in [
            r#""status":"paused""#,
            r#""status":null"#,
            r#""ociVersion":[1]"#,
            r#""annotations":{"a":{"b":1}}"#,
            r#""annotations":null,"status":7,"unknown":{"pid":1}"#,
        ] {
            let state = format!(r#"{{"id":"c",{other},"pid":42,"bundle":"/b"}}"#);
            assert_eq!(State::parse(state.as_bytes()).unwrap(), minimal, "{other}");
        }
    }

    #[test]
    fn everything_else_is_one_clear_error() {
        let cases: [(&[u8], &str); 16] = [
            (b"", "it is empty"),
            (b" \n", "it is empty"),
            (b"not json", "expected ident"),
            (b"\xff\xfe", "it is not UTF-8"),
            (b"{\"id\":\"\xff\"}", "it is not UTF-8"),
            (br#"{"id":"c","bundle":"/b"}"#, "missing field `pid`"),
            (br#"{"id":"c","pid":"42","bundle":"/b"}"#, "expected i32"),
            (br#"{"id":"c","pid":42}"#, "bundle \"\""),
            (br#"{"pid":42,"bundle":"/b"}"#, "id: it is empty"),
            (br#"{"id":"c","pid":42,"pid":43,"bundle":"/b"}"#, "duplicate field `pid`"),
            (br#"{"id":"c","pid":42,"bundle":"/b"} {}"#, "trailing characters"),
            (br#"{"id":"c","pid":1,"bundle":"/b"}"#, "state's pid 1"),
            (br#"{"id":"c","pid":99999999999,"bundle":"/b"}"#, "`99999999999`, expected i32"),
            (br#"{"id":"c","pid":42,"bundle":"b"}"#, "bundle \"b\""),
            (br#"["c",42,"/b"]"#, "expected a JSON object"),
            (br#"{"id":"","pid":42,"bundle":"/b"}"#, "id: it is empty"),
        ];
        for (json, expected) in cases {
            let error = State::parse(json).unwrap_err().to_string();
            assert!(error.starts_with("cannot "), "{error}");
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }
}
