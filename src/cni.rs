//! The CNI plugin. It answers VERSION; everything else is refused with the error the specification has for it.

use std::fmt::Write;

use serde_json::json;

use crate::report::ExitCode;

/// The CNI specifications whose VERSION answer is given.
const SUPPORTED: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// Specification error code 4: an environment variable is missing or invalid.
const INVALID_ENVIRONMENT: u32 = 4;

/// What a call prints, and how it ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// For stdout.
    pub stdout: String,
    /// For stderr.
    pub stderr: String,
    /// How the program ends.
    pub code: ExitCode,
}

/// Answers a call with `CNI_COMMAND` being `command`.
pub fn answer(command: Option<&str>) -> Answer {
    let current = SUPPORTED[SUPPORTED.len() - 1];
    let mut answer = Answer { stdout: String::new(), stderr: String::new(), code: ExitCode::Success };
    // Writing to a String cannot fail.
    let _ = match command {
        None | Some("") => write!(
            answer.stderr,
            "podhosts-cni {}: a CNI plugin of podhosts; supports CNI {}",
            env!("CARGO_PKG_VERSION"),
            SUPPORTED.join(", ")
        ),
        Some("VERSION") => {
            write!(answer.stdout, "{}", json!({"cniVersion": current, "supportedVersions": SUPPORTED}))
        }
        Some(other) => {
            answer.code = ExitCode::Failure;
            let msg = format!("CNI_COMMAND {other:?} is not supported, expected VERSION");
            let error = json!({"cniVersion": current, "code": INVALID_ENVIRONMENT, "msg": msg});
            write!(answer.stdout, "{error}")
        }
    };
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_nothing_else() {
        let version: serde_json::Value = serde_json::from_str(&answer(Some("VERSION")).stdout).unwrap();
        assert_eq!(version["cniVersion"], "1.1.0");
        assert_eq!(version["supportedVersions"].as_array().unwrap().len(), SUPPORTED.len());
        let add = answer(Some("ADD"));
        assert_eq!(add.code, ExitCode::Failure);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&add.stdout).unwrap()["code"], 4);
        let about = answer(None);
        assert!(about.stdout.is_empty() && about.stderr.contains("1.1.0") && about.code == ExitCode::Success);
    }
}
