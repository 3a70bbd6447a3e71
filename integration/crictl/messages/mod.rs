//! The messages of the CRI API (`runtime.v1`) that the subset sends and reads. In crictl's files they have the names
//! of the API, in its output those that protocol buffers give them in JSON.
//!
//! What concerns Windows, CDI devices, huge pages and stop signals is left out.

mod container;
mod image;
mod pod;
mod security;
mod status;

pub(crate) use container::*;
pub(crate) use image::*;
pub(crate) use pod::*;
pub(crate) use security::*;
pub(crate) use status::*;
