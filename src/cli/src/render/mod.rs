//! A hosts file from a manifest.

pub(crate) mod manifest;
