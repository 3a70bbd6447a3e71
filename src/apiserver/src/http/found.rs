//! Watches of kinds that are not stored but found on the machine: one look each second serves all watches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kind::Kind;
use crate::object::Object;
use crate::registry::{Event, EventKind, ListQuery, Registry};
use crate::status::ApiError;
use crate::store::Stored;

/// How often the machine is looked at.
pub(super) const LOOK_TIME: Duration = Duration::from_secs(1);

/// The last look at each kind.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<BTreeMap<&'static Kind, Look>>);

/// The time of a look, and the objects found.
type Look = (Instant, Arc<Vec<Object>>);

impl Looks {
    /// All objects of a kind, from now or a moment ago.
    fn look(&self, registry: &Registry, kind: &'static Kind) -> Result<Arc<Vec<Object>>, ApiError> {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Half a period, so that a watch never gets its own last list again.
        let is_fresh = |(when, _): &&(Instant, Arc<Vec<Object>>)| when.elapsed() < LOOK_TIME / 2;
        if let Some((_, objects)) = looks.get(kind).filter(is_fresh) {
            return Ok(Arc::clone(objects));
        }
        let objects = Arc::new(registry.found(kind, &ListQuery::default())?);
        looks.insert(kind, (Instant::now(), Arc::clone(&objects)));
        Ok(objects)
    }
}

/// Finds the changes between two looks at the machine.
#[derive(Debug)]
pub(super) struct Following {
    kind: &'static Kind,
    query: ListQuery,
    known: BTreeMap<(String, String), Object>,
}

impl Following {
    /// Begins with nothing known, so that the first look finds every object as new.
    pub(super) fn new(kind: &'static Kind, query: ListQuery) -> Self {
        Self { kind, query, known: BTreeMap::new() }
    }

    /// The objects that were added, modified or deleted since the last look.
    pub(super) fn look(&mut self, registry: &Registry, looks: &Looks) -> Result<Vec<Event>, ApiError> {
        let all = looks.look(registry, self.kind)?;
        let version = registry.resource_version();
        self.compare(&all, version)
    }

    fn compare(&mut self, all: &[Object], version: u64) -> Result<Vec<Event>, ApiError> {
        let mut events = Vec::new();
        let mut tell = |kind, object: &Object| {
            let stored =
                Stored { text: Arc::from(serde_json::to_string(&object.0).map_err(ApiError::internal)?) };
            events.push(Event { kind, stored, version });
            Ok::<_, ApiError>(())
        };
        let mut before = std::mem::take(&mut self.known);
        let meant: Vec<&Object> = all.iter().filter(|object| self.query.means(object)).collect();
        for object in meant {
            let key = (object.namespace().to_owned(), object.name().to_owned());
            match before.remove(&key) {
                Some(old) if is_same(&old, object) => {}
                Some(old) if old.uid() != object.uid() => {
                    tell(EventKind::Deleted, &old)?;
                    tell(EventKind::Added, object)?;
                }
                Some(_) => tell(EventKind::Modified, object)?,
                None => tell(EventKind::Added, object)?,
            }
            self.known.insert(key, object.clone());
        }
        for object in before.values() {
            tell(EventKind::Deleted, object)?;
        }
        Ok(events)
    }
}

/// Whether the objects are equal apart from heartbeat times.
fn is_same(old: &Object, new: &Object) -> bool {
    let timeless = |object: &Object| {
        let mut object = object.clone();
        let conditions = object.status_mut().get_mut("conditions").and_then(Value::as_array_mut);
        for condition in conditions.into_iter().flatten().filter_map(Value::as_object_mut) {
            condition.remove("lastHeartbeatTime");
        }
        object
    };
    timeless(old) == timeless(new)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::pod;

    fn object(name: &str, uid: &str, ip: &str, heartbeat: u32) -> Object {
        Object::from_value(json!({"metadata": {"name": name, "namespace": "default", "uid": uid},
            "status": {"podIP": ip, "conditions": [{"type": "Ready", "lastHeartbeatTime": heartbeat}]}}))
        .unwrap()
    }

    #[test]
    fn each_change_is_told_once() {
        let mut following = Following::new(&pod::KIND, ListQuery::default());
        let mut told = |pods: &[Object]| -> Vec<String> {
            let events = following.compare(pods, 7).unwrap();
            let tell = |event: &Event| format!("{:?} {}", event.kind, event.stored.object().unwrap().uid());
            events.iter().map(tell).collect()
        };
        assert_eq!(told(&[object("a", "1", "10.0.0.1", 1), object("b", "2", "", 1)]), ["Added 1", "Added 2"]);
        assert_eq!(told(&[object("a", "1", "10.0.0.1", 2), object("b", "2", "10.0.0.2", 2)]), ["Modified 2"]);
        assert_eq!(told(&[object("a", "3", "10.0.0.1", 3)]), ["Deleted 1", "Added 3", "Deleted 2"]);
        assert_eq!(told(&[]), ["Deleted 3"]);
        assert_eq!(told(&[]), [""; 0]);
    }
}
