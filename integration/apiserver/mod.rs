//! The API server, as its clients see it.

mod answers;
mod changes;
mod clients;
mod containerd;
mod crash;
mod endpoints;
mod endpoints_rules;
mod events;
mod hostile;
mod http;
mod kubectl;
mod log;
mod namespaces;
mod options;
mod owners;
mod pages;
mod parts;
mod pods;
mod reads;
mod requests;
mod rules;
mod service;
mod slices;
mod store;
mod versions;
mod warnings;
