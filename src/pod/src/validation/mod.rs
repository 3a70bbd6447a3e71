//! Kubernetes' own checks on names and addresses, with its texts to the letter.
//!
//! Followed: `k8s.io/apimachinery/pkg/util/validation` of Kubernetes 1.36 (the feature gate
//! `StrictIPCIDRValidation` is on by default there).

pub mod cidr;
pub mod dns;
pub mod ip;
pub mod labels;
mod quote;
pub mod word;

pub use quote::{go_quote, printable, printable_json, printable_lines};

use std::fmt;

/// One rejected field, shown as Kubernetes' API server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field inside the object, such as `spec.hostAliases[0].ip`.
    pub path: String,
    /// The rejected value, as it was given.
    pub value: String,
    /// The description of a valid value.
    pub detail: &'static str,
}

impl FieldError {
    /// A rejected `value` at `path`.
    pub fn invalid(path: impl Into<String>, value: impl Into<String>, detail: &'static str) -> Self {
        Self { path: path.into(), value: value.into(), detail }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: Invalid value: {}: {}", self.path, go_quote(&self.value), self.detail)
    }
}
