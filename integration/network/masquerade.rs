//! The table `inet podhosts-node`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::Value;
use sys::net::masquerade::{MasqueradeTable, Masquerading, Network, Outcome};

use crate::harness::nft::{nft, ruleset};
use crate::harness::{in_new_netns, needs};

const EMPTY: &str = "\
table inet podhosts-node {
set pods4 {
type ipv4_addr
flags interval
}
set pods6 {
type ipv6_addr
flags interval
}
set inside4 {
type ipv4_addr
flags interval
}
set inside6 {
type ipv6_addr
flags interval
}
chain postrouting {
type nat hook postrouting priority srcnat; policy accept;
ip saddr @pods4 ip daddr != @inside4 fib daddr type != local masquerade fully-random
ip6 saddr @pods6 ip6 daddr != @inside6 fib daddr type != local masquerade fully-random
}
}
";

fn network(first: &str, last: &str) -> Network {
    Network { first: first.parse().unwrap(), last: last.parse().unwrap() }
}

fn some() -> Masquerading {
    Masquerading {
        pods: vec![network("10.244.1.0", "10.244.1.255"), network("fd00:1::", "fd00:1::ffff")],
        inside: vec![
            network("10.244.0.0", "10.244.3.255"),
            network("224.0.0.0", "255.255.255.255"),
            network("fd00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ],
    }
}

#[test]
fn the_table_has_two_rules_and_four_sets() {
    needs!("nft");
    in_new_netns(|| {
        let mut table = MasqueradeTable::open().unwrap();
        assert!(!table.remove().unwrap());
        assert_eq!(table.apply(&Masquerading::default()).unwrap(), Outcome::Replaced);
        assert_eq!(ruleset(), EMPTY);
        assert_eq!(table.apply(&some()).unwrap(), Outcome::Changed);
        let filled = ruleset();
        for elements in ["{ 10.244.1.0/24 }", "{ 10.244.0.0/22, 224.0.0.0/3 }", "{ fd00:1::/112 }"] {
            assert!(filled.contains(&format!("elements = {elements}\n")), "{elements}: {filled}");
        }
        // Another process finds nothing to do.
        assert_eq!(MasqueradeTable::open().unwrap().apply(&some()).unwrap(), Outcome::Unchanged);
        assert!(table.remove().unwrap());
        assert_eq!(ruleset(), "");
    });
}

#[test]
fn what_others_change_in_it_is_told_and_mended() {
    needs!("nft");
    in_new_netns(|| {
        let mut table = MasqueradeTable::open().unwrap();
        let mut changes = table.watch().unwrap();
        table.apply(&some()).unwrap();
        let whole = ruleset();
        assert!(!changes.read().unwrap());
        for (change, expected) in [
            ("flush ruleset", Outcome::Replaced),
            ("add rule inet podhosts-node postrouting accept", Outcome::Replaced),
            ("flush chain inet podhosts-node postrouting", Outcome::Replaced),
            ("add chain inet podhosts-node other", Outcome::Replaced),
            ("add set inet podhosts-node other { type ipv4_addr; }", Outcome::Replaced),
            ("add table inet podhosts-node { flags dormant; }", Outcome::Replaced),
            ("flush set inet podhosts-node pods4", Outcome::Changed),
            ("add element inet podhosts-node inside4 { 192.0.2.7 }", Outcome::Changed),
            ("delete table inet podhosts-node", Outcome::Replaced),
        ] {
            nft(&change.split(' ').collect::<Vec<_>>());
            assert!(changes.read().unwrap(), "{change}");
            assert_eq!(table.apply(&some()).unwrap(), expected, "{change}");
            assert_eq!(ruleset(), whole, "{change}");
            assert!(!changes.read().unwrap(), "{change}");
        }
        // Other tables are no concern of it.
        nft(&["add", "table", "inet", "other"]);
        assert!(!changes.read().unwrap());
        assert_eq!(table.apply(&some()).unwrap(), Outcome::Unchanged);
        assert!(ruleset().contains("table inet other"));
    });
}

/// What `nft` lists in a set, as first and last addresses.
fn listed(set: &str) -> BTreeSet<(IpAddr, IpAddr)> {
    let json: Value =
        serde_json::from_str(&nft(&["-j", "list", "set", "inet", "podhosts-node", set])).unwrap();
    let set = json["nftables"].as_array().unwrap().iter().find_map(|object| object.get("set")).unwrap();
    let elements = set.get("elem").and_then(Value::as_array).cloned().unwrap_or_default();
    let ip = |value: &Value| -> IpAddr { value.as_str().unwrap().parse().unwrap() };
    let bounds = |element: &Value| match (element.get("range"), element.get("prefix")) {
        (Some(range), _) => (ip(&range[0]), ip(&range[1])),
        (_, Some(prefix)) => {
            let length = prefix["len"].as_u64().unwrap();
            let net = IpNet::new(ip(&prefix["addr"]), u8::try_from(length).unwrap()).unwrap();
            (net.network(), net.broadcast())
        }
        _ => (ip(element), ip(element)),
    };
    elements.iter().map(bounds).collect()
}

/// Random networks of a family that neither overlap nor touch.
fn random(random: &mut fastrand::Rng, is_v6: bool) -> Vec<Network> {
    let mut networks = Vec::new();
    let mut next = random.u32(0..4);
    while next < 40 {
        let last = next + random.u32(0..4);
        let address = |number: u32| -> IpAddr {
            if is_v6 {
                Ipv6Addr::from((0xfd00 << 112) | u128::from(number)).into()
            } else {
                Ipv4Addr::from(0x0af4_0000 + number).into()
            }
        };
        networks.push(Network { first: address(next), last: address(last) });
        next = last + 2 + random.u32(0..6);
    }
    networks
}

#[test]
fn elements_follow_by_their_difference() {
    needs!("nft");
    in_new_netns(|| {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut table = MasqueradeTable::open().unwrap();
        table.apply(&Masquerading::default()).unwrap();
        for step in 0..100 {
            let mut networks = |_| [random(&mut rng, false), random(&mut rng, true)];
            let ([pods4, pods6], [inside4, inside6]) = (networks(0), networks(1));
            let wanted = Masquerading {
                pods: [pods4.clone(), pods6.clone()].concat(),
                inside: [inside4.clone(), inside6.clone()].concat(),
            };
            assert_ne!(table.apply(&wanted).unwrap(), Outcome::Replaced, "step {step}");
            for (set, networks) in
                [("pods4", pods4), ("pods6", pods6), ("inside4", inside4), ("inside6", inside6)]
            {
                let wanted: BTreeSet<_> = networks.iter().map(|net| (net.first, net.last)).collect();
                assert_eq!(listed(set), wanted, "{set}, step {step}");
            }
        }
    });
}

#[test]
fn many_nodes_fit_into_it() {
    needs!("nft");
    in_new_netns(|| {
        let mut table = MasqueradeTable::open().unwrap();
        let inside = |count: u32| {
            let v4 = (0..count).map(|n| Ipv4Addr::from(0x0b00_0000 + n * 2).into());
            let v6 = (0..count).map(|n| Ipv6Addr::from((0xfd00 << 112) | u128::from(n) << 64).into());
            let both = v4.chain(v6).map(|address: IpAddr| Network { first: address, last: address });
            Masquerading { pods: Vec::new(), inside: both.collect() }
        };
        assert_eq!(table.apply(&inside(5000)).unwrap(), Outcome::Replaced);
        assert_eq!((listed("inside4").len(), listed("inside6").len()), (5000, 5000));
        assert_eq!(table.apply(&inside(1)).unwrap(), Outcome::Changed);
        assert_eq!(table.apply(&inside(5000)).unwrap(), Outcome::Changed);
        assert_eq!(MasqueradeTable::open().unwrap().apply(&inside(5000)).unwrap(), Outcome::Unchanged);
    });
}
