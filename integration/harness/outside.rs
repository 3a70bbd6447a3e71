//! What is beyond a node: a network namespace `outside` that knows the node and has no way to its pods.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Run;
use super::cni::CniNode;

/// The node's addresses on its uplink.
pub(crate) const NODE: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(crate) const OUTSIDE: [&str; 2] = ["192.0.2.2", "2001:db8::2"];

/// What the first two containers on the delivered network get.
pub(crate) const FIRST: [&str; 2] = ["10.244.0.2", "fd00:10:244::2"];
pub(crate) const SECOND: [&str; 2] = ["10.244.0.3", "fd00:10:244::3"];

/// Address detection would keep the addresses tentative for a second.
const SET_UP: &str = r"
ip netns add outside
ip link add uplink type veth peer name eth0 netns outside
echo 0 >/proc/sys/net/ipv6/conf/uplink/accept_dad
ip netns exec outside sh -c 'echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad'
ip addr add 192.0.2.1/24 dev uplink
ip addr add 2001:db8::1/64 dev uplink nodad
ip -n outside addr add 192.0.2.2/24 dev eth0
ip -n outside addr add 2001:db8::2/64 dev eth0 nodad
ip link set uplink up
ip -n outside link set lo up
ip -n outside link set eth0 up
";

/// Who asked, as the one who is asked sees it.
const FROM: &str = "#!/bin/sh\necho\necho \"$REMOTE_ADDR\"\n";

/// The delivered network.
pub(crate) fn delivered() -> String {
    let file = crate::harness::repository().join("vendor-configs/cni/10-podhosts.conflist");
    fs::read_to_string(file).unwrap()
}

/// Connects `node` with the outside.
pub(crate) fn connect(node: &CniNode) {
    node.sh(SET_UP);
}

/// Puts what [`SERVER`] serves into a root file system, or into any directory.
pub(crate) fn put_pages(root: &Path) {
    let page = root.join("www/cgi-bin/from");
    fs::create_dir_all(page.parent().unwrap()).unwrap();
    fs::write(&page, FROM).unwrap();
    fs::set_permissions(&page, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A container's command that tells on port 80, in both families, who asks.
pub(crate) const SERVER: [&str; 6] = ["/bin/httpd", "-f", "-p", "80", "-h", "/www"];

/// Serves the same outside and on the node, as long as the node is there.
pub(crate) fn serve(node: &CniNode) {
    put_pages(&node.path(""));
    let pages = node.path("www");
    // httpd detaches itself once it listens.
    node.sh(&format!(
        "busybox httpd -p 80 -h {0}; ip netns exec outside busybox httpd -p 80 -h {0}",
        pages.display()
    ));
}

/// A script that asks `host` until there is an answer: a server in a container may not listen yet.
pub(crate) fn asking(host: &str, port: u16) -> String {
    let request = r#"printf "GET /cgi-bin/from HTTP/1.0\r\n\r\n""#;
    format!("timeout 30 sh -c 'until {request} | busybox nc -w 5 {host} {port}; do sleep 0.05; done'")
}

/// The address that a server saw, from the output of [`asking`].
#[track_caller]
pub(crate) fn seen(run: Run) -> String {
    let answer = run.success();
    let address = answer.lines().last().unwrap_or_default();
    let address = address.trim_start_matches('[').trim_end_matches(']');
    address.strip_prefix("::ffff:").unwrap_or(address).to_owned()
}

/// Asks from the node.
#[track_caller]
pub(crate) fn seen_from_node(node: &CniNode, host: &str, port: u16) -> String {
    seen(node.run("sh", &["-c", &asking(host, port)]))
}

/// Asks from outside.
#[track_caller]
pub(crate) fn seen_from_outside(node: &CniNode, host: &str, port: u16) -> String {
    seen(node.run("ip", &["netns", "exec", "outside", "sh", "-c", &asking(host, port)]))
}

/// Whether nobody answers any more on a port of the node's, asked from outside.
pub(crate) fn is_closed(node: &CniNode, port: u16) -> bool {
    let ask = |host| {
        let args = ["netns", "exec", "outside", "busybox", "nc", "-w", "5", host, &port.to_string()];
        node.run("ip", &args).ok
    };
    !NODE.into_iter().any(ask)
}

/// Two containers `one` and `two`, the first on the delivered network, and the node reach each other and the outside in
/// both families, and are seen with the addresses they should be seen with. `seen_from` asks a host from a container.
#[track_caller]
pub(crate) fn see_each_other(node: &CniNode, seen_from: impl Fn(&str, &str) -> String) {
    for family in [0, 1] {
        assert_eq!(seen_from("one", SECOND[family]), FIRST[family]);
        assert_eq!(seen_from("two", FIRST[family]), SECOND[family]);
        assert_eq!(seen_from("one", NODE[family]), FIRST[family]);
        assert_eq!(seen_from_node(node, FIRST[family], 80), NODE[family]);
        // There is no route back to a pod's own address.
        assert_eq!(seen_from("one", OUTSIDE[family]), NODE[family]);
    }
}
