//! What is delivered and installed, and the documents held to the code.

mod daemonset;
mod delivered;
mod delivered_kubernetes;
mod documents;
mod image;
mod install;
mod kernel_lists;
mod makefile;
mod manifests;
mod messages;
mod removal;
mod workspace;
