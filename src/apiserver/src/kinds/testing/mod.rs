//! A store in memory for the tests of the kinds, and the part of the registry that they see.

mod store;

use serde_json::{Map, Value, json};

use self::store::Store;
use super::config::Config;
use crate::kind::Kind;
use crate::kinds::{endpoint_slice, event, ip_address, namespace, service, service_cidr};
use crate::object::Object;
use crate::resource::Resource;
use crate::status::ApiError;

pub(super) const NAMESPACES: &Kind = &namespace::KIND;
pub(super) const CIDRS: &Kind = &service_cidr::KIND;
pub(super) const IPS: &Kind = &ip_address::KIND;
pub(super) const SERVICES: &Kind = &service::KIND;
pub(super) const SLICES: &Kind = &endpoint_slice::KIND;
pub(super) const EVENTS: &Kind = &event::KIND;

/// All kinds over a store.
pub(super) struct Cluster {
    resources: Vec<Box<dyn Resource>>,
    pub(super) store: Store,
    /// When a kind wants to be called again.
    pub(super) wake: Option<i64>,
}

impl Cluster {
    /// A cluster with `--service-cluster-ip-range`.
    pub(super) fn new(cidrs: &str) -> Self {
        Self::with(Config { service_cidrs: parse(cidrs), ..Config::default() })
    }

    pub(super) fn with(config: Config) -> Self {
        let mut cluster = Self { resources: super::all(config), store: Store::default(), wake: None };
        cluster.reconcile();
        cluster
    }

    /// The same store under another command line.
    pub(super) fn restart(self, cidrs: &str) -> Self {
        let config = Config { service_cidrs: parse(cidrs), ..Config::default() };
        let mut cluster = Self { resources: super::all(config), ..self };
        cluster.reconcile();
        cluster
    }

    fn reconcile(&mut self) {
        let resources = std::mem::take(&mut self.resources);
        let next = resources.iter().map(|resource| resource.reconcile(&mut self.store).unwrap());
        self.wake = next.collect::<Vec<_>>().into_iter().flatten().min();
        self.resources = resources;
    }

    /// Lets `seconds` go by.
    pub(super) fn wait(&mut self, seconds: i64) {
        self.store.now += seconds;
        self.reconcile();
    }

    fn resource(&self, kind: &Kind) -> &dyn Resource {
        self.resources.iter().find(|resource| resource.kind() == kind).unwrap().as_ref()
    }

    /// Makes a change, all of it or nothing.
    fn change<T>(
        &mut self,
        kind: &'static Kind,
        change: impl FnOnce(&dyn Resource, &mut Store) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let before = self.store.objects.clone();
        let resources = std::mem::take(&mut self.resources);
        let resource = resources.iter().find(|resource| resource.kind() == kind).unwrap();
        let result = change(resource.as_ref(), &mut self.store);
        self.resources = resources;
        if result.is_err() || self.store.dry_run {
            self.store.objects = before;
        } else {
            self.reconcile();
        }
        result
    }

    /// Creates an object out of its name and the rest.
    pub(super) fn create(
        &mut self,
        kind: &'static Kind,
        name: &str,
        rest: Value,
    ) -> Result<Object, ApiError> {
        let namespaced = kind.namespaced;
        let mut object = Object::from_value(rest).unwrap();
        object.metadata_mut().insert("name".to_owned(), name.into());
        if namespaced {
            object.metadata_mut().entry("namespace").or_insert_with(|| "default".into());
        }
        self.change(kind, |resource, store| {
            if store.object(kind, object.namespace(), object.name()).is_some() {
                return Err(ApiError::already_exists(kind, object.name()));
            }
            store.stamp(&mut object);
            resource.create(store, &mut object)?;
            store.insert(kind, &mut object);
            Ok(object)
        })
    }

    pub(super) fn service(&mut self, name: &str, spec: Value) -> Result<Object, ApiError> {
        self.create(SERVICES, name, json!({"spec": spec}))
    }

    pub(super) fn get(&self, kind: &'static Kind, name: &str) -> Option<Object> {
        let namespace = if kind.namespaced { "default" } else { "" };
        self.store.object(kind, namespace, name)
    }

    /// Applies a JSON merge patch.
    pub(super) fn patch(
        &mut self,
        kind: &'static Kind,
        name: &str,
        patch: &Value,
    ) -> Result<Object, ApiError> {
        let old = self.get(kind, name).unwrap();
        let mut value = old.clone().into_value();
        merge(&mut value, patch);
        let mut object = Object::from_value(value).unwrap();
        self.change(kind, |resource, store| {
            resource.update(store, &mut object, &old)?;
            if object.is_being_deleted() && object.finalizers().is_empty() && !resource.is_held(&object) {
                resource.delete(store, &object)?;
                store.erase(kind, &object);
                resource.deleted(store, std::slice::from_ref(&object))?;
            } else if object != old {
                store.insert(kind, &mut object);
                resource.updated(store, &object, &old)?;
            }
            Ok(object)
        })
    }

    pub(super) fn delete(&mut self, kind: &'static Kind, name: &str) -> Result<Object, ApiError> {
        let old = self.get(kind, name);
        self.change(kind, |resource, store| {
            let mut object = old.ok_or_else(|| ApiError::not_found(kind, name))?;
            resource.may_delete(&object)?;
            if object.finalizers().is_empty() && !resource.is_held(&object) {
                resource.delete(store, &object)?;
                store.erase(kind, &object);
                resource.deleted(store, std::slice::from_ref(&object))?;
            } else if !object.is_being_deleted() {
                object.mark_deleted(store.now, 0);
                resource.mark_deleted(&mut object);
                store.insert(kind, &mut object);
            }
            Ok(object)
        })
    }

    /// The names of all objects of a kind.
    pub(super) fn names(&self, kind: &'static Kind) -> Vec<String> {
        self.store.all(kind).iter().map(|object| object.name().to_owned()).collect()
    }

    pub(super) fn cells(&self, kind: &'static Kind, name: &str) -> Vec<Value> {
        let cells = self.resource(kind).cells(&self.get(kind, name).unwrap(), self.store.now);
        assert_eq!(cells.len(), kind.columns.len());
        cells
    }
}

fn parse(cidrs: &str) -> Vec<ipnet::IpNet> {
    cidrs.split(',').map(|cidr| cidr.parse().unwrap()).collect()
}

/// RFC 7386.
fn merge(value: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let map = value.as_object_mut().unwrap();
    for (key, change) in patch {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key).or_insert(Value::Null), change);
        }
    }
}

/// The lines of a table, each an object.
pub(super) fn lines(table: &str) -> Vec<Value> {
    table.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The addresses of a Service as the tables have them: one that nobody asked for is shown as its network.
pub(super) fn outcome(
    result: &Result<Object, ApiError>,
    given: &[String],
    networks: [(&str, &str); 2],
) -> Value {
    let object = match result {
        Ok(object) => object,
        Err(error) => return json!({"code": error.code, "message": error.message}),
    };
    let spec = object.spec();
    let mut outcome = json!({});
    for key in ["ipFamilyPolicy", "ipFamilies", "clusterIPs"] {
        if let Some(value) = spec.get(key) {
            outcome[key] = value.clone();
        }
    }
    assert_eq!(spec.get("clusterIP"), spec["clusterIPs"].get(0), "{spec}");
    for ip in outcome["clusterIPs"].as_array_mut().into_iter().flatten() {
        let text = ip.as_str().unwrap().to_owned();
        let network = networks.iter().find(|(_, network)| {
            let network: ipnet::IpNet = network.parse().unwrap();
            text.parse().is_ok_and(|address: std::net::IpAddr| network.contains(&address))
        });
        if let Some((name, _)) = network.filter(|_| !given.contains(&text)) {
            *ip = (*name).into();
        }
    }
    if outcome["clusterIPs"].is_null() {
        outcome.as_object_mut().unwrap().remove("clusterIPs");
    }
    json!({"ok": outcome})
}

/// The differences of the lines of a table are shown together.
pub(super) fn none_differs(differences: &[String]) {
    assert!(differences.is_empty(), "{} lines differ:\n{}", differences.len(), differences.join("\n"));
}
