//! What is delivered and installed, and the documents held to the code.

mod delivered;
mod delivered_kubernetes;
mod documents;
mod install;
mod kernel_lists;
mod messages;
mod removal;
mod workspace;
