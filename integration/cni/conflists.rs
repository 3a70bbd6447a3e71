//! The delivered networks, with their plugins called as libcni calls them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::harness::cni::{Call, CniNode, addresses};
use crate::harness::{Run, bin, needs};

const REFERENCE: &str = "/usr/lib/cni";

/// A delivered network in one version of the specification.
struct Network<'a> {
    node: &'a CniNode,
    list: Value,
    version: String,
}

impl<'a> Network<'a> {
    fn read(node: &'a CniNode, name: &str) -> Self {
        let path = crate::harness::repository().join("vendor-configs/cni").join(name);
        let list: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        Self { node, version: list["cniVersion"].as_str().unwrap().to_owned(), list }
    }

    fn plugins(&self) -> Vec<Value> {
        self.list["plugins"].as_array().unwrap().clone()
    }

    /// Those of its versions that all of its plugins speak.
    fn versions(&self) -> Vec<String> {
        let speak = |plugin: &Value, version: &Value| {
            let config = json!({"cniVersion": "1.0.0"});
            let call = Call { netns: "", ifname: "", args: "", ..Call::new("VERSION", "", &config) };
            let answer: Value =
                serde_json::from_str(&self.node.call_plugin(&program(plugin), &call).success()).unwrap();
            answer["supportedVersions"].as_array().unwrap().contains(version)
        };
        let only = vec![self.list["cniVersion"].clone()];
        let versions = self.list["cniVersions"].as_array().unwrap_or(&only).iter();
        let of_all = versions.filter(|version| self.plugins().iter().all(|plugin| speak(plugin, version)));
        of_all.map(|version| version.as_str().unwrap().to_owned()).collect()
    }

    fn call(&self, command: &str, plugin: &Value, previous: Option<&Value>) -> Run {
        let mut config = plugin.clone();
        config["name"] = self.list["name"].clone();
        config["cniVersion"] = self.version.as_str().into();
        if let Some(previous) = previous {
            config["prevResult"] = previous.clone();
        }
        let capable = |key: &String| plugin["capabilities"][key] == true;
        let passed = what_an_engine_says().into_iter().filter(|(key, _)| capable(key));
        config["runtimeConfig"] = passed.collect::<Map<_, _>>().into();
        let call = Call::new(command, "c1", &config);
        let mut process = self.node.plugin_command(&program(plugin), &call);
        let own = bin("podhosts-cni");
        process.env("CNI_PATH", format!("{}:{REFERENCE}", own.parent().unwrap().display()));
        self.node.pipe(process, config.to_string().as_bytes())
    }

    /// ADD of the whole list; the last plugin's result.
    #[track_caller]
    fn add(&self) -> Value {
        let mut result = None;
        for plugin in self.plugins() {
            let answer = self.call("ADD", &plugin, result.as_ref()).success();
            result = Some(serde_json::from_str(&answer).unwrap());
        }
        result.unwrap()
    }

    #[track_caller]
    fn check(&self, result: &Value) {
        // portmap up to 1.1 checks the rules of IPv4 also where it is to check those of IPv6.
        for plugin in self.plugins().iter().filter(|plugin| plugin["type"] != "portmap") {
            assert_eq!(self.call("CHECK", plugin, Some(result)).success(), "");
        }
    }

    #[track_caller]
    fn del(&self, result: &Value) {
        for plugin in self.plugins().iter().rev() {
            self.call("DEL", plugin, Some(result)).success();
        }
    }
}

fn program(plugin: &Value) -> PathBuf {
    match plugin["type"].as_str().unwrap() {
        "podhosts-cni" => bin("podhosts-cni"),
        other => Path::new(REFERENCE).join(other),
    }
}

/// Everything that an engine may have to say of a pod.
fn what_an_engine_says() -> Map<String, Value> {
    let says = json!({
        "io.kubernetes.cri.pod-annotations": {"podhosts.io/hostname": "www"},
        "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
        "mac": "0a:00:00:00:00:01",
        "dns": {"Servers": ["10.96.0.10"]},
    });
    says.as_object().unwrap().clone()
}

/// Everything that may be left behind, but a bridge, which the reference plugin leaves.
fn left(node: &CniNode) -> String {
    node.sh("ip -o link | grep veth || true; cd /run; find podhosts/pods podhosts/networks/*/attachments -type f \
         2>/dev/null || true; find /var/lib/cni/networks -name '*[0-9]' 2>/dev/null | grep -v reserved || true; \
         nft list ruleset | grep -e 10.244.0.2 -e fd00:10:244::2 || true")
}

/// Goes through the life of one container.
fn live(name: &str, versions: &[&str]) {
    let node = CniNode::new();
    let mut network = Network::read(&node, name);
    assert_eq!(network.versions(), versions);
    for (turn, version) in versions.iter().enumerate() {
        (*version).clone_into(&mut network.version);
        node.pod("c1");
        let result = network.add();
        let host = turn + 2;
        assert_eq!(addresses(&result), [format!("10.244.0.{host}"), format!("fd00:10:244::{host}")]);
        assert_eq!(result["cniVersion"], *version);
        let record = fs::read_to_string(node.file("/run/podhosts/pods/c1.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        assert_eq!(json!(addresses(&result)), record["podIPs"]);
        assert_eq!(record["annotations"], json!({"podhosts.io/hostname": "www"}));
        let link = node.in_pod("c1", "ip -o link show eth0");
        assert!(link.contains("0a:00:00:00:00:01"), "{link}");
        let rules = node.sh("nft list ruleset").to_lowercase();
        assert!(rules.contains("8080") && rules.contains("masquerade"), "{rules}");
        network.check(&result);
        network.del(&result);
        network.del(&result);
        assert_eq!(left(&node), "");
        node.sh("ip netns del c1");
    }
}

#[test]
fn the_network_of_the_main_role() {
    needs!("ip", "nft");
    live("10-podhosts.conflist", &["1.0.0", "1.1.0"]);
}

// Debian's reference plugins do not speak 1.1.0.
#[test]
fn the_network_with_the_reference_bridge_asking_for_addresses() {
    needs!("ip", "nft", "/usr/lib/cni/bridge", "/usr/lib/cni/portmap");
    live("10-podhosts-ipam.conflist", &["1.0.0"]);
}

#[test]
fn the_network_that_records_what_other_plugins_did() {
    needs!("ip", "nft", "/usr/lib/cni/bridge", "/usr/lib/cni/portmap");
    live("10-podhosts-chained.conflist", &["1.0.0"]);
}
