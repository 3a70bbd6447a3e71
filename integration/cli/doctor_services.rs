//! What `podhosts doctor` says of the Service proxy, in network namespaces of its own.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use serde_json::Value;
use sys::net::services::{HOLDER, Table};

use crate::harness::{bin, in_new_netns, needs};

/// Runs a script; its /etc/systemd and /etc/default are empty, and gone with the namespace.
#[track_caller]
fn sh(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

fn on_a_node(body: impl FnOnce() + Send) {
    in_new_netns(|| {
        sh("for dir in systemd default; do mount -t tmpfs tmpfs /etc/$dir; done
            ip link set lo up");
        body();
    });
}

fn enable(flags: &str) {
    sh(&format!(
        "mkdir -p /etc/systemd/system/multi-user.target.wants
         ln -sf /lib/podhosts-apiserver.service /etc/systemd/system/multi-user.target.wants
         echo 'PODHOSTS_APISERVER_FLAGS=\"{flags}\"' >/etc/default/podhosts-apiserver"
    ));
}

/// Status, message and remedy of each finding.
fn findings_of(doctor: &mut Command) -> Vec<[String; 3]> {
    let output = doctor.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    checks
        .filter(|finding| finding["check"] == "service-proxy")
        .map(|finding| ["status", "message", "remedy"].map(|key| text(finding, key)))
        .collect()
}

fn findings() -> Vec<[String; 3]> {
    findings_of(Command::new(bin("podhosts")).args(["doctor", "--no-self-test", "--json"]))
}

/// Only one finding, which has this.
#[track_caller]
fn only(status: &str, message: &str) {
    let all = findings();
    assert!(matches!(&all[..], [[one, text, _]] if one == status && text.contains(message)), "{all:#?}");
}

/// Besides the table that is well, this and no other finding.
#[track_caller]
fn also(message: &str, remedy: &str) {
    let all = findings();
    assert_eq!((all.len(), all[0][0].as_str()), (2, "ok"), "{message}: {all:#?}");
    let [status, text, cure] = &all[1];
    assert!(status == "warning" && text.contains(message) && cure.contains(remedy), "{all:#?}");
}

/// What stands in the way of the proxy: commands that make it, what doctor says, and commands that take it away.
const OBSTACLES: [(&str, &str, &str, &str); 9] = [
    (
        "nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'",
        "the chain FORWARD of the table ip filter refuses forwarded packets",
        "DOCKER-USER",
        "nft delete table ip filter",
    ),
    (
        "nft 'add table inet firewalld
              add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy accept; }
              add rule inet firewalld filter_FORWARD ct state established accept
              add rule inet firewalld filter_FORWARD counter reject with icmpx type admin-prohibited'",
        "the chain filter_FORWARD of the table inet firewalld refuses forwarded packets",
        "zone trusted",
        "nft delete table inet firewalld",
    ),
    (
        "iptables-nft -P FORWARD DROP",
        "the chain FORWARD of the table ip filter refuses forwarded packets",
        "DOCKER-USER",
        "nft delete table ip filter",
    ),
    (
        "ip6tables-nft -P FORWARD DROP",
        "the chain FORWARD of the table ip6 filter refuses forwarded packets",
        "DOCKER-USER",
        "nft delete table ip6 filter",
    ),
    (
        "iptables-legacy -P FORWARD DROP",
        "the chain FORWARD of iptables-legacy refuses forwarded packets",
        "set the policy to accept",
        "iptables-legacy -P FORWARD ACCEPT",
    ),
    (
        "nft add table ip kube-proxy; nft add table ip6 kube-proxy",
        "kube-proxy has made the table ip kube-proxy and the table ip6 kube-proxy",
        "kube-proxy --cleanup",
        "nft delete table ip kube-proxy; nft delete table ip6 kube-proxy",
    ),
    (
        "iptables-nft -t nat -N KUBE-SERVICES",
        "kube-proxy has made the chain KUBE-SERVICES of the table ip nat",
        "kube-proxy --cleanup",
        "nft delete table ip nat",
    ),
    (
        "iptables-legacy -t nat -N KUBE-SERVICES",
        "kube-proxy has made the chain KUBE-SERVICES of iptables-legacy",
        "kube-proxy --cleanup",
        "iptables-legacy -t nat -X KUBE-SERVICES",
    ),
    (
        "ip link add kube-ipvs0 type veth peer name other",
        "kube-proxy has made the interface kube-ipvs0",
        "--proxy none",
        "ip link del kube-ipvs0",
    ),
];

#[test]
fn what_stands_in_the_way_of_the_service_proxy() {
    needs!("ip", "nft", "iptables-nft", "ip6tables-nft", "iptables-legacy");
    on_a_node(|| {
        // On a node without the proxy nothing of it matters.
        for (make, _, _, _) in OBSTACLES {
            sh(make);
            only("skipped", "leads no connections to Services here");
            sh("nft flush ruleset; ip link del kube-ipvs0 2>/dev/null || true");
        }
        sh("iptables-legacy -P FORWARD ACCEPT; iptables-legacy -t nat -X KUBE-SERVICES");
        Table::open().unwrap().replace(&[]).unwrap();
        only("ok", "the table inet podhosts-services with 0 elements");
        for (make, message, remedy, take_away) in OBSTACLES {
            sh(make);
            also(message, remedy);
            sh(take_away);
            only("ok", "with 0 elements");
        }
        // What looks like it and is not: a policy for other packets, an accepting policy, a refusal with a condition.
        sh("nft 'add table ip filter
                add chain ip filter INPUT { type filter hook input priority 0; policy drop; }
                add chain ip filter FORWARD { type filter hook forward priority 0; policy accept; }
                add rule ip filter FORWARD ct state invalid drop
                add chain ip filter LAST
                add rule ip filter LAST drop'");
        only("ok", "with 0 elements");
    });
}

#[test]
fn an_agent_that_waits_for_kube_proxys_rules_to_go() {
    needs!("ip", "nft");
    on_a_node(|| {
        let address = SocketAddr::from_abstract_name(HOLDER).unwrap();
        let agent = UnixListener::bind_addr(&address).unwrap();
        only("error", "the table inet podhosts-services is missing: Services lead nowhere");
        sh("nft add table ip kube-proxy");
        only(
            "warning",
            "kube-proxy has made the table ip kube-proxy: podhosts-node leads no connections to Services until",
        );
        Table::open().unwrap().replace(&[]).unwrap();
        also("kube-proxy has made the table ip kube-proxy: two programs", "kube-proxy --cleanup");
        sh("nft flush ruleset; nft add table ip kube-proxy");
        drop(agent);
        only("skipped", "leads no connections to Services here");
    });
}

#[test]
fn a_table_that_is_missing_or_not_as_it_should_be() {
    needs!("ip", "nft");
    on_a_node(|| {
        enable("--service-cluster-ip-range=10.96.0.0/16");
        only("error", "the table inet podhosts-services is missing: Services lead nowhere");
        let tables = Command::new("nft").args(["list", "tables"]).output().unwrap();
        assert_eq!(String::from_utf8(tables.stdout).unwrap(), "");
        enable("--proxy none");
        only("skipped", "leads no connections to Services here");
        enable("");
        Table::open().unwrap().replace(&[]).unwrap();
        only("ok", "the table inet podhosts-services with 0 elements");
        sh("nft add chain inet podhosts-services other; nft flush chain inet podhosts-services prerouting");
        only("error", "is of another version, or was changed by another program");
    });
}

/// strace refuses as a kernel does that lacks something.
#[test]
fn a_kernel_that_lacks_what_the_proxy_needs() {
    needs!("ip", "strace");
    on_a_node(|| {
        enable("");
        let mut strace = Command::new("strace");
        strace.args([
            "-f",
            "-qq",
            "-o",
            "/run/trace",
            "-e",
            "trace=sendto",
            "-e",
            "inject=sendto:error=EOPNOTSUPP",
        ]);
        let all = findings_of(strace.arg(bin("podhosts")).args(["doctor", "--no-self-test", "--json"]));
        assert!(
            all.iter().any(|[status, message, remedy]| {
                status == "error"
                    && message.contains("this kernel has no nf_tables")
                    && remedy.contains("nft_numgen")
            }),
            "{all:#?}"
        );
        assert!(
            all.iter().any(|[status, message, remedy]| {
                status == "warning"
                    && message.contains("cannot list tracked flows")
                    && remedy.contains("nf_conntrack_netlink")
            }),
            "{all:#?}"
        );
    });
}
