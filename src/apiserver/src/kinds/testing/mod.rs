//! A store in memory for the tests of the kinds, and the part of the registry that they see.

mod store;

use serde_json::{Map, Value, json};

use self::store::Store;
use super::config::Config;
use crate::object::Object;
use crate::resource::Resource;
use crate::status::ApiError;

pub(super) const IPS: &str = "ipaddresses";
pub(super) const SERVICES: &str = "services";
pub(super) const CIDRS: &str = "servicecidrs";

/// All kinds over a store.
pub(super) struct Cluster {
    kinds: Vec<Box<dyn Resource>>,
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
        let mut cluster = Self { kinds: super::all(config), store: Store::default(), wake: None };
        cluster.reconcile();
        cluster
    }

    /// The same store under another command line.
    pub(super) fn restart(self, cidrs: &str) -> Self {
        let config = Config { service_cidrs: parse(cidrs), ..Config::default() };
        let mut cluster = Self { kinds: super::all(config), ..self };
        cluster.reconcile();
        cluster
    }

    fn reconcile(&mut self) {
        let kinds = std::mem::take(&mut self.kinds);
        let next = kinds.iter().map(|kind| kind.reconcile(&mut self.store).unwrap());
        self.wake = next.collect::<Vec<_>>().into_iter().flatten().min();
        self.kinds = kinds;
    }

    /// Lets `seconds` go by.
    pub(super) fn wait(&mut self, seconds: i64) {
        self.store.now += seconds;
        self.reconcile();
    }

    pub(super) fn kind(&self, plural: &str) -> &dyn Resource {
        self.kinds.iter().find(|kind| kind.info().plural == plural).unwrap().as_ref()
    }

    /// Makes a change, all of it or nothing.
    fn change<T>(
        &mut self,
        plural: &str,
        change: impl FnOnce(&dyn Resource, &mut Store) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let before = self.store.objects.clone();
        let kinds = std::mem::take(&mut self.kinds);
        let kind = kinds.iter().find(|kind| kind.info().plural == plural).unwrap();
        let result = change(kind.as_ref(), &mut self.store);
        self.kinds = kinds;
        if result.is_err() || self.store.dry_run {
            self.store.objects = before;
        } else {
            self.reconcile();
        }
        result
    }

    /// Creates an object out of its name and the rest.
    pub(super) fn create(&mut self, plural: &str, name: &str, rest: Value) -> Result<Object, ApiError> {
        let namespaced = self.kind(plural).info().namespaced;
        let mut object = Object::from_value(rest).unwrap();
        object.metadata_mut().insert("name".to_owned(), name.into());
        if namespaced {
            object.metadata_mut().entry("namespace").or_insert_with(|| "default".into());
        }
        self.change(plural, |kind, store| {
            let info = kind.info();
            if store.object(plural, object.namespace(), object.name()).is_some() {
                return Err(ApiError::already_exists(info, object.name()));
            }
            store.stamp(&mut object);
            kind.create(store, &mut object)?;
            store.insert(plural, &mut object);
            Ok(object)
        })
    }

    pub(super) fn service(&mut self, name: &str, spec: Value) -> Result<Object, ApiError> {
        self.create(SERVICES, name, json!({"spec": spec}))
    }

    pub(super) fn get(&self, plural: &str, name: &str) -> Option<Object> {
        let namespace = if self.kind(plural).info().namespaced { "default" } else { "" };
        self.store.object(plural, namespace, name)
    }

    /// Applies a JSON merge patch.
    pub(super) fn patch(&mut self, plural: &str, name: &str, patch: &Value) -> Result<Object, ApiError> {
        let old = self.get(plural, name).unwrap();
        let mut value = old.clone().into_value();
        merge(&mut value, patch);
        let mut object = Object::from_value(value).unwrap();
        self.change(plural, |kind, store| {
            kind.update(store, &mut object, &old)?;
            if object.is_being_deleted() && object.finalizers().is_empty() && !kind.is_held(&object) {
                kind.delete(store, &object)?;
                store.erase(plural, &object);
                kind.deleted(store, &object)?;
            } else if object != old {
                store.insert(plural, &mut object);
                kind.updated(store, &object, &old)?;
            }
            Ok(object)
        })
    }

    pub(super) fn delete(&mut self, plural: &str, name: &str) -> Result<Object, ApiError> {
        let old = self.get(plural, name);
        self.change(plural, |kind, store| {
            let mut object = old.ok_or_else(|| ApiError::not_found(kind.info(), name))?;
            kind.may_delete(&object)?;
            if object.finalizers().is_empty() && !kind.is_held(&object) {
                kind.delete(store, &object)?;
                store.erase(plural, &object);
                kind.deleted(store, &object)?;
            } else if !object.is_being_deleted() {
                object.mark_deleted(store.now);
                kind.mark_deleted(&mut object);
                store.insert(plural, &mut object);
            }
            Ok(object)
        })
    }

    /// The names of all objects of a kind.
    pub(super) fn names(&self, plural: &str) -> Vec<String> {
        self.store.all(plural).iter().map(|object| object.name().to_owned()).collect()
    }

    pub(super) fn cells(&self, plural: &str, name: &str) -> Vec<Value> {
        let cells = self.kind(plural).cells(&self.get(plural, name).unwrap(), self.store.now);
        assert_eq!(cells.len(), self.kind(plural).info().columns.len());
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

/// What a Service says about addresses, as the tables have it: addresses that nobody asked for by their network.
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
