//! What has to be written for one Service.

use super::index::{Index, Key};
use super::own::{self, Address};
use super::service::Service;
use super::slice::Slice;
use super::slices::Node;
use super::trigger::Times;
use super::{legacy, mirror, slices};
use crate::kind::Kind;
use crate::kinds::{endpoint_slice, endpoints, service};
use crate::object::Object;
use crate::registry::{Registry, Write};
use crate::status::ApiError;

/// The objects that the changes of a Service depend on.
pub(super) struct Sync<'a> {
    pub(super) registry: &'a Registry,
    pub(super) index: &'a mut Index,
    pub(super) node: &'a Node,
    pub(super) own: &'a Address,
}

impl Sync<'_> {
    /// The changes for the Service at `key`. If it `is_gone`, its Endpoints go too; the slices go with their owner.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn plan(&mut self, key: &Key, is_gone: bool) -> Result<Vec<Write>, ApiError> {
        let service = self.get(&service::KIND, key)?.map(|object| Service::of(&object));
        let endpoints = self.get(&endpoints::KIND, key)?;
        let (mut managed, mut mirrored) = (Vec::new(), Vec::new());
        for name in self.index.slices_of(key) {
            let Some(slice) = self.get(&endpoint_slice::KIND, &(key.0.clone(), name))?.map(Slice::of) else {
                continue;
            };
            let list = if slices::is_managed(&slice.labels()) { &mut managed } else { &mut mirrored };
            list.push(slice);
        }
        let Some(service) = service else {
            self.index.set_times(key, None);
            let mut writes = mirror::plan(None, mirrored).into_writes();
            writes
                .extend(endpoints.filter(|_| is_gone).map(|object| Write::delete(&endpoints::KIND, &object)));
            return Ok(writes);
        };
        if own::is_own(key) && service.selector.is_empty() {
            return self.of_server(&service, endpoints, mirrored);
        }
        if !service.is_managed() {
            self.index.set_times(key, None);
            let source =
                endpoints.filter(|object| service.selector.is_empty() && mirror::is_mirrored(object));
            return Ok(mirror::plan(source.as_ref(), mirrored).into_writes());
        }
        let mut writes = mirror::plan(None, mirrored).into_writes();
        writes.extend(self.of_pods(key, &service, endpoints.as_ref(), managed));
        Ok(writes)
    }

    /// The changes for a Service that selects pods.
    fn of_pods(
        &mut self,
        key: &Key,
        service: &Service,
        endpoints: Option<&Object>,
        managed: Vec<Slice>,
    ) -> Vec<Write> {
        let pods = self.index.pods_of(service);
        let (times, trigger) = Times::of(service, &pods, self.index.times(key));
        let mut changes = slices::plan(service, &pods, managed, self.node);
        let written = changes.create.iter_mut().chain(&mut changes.replace);
        written.for_each(|slice| slice.set_trigger(trigger.as_deref()));
        let mut writes = changes.into_writes();
        if !service.is_being_deleted || endpoints.is_some() {
            let object = legacy::plan(service, &pods, endpoints, trigger.as_deref());
            writes.extend(object.map(|object| put(&endpoints::KIND, object, endpoints.is_some())));
        }
        self.index.set_times(key, Some(times));
        writes
    }

    /// The changes for the Service that leads to this server.
    fn of_server(
        &self,
        service: &Service,
        endpoints: Option<Object>,
        mirrored: Vec<Slice>,
    ) -> Result<Vec<Write>, ApiError> {
        let mut writes = mirror::plan(None, mirrored).into_writes();
        let key = (own::NAMESPACE.to_owned(), own::NAME.to_owned());
        let slice = self.get(&endpoint_slice::KIND, &key)?;
        let wanted = service.families.first().and_then(|family| self.own.objects(*family));
        let [wanted_endpoints, wanted_slice] = wanted.map_or([None, None], |both| both.map(Some));
        writes.extend(settle(&endpoints::KIND, wanted_endpoints, endpoints));
        writes.extend(settle(&endpoint_slice::KIND, wanted_slice, slice));
        Ok(writes)
    }

    fn get(&self, kind: &'static Kind, (namespace, name): &Key) -> Result<Option<Object>, ApiError> {
        match self.registry.get(kind, namespace, name) {
            Ok(stored) => stored.object().map(Some),
            Err(error) if error.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The change from `found` to `wanted`, one object of the server's own.
fn settle(kind: &'static Kind, wanted: Option<Object>, found: Option<Object>) -> Vec<Write> {
    let (mut wanted, found) = match (wanted, found) {
        (None, None) => return Vec::new(),
        (None, Some(found)) => return vec![Write::delete(kind, &found)],
        (Some(wanted), None) => return vec![put(kind, wanted, false)],
        (Some(wanted), Some(found)) => (wanted, found),
    };
    let is_right = |key: &str| wanted.0.get(key) == found.0.get(key);
    let labels = |object: &Object| super::service::labels(object);
    if ["subsets", "addressType", "endpoints", "ports"].into_iter().all(is_right)
        && labels(&wanted) == labels(&found)
    {
        return Vec::new();
    }
    if wanted.0.get("addressType") != found.0.get("addressType") {
        // It cannot be changed.
        return vec![Write::delete(kind, &found), put(kind, wanted, false)];
    }
    wanted.metadata_mut().insert("resourceVersion".to_owned(), found.resource_version().to_string().into());
    vec![put(kind, wanted, true)]
}

fn put(kind: &'static Kind, object: Object, is_there: bool) -> Write {
    if is_there { Write::replace(kind, object) } else { Write::create(kind, object) }
}
