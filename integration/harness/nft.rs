//! What the packet filter's table should be for attachments to networks, and what `nft` shows of it.

use std::net::IpAddr;
use std::process::Command;

use sys::net::nft::{
    Leaving, NftError, PodInterface, PortMapping, Protocol, Rules, install, missing, remove, sweep,
};
use sys::net::rtnetlink::SourceCheck;

/// The chains of a node with pods that masquerade or have host ports.
const TRANSLATING: &str = "\
chain postrouting {
type nat hook postrouting priority srcnat; policy accept;
ct status dnat ip daddr vmap @hairpin4
ct status dnat ip6 daddr vmap @hairpin6
ip saddr vmap @masquerade4
ip6 saddr vmap @masquerade6
}
chain prerouting {
type nat hook prerouting priority dstnat; policy accept;
fib daddr type != local return
dnat ip to ip daddr . meta l4proto . th dport map @hostip-ports4
meta nfproto ipv4 dnat ip to meta l4proto . th dport map @hostports4
dnat ip6 to ip6 daddr . meta l4proto . th dport map @hostip-ports6
meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @hostports6
}
chain output {
type nat hook output priority dstnat; policy accept;
fib daddr type != local return
ip6 daddr ::1 return
dnat ip to ip daddr . meta l4proto . th dport map @hostip-ports4
meta nfproto ipv4 dnat ip to meta l4proto . th dport map @hostports4
dnat ip6 to ip6 daddr . meta l4proto . th dport map @hostip-ports6
meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @hostports6
}
";

/// The chain of every node.
const GUARD: &str = "\
chain guard {
type filter hook prerouting priority raw; policy accept;
iif != \"lo\" ip saddr 127.0.0.0/8 drop
iif != \"lo\" ip daddr 127.0.0.0/8 drop
iifgroup != 1886348290 return
iifname . ip saddr @sources4 return
iifname . ip6 saddr @sources6 return
meta l4proto ipv6-icmp ip6 saddr :: return
drop
}
";

/// The maps and sets with their types; the maps are there with the chains that translate.
const MAPS: [(&str, &str); 10] = [
    ("masquerade4", "ipv4_addr : verdict"),
    ("masquerade6", "ipv6_addr : verdict"),
    ("hairpin4", "ipv4_addr : verdict"),
    ("hairpin6", "ipv6_addr : verdict"),
    ("hostports4", "inet_proto . inet_service : ipv4_addr . inet_service"),
    ("hostports6", "inet_proto . inet_service : ipv6_addr . inet_service"),
    ("hostip-ports4", "ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"),
    ("hostip-ports6", "ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service"),
    ("sources4", "ifname . ipv4_addr"),
    ("sources6", "ifname . ipv6_addr"),
];

/// An attachment of a test.
#[derive(Clone)]
pub(crate) struct Attachment {
    pub(crate) network: &'static str,
    pub(crate) subnets: Vec<(IpAddr, u8)>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) masquerade: bool,
    pub(crate) ports: Vec<PortMapping>,
    pub(crate) interface: Option<PodInterface>,
}

/// One that masquerades, in the network "bridge" with the usual subnets.
pub(crate) fn attachment(addresses: &[&str]) -> Attachment {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let subnets = [("10.0.0.0", 23), ("fd00::", 64)];
    let subnets = subnets.map(|(subnet, prefix)| (subnet.parse::<IpAddr>().unwrap(), prefix));
    let has = |subnet: &IpAddr| addresses.iter().any(|address| address.is_ipv4() == subnet.is_ipv4());
    let subnets = subnets.into_iter().filter(|(subnet, _)| has(subnet)).collect();
    Attachment { network: "bridge", subnets, addresses, masquerade: true, ports: Vec::new(), interface: None }
}

impl Attachment {
    pub(crate) fn port(mut self, host_ip: Option<&str>, host_port: u16) -> Self {
        let host_ip = host_ip.map(|ip| ip.parse().unwrap());
        self.ports.push(PortMapping { host_ip, host_port, container_port: 8080, protocol: Protocol::Tcp });
        self
    }

    /// With its packets checked, which come in by an interface of this name.
    pub(crate) fn checked(mut self, name: &str, is_port: bool) -> Self {
        let mac = "0a:58:0a:00:00:05".parse().unwrap();
        let check = SourceCheck::Addresses;
        self.interface = Some(PodInterface { name: name.to_owned(), mac, is_port, check });
        self
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            network: self.network.to_owned(),
            subnets: self.subnets.clone(),
            addresses: self.addresses.clone(),
            masquerade: self.masquerade,
            ports: self.ports.clone(),
            interface: self.interface.clone(),
        }
    }

    #[track_caller]
    pub(crate) fn install(&self) {
        install(&self.rules(), Vec::new).unwrap();
        assert_eq!(missing(&[self.rules()]).unwrap(), [""; 0]);
    }

    /// Removes it by what is known of it.
    #[track_caller]
    pub(crate) fn remove(&self) {
        take_away(&self.rules(), true);
    }

    /// Removes it by its addresses and the name of its interface, all else being lost.
    #[track_caller]
    pub(crate) fn remove_unknown(&self) {
        take_away(&self.rules(), false);
    }
}

/// Removes what was installed for an attachment, whose interface is gone.
#[track_caller]
pub(crate) fn take_away(rules: &Rules, is_known: bool) {
    let interface = rules.interface.as_ref().map(|interface| interface.name.as_str());
    let known = is_known.then_some(rules);
    let leaving = Leaving { network: &rules.network, interface, link: None, rules: known };
    let removed = remove(&leaving, || Ok::<_, NftError>(rules.addresses.clone()), Vec::new).unwrap();
    sweep(&leaving, &removed).unwrap();
}

/// What `nft list ruleset` prints, with a map's elements in one line and in order, and nothing of its layout.
pub(crate) fn ruleset() -> String {
    let text = nft(&["list", "ruleset"]).replace("priority -100", "priority dstnat");
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match lines.last_mut() {
            Some(last) if last.ends_with(',') => *last = format!("{last} {line}"),
            _ => lines.push(line.to_owned()),
        }
    }
    let sorted = |line: &String| match line.strip_prefix("elements = { ").and_then(|l| l.strip_suffix(" }")) {
        Some(elements) => {
            let mut elements: Vec<&str> = elements.split(", ").collect();
            elements.sort_unstable();
            format!("elements = {{ {} }}\n", elements.join(", "))
        }
        None => format!("{line}\n"),
    };
    lines.iter().map(sorted).collect()
}

pub(crate) fn nft(args: &[&str]) -> String {
    let output = Command::new("nft").args(args).output().unwrap();
    assert!(output.status.success(), "nft {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The table with these elements and these chains of networks.
pub(crate) fn table(elements: &[(&str, &str)], chains: &[String]) -> String {
    table_of(&MAPS, TRANSLATING, elements, chains)
}

/// The table where no pod masquerades or has host ports.
pub(crate) fn guard_alone(elements: &[(&str, &str)]) -> String {
    table_of(&MAPS[8..], "", elements, &[])
}

fn table_of(
    maps: &[(&str, &str)],
    translating: &str,
    elements: &[(&str, &str)],
    chains: &[String],
) -> String {
    let map = |(name, kind): &(&str, &str)| {
        let elements = elements.iter().find(|(map, _)| map == name);
        let elements = elements.map(|(_, elements)| format!("elements = {{ {elements} }}\n"));
        let is_map = kind.contains(':');
        format!(
            "{} {name} {{\ntype {kind}\n{}}}\n",
            if is_map { "map" } else { "set" },
            elements.unwrap_or_default()
        )
    };
    let maps: String = maps.iter().map(map).collect();
    format!("table inet podhosts {{\n{maps}{translating}{GUARD}{}}}\n", chains.concat())
}

/// The chain of a network that masquerades what is not for these subnets.
pub(crate) fn masq(hash: &str, subnets: &[&str]) -> String {
    let stay = subnets.iter().map(|subnet| format!("{subnet} return\n")).collect::<String>();
    let multicast = "ip daddr 224.0.0.0/4 return\nip6 daddr ff00::/8 return\n";
    format!("chain masq-{hash} {{\n{stay}{multicast}masquerade\n}}\n")
}

/// The chain of a network that masquerades what comes from these subnets.
pub(crate) fn hairpin(hash: &str, subnets: &[&str]) -> String {
    let subnets = subnets.iter().map(|subnet| format!("{subnet} masquerade\n")).collect::<String>();
    format!("chain hairpin-{hash} {{\n{subnets}ip saddr 127.0.0.0/8 masquerade\n}}\n")
}
