//! The token, and the kubeconfig with it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use sys::fs::files::{self, FileError, LastLink};
use sys::fs::state_dir;
use sys::random;

/// Longest token file, in bytes.
const TOKEN_MAX: usize = 4096;
/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;

/// The token in the file `path`; makes one if the file has none.
///
/// # Errors
/// [`FileError`] naming the file.
pub(crate) fn token(path: &Path) -> Result<String, FileError> {
    let old = files::read_text_if_present(path, TOKEN_MAX, LastLink::Follow)?;
    if let Some(token) = old.map(|text| text.trim().to_owned()).filter(|token| token.len() >= TOKEN_BYTES) {
        return Ok(token);
    }
    let mut bytes = [0; TOKEN_BYTES];
    random::fill(&mut bytes).map_err(|cause| FileError::Io { verb: "fill", path: path.to_owned(), cause })?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    state_dir::replace(path, format!("{token}\n").as_bytes())?;
    Ok(token)
}

/// Writes the kubeconfig, as JSON, which is YAML too.
///
/// # Errors
/// [`FileError`] naming the file.
pub(crate) fn write(path: &Path, url: &str, trusted_pem: &str, token: &str) -> Result<(), FileError> {
    let name = "podhosts";
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": url, "certificate-authority-data": STANDARD.encode(trusted_pem),
        }}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    });
    state_dir::replace(path, format!("{config:#}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_token_stays_and_is_for_root_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/token");
        let made = token(&path).unwrap();
        assert_eq!(made.len(), 43);
        assert_eq!(token(&path).unwrap(), made);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        state_dir::replace(&path, b"short\n").unwrap();
        assert_ne!(token(&path).unwrap(), "short");
    }

    #[test]
    fn the_file_for_kubectl_is_for_root_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etc/kubeconfig");
        for _ in 0..2 {
            write(&path, "https://127.0.0.1:6443", "pem", "token").unwrap();
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
