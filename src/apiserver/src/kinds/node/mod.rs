//! The Node: this machine.

pub(super) mod schema;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::columns::{AGE, NAME, column, wide};
use super::config::Config;
use super::read_only::Found;
use super::{age, verbs};
use crate::kind::{Kind, Source};
use crate::object::Object;
use crate::resource::Resource;
use crate::time;
use sys::fs::files::{LastLink, read_text_if_present};

/// `nodes`.
pub static KIND: Kind = Kind {
    short_names: &["no"],
    namespaced: false,
    verbs: verbs::READ_ONLY,
    columns: &[
        NAME,
        column("Status", "Whether the node takes pods."),
        column("Roles", "The roles of the node."),
        AGE,
        column("Version", "The version of the program that gives pods their network."),
        wide("Internal-IP", "The first address of the machine."),
        wide("External-IP", "The first address outside."),
        wide("OS-Image", "The operating system, from os-release."),
        wide("Kernel-Version", "The kernel, and the architecture."),
        wide("Container-Runtime", "The engine, and its version."),
    ],
    fields: &["spec.unschedulable"],
    source: Source::Machine,
    ..Kind::new("", "Node", "nodes", "node", &schema::NODE)
};

const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
const MACHINE_ID: &str = "/etc/machine-id";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Largest of these files that is read, in bytes.
const FILE_MAX: usize = 64 << 10;

/// Seconds between two heartbeats of a node that stays as it is; the kubelet's are as far apart.
const HEARTBEAT: i64 = 300;

/// The container engine, as the Node shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engine {
    /// `containerd://2.1.9`; empty if none ever answered.
    pub version: String,
    /// Why no pods can be started, if so: a reason in one word, and a message.
    pub fault: Option<(&'static str, String)>,
}

/// The rules of Nodes.
pub struct Nodes;

/// Makes the Node object of this machine.
#[derive(Debug)]
pub struct Finder {
    config: Arc<Config>,
    /// When the machine was booted, in seconds since 1970. Computed once, because the difference of two clocks varies.
    booted: i64,
    /// The engine as it was last, and since when it has had a fault, or none.
    engine: Engine,
    since: i64,
    heartbeat: i64,
}

impl Finder {
    /// Makes it under this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        let booted = time::now() - rustix::system::sysinfo().uptime;
        Self { config, booted, engine: Engine::default(), since: booted, heartbeat: 0 }
    }

    /// The Node at `now`, in seconds since 1970.
    pub fn node(&mut self, engine: &Engine, now: i64) -> Object {
        if engine.fault.is_some() != self.engine.fault.is_some() {
            self.since = now;
        }
        if *engine != self.engine || now >= self.heartbeat.saturating_add(HEARTBEAT) {
            self.heartbeat = now;
            self.engine = engine.clone();
        }
        node(self)
    }
}

impl Resource for Nodes {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let status = object.0.get("status").unwrap_or(&Value::Null);
        let info = |key: &str| match status["nodeInfo"][key].as_str() {
            None | Some("") => "<unknown>".to_owned(),
            Some(text) => text.to_owned(),
        };
        let kernel = match info("kernelVersion") {
            kernel if kernel.starts_with('<') => kernel,
            kernel => format!("{kernel} ({})", info("architecture")),
        };
        let address = |kind: &str| {
            let list = status["addresses"].as_array().into_iter().flatten();
            let found = list.into_iter().find(|address| address["type"] == kind);
            found.and_then(|address| address["address"].as_str()).unwrap_or("<none>").to_owned()
        };
        [
            object.name().to_owned(),
            state(object),
            roles(object),
            age::since(object.metadata().get("creationTimestamp"), now),
            status["nodeInfo"]["kubeletVersion"].as_str().unwrap_or_default().to_owned(),
            address("InternalIP"),
            address("ExternalIP"),
            info("osImage"),
            kernel,
            info("containerRuntimeVersion"),
        ]
        .map(Value::from)
        .into()
    }
}

/// Whether it is ready, and takes pods.
fn state(node: &Object) -> String {
    let status = node.0.get("status").unwrap_or(&Value::Null);
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let state = match conditions.find(|condition| condition["type"] == "Ready") {
        None => "Unknown",
        Some(ready) if ready["status"] == "True" => "Ready",
        Some(_) => "NotReady",
    };
    let is_closed = node.spec()["unschedulable"] == true;
    if is_closed { format!("{state},SchedulingDisabled") } else { state.to_owned() }
}

/// Its roles, by its labels (`findNodeRoles`).
fn roles(node: &Object) -> String {
    let roles: BTreeSet<&str> = node
        .labels()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            None if key == "kubernetes.io/role" => Some(value),
            role => role,
        })
        .filter(|role| !role.is_empty())
        .collect();
    if roles.is_empty() { "<none>".to_owned() } else { roles.into_iter().collect::<Vec<_>>().join(",") }
}

/// The Node object of this machine, created when it was booted.
fn node(finder: &Finder) -> Object {
    let config = &finder.config;
    let machine_id = line(MACHINE_ID);
    let found =
        Found { namespace: "", name: &config.node_name, uid: &as_uuid(&machine_id), since: finder.booted };
    let cidrs: Vec<String> = config.pod_cidrs.iter().map(ToString::to_string).collect();
    let mut spec = json!({});
    if let Some(first) = cidrs.first() {
        spec["podCIDR"] = json!(first);
        spec["podCIDRs"] = json!(cidrs);
    }
    // As the kubelet does: what is given replaces what is found.
    let mut labels = json!({"kubernetes.io/hostname": config.node_name, "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture()});
    config.node_labels.iter().for_each(|(key, value)| labels[key] = value.as_str().into());
    found.object(
        &KIND,
        &labels,
        &json!({}),
        spec,
        json!({
            "addresses": addresses(&config.node_name, &config.node_ips),
            "conditions": [readiness(finder)],
            "nodeInfo": node_info(&machine_id, &finder.engine.version),
        }),
    )
}

fn readiness(finder: &Finder) -> Value {
    let (status, reason, message) = match &finder.engine.fault {
        None => ("True", "NetworkReady", "podhosts-cni gives pods their network"),
        Some((reason, message)) => ("False", *reason, message.as_str()),
    };
    json!({
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": time::format(finder.heartbeat), "lastTransitionTime": time::format(finder.since),
    })
}

/// The name first, as on Kubernetes' page about dual-stack.
fn addresses(name: &str, ips: &[IpAddr]) -> Vec<Value> {
    let own = ips.iter().map(|ip| json!({"type": "InternalIP", "address": ip.to_string()}));
    std::iter::once(json!({"type": "Hostname", "address": name})).chain(own).collect()
}

fn node_info(machine_id: &str, engine: &str) -> Value {
    let system = rustix::system::uname();
    let version = concat!("podhosts-", env!("CARGO_PKG_VERSION"));
    json!({
        "machineID": machine_id, "systemUUID": "", "bootID": line(BOOT_ID),
        "kernelVersion": system.release().to_string_lossy(), "osImage": os_image(),
        "containerRuntimeVersion": engine, "kubeletVersion": version, "kubeProxyVersion": "",
        "operatingSystem": "linux", "architecture": architecture(),
    })
}

/// The architecture as Go calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn text(path: &str) -> Option<String> {
    read_text_if_present(Path::new(path), FILE_MAX, LastLink::Follow).ok().flatten()
}

/// The only line of a file; empty if it cannot be read.
fn line(path: &str) -> String {
    text(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn os_image() -> String {
    OS_RELEASE.iter().find_map(|path| pretty_name(&text(path)?)).unwrap_or_else(|| "Linux".to_owned())
}

/// `PRETTY_NAME` of os-release.
fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// Adds the hyphens of a UUID to 32 hexadecimal digits.
fn as_uuid(digits: &str) -> String {
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_a_node() {
        let config = Config {
            node_name: "n1".to_owned(),
            node_ips: vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()],
            pod_cidrs: vec!["10.244.1.0/24".parse().unwrap(), "2001:db8::/64".parse().unwrap()],
            node_labels: [("kubernetes.io/os", "other"), ("rack", "r1")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
            ..Config::default()
        };
        let nodes = Nodes;
        let node = Finder::new(Arc::new(config)).node(&Engine::default(), time::now());
        let labels: Vec<_> = node.labels().filter(|(key, _)| !key.ends_with("/arch")).collect();
        let expected = [("kubernetes.io/hostname", "n1"), ("kubernetes.io/os", "other"), ("rack", "r1")];
        assert_eq!(labels.len(), expected.len());
        assert!(expected.iter().all(|label| labels.contains(label)), "{labels:?}");
        assert_eq!(node.spec()["podCIDRs"], json!(["10.244.1.0/24", "2001:db8::/64"]));
        let addresses: Vec<&str> = node.0["status"]["addresses"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|a| a["address"].as_str())
            .collect();
        assert_eq!(addresses, ["n1", "10.0.0.5", "fd00::5"]);
        let cells = nodes.cells(&node, time::now());
        assert_eq!(cells.len(), KIND.columns.len());
        assert_eq!((&cells[0], &cells[1], &cells[5]), (&json!("n1"), &json!("Ready"), &json!("10.0.0.5")));
        assert!(cells[8].as_str().unwrap().ends_with(&format!("({})", architecture())), "{cells:?}");
        assert_ne!(cells[3], json!("<unknown>"));
        assert_eq!(cells[9], json!("<unknown>"));
        assert_eq!(nodes.cells(&Object::default(), 0)[8], json!("<unknown>"));
    }

    #[test]
    fn a_node_without_its_engine_is_not_ready() {
        let mut finder = Finder::new(Arc::default());
        let up = Engine { version: "containerd://2.1.9".to_owned(), fault: None };
        let down = Engine { fault: Some(("ContainerRuntimeDown", "why".to_owned())), ..up.clone() };
        let mut look = |engine: &Engine, now| {
            let node = finder.node(engine, now);
            let condition = node.0["status"]["conditions"][0].clone();
            let at = |key: &str| time::parse(condition[key].as_str().unwrap()).unwrap();
            let cells = Nodes.cells(&node, now);
            (cells[1].clone(), cells[9].clone(), at("lastHeartbeatTime"), at("lastTransitionTime"))
        };
        let start = time::now();
        let (status, version, heartbeat, since) = look(&up, start);
        assert_eq!((status, version), (json!("Ready"), json!("containerd://2.1.9")));
        assert!(heartbeat == start && since < start);
        // As long as nothing changes the object does not either, but for a heartbeat now and then.
        assert_eq!(look(&up, start + HEARTBEAT - 1).2, start);
        assert_eq!(look(&up, start + HEARTBEAT).2, start + HEARTBEAT);
        let (status, version, heartbeat, since) = look(&down, start + 400);
        assert_eq!((status, version), (json!("NotReady"), json!("containerd://2.1.9")));
        assert_eq!((heartbeat, since), (start + 400, start + 400));
        assert_eq!(look(&down, start + 401).3, start + 400);
        assert_eq!(look(&up, start + 402).3, start + 402);
    }

    #[test]
    fn os_release_and_machine_id_are_read() {
        let os_release = "NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(os_release).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("NAME=x"), None);
        assert_eq!(as_uuid("0123456789abcdef0123456789abcdef"), "01234567-89ab-cdef-0123-456789abcdef");
    }
}
