//! The agents of the nodes: starting and ending them, what they tell, and what they have to have made.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{Cluster, Member, NODES};
use crate::harness::{bin, repository};

/// Where an agent answers on its node.
const HEALTH: &str = "http://127.0.0.1:10263";

/// Where the agents' account is.
const ACCOUNTS: &str = "/api/v1/namespaces/kube-system/serviceaccounts";

/// A route to another node's pods: network, next hop, device.
pub(super) type Route = (String, String, String);

/// Waits for what has to come, far longer than it takes.
#[track_caller]
pub(super) fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(comes_within(Duration::from_secs(30), is_so), "never: {what}");
}

/// Whether something comes within `limit`.
pub(super) fn comes_within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if is_so() {
            return true;
        }
        if begun.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails with the lines in which two states differ.
#[track_caller]
pub(super) fn assert_same(now: &str, before: &str) {
    let [now, before] = [now, before].map(|text| text.lines().collect::<BTreeSet<_>>());
    let (more, less): (Vec<_>, Vec<_>) =
        (now.difference(&before).collect(), before.difference(&now).collect());
    assert!(more.is_empty() && less.is_empty(), "more: {more:#?}\nless: {less:#?}");
}

impl Cluster {
    /// A cluster of three nodes with an agent and `pods` pods on each.
    pub(super) fn of_three(&mut self, pods: usize) {
        for _ in 0..3 {
            self.join();
        }
        self.start_agents(&[]);
        for member in &mut self.members {
            (0..pods).for_each(|_| _ = member.add_pod());
        }
    }

    /// The agents' kubeconfig, with the account that is delivered for them and a token of it.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        let path = self.dir.path().join("agents.kubeconfig");
        if !path.exists() {
            let own = fs::read_to_string(self.dir.path().join("kubeconfig")).unwrap();
            let mut config: Value = serde_json::from_str(&own).unwrap();
            config["users"][0]["user"] = json!({"token": self.token()});
            fs::write(&path, config.to_string()).unwrap();
        }
        path
    }

    /// Creates the delivered account with its rights; a token.
    fn token(&self) -> String {
        let delivered = repository().join("vendor-configs/kubernetes/rbac.yaml");
        let delivered = fs::read_to_string(delivered).unwrap();
        for object in delivered.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(object).unwrap();
            let path = match object["kind"].as_str().unwrap() {
                "ServiceAccount" => ACCOUNTS,
                "ClusterRole" => "/apis/rbac.authorization.k8s.io/v1/clusterroles",
                "ClusterRoleBinding" => "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
                kind => panic!("a new kind: {kind}"),
            };
            self.ask("POST", path, &object);
        }
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let answer = self.ask("POST", &format!("{ACCOUNTS}/podhosts-node/token"), &request);
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// What agents may change, of each node.
    pub(super) fn states(&self) -> String {
        self.members
            .iter()
            .map(|member| member.state().replace('\n', &format!(" on {}\n", member.name)))
            .collect()
    }

    /// Starts an agent on each node, and waits until all have done their work.
    pub(super) fn start_agents(&mut self, flags: &[&str]) {
        (0..self.members.len()).for_each(|member| self.start_agent(member, flags));
        self.settle();
    }

    /// Starts the agent of one node.
    pub(super) fn start_agent(&mut self, member: usize, flags: &[&str]) {
        self.start_program(member, &bin("podhosts-node"), flags);
    }

    /// Starts the agent of one node from the program `agent`.
    pub(super) fn start_program(&mut self, member: usize, agent: &Path, flags: &[&str]) {
        let kubeconfig = self.kubeconfig();
        self.members[member].start(&[], agent, &kubeconfig, flags);
    }

    /// Starts the agent of one node under another program.
    pub(super) fn start_under(&mut self, member: usize, tracer: &[&str], flags: &[&str]) {
        let kubeconfig = self.kubeconfig();
        self.members[member].start(tracer, &bin("podhosts-node"), &kubeconfig, flags);
    }

    /// Waits until each node has the routes that the Nodes ask for, and its agent is ready.
    #[track_caller]
    pub(super) fn settle(&self) {
        for member in &self.members {
            until_on(member, "ready", || member.is_ready());
            until_on(member, "the routes of the Nodes", || member.routes() == self.expected_routes(member));
        }
    }

    /// Waits until all agents are ready, where some Nodes are not to be routed to.
    #[track_caller]
    pub(super) fn settle_but_strangers(&self) {
        self.members.iter().for_each(|member| until_on(member, "ready", || member.is_ready()));
    }

    /// The routes that the Nodes of the API server ask for on `member`, where all are on its link.
    pub(super) fn expected_routes(&self, member: &Member) -> BTreeSet<Route> {
        let list = self.ask("GET", NODES, &Value::Null);
        let others =
            list["items"].as_array().unwrap().iter().filter(|node| node["metadata"]["name"] != member.name);
        others.flat_map(routes_to).collect()
    }

    /// Creates a Node without a machine: on the link there are more addresses than members.
    #[track_caller]
    pub(super) fn add_node(&self, name: &str, cidrs: &[&str], addresses: &[&str]) -> Value {
        self.ask("POST", NODES, &node(name, cidrs, addresses))
    }

    #[track_caller]
    pub(super) fn delete_node(&self, name: &str) {
        self.ask("DELETE", &format!("{NODES}/{name}"), &Value::Null);
    }

    /// The condition of a Node, as `status reason message`.
    pub(super) fn condition(&self, node: &str, kind: &str) -> Option<String> {
        let node = self.node_object(node);
        let all = node["status"]["conditions"].as_array()?;
        let found = all.iter().find(|condition| condition["type"] == kind)?;
        Some(
            ["status", "reason", "message"]
                .map(|key| found[key].as_str().unwrap_or_default().to_owned())
                .join(" "),
        )
    }

    /// The messages of the Events with this reason about a Node.
    pub(super) fn events(&self, node: &str, reason: &str) -> Vec<String> {
        let list = self.ask("GET", "/api/v1/events", &Value::Null);
        let is_meant = |event: &&Value| event["involvedObject"]["name"] == node && event["reason"] == reason;
        let events = list["items"].as_array().unwrap().iter().filter(is_meant);
        events.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Waits for what comes on a node, and says what its agent said where it does not.
#[track_caller]
pub(super) fn until_on(member: &Member, what: &str, is_so: impl FnMut() -> bool) {
    let comes = comes_within(Duration::from_secs(30), is_so);
    assert!(comes, "never on {}: {what}: {:?}\n{}", member.name, member.routes(), member.log());
}

/// A Node object.
pub(super) fn node(name: &str, cidrs: &[&str], addresses: &[&str]) -> Value {
    let addresses: Vec<Value> =
        addresses.iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
    json!({"metadata": {"name": name}, "spec": {"podCIDR": cidrs.first(), "podCIDRs": cidrs},
        "status": {"addresses": addresses}})
}

/// The routes to a Node on the link: each network by the address of its family.
fn routes_to(node: &Value) -> Vec<Route> {
    let texts = |list: &Value, key: Option<&str>| -> Vec<String> {
        let all = list.as_array().into_iter().flatten();
        all.map(|it| key.map_or(it, |key| &it[key]).as_str().unwrap().to_owned()).collect()
    };
    let addresses = texts(&node["status"]["addresses"], Some("address"));
    let of_family = |cidr: &str| addresses.iter().find(|ip| ip.contains(':') == cidr.contains(':'));
    let cidrs = texts(&node["spec"]["podCIDRs"], None);
    let route = |cidr: String| Some((cidr.clone(), of_family(&cidr)?.clone(), "eth0".to_owned()));
    cidrs.into_iter().filter_map(route).collect()
}

impl Member {
    /// The routes over a gateway that the node has, but for the one to everywhere.
    pub(super) fn routes(&self) -> BTreeSet<Route> {
        let mut routes = BTreeSet::new();
        for family in ["-4", "-6"] {
            let list = self.node().run("ip", &["-j", family, "route", "show"]).success();
            let list: Value = serde_json::from_str(&list).unwrap();
            let text = |route: &Value, key: &str| route[key].as_str().map(str::to_owned);
            let route = |route| Some((text(route, "dst")?, text(route, "gateway")?, text(route, "dev")?));
            routes.extend(list.as_array().unwrap().iter().filter_map(route));
        }
        routes.retain(|(network, _, _)| network != "default");
        routes
    }

    /// What the agent answers, if it does.
    pub(super) fn answer(&self, path: &str) -> Option<String> {
        let run = self.node().run("busybox", &["wget", "-q", "-O", "-", &format!("{HEALTH}{path}")]);
        run.ok.then_some(run.stdout)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.answer("/readyz").is_some() && self.network().is_some()
    }

    /// A metric of the agent's, with its labels as they are written.
    #[track_caller]
    pub(super) fn metric(&self, name: &str) -> Option<f64> {
        let page = self.answer("/metrics").expect("no metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(value.parse().unwrap())
    }
}
