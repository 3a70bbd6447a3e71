//! Attacks on the seal, the pods' network and the node, each as a hostile pod or client would carry it out, in
//! namespaces of the test's own. A test is named after the attack, and its comment names the CVE class where there is
//! one. `SECURITY.md` has the classes that cannot apply, with the reason.

mod content;
mod cve_input;
mod cve_network;
mod cve_process;
mod cve_rootfs;
mod environment;
mod locks;
mod network;
mod network_sources;
mod node;
mod seal;
mod serve;
mod terminal;
mod work;
mod work_network;
