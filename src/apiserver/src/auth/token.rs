//! Tokens of service accounts: JSON Web Tokens (RFC 7519) that this server signs with ECDSA on P-256 (ES256) and reads.
//!
//! The server reads only its own tokens. So it does not interpret the header of a token: it has to be, byte by byte, the one
//! that this server writes. What attacks on other readers change in it (`alg`, `kid`, `jwk`) cannot be changed here.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::Pem;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use serde_json::{Map, Value, json};
use thiserror::Error;

use sys::fs::files::{self, FileError, LastLink};
use sys::fs::state_dir;

/// Largest key file, in bytes.
const FILE_MAX: usize = 64 << 10;
/// Longest token that is looked at, in bytes.
const TOKEN_MAX: usize = 16 << 10;
const LABEL: &str = "PRIVATE KEY";
/// Bytes of a coordinate of a point on P-256.
const COORDINATE: usize = 32;

/// A key that cannot be used or made.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot use {path}: expected a private key for ECDSA on P-256 in PEM: {cause}")]
    Content { path: std::path::PathBuf, cause: String },
    #[error("cannot make a key for tokens: {0}")]
    Make(ring::error::Unspecified),
}

/// The key that signs tokens.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    /// The header of every token, encoded.
    header: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// Reads the key in the file `path`; makes one if there is no file.
    ///
    /// # Errors
    /// [`KeyError`] naming the file.
    pub(crate) fn at(path: &Path) -> Result<Self, KeyError> {
        let text = files::read_text_if_present(path, FILE_MAX, LastLink::Follow)?;
        // A crash can leave an empty file.
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            let refused = |cause: String| KeyError::Content { path: path.to_owned(), cause };
            let pem = pem::parse(text).map_err(|cause| refused(cause.to_string()))?;
            return Self::of(pem.contents()).map_err(|cause| refused(cause.to_string()));
        }
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(KeyError::Make)?;
        let text = pem::encode(&Pem::new(LABEL, pkcs8.as_ref()));
        state_dir::replace(path, text.replace("\r\n", "\n").as_bytes())?;
        Self::of(pkcs8.as_ref())
            .map_err(|cause| KeyError::Content { path: path.to_owned(), cause: cause.to_string() })
    }

    fn of(pkcs8: &[u8]) -> Result<Self, ring::error::KeyRejected> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())?;
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, pair.public_key().as_ref()));
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "ES256", "kid": id}).to_string());
        Ok(Self { pair, header })
    }

    /// The public key as a JSON Web Key (RFC 7517).
    pub(crate) fn public(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        // Both coordinates follow the byte that says that they do.
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(COORDINATE).unwrap_or_default();
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, point));
        json!({"use": "sig", "kty": "EC", "kid": id, "crv": "P-256", "alg": "ES256",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }

    /// The token with these claims.
    ///
    /// # Errors
    /// The kernel gives no random numbers.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, ring::error::Unspecified> {
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token that this key signed; `None` for all others.
    pub(crate) fn open(&self, token: &str) -> Option<Map<String, Value>> {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= TOKEN_MAX)?;
        let claims = signed.strip_prefix(self.header.as_str())?.strip_prefix('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key())
            .verify(signed.as_bytes(), &signature)
            .ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key() -> Key {
        Key::at(&tempfile::tempdir().unwrap().path().join("key")).unwrap()
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a file that somebody cut short")]
    fn the_key_stays_and_is_for_root_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/key");
        let token = Key::at(&path).unwrap().sign(&json!({"a": 1})).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Key::at(&path).unwrap().open(&token).unwrap()["a"], 1);
        std::fs::write(&path, "").unwrap();
        assert!(Key::at(&path).unwrap().open(&token).is_none(), "an empty file is no key");
        std::fs::write(&path, "nonsense").unwrap();
        let error = Key::at(&path).unwrap_err().to_string();
        assert!(error.contains("a private key") && error.contains("a/key"), "{error}");
    }

    #[test]
    fn only_unchanged_tokens_of_this_key_are_opened() {
        let (key, other) = (key(), key());
        let claims = json!({"sub": "system:serviceaccount:a:b"});
        let token = key.sign(&claims).unwrap();
        assert_eq!(key.open(&token).map(Value::Object), Some(claims.clone()));
        let parts: Vec<&str> = token.split('.').collect();
        let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let forged = encoded(json!({"sub": "system:serviceaccount:kube-system:admin"}));
        let none = encoded(json!({"alg": "none"}));
        for (what, token) in [
            ("another key", other.sign(&claims).unwrap()),
            ("other claims", [parts[0], &forged, parts[2]].join(".")),
            ("no algorithm", [&none, parts[1], ""].join(".")),
            ("no algorithm, signed", [&none, parts[1], parts[2]].join(".")),
            ("no signature", [parts[0], parts[1], ""].join(".")),
            ("two parts", [parts[0], parts[1]].join(".")),
            ("four parts", format!("{token}.")),
            ("padding", format!("{token}=")),
            ("a signature of zeros", [parts[0], parts[1], &URL_SAFE_NO_PAD.encode([0; 64])].join(".")),
            ("nothing", String::new()),
            ("a dot", ".".to_owned()),
        ] {
            assert!(key.open(&token).is_none(), "{what}");
        }
    }
}
