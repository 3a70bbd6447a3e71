//! What is delivered and installed, and the documents that name tests.

mod delivered;
mod delivered_kubernetes;
mod documents;
mod install;
mod removal;
mod workspace;
