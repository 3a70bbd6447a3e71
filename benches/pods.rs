//! Pods as a user starts them, by crictl on a real containerd: podhosts beside runc with the reference plugins.

use std::time::Duration;

use serde_json::json;

use super::harness::containerd::{Containerd, Release, sleeping};
use super::{print_header, print_row, timed};

const PODS: usize = 20;
/// The plugins of most clusters with one node; dual-stack, as ours.
const REFERENCE: [&str; 3] = ["bridge", "host-local", "portmap"];

/// Times of one side, a list for each command.
#[derive(Default)]
struct Times {
    run_pod: Vec<Duration>,
    start: Vec<Duration>,
    stop_pod: Vec<Duration>,
}

/// Runs pods on two containerds in turn.
pub(crate) fn run() {
    let Some(ours) = Containerd::start(Release::Bookworm) else { return };
    let Some(peer) = reference() else { return };
    let (mut times, mut peers) = (Times::default(), Times::default());
    for pod in 0..PODS {
        times.pod(&ours, pod, &["--runtime", "podhosts"]);
        peers.pod(&peer, pod, &[]);
    }
    print_header();
    for (command, ours, peers) in [
        ("runp", &times.run_pod, &peers.run_pod),
        ("start", &times.start, &peers.start),
        ("stopp", &times.stop_pod, &peers.stop_pod),
    ] {
        print_row(&format!("crictl {command} (peer: runc, bridge, host-local, portmap)"), ours, peers);
    }
}

/// containerd with runc's handler and the reference plugins.
fn reference() -> Option<Containerd> {
    let mut containerd = Containerd::new(Release::Bookworm)?;
    let ranges = json!([[{"subnet": "10.3.0.0/16"}], [{"subnet": "2001:db8:3::/64"}]]);
    let bridge = json!({"type": "bridge", "bridge": "cni0", "isDefaultGateway": true,
        "ipam": {"type": "host-local", "ranges": ranges}});
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}});
    let list = json!({"cniVersion": "1.0.0", "name": "reference", "plugins": [bridge, portmap]});
    std::fs::write(containerd.node.file("/etc/cni/net.d/10-reference.conflist"), list.to_string()).unwrap();
    for plugin in REFERENCE {
        containerd.node.sh(&format!("ln -s /usr/lib/cni/{plugin} /opt/cni/bin"));
    }
    containerd.launch();
    containerd.import_images();
    Some(containerd)
}

impl Times {
    /// One pod with one container, from nothing to nothing.
    fn pod(&mut self, containerd: &Containerd, number: usize, options: &[&str]) {
        let config = containerd.pod_config(&format!("bench-{number}"));
        let pod_file = containerd.file("pod.json", &config);
        let container_file = containerd.file("container.json", &sleeping("main"));
        let crictl = |args: &[&str]| timed(&mut containerd.crictl_command(args));
        self.run_pod.push(crictl(&[&["runp"], options, &[&pod_file]].concat()));
        let pod = containerd.ask(&["pods", "-q"]);
        let container = containerd.ask(&["create", &pod, &container_file, &pod_file]);
        self.start.push(crictl(&["start", &container]));
        self.stop_pod.push(crictl(&["stopp", &pod]));
        containerd.ask(&["rmp", "-f", &pod]);
    }
}
