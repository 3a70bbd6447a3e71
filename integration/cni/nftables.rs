//! The packet filter's table as `nft` shows it, in network namespaces of the tests' own.

use sys::net::nft::{NftError, install, missing};

use crate::harness::nft::{Attachment, attachment, guard_alone, hairpin, masq, nft, ruleset, table};
use crate::harness::{in_new_netns, needs};

const V4: &str = "10.0.0.5";
const V6: &str = "fd00::5";
/// FNV-1a of "bridge" and "other".
const BRIDGE: &str = "9cdc3637e7ce0390";
const OTHER: &str = "0a24ad61c2562a55";

#[test]
fn each_family_has_what_it_needs() {
    needs!("nft");
    in_new_netns(|| {
        let (goto4, goto6) = (format!("{V4} : goto masq-{BRIDGE}"), format!("{V6} : goto masq-{BRIDGE}"));
        let (masq4, masq6) = (("masquerade4", goto4.as_str()), ("masquerade6", goto6.as_str()));
        let (net4, net6) = ("ip daddr 10.0.0.0/23", "ip6 daddr fd00::/64");
        for (addresses, elements, subnets) in [
            (vec![V4], vec![masq4], vec![net4]),
            (vec![V6], vec![masq6], vec![net6]),
            (vec![V4, V6], vec![masq4, masq6], vec![net4, net6]),
        ] {
            let attachment = attachment(&addresses);
            attachment.install();
            assert_eq!(ruleset(), table(&elements, &[masq(BRIDGE, &subnets)]));
            attachment.remove();
            assert_eq!(ruleset(), "");
        }
    });
}

#[test]
fn ports_are_elements_of_the_families_that_the_pod_has() {
    needs!("nft");
    in_new_netns(|| {
        let (jump4, jump6) =
            (format!("{V4} : jump hairpin-{BRIDGE}"), format!("{V6} : jump hairpin-{BRIDGE}"));
        let (hairpin4, hairpin6) = (("hairpin4", jump4.as_str()), ("hairpin6", jump6.as_str()));
        let port4 = ("hostports4", "tcp . 80 : 10.0.0.5 . 8080");
        let port6 = ("hostports6", "tcp . 80 : fd00::5 . 8080");
        let (net4, net6) = ("ip saddr 10.0.0.0/23", "ip6 saddr fd00::/64");
        for (addresses, elements, subnets) in [
            (vec![V4], vec![hairpin4, port4], vec![net4]),
            (vec![V6], vec![hairpin6, port6], vec![net6]),
            (vec![V4, "10.0.0.6", V6], vec![hairpin4, hairpin6, port4, port6], vec![net4, net6]),
        ] {
            let attachment = Attachment { masquerade: false, ..attachment(&addresses) }.port(None, 80);
            attachment.install();
            assert_eq!(ruleset(), table(&elements, &[hairpin(BRIDGE, &subnets)]));
            attachment.remove();
            assert_eq!(ruleset(), "");
        }
        let both = attachment(&[V4, V6]);
        let both = Attachment { masquerade: false, ..both }
            .port(Some("0.0.0.0"), 80)
            .port(Some("::"), 81)
            .port(Some("192.0.2.1"), 82)
            .port(Some("2001:db8::1"), 83);
        both.install();
        let elements = [
            hairpin4,
            hairpin6,
            port4,
            ("hostports6", "tcp . 81 : fd00::5 . 8080"),
            ("hostip-ports4", "192.0.2.1 . tcp . 82 : 10.0.0.5 . 8080"),
            ("hostip-ports6", "2001:db8::1 . tcp . 83 : fd00::5 . 8080"),
        ];
        assert_eq!(ruleset(), table(&elements, &[hairpin(BRIDGE, &[net4, net6])]));
    });
}

/// The table of what passes between the ports of bridges, with the elements of one port.
const OF_A_PORT: &str = "\
table bridge podhosts {
set sources4 {
type ifname . ipv4_addr
elements = { \"vetha\" . 10.0.0.5 }
}
set sources6 {
type ifname . ipv6_addr
elements = { \"vetha\" . fd00::5, \"vetha\" . fe80::858:aff:fe00:5 }
}
set macs {
type ifname . ether_addr
elements = { \"vetha\" . 0a:58:0a:00:00:05 }
}
chain guard {
type filter hook prerouting priority dstnat; policy accept;
iifgroup 1886348289 iifname . ether saddr @macs return
iifgroup 1886348289 drop
iifgroup != 1886348290 return
iifname . ether saddr != @macs drop
iifname . ip saddr @sources4 return
iifname . arp saddr ether != @macs drop
iifname . arp saddr ip @sources4 return
arp saddr ip 0.0.0.0 return
icmpv6 type nd-router-advert drop
icmpv6 type nd-redirect drop
icmpv6 type nd-neighbor-advert iifname . icmpv6 taddr != @sources6 drop
iifname . ip6 saddr @sources6 return
meta l4proto ipv6-icmp ip6 saddr :: return
drop
}
}
";

#[test]
fn sources_are_elements_of_the_table_that_sees_them() {
    needs!("nft");
    in_new_netns(|| {
        let pod = Attachment { masquerade: false, ..attachment(&[V4, V6]) };
        for is_known in [true, false] {
            let remove = |pod: &Attachment| if is_known { pod.remove() } else { pod.remove_unknown() };
            let (routed, port) = (pod.clone().checked("vetha", false), pod.clone().checked("vetha", true));
            routed.install();
            let own6 = "\"vetha\" . fd00::5, \"vetha\" . fe80::858:aff:fe00:5";
            let own = [("sources4", "\"vetha\" . 10.0.0.5"), ("sources6", own6)];
            assert_eq!(ruleset(), guard_alone(&own));
            remove(&routed);
            assert_eq!(ruleset(), "");
            port.install();
            // Those of another port, whose addresses are not looked at, stay.
            let other = attachment(&["10.0.0.6"]).checked("vethb", true);
            let other = Attachment { masquerade: false, ..other };
            let shown = ruleset();
            other.install();
            remove(&other);
            assert_eq!(ruleset(), shown);
            // Versions of nft name the priority and the target of an advertisement in their own ways.
            let names = [("priority -300", "priority dstnat"), ("@th,64,128", "icmpv6 taddr")];
            let shown = names.iter().fold(shown, |text, (from, to)| text.replace(from, to));
            assert_eq!(shown, OF_A_PORT);
            remove(&port);
            assert_eq!(ruleset(), "");
        }
    });
}

#[test]
fn an_attachment_that_needs_nothing_leaves_no_trace() {
    needs!("nft");
    in_new_netns(|| {
        let nothing = Attachment { masquerade: false, ..attachment(&[V4, V6]) };
        nothing.install();
        nothing.remove();
        assert_eq!(ruleset(), "");
        let unusable = attachment(&[V4]).port(None, 80).port(Some("::"), 81);
        let error = install(&unusable.rules(), Vec::new).unwrap_err();
        assert!(matches!(error, NftError::Unusable { port: 81, .. }), "{error}");
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn installing_again_changes_nothing() {
    needs!("nft");
    in_new_netns(|| {
        let pod = attachment(&[V4, V6]).port(None, 80).port(Some("192.0.2.1"), 81);
        pod.install();
        let before = ruleset();
        pod.install();
        assert_eq!(ruleset(), before);
        // With what a removal that never came has left behind.
        let next = Attachment { network: "other", ..attachment(&[V4, V6]) }.port(None, 80);
        next.install();
        let after = ruleset();
        assert!(after.contains(&format!("elements = {{ {V4} : goto masq-{OTHER} }}")), "{after}");
        assert!(!after.contains("192.0.2.1") && !after.contains(BRIDGE), "{after}");
        next.remove();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn a_chain_stays_while_a_pod_needs_it_and_the_table_while_there_is_one() {
    needs!("nft");
    in_new_netns(|| {
        let first = attachment(&[V4]).port(None, 80);
        let second = attachment(&["10.0.0.6"]).port(None, 81);
        let third = Attachment { network: "other", ..attachment(&["10.0.0.7"]) };
        [&first, &second, &third].into_iter().for_each(Attachment::install);
        let subnets = ["ip daddr 10.0.0.0/23"];
        let (masq_bridge, masq_other) = (masq(BRIDGE, &subnets), masq(OTHER, &subnets));
        let hairpin_bridge = hairpin(BRIDGE, &["ip saddr 10.0.0.0/23"]);
        let goto = |pod: &str, hash: &str| format!("{pod} : goto masq-{hash}");
        let elements = [goto(V4, BRIDGE), goto("10.0.0.6", BRIDGE), goto("10.0.0.7", OTHER)].join(", ");
        let jump = |pod: &str| format!("{pod} : jump hairpin-{BRIDGE}");
        let ports = "tcp . 80 : 10.0.0.5 . 8080, tcp . 81 : 10.0.0.6 . 8080";
        let hairpins = [jump(V4), jump("10.0.0.6")].join(", ");
        let all = [("masquerade4", elements.as_str()), ("hairpin4", &hairpins), ("hostports4", ports)];
        let chains = [masq_bridge.clone(), hairpin_bridge.clone(), masq_other.clone()];
        assert_eq!(ruleset(), table(&all, &chains));
        first.remove();
        let elements = [goto("10.0.0.6", BRIDGE), goto("10.0.0.7", OTHER)].join(", ");
        let hairpins = jump("10.0.0.6");
        let port = ("hostports4", "tcp . 81 : 10.0.0.6 . 8080");
        let two = [("masquerade4", elements.as_str()), ("hairpin4", &hairpins), port];
        assert_eq!(ruleset(), table(&two, &chains));
        second.remove();
        let last = goto("10.0.0.7", OTHER);
        assert_eq!(ruleset(), table(&[("masquerade4", &last)], &[masq_other]));
        // Those that are gone already take nothing with them.
        let before = ruleset();
        [&first, &second].into_iter().for_each(Attachment::remove);
        assert_eq!(ruleset(), before);
        third.remove();
        assert_eq!(ruleset(), "");
        third.remove();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn a_networks_new_subnets_take_effect() {
    needs!("nft");
    in_new_netns(|| {
        attachment(&[V4]).port(None, 80).install();
        let mut second = attachment(&["10.0.0.6"]).port(None, 81);
        second.subnets = vec![("10.7.1.2".parse().unwrap(), 12), ("10.9.9.9".parse().unwrap(), 32)];
        second.install();
        let after = ruleset();
        let chain = masq(BRIDGE, &["ip daddr 10.0.0.0/12", "ip daddr 10.9.9.9"]);
        assert!(after.contains(&chain), "{after}");
        assert!(after.contains(&hairpin(BRIDGE, &["ip saddr 10.0.0.0/12", "ip saddr 10.9.9.9"])), "{after}");
    });
}

#[test]
fn a_port_that_another_pod_has_is_refused_and_nothing_changes() {
    needs!("nft");
    in_new_netns(|| {
        let first = attachment(&[V4, V6]).port(None, 80).port(Some("192.0.2.1"), 81);
        first.install();
        let before = ruleset();
        for (host_ip, port) in [(None, 80), (Some("192.0.2.1"), 81)] {
            let mut second = attachment(&["10.0.0.6"]).port(None, 90).port(host_ip, port);
            second.network = "other";
            let error = install(&second.rules(), Vec::new).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("cannot map host port {port}/tcp: it is already mapped to 10.0.0.5")
            );
            assert_eq!(ruleset(), before);
        }
        // The same port of another address is another port.
        let third = attachment(&["10.0.0.7"]).port(Some("192.0.2.2"), 81);
        let third = Attachment { subnets: first.subnets, ..third };
        third.install();
        third.remove();
        assert_eq!(ruleset(), before);
    });
}

#[test]
fn what_is_deleted_by_hand_is_missing_and_installed_again() {
    needs!("nft");
    in_new_netns(|| {
        let pod = attachment(&[V4, V6]).port(None, 80).port(Some("192.0.2.1"), 81);
        assert_eq!(missing(&[pod.rules()]).unwrap(), ["table inet podhosts"]);
        pod.install();
        let before = ruleset();
        let element = |map: &str, key: &str| format!("delete element inet podhosts {map} {{ {key} }}");
        let hairpin = format!("inet podhosts hairpin-{BRIDGE}");
        for (command, name) in [
            (element("masquerade4", V4), "masquerading of 10.0.0.5".to_owned()),
            (element("hairpin6", V6), "hairpin of fd00::5".to_owned()),
            (element("hostports4", "tcp . 80"), "host port 80/tcp to 10.0.0.5".to_owned()),
            (
                element("hostip-ports4", "192.0.2.1 . tcp . 81"),
                "host port 81/tcp of 192.0.2.1 to 10.0.0.5".to_owned(),
            ),
            ("flush chain inet podhosts output".to_owned(), "rules of chain output".to_owned()),
            // As many rules as before, and other ones.
            (
                format!("flush chain {hairpin}{}", format!("; add rule {hairpin} accept").repeat(3)),
                format!("rules of chain hairpin-{BRIDGE}"),
            ),
            (format!("add rule inet podhosts masq-{BRIDGE} accept"), format!("rules of chain masq-{BRIDGE}")),
            (
                "flush chain inet podhosts postrouting; delete chain inet podhosts postrouting".to_owned(),
                "chain postrouting".to_owned(),
            ),
        ] {
            nft(&[&command]);
            assert_eq!(missing(&[pod.rules()]).unwrap(), [name], "{command}");
            pod.install();
        }
        // A pod of the same network that came later may have brought another subnet: nothing is missing for that.
        Attachment { subnets: Vec::new(), ..attachment(&[V4]) }.install();
        let first = attachment(&[V4]);
        assert_eq!(missing(&[first.rules()]).unwrap(), [""; 0]);
        pod.install();
        // The chain that was deleted is the last one now.
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(lines(&ruleset()), lines(&before));
        nft(&["flush chain inet podhosts prerouting; flush chain inet podhosts output"]);
        nft(&["delete map inet podhosts hostports6"]);
        let all = missing(&[pod.rules()]).unwrap();
        let expected = [
            "map hostports6",
            "rules of chain prerouting",
            "rules of chain output",
            "host port 80/tcp to fd00::5",
        ];
        assert_eq!(all, expected);
        pod.remove();
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn other_tables_are_left_alone() {
    needs!("nft");
    in_new_netns(|| {
        nft(&["add table inet filter; add chain inet filter input; add rule inet filter input accept"]);
        let before = ruleset();
        let pod = attachment(&[V4]).port(None, 80);
        pod.install();
        pod.remove();
        assert_eq!(ruleset(), before);
    });
}
