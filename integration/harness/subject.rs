//! What the conformance suite is run on: our plugin in its roles, and the reference plugins, which show that the suite
//! asks for nothing but what the specification does.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::cni::{Call, CniNode};
use super::{Run, bin};

/// What a plugin is in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It makes the interface, with addresses.
    Main,
    /// Another plugin asks it for addresses.
    Ipam,
    /// It comes behind another plugin.
    Chained,
}

/// A plugin and a configuration for it.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) is_ours: bool,
    /// Where it keeps who has which address.
    pub(crate) leases: &'static str,
    plugin: PathBuf,
    config: Value,
}

/// The versions that our plugin speaks; Debian's reference plugins end at the last but one.
pub(crate) const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// What `ip` shows without what follows from a carrier, which the kernel tells when it gets round to it.
pub(crate) fn without_carrier(shown: &str) -> String {
    let is_link_local = |line: &str| {
        line.starts_with("fe80::/64")
            || line.starts_with("local fe80:")
            || line.starts_with("multicast ff00:")
            || line.split_whitespace().any(|word| word.starts_with("fe80:") && word.ends_with("/64"))
    };
    let mut text = String::new();
    for line in shown.lines().filter(|line| !is_link_local(line)) {
        let words = line.split(' ').filter(|word| {
            !matches!(*word, "linkdown" | "state" | "UP" | "DOWN" | "LOWERLAYERDOWN" | "UNKNOWN")
        });
        text.push_str(
            &words.collect::<Vec<_>>().join(" ").replace("NO-CARRIER,", "").replace(",LOWER_UP", ""),
        );
        text.push('\n');
    }
    text
}

impl Subject {
    fn ours(name: &'static str, role: Role, config: Value) -> Self {
        let leases = "/run/podhosts/networks/net";
        Self { name, role, is_ours: true, leases, plugin: bin("podhosts-cni"), config }
    }

    fn reference(program: &'static str, role: Role, config: Value) -> Self {
        let plugin = PathBuf::from("/usr/lib/cni").join(program);
        let leases = "/var/lib/cni/networks/net";
        Self { name: program, role, is_ours: false, leases, plugin, config }
    }

    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let pod_cidrs = json!({"podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64"]});
        let ranges = |plugin: &str| {
            json!({"type": plugin, "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
                "ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "2001:db8:1::/64"}]]})
        };
        let bridge = |plugin: &str, mode: &str, ipam: &str| json!({"type": plugin, "mode": mode, "bridge": "br0", "isGateway": true, "ipam": ranges(ipam)});
        // The reference waits for duplicate address detection where there is IPv6.
        let v4 = json!({"type": "host-local", "subnet": "10.244.1.0/24", "routes": [{"dst": "0.0.0.0/0"}]});
        vec![
            Self::ours("routed", Role::Main, json!({"type": "podhosts-cni", "ipam": pod_cidrs})),
            Self::ours("bridged", Role::Main, bridge("podhosts-cni", "bridge", "podhosts-cni")),
            Self::ours("ipam", Role::Ipam, json!({"type": "other", "ipam": ranges("podhosts-cni")})),
            Self::ours("chained", Role::Chained, json!({"type": "podhosts-cni"})),
            Self::reference("bridge", Role::Main, bridge("bridge", "", "host-local")),
            Self::reference("ptp", Role::Main, json!({"type": "ptp", "ipam": v4})),
            Self::reference("host-local", Role::Ipam, json!({"type": "other", "ipam": ranges("host-local")})),
            Self::reference("tuning", Role::Chained, json!({"type": "tuning"})),
        ]
    }

    fn versions(&self) -> &'static [&'static str] {
        if self.is_ours { &VERSIONS } else { &VERSIONS[..4] }
    }
}

/// A subject on a node of its own, which speaks one version, and a pod `c1` that waits for an interface.
pub(crate) struct Trial<'a> {
    pub(crate) node: CniNode,
    pub(crate) subject: &'a Subject,
    pub(crate) version: &'static str,
}

/// Tries `rule` on every subject in every version of which `applies` says that the rule is about it.
pub(crate) fn each(applies: impl Fn(&Subject, &str) -> bool, rule: impl Fn(&Trial<'_>)) {
    let mut tried = 0;
    for subject in &Subject::all() {
        for version in subject.versions().iter().filter(|version| applies(subject, version)) {
            // Seen where the rule is broken.
            println!("{} in version {version}", subject.name);
            let trial = Trial { node: CniNode::new(), subject, version };
            trial.node.pod("c1");
            rule(&trial);
            tried += 1;
        }
    }
    assert!(tried > 0, "the rule is about nothing");
}

impl Trial<'_> {
    /// The configuration of an ADD.
    pub(crate) fn config(&self) -> Value {
        let mut config = self.subject.config.clone();
        config["cniVersion"] = self.version.into();
        config["name"] = "net".into();
        if self.subject.role == Role::Chained {
            config["prevResult"] = self.previous();
        }
        config
    }

    /// What the plugin before a chained one has made.
    pub(crate) fn previous(&self) -> Value {
        let mut ips = [
            json!({"address": "10.244.9.2/24", "gateway": "10.244.9.1", "interface": 1}),
            json!({
                "address": "2001:db8:9::2/64", "interface": 1}),
        ];
        if self.version < "1.0.0" {
            ips[0]["version"] = "4".into();
            ips[1]["version"] = "6".into();
        }
        json!({"cniVersion": self.version, "ips": ips, "routes": [{"dst": "0.0.0.0/0", "gw": "10.244.9.1"}],
            "interfaces": [{"name": "veth9", "mac": "0a:00:00:00:00:01"},
                {"name": "eth0", "mac": "0a:00:00:00:00:02", "sandbox": "/run/netns/c1"}],
            "dns": {"nameservers": ["10.96.0.10"]}})
    }

    /// The configuration of what follows an ADD.
    pub(crate) fn after(&self, result: &Value) -> Value {
        let mut config = self.config();
        config["prevResult"] = result.clone();
        config
    }

    /// Calls the plugin for the pod `c1`.
    pub(crate) fn call(&self, command: &str, config: &Value) -> Run {
        self.call_as(&Call::new(command, "c1", config))
    }

    /// Calls the plugin.
    pub(crate) fn call_as(&self, call: &Call<'_>) -> Run {
        self.node.call_plugin(&self.subject.plugin, call)
    }

    /// Calls the plugin with `stdin` and, for the pod `c1`, all variables but `without`.
    pub(crate) fn call_raw(&self, command: &str, without: &str, stdin: &str) -> Run {
        let mut command =
            self.node.plugin_command(&self.subject.plugin, &Call::new(command, "c1", &Value::Null));
        command.env_remove(without);
        self.node.pipe(command, stdin.as_bytes())
    }

    /// ADD for the pod `c1`, which has to succeed, and its result.
    #[track_caller]
    pub(crate) fn add(&self) -> Value {
        serde_json::from_str(&self.call("ADD", &self.config()).success()).unwrap()
    }

    /// What is there once a pod was there and is gone, as everything has to be after each DEL: bridges stay.
    #[track_caller]
    pub(crate) fn without_pods(&self) -> String {
        self.node.pod("c0");
        let config = self.config();
        let result = self.call_as(&Call::new("ADD", "c0", &config)).success();
        let config = self.after(&serde_json::from_str(&result).unwrap());
        assert_eq!(self.call_as(&Call::new("DEL", "c0", &config)).success(), "");
        self.node.sh("ip netns del c0");
        self.state()
    }

    /// Everything that a call could change, on the node and in the pod `c1`.
    pub(crate) fn state(&self) -> String {
        let files = "find /var/lib/cni -type f | grep -v -e /lock -e /last_reserved | sort";
        let inside = if self.has_pod() { self.node.pod_state("c1") } else { String::new() };
        without_carrier(&(self.node.traces() + &self.node.sh(files) + &inside))
    }

    /// Sees that everything is as it was, at once or, where the kernel removes a network namespace, soon.
    #[track_caller]
    pub(crate) fn assert_state(&self, expected: &str) {
        let mut now = self.state();
        for _ in 0..100 {
            if now == expected {
                return;
            }
            now = self.state();
        }
        assert_eq!(now, expected);
    }

    fn has_pod(&self) -> bool {
        self.node.run("test", &["-e", "/run/netns/c1"]).ok
    }
}
