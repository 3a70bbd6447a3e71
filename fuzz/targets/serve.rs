//! What the API server reads.

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use podhosts_apiserver::api::media::{self, Content, Form};
use podhosts_apiserver::api::parameters::{Parameters, Validation};
use podhosts_apiserver::api::patch::Patch;
use podhosts_apiserver::api::path::{self as paths, Place, Route};
use podhosts_apiserver::api::{body, protobuf as wire, yaml as as_yaml};
use podhosts_apiserver::kind::Kind;
use podhosts_apiserver::kinds::{self, service};
use podhosts_apiserver::object::Object;
use podhosts_apiserver::registry::{Change, Registry, WriteOptions};
use podhosts_apiserver::selector::Selector;
use serde_json::{Map, Value, json};

use super::{chosen, text};

/// No name leads out of its place.
pub(super) fn path(data: &[u8]) {
    static KNOWN: LazyLock<Vec<&Kind>> = LazyLock::new(kinds::every);
    let Some(Route::Objects(target)) = text(data).and_then(|path| paths::parse(path, &KNOWN)) else { return };
    let names = match target.place {
        Place::All(namespace) => [namespace, None],
        Place::One { namespace, name, .. } => {
            [Some(namespace).filter(|_| target.kind.namespaced), Some(name)]
        }
    };
    for name in names.iter().flatten() {
        assert!(!name.is_empty() && name != ".." && !name.contains(['/', '\0']), "{name:?}");
    }
}

pub(super) fn media(data: &[u8]) {
    let text = text(data);
    let found = media::accept(text, |form| !matches!(form, Form::Discovery(_)));
    assert!(!matches!(found, Some((Form::Discovery(_), _))));
    let _ = (media::accept(text, |_| true), media::content(text));
}

/// The query of a URL, and the selectors in it.
pub(super) fn query(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let object =
        json!({"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"type": "ClusterIP"}});
    let object = Object::from_value(object).unwrap_or_default();
    let parameters = Parameters::parse(text);
    let _ = (parameters.check_list(), parameters.check_table());
    if let Ok(selector) = Selector::parse(&parameters.label_selector, &parameters.field_selector) {
        assert!(!selector.is_everything() || selector.matches(&object));
    }
    for (labels, fields) in [(text, ""), ("", text)] {
        let _ = Selector::parse(labels, fields).map(|selector| selector.matches(&object));
    }
}

/// The kinds that are written, and where.
static KINDS: LazyLock<Vec<(&Kind, &str)>> = LazyLock::new(|| {
    let first = [
        &service::KIND,
        &kinds::service_cidr::KIND,
        &kinds::ip_address::KIND,
        &kinds::namespace::KIND,
        &kinds::endpoint_slice::KIND,
        &kinds::event::KIND,
    ];
    let others = kinds::stored().into_iter().filter(|kind| !first.contains(kind));
    let all = first.into_iter().chain(others);
    all.map(|kind| (kind, if kind.namespaced { "default" } else { "" })).collect()
});

/// A body, behind the number of its kind.
pub(super) fn json(data: &[u8]) {
    let Some((kind, bytes)) = chosen(data, KINDS.len()) else { return };
    created(kind, bytes, Content::Json);
}

/// The same as YAML.
pub(super) fn yaml(data: &[u8]) {
    let Some((kind, bytes)) = chosen(data, KINDS.len()) else { return };
    created(kind, bytes, Content::Yaml);
}

/// The same as protobuf, in its envelope or not.
pub(super) fn protobuf(data: &[u8]) {
    let Some((kind, bytes)) = chosen(data, KINDS.len()) else { return };
    created(kind, bytes, Content::Protobuf);
    let schema = KINDS[kind].0.schema;
    if let Ok(map) = wire::decode(bytes, schema) {
        let text = serde_json::to_vec(&map).expect("is JSON");
        let _ = serde_json::from_slice::<Value>(&text).expect("is read again");
    }
    if let Ok(unknown) = wire::unwrap(bytes) {
        let _ = wire::decode(unknown.raw, schema);
    }
}

/// A body that is read is the same when it is written and read again, and is then created, in a dry run.
fn created(kind: usize, bytes: &[u8], content: Content) {
    let (kind, namespace) = KINDS[kind];
    let Ok((object, _)) = body::object(bytes, content, kind, Validation::Ignore) else { return };
    let written = serde_json::to_vec(&object.0).expect("is JSON");
    let (again, faults) = body::object(&written, Content::Json, kind, Validation::Strict)
        .unwrap_or_else(|error| panic!("{}: {}", error.message, String::from_utf8_lossy(&written)));
    assert_eq!((&again, faults.len()), (&object, 0));
    let registry = &*REGISTRY;
    let before = registry.resource_version();
    let created = wait(registry.create(kind, namespace, object, dry_run()));
    assert_eq!(registry.resource_version(), before);
    if let Ok(stored) = created {
        let object = stored.object().expect("an object is stored");
        assert!(!object.name().is_empty() && !object.uid().is_empty());
        shown(kind, &object);
        // What is answered as YAML is the same object.
        let yaml = as_yaml::of_json(&stored.text).expect("is no deeper than JSON may be");
        let (again, faults) = body::object(yaml.as_bytes(), Content::Yaml, kind, Validation::Strict)
            .unwrap_or_else(|error| panic!("{}: {yaml}", error.message));
        assert_eq!((&again, faults.len()), (&object, 0), "{yaml}");
    }
}

/// An object can be shown in a table.
fn shown(kind: &Kind, object: &Object) {
    let resource = REGISTRY.resource(kind).expect("is served");
    assert_eq!(resource.cells(object, 0).len(), kind.columns.len());
}

/// A patch, behind the number of its sort, of a Service that is there, in a dry run.
pub(super) fn patch(data: &[u8]) {
    const SORTS: [Content; 4] =
        [Content::JsonPatch, Content::MergePatch, Content::StrategicPatch, Content::Apply];
    let Some((sort, bytes)) = chosen(data, SORTS.len()) else { return };
    let Ok((value, _)) = body::value(bytes, SORTS[sort]) else { return };
    let Ok(patch) = Patch::parse(SORTS[sort], value) else { return };
    let change = Change::Patch(Box::new(move |old| {
        Ok(patch.applied(old, &service::KIND, Validation::Warn, "web")?.0)
    }));
    if let Ok(updated) = wait(REGISTRY.update(&service::KIND, "default", "web", change, dry_run())) {
        let object = updated.stored.object().expect("an object is stored");
        assert_eq!((object.name(), object.namespace()), ("web", "default"));
        shown(&service::KIND, &object);
    }
}

fn dry_run() -> WriteOptions {
    WriteOptions { dry_run: true, ..WriteOptions::default() }
}

/// A registry with a Service in it. Its directory is gone at once: files that are open stay.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("there is room");
    let cidrs = ["10.96.0.0/28", "2001:db8:fd00::/112"].map(|cidr| cidr.parse().expect("is a network"));
    let pools = vec![kinds::PoolRange::Network("192.0.2.0/28".parse().expect("is a network"))];
    let config = kinds::Config {
        service_cidrs: cidrs.to_vec(),
        load_balancer_pools: pools,
        node_name: "node1".to_owned(),
        nodes: kinds::NodeSource::Stored,
        ..kinds::Config::default()
    };
    let registry = Registry::open(&dir.path().join("apiserver.db"), kinds::all(config)).expect("opens");
    let web = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"type": "NodePort", "ipFamilyPolicy": "PreferDualStack", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "nodePort": 30080}, {"name": "dns", "port": 53, "protocol": "UDP"}]}});
    let web = web.as_object().cloned().unwrap_or_else(Map::new);
    wait(registry.create(&service::KIND, "default", Object(web), WriteOptions::default()))
        .expect("is created");
    registry
});

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for what another thread does.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
