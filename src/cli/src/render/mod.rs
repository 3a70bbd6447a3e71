//! A hosts file from a manifest.

pub mod manifest;
