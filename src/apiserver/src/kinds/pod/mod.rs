//! Pods that podhosts connected to a network. The server does not know their containers.
//!
//! The CRI accepts any name for a pod. Clients of the Kubernetes API rely on its rules for names: they make paths, label
//! values, DNS names and shell commands of them. So pods whose names break the rules are left out. The log mentions each
//! once, and `podhosts list` shows it.

pub(super) mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::columns::{AGE, NAME, column, wide};
use super::config::Config;
use super::read_only::Found;
use super::{age, verbs};
use crate::kind::{Kind, Source};
use crate::object::Object;
use crate::resource::Resource;
use crate::time;
use pod::validation::dns::{is_label, is_subdomain};
use records::record::{self, PodRecord, RECORD_MAX};
use sys::fs::files::{self, LastLink};
use sys::fs::state_dir;

/// `pods`.
pub static KIND: Kind = Kind {
    short_names: &["po"],
    categories: &["all"],
    verbs: verbs::READ_ONLY,
    columns: &[
        NAME,
        column("Ready", "How many of the containers are ready."),
        column("Status", "What state the pod is in."),
        column("Restarts", "How often its containers were started again."),
        AGE,
        wide("IP", "The first address of the pod."),
        wide("Node", "The node that it runs on."),
        wide("Nominated Node", "The node that it is meant for."),
        wide("Readiness Gates", "The conditions that it has to meet beyond its containers."),
    ],
    fields: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ],
    source: Source::Machine,
    ..Kind::new("", "Pod", "pods", "pod", &schema::POD)
};

/// The rules of Pods.
pub struct Pods {
    config: Arc<Config>,
    /// Sandboxes that were logged as left out.
    left_out: Mutex<BTreeSet<String>>,
}

impl Pods {
    /// Rules under this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, left_out: Mutex::default() }
    }

    fn pod(&self, record: &PodRecord) -> Object {
        let since = time::parse(&record.since).unwrap_or_default();
        let found = Found { namespace: &record.namespace, name: &record.name, uid: &record.uid, since };
        let list = |ips: &[String]| ips.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>();
        let host_ips: Vec<String> = self.config.node_ips.iter().map(ToString::to_string).collect();
        let since = time::format(since);
        let mut status = json!({
            "phase": "Running", "startTime": since, "podIPs": list(&record.pod_ips), "hostIPs": list(&host_ips),
            "conditions": [{
                "type": "PodReadyToStartContainers", "status": "True", "lastProbeTime": null,
                "lastTransitionTime": since,
            }],
        });
        for (key, ips) in [("podIP", &record.pod_ips), ("hostIP", &host_ips)] {
            if let Some(first) = ips.first() {
                status[key] = first.as_str().into();
            }
        }
        let mut spec =
            json!({"containers": [], "nodeName": self.config.node_name, "enableServiceLinks": true});
        if !record.hostname.is_empty() {
            spec["hostname"] = record.hostname.as_str().into();
        }
        found.object(&KIND, &json!(record.labels), &json!(record.annotations), spec, status)
    }
}

impl Pods {
    /// The pods of this machine.
    pub fn look(&self) -> Vec<Object> {
        let (pods, others) = records(&self.config.pod_records);
        self.tell_of(others);
        pods.values().map(|record| self.pod(record)).collect()
    }

    /// Logs each record that is left out, once.
    fn tell_of(&self, left_out: Vec<PodRecord>) {
        let mut told = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        for record in left_out.iter().filter(|record| !told.contains(&record.sandbox_id)) {
            tracing::error!(
                namespace = %record.namespace,
                name = %record.name,
                sandboxID = %record.sandbox_id,
                "a pod is left out, whose name or namespace Kubernetes does not allow"
            );
        }
        *told = left_out.into_iter().map(|record| record.sandbox_id).collect();
    }
}

impl Resource for Pods {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let status = object.0.get("status").unwrap_or(&Value::Null);
        let text = |value: &Value| value.as_str().unwrap_or("<none>").to_owned();
        [
            object.name().to_owned(),
            // No container is known of.
            "0/0".to_owned(),
            text(&status["phase"]),
            "0".to_owned(),
            age::since(object.metadata().get("creationTimestamp"), now),
            text(&status["podIPs"][0]["ip"]),
            text(&object.spec()["nodeName"]),
            "<none>".to_owned(),
            "<none>".to_owned(),
        ]
        .map(Value::from)
        .into()
    }
}

/// The records in `dir` by namespace and name, and those whose names Kubernetes does not allow. Of two sandboxes of one
/// pod the newer one counts; files that cannot be read are ignored.
fn records(dir: &Path) -> (BTreeMap<(String, String), PodRecord>, Vec<PodRecord>) {
    let mut records: BTreeMap<(String, String), PodRecord> = BTreeMap::new();
    let mut others = Vec::new();
    let names = state_dir::names(dir).unwrap_or_default();
    for record in names.iter().filter_map(|name| read(dir, record::id_of(name)?)) {
        if !is_label(&record.namespace) || !is_subdomain(&record.name) {
            others.push(record);
            continue;
        }
        let key = (record.namespace.clone(), record.name.clone());
        if records.get(&key).is_none_or(|other| other.since <= record.since) {
            records.insert(key, record);
        }
    }
    (records, others)
}

fn read(dir: &Path, sandbox_id: &str) -> Option<PodRecord> {
    let path = record::path(dir, sandbox_id).ok()?;
    let json = files::read(&path, RECORD_MAX, LastLink::Refuse).ok()?;
    PodRecord::parse(&json, sandbox_id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, id: &str, name: &str, since: &str, ips: &[&str]) {
        let record = json!({
            "version": 1, "sandboxID": id, "namespace": "default", "name": name, "uid": format!("uid-{id}"),
            "podIPs": ips, "annotations": {"a": "b"}, "since": since,
        });
        state_dir::replace(&dir.join(format!("{id}.json")), record.to_string().as_bytes()).unwrap();
    }

    #[test]
    fn records_are_pods() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "s1", "web", "2026-01-01T00:00:00Z", &["10.244.1.4", "2001:db8::4"]);
        write(dir.path(), "s0", "web", "2025-01-01T00:00:00Z", &["10.244.1.3"]);
        write(dir.path(), "s2", "db", "", &[]);
        state_dir::replace(&dir.path().join("s3.json"), b"{").unwrap();
        let config = Config {
            node_name: "n1".to_owned(),
            node_ips: vec!["10.0.0.5".parse().unwrap()],
            pod_records: dir.path().to_owned(),
            ..Config::default()
        };
        let pods = Pods::new(Arc::new(config));
        let found = pods.look();
        let names: Vec<&str> = found.iter().map(Object::name).collect();
        assert_eq!(names, ["db", "web"]);
        let web = &found[1];
        assert_eq!((web.namespace(), web.uid()), ("default", "uid-s1"));
        assert_eq!(web.metadata()["annotations"], json!({"a": "b"}));
        assert!(!web.metadata().contains_key("labels"));
        assert_eq!(web.0["status"]["podIPs"], json!([{"ip": "10.244.1.4"}, {"ip": "2001:db8::4"}]));
        assert_eq!(web.0["status"]["hostIP"], "10.0.0.5");
        let now = time::parse("2026-01-01T00:01:00Z").unwrap();
        let cells = pods.cells(web, now);
        let shown = ["web", "0/0", "Running", "0", "60s", "10.244.1.4", "n1", "<none>", "<none>"];
        assert_eq!(cells, shown.map(Value::from));
        assert_eq!(pods.cells(&found[0], now)[5], "<none>");
        assert_eq!(cells.len(), KIND.columns.len());
    }

    #[test]
    fn a_pod_that_no_api_server_could_have_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let pods = Pods::new(Arc::new(Config { pod_records: dir.path().to_owned(), ..Config::default() }));
        let odd = ["create-PodSandbox-for-container-0F", "a_b", "", "a/b", "..", "a b", "x\n", "-a", "日本"];
        for (n, name) in odd.iter().enumerate() {
            write(dir.path(), &format!("s{n}"), name, "2026-01-01T00:00:00Z", &["10.244.1.4"]);
        }
        write(dir.path(), "good", "web", "2026-01-01T00:00:00Z", &["10.244.1.5"]);
        let namespaced =
            json!({"version": 1, "sandboxID": "n", "namespace": "Not", "name": "web", "podIPs": []});
        state_dir::replace(&dir.path().join("n.json"), namespaced.to_string().as_bytes()).unwrap();
        let told = || pods.left_out.lock().unwrap().len();
        for _ in 0..2 {
            let found = pods.look();
            assert_eq!(found.iter().map(Object::name).collect::<Vec<_>>(), ["web"]);
            assert_eq!(told(), odd.len() + 1);
        }
        // What is gone is not remembered.
        state_dir::remove(&dir.path().join("s0.json")).unwrap();
        pods.look();
        assert_eq!(told(), odd.len());
    }

    #[test]
    fn no_records_are_no_pods() {
        let config = Config { pod_records: "/nonexistent".into(), ..Config::default() };
        assert_eq!(Pods::new(Arc::new(config)).look(), Vec::new());
    }
}
