//! The engines, with pods from crictl and with what administrators really have.

mod containerd;
mod containerd_kubelet;
mod containerd_many;
mod containerd_userns;
mod crictl;
mod crio;
mod doctor;
mod names;
mod node_hosts;
mod nri;
mod podman;
