//! The controller on a registry.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::index::Index;
use super::super::trigger::Times;
use super::super::{Address, run};
use super::{pod, service};
use crate::kind::Kind;
use crate::kinds::{self, Config, endpoint_slice, endpoints, pod as pod_kind, service as services};
use crate::object::Object;
use crate::registry::{Change, DeleteOptions, ListQuery, Registry, WriteOptions};

/// Looks until there is something, 30 s at most.
async fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}");
}

struct Cluster {
    registry: Registry,
    pods: Mutex<BTreeMap<String, Object>>,
    _dir: tempfile::TempDir,
}

impl Cluster {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
            node_name: "node1".to_owned(),
            ..Config::default()
        };
        let registry = Registry::open(&dir.path().join("db"), kinds::all(config)).unwrap();
        let cluster = Self { registry, pods: Mutex::default(), _dir: dir };
        cluster.look().await;
        cluster
    }

    /// Tells the registry of the pods that there are.
    async fn look(&self) {
        let pods = self.pods.lock().unwrap().values().cloned().collect();
        self.registry.find(&pod_kind::KIND, pods).await.unwrap();
    }

    /// A ready pod.
    async fn pod(&self, name: &str, address: Ipv4Addr, labels: &Value) {
        let since = "2026-01-01T00:00:00Z";
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": labels},
            "spec": {"nodeName": "node1", "containers": []},
            "status": {
                "phase": "Running", "podIPs": [{"ip": address}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}],
            },
        });
        self.pods.lock().unwrap().insert(name.to_owned(), Object::from_value(pod).unwrap());
        self.look().await;
    }

    async fn remove_pod(&self, name: &str) {
        self.pods.lock().unwrap().remove(name);
        self.look().await;
    }

    async fn create(&self, kind: &'static Kind, object: Value) -> Object {
        let object = Object::from_value(object).unwrap();
        let created = self.registry.create(kind, "default", object, WriteOptions::default()).await.unwrap();
        created.object().unwrap()
    }

    async fn service(&self, name: &str, rest: Value) -> Object {
        let plain =
            json!({"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}});
        self.create(&services::KIND, super::merged(plain, rest)).await
    }

    async fn delete(&self, kind: &'static Kind, name: &str) {
        self.registry.delete(kind, "default", name, DeleteOptions::default()).await.unwrap();
    }

    fn all(&self, kind: &'static Kind) -> Vec<Object> {
        let list = self.registry.list(kind, &ListQuery::default()).unwrap();
        list.items.iter().map(|stored| stored.object().unwrap()).collect()
    }

    /// The slices of a Service.
    fn slices(&self, service: &str) -> Vec<Object> {
        let is_of =
            |slice: &Object| slice.labels().any(|label| label == ("kubernetes.io/service-name", service));
        self.all(&endpoint_slice::KIND).into_iter().filter(is_of).collect()
    }

    /// The addresses in the slices of a Service; `None` without a slice.
    fn addresses(&self, service: &str) -> Option<Vec<String>> {
        let slices = self.slices(service);
        let endpoints = slices.iter().flat_map(|slice| slice.0["endpoints"].as_array().unwrap());
        let mut all: Vec<String> =
            endpoints.map(|one| one["addresses"][0].as_str().unwrap().to_owned()).collect();
        all.sort();
        (!slices.is_empty()).then_some(all)
    }

    async fn has(&self, service: &str, addresses: &[&str]) {
        let is_there = || self.addresses(service).filter(|found| found == addresses);
        wait(&format!("{service} {addresses:?}"), is_there).await;
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(run(self.registry.clone(), Address::default()))
    }
}

#[tokio::test]
async fn slices_follow_services_and_pods() {
    let cluster = Cluster::new().await;
    cluster.pod("web-1", [10, 244, 0, 2].into(), &json!({"app": "web"})).await;
    let running = cluster.start();
    let made = cluster.service("web", json!({})).await;
    cluster.has("web", &["10.244.0.2"]).await;
    let slice = &cluster.slices("web")[0];
    assert_eq!(slice.metadata()["ownerReferences"][0]["uid"], made.uid());
    assert_eq!(
        slice.metadata()["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"],
        made.metadata()["creationTimestamp"]
    );
    cluster.pod("web-2", [10, 244, 0, 3].into(), &json!({"app": "web"})).await;
    cluster.pod("other", [10, 244, 0, 4].into(), &json!({"app": "other"})).await;
    cluster.has("web", &["10.244.0.2", "10.244.0.3"]).await;
    // The endpoints of both kinds change together.
    let legacy = cluster.registry.get(&endpoints::KIND, "default", "web").unwrap().object().unwrap();
    let ips = |object: &Object| object.0["subsets"][0]["addresses"].as_array().map(Vec::len);
    assert_eq!(ips(&legacy), Some(2));
    cluster.remove_pod("web-1").await;
    cluster.has("web", &["10.244.0.3"]).await;
    cluster.pod("web-2", [10, 244, 0, 3].into(), &json!({"app": "none"})).await;
    cluster.has("web", &[]).await;
    assert_eq!(cluster.slices("web").len(), 1);
    cluster.delete(&services::KIND, "web").await;
    assert_eq!(cluster.addresses("web"), None);
    let gone = || cluster.registry.get(&endpoints::KIND, "default", "web").err();
    wait("Endpoints go with the Service", gone).await;
    running.abort();
}

#[tokio::test]
async fn what_somebody_spoils_is_put_right() {
    let cluster = Cluster::new().await;
    cluster.pod("web-1", [10, 244, 0, 2].into(), &json!({"app": "web"})).await;
    let running = cluster.start();
    cluster.service("web", json!({})).await;
    cluster.has("web", &["10.244.0.2"]).await;
    let name = cluster.slices("web")[0].name().to_owned();
    let change = |patch: fn(&mut Object)| {
        let patched = move |old: Option<&Object>| {
            let mut object = old.unwrap().clone();
            patch(&mut object);
            Ok(object)
        };
        Change::Patch(Box::new(patched))
    };
    let options = WriteOptions::default;
    let wrong = change(|slice| slice.0["endpoints"][0]["addresses"][0] = "10.244.0.99".into());
    cluster.registry.update(&endpoint_slice::KIND, "default", &name, wrong, options()).await.unwrap();
    cluster.has("web", &["10.244.0.2"]).await;
    // Somebody takes the slice over: it is theirs, and there is another one.
    let theirs = change(|slice| {
        slice.metadata_mut()["labels"]["endpointslice.kubernetes.io/managed-by"] = "me".into();
    });
    cluster.registry.update(&endpoint_slice::KIND, "default", &name, theirs, options()).await.unwrap();
    cluster.has("web", &["10.244.0.2", "10.244.0.2"]).await;
    let other = cluster.slices("web").into_iter().find(|slice| slice.name() != name).unwrap();
    cluster.delete(&endpoint_slice::KIND, other.name()).await;
    cluster.has("web", &["10.244.0.2", "10.244.0.2"]).await;
    cluster.delete(&endpoints::KIND, "web").await;
    wait("Endpoints are back", || cluster.registry.get(&endpoints::KIND, "default", "web").ok()).await;
    running.abort();
}

#[tokio::test]
async fn services_without_a_selector_are_served_by_what_is_written() {
    let cluster = Cluster::new().await;
    let running = cluster.start();
    let written = json!({"metadata": {"name": "db"}, "subsets": [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 1}]}]});
    // The Service first: a controller that only now begins deletes Endpoints without one.
    cluster.service("db", json!({"spec": {"selector": null}})).await;
    cluster.create(&endpoints::KIND, written).await;
    cluster.has("db", &["192.0.2.7"]).await;
    let hand = json!({"metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.9"]}]});
    cluster.create(&endpoint_slice::KIND, hand).await;
    cluster.delete(&endpoints::KIND, "db").await;
    cluster.has("db", &["192.0.2.9"]).await;
    // The other way round, once the controller runs.
    let early = json!({"metadata": {"name": "early"}, "subsets": [{"addresses": [{"ip": "192.0.2.8"}], "ports": [{"port": 1}]}]});
    cluster.create(&endpoints::KIND, early).await;
    cluster.service("later", json!({})).await;
    cluster.has("later", &[]).await;
    cluster.service("early", json!({"spec": {"selector": null}})).await;
    cluster.has("early", &["192.0.2.8"]).await;
    running.abort();
}

#[tokio::test]
async fn a_service_that_loses_its_selector_keeps_its_endpoints() {
    let cluster = Cluster::new().await;
    cluster.pod("web-1", [10, 244, 0, 2].into(), &json!({"app": "web"})).await;
    let running = cluster.start();
    cluster.service("web", json!({})).await;
    cluster.has("web", &["10.244.0.2"]).await;
    wait("Endpoints", || cluster.registry.get(&endpoints::KIND, "default", "web").ok()).await;
    let unselect: Change = Change::Patch(Box::new(|old| {
        let mut object = old.unwrap().clone();
        object.spec_mut().remove("selector");
        Ok(object)
    }));
    let options = WriteOptions::default();
    cluster.registry.update(&services::KIND, "default", "web", unselect, options).await.unwrap();
    // As upstream: the slice of the selector stays as it is, and from now on Endpoints have one of their own.
    cluster.has("web", &["10.244.0.2", "10.244.0.2"]).await;
    cluster.delete(&endpoints::KIND, "web").await;
    cluster.has("web", &["10.244.0.2"]).await;
    running.abort();
}

#[tokio::test]
async fn nothing_is_written_where_nothing_changed() {
    let cluster = Cluster::new().await;
    for number in 1..=3 {
        cluster.pod(&format!("web-{number}"), [10, 244, 0, number].into(), &json!({"app": "web"})).await;
    }
    let first = cluster.start();
    cluster.service("web", json!({"spec": {"ipFamilyPolicy": "PreferDualStack"}})).await;
    cluster.has("web", &["10.244.0.1", "10.244.0.2", "10.244.0.3"]).await;
    let last = || cluster.registry.get(&endpoints::KIND, "default", "web").ok();
    wait("Endpoints", last).await;
    first.abort();
    let _ = first.await;
    // A restarted controller looks at every Service; one that comes behind the others shows when it has.
    let version = cluster.registry.resource_version();
    let second = cluster.start();
    let created = cluster.service("zz", json!({})).await;
    cluster.has("zz", &[]).await;
    let changed = |kind: &'static Kind| -> Vec<String> {
        let is_new =
            |object: &&Object| object.resource_version() > version && object.name() != created.name();
        cluster.all(kind).iter().filter(is_new).map(|object| object.name().to_owned()).collect()
    };
    let slices = changed(&endpoint_slice::KIND);
    assert!(slices.iter().all(|name| name.starts_with("zz-")), "{slices:?}");
    assert!(changed(&endpoints::KIND).is_empty());
    second.abort();
}

#[test]
fn a_pod_concerns_only_the_services_that_select_it() {
    let mut index = Index::default();
    for number in 0..1000 {
        let selector = json!({"part-of": "shop", "app": format!("app-{number}")});
        let rest = json!({"metadata": {"name": format!("s{number}")}, "spec": {"selector": selector}});
        index.set_service(&service(rest));
    }
    let labels =
        |number: usize| json!({"metadata": {"labels": {"part-of": "shop", "app": format!("app-{number}")}}});
    let found = index.set_pod(pod(1, labels(7)));
    assert_eq!(found.into_iter().map(|key| key.1).collect::<Vec<_>>(), ["s7"]);
    // The label that all Services have leads to few of them.
    let found = index.set_pod(pod(1, labels(8)));
    assert_eq!(found.into_iter().map(|key| key.1).collect::<Vec<_>>(), ["s7", "s8"]);
    assert!(index.set_pod(pod(1, labels(8))).is_empty());
    let selected = service(json!({"spec": {"selector": {"part-of": "shop", "app": "app-8"}}}));
    assert_eq!(index.pods_of(&selected).len(), 1);
    index.remove_service(&("default".to_owned(), "s8".to_owned()));
    assert!(index.remove_pod(&("default".to_owned(), "web-0001".to_owned())).is_empty());
}

#[test]
fn slices_follow_their_label_and_nothing_is_kept_of_objects_that_are_gone() {
    let mut index = Index::default();
    let slice = |name: &str, service: &str| {
        let labels = json!({"kubernetes.io/service-name": service,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"});
        Object::from_value(json!({"metadata": {"name": name, "namespace": "default", "labels": labels}}))
            .unwrap()
    };
    let key = |name: &str| ("default".to_owned(), name.to_owned());
    let web = service(json!({}));
    index.set_service(&web);
    index.set_pod(pod(1, json!({})));
    let (times, _) = Times::of(&web, &index.pods_of(&web), None);
    index.set_times(&key("web"), Some(times.clone()));
    for name in ["b", "a"] {
        assert_eq!(index.set_slice(&slice(name, "web")), [key("web")].into());
    }
    assert_eq!(index.slices_of(&key("web")), ["a", "b"]);
    // Somebody takes it for another Service, which need not be there.
    assert_eq!(index.set_slice(&slice("a", "other")), [key("other"), key("web")].into());
    assert_eq!((index.slices_of(&key("web")).len(), index.slices_of(&key("other")).len()), (1, 1));
    assert_eq!(index.services().collect::<Vec<_>>(), [key("web")]);
    assert_eq!(index.times(&key("web")), Some(&times));

    let bare = service(json!({"metadata": {"name": "bare"}, "spec": {"selector": null}}));
    index.set_service(&bare);
    assert_eq!((index.knows(&key("bare")), index.knows(&key("web"))), (false, true));
    index.set_mirrored(&key("bare"), true);
    index.set_service(&bare);
    assert!(index.knows(&key("bare")));
    index.set_mirrored(&key("bare"), false);

    index.remove_service(&key("web"));
    index.set_times(&key("web"), None);
    assert_eq!(index.remove_slice(&key("a")), [key("other")].into());
    assert_eq!(index.remove_slice(&key("b")), [key("web")].into());
    index.remove_pod(&key("web-0001"));
    assert!(index.is_empty(), "{index:?}");
}
