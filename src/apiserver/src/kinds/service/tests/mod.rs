//! Services against what a Kubernetes 1.36 API server answered.

mod load_balancers;
mod ports;
mod rules;
mod tables;
mod types;
