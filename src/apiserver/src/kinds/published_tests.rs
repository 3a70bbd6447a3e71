//! Compares the kinds and their field tables with those that Kubernetes publishes: the crate `k8s-pb` is made of its
//! `generated.proto` and OpenAPI documents.
//!
//! Compared: names, plurals, groups and versions of kinds and whether they are in namespaces; of every field its name, its
//! number, its type and whether it is a list; of closed tables also that no published field is missing. Not compared,
//! because the crate does not have it: which fields are required, which are pointers, and how lists are merged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use k8s_pb::Resource;
use k8s_pb::api::authentication::v1 as authentication_v1;
use k8s_pb::api::authorization::v1 as authorization_v1;
use k8s_pb::api::core::v1 as core_v1;
use k8s_pb::api::discovery::v1 as discovery_v1;
use k8s_pb::api::events::v1 as events_v1;
use k8s_pb::api::networking::v1 as networking_v1;
use k8s_pb::api::{apps, batch, coordination, node, policy, rbac, scheduling};
use k8s_pb::apimachinery::pkg::apis::meta::v1 as meta;
use prost::Message;

use super::{Config, NodeSource, all, every, stored};
use crate::kind::Kind;
use crate::schema::meta::DELETE_OPTIONS;
use crate::schema::{Field, Form, Merge, Type};

/// What the published type makes of bytes, as `{:#?}` shows it.
pub(super) type Peer = fn(&[u8]) -> Result<String, prost::DecodeError>;

pub(super) fn shown<T: Message + Default + Debug>(bytes: &[u8]) -> Result<String, prost::DecodeError> {
    Ok(format!("{:#?}", T::decode(bytes)?))
}

macro_rules! peers {
    ($($package:literal: $module:ident { $($peer:ident $(as $name:literal)?),* $(,)? })*) => {
        [$(peers!(@of $package $module $($peer $($name)?,)*)),*].concat()
    };
    (@of $package:literal $module:ident $($peer:ident $($name:literal)?,)*) => {
        vec![$((concat!($package, ".", peers!(@name $peer $($name)?)), shown::<$module::$peer> as Peer)),*]
    };
    (@name $peer:ident $name:literal) => { $name };
    (@name $peer:ident) => { stringify!($peer) };
}

fn peers() -> BTreeMap<&'static str, Peer> {
    let all: Vec<(&str, Peer)> = peers! {
        "io.k8s.apimachinery.pkg.apis.meta.v1": meta {
            ObjectMeta, OwnerReference, ManagedFieldsEntry, Condition, DeleteOptions, Preconditions,
        }
        "io.k8s.api.core.v1": core_v1 {
            Service, ServiceSpec, ServicePort, SessionAffinityConfig, ClientIpConfig as "ClientIPConfig", ServiceStatus,
            LoadBalancerStatus, LoadBalancerIngress, PortStatus, Namespace, NamespaceSpec, NamespaceStatus,
            NamespaceCondition, Endpoints, EndpointSubset, EndpointAddress, EndpointPort, ObjectReference, Event, EventSeries, EventSource, Node, NodeSpec, NodeStatus,
            NodeCondition, NodeAddress, Pod, PodSpec, PodStatus,
            Container, ContainerPort, PodCondition, ContainerStatus,
            PodIp as "PodIP", HostIp as "HostIP",
        }
        "io.k8s.api.networking.v1": networking_v1 {
            ServiceCIDR, ServiceCIDRSpec, ServiceCIDRStatus, IPAddress, IPAddressSpec, ParentReference,
        }
        "io.k8s.api.discovery.v1": discovery_v1 {
            EndpointSlice, Endpoint, EndpointHints, ForZone, ForNode, EndpointConditions, EndpointPort,
        }
        "io.k8s.api.events.v1": events_v1 { Event, EventSeries }
        "io.k8s.api.authorization.v1": authorization_v1 {
            SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, ResourceAttributes, NonResourceAttributes,
            SubjectAccessReviewStatus, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
        }
        "io.k8s.api.authentication.v1": authentication_v1 { SelfSubjectReview, SelfSubjectReviewStatus, UserInfo }
    };
    all.into_iter().collect()
}

/// All structures of the tables, by name.
fn types(kinds: impl IntoIterator<Item = &'static Kind>) -> BTreeMap<&'static str, &'static Type> {
    fn add(schema: &'static Type, all: &mut BTreeMap<&'static str, &'static Type>) {
        if all.insert(schema.name, schema).is_none() {
            schema.all_fields().filter_map(|field| field.form.inner()).for_each(|inner| add(inner, all));
        }
    }
    let mut all = BTreeMap::new();
    let served = kinds.into_iter().filter(|kind| !kind.verbs.is_empty());
    served.for_each(|kind| add(kind.schema, &mut all));
    add(&DELETE_OPTIONS, &mut all);
    all
}

/// A field as protobuf writes it, with a value that tells its type: number, wire type, value.
pub(super) fn written(number: u32, form: Form) -> Vec<u8> {
    let varint = |value: u64| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(value, &mut bytes);
        bytes
    };
    let key = |wire_type: u32| varint(u64::from(number << 3 | wire_type));
    let of_length = |value: &[u8]| [key(2), varint(value.len() as u64), value.to_vec()].concat();
    match form {
        Form::Boolean => [key(0), varint(1)].concat(),
        // Too large for 32 bits.
        Form::Int32 | Form::Int64 => [key(0), varint(5_000_000_000)].concat(),
        Form::Text => of_length(b"sample"),
        Form::Texts => of_length(&[written(1, Form::Text), written(2, Form::Text)].concat()),
        Form::Quantities => of_length(&[written(1, Form::Text), written(2, Form::Quantity)].concat()),
        Form::Blobs => of_length(&[written(1, Form::Text), written(2, Form::Text)].concat()),
        Form::Time | Form::MicroTime | Form::IntOrString | Form::Quantity | Form::Any | Form::Object(_) => {
            of_length(&[])
        }
        Form::List(item) => written(number, *item),
    }
}

/// Whether `value`, as `{:#?}` shows it, is of this form.
fn is_of(value: &str, form: Form) -> bool {
    let holds = |name: &str| {
        let value = value.strip_prefix("Some(").unwrap_or(value).trim_start();
        value.split(" {").next().is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    if value.starts_with('[') != matches!(form, Form::List(_)) {
        return false;
    }
    match form {
        Form::Text => value.contains("\"sample\"") && !value.contains('{'),
        Form::Boolean => value.contains("true"),
        Form::Int32 => value.contains("705032704"),
        Form::Int64 => value.contains("5000000000"),
        Form::Time => holds("Time"),
        Form::MicroTime => holds("MicroTime"),
        Form::IntOrString => holds("IntOrString"),
        Form::Quantity => holds("Quantity"),
        Form::Any => value.contains('{'),
        Form::Texts => value.starts_with("{\n") && value.contains("\"sample\": \"sample\""),
        Form::Quantities => value.starts_with("{\n") && value.contains("\"sample\": Quantity {"),
        Form::Blobs => value.starts_with("{\n") && value.contains("\"sample\": ByteString"),
        Form::Object(inner) => holds(inner.go_name()),
        Form::List(item) => value.strip_prefix('[').is_some_and(|value| is_of(value.trim_start(), *item)),
    }
}

/// The fields of a structure with their values, by names as [`plain`] has them.
fn values(shown: &str) -> BTreeMap<String, String> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in shown.lines().skip(1) {
        match line.strip_prefix("    ").filter(|line| !line.starts_with([' ', ']', ')', '}'])) {
            Some(line) => {
                let (name, value) = line.split_once(": ").unwrap();
                fields.push((plain(name), value.to_owned()));
            }
            None => fields.last_mut().into_iter().for_each(|(_, value)| *value += &format!("\n{line}")),
        }
    }
    fields.into_iter().collect()
}

/// A field's name without what Rust and JSON write differently.
pub(super) fn plain(name: &str) -> String {
    name.trim_start_matches("r#").replace('_', "").to_lowercase()
}

/// `apiVersion` and `kind` are in the envelope, and so have no number of their own.
pub(super) fn is_in_envelope(field: &Field) -> bool {
    field.number > 1000 && matches!(field.name, "apiVersion" | "kind")
}

#[test]
fn every_field_is_the_published_one() {
    let (peers, types) = (peers(), types(every()));
    let mut differences = Vec::new();
    for (name, schema) in &types {
        let Some(peer) = peers.get(name) else {
            differences.push(format!("{name} has no published type here"));
            continue;
        };
        let empty = values(&peer(&[]).unwrap());
        let own: Vec<&Field> = schema.fields.iter().filter(|field| !is_in_envelope(field)).collect();
        for field in &own {
            let found = peer(&written(field.number, field.form)).map(|shown| values(&shown));
            let changed =
                found.as_ref().map(|found| found.iter().filter(|(key, value)| empty[*key] != **value));
            let changed: Vec<_> = changed.into_iter().flatten().collect();
            match changed[..] {
                [(key, value)] if *key == plain(field.name) && is_of(value, field.form) => {}
                _ => differences
                    .push(format!("{name}.{} = {}: {changed:?} {found:?}", field.name, field.number)),
            }
        }
        let own: BTreeSet<String> = own.iter().map(|field| plain(field.name)).collect();
        let missing = empty.keys().filter(|key| !own.contains(*key) && !schema.is_open);
        differences.extend(missing.map(|key| format!("{name} lacks {key}")));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let unused: Vec<_> = peers.keys().filter(|name| !types.contains_key(*name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// Group, version, kind, plural, and whether objects are in namespaces.
type Names = (&'static str, &'static str, &'static str, &'static str, bool);

fn names<T: Resource>() -> Names {
    let scope = std::any::type_name::<T::Scope>();
    (T::GROUP, T::VERSION, T::KIND, T::URL_PATH_SEGMENT, scope.ends_with("NamespaceResourceScope"))
}

#[test]
fn every_kind_has_the_published_names() {
    let published: BTreeSet<Names> = [
        names::<core_v1::Namespace>(),
        names::<networking_v1::ServiceCIDR>(),
        names::<networking_v1::IPAddress>(),
        names::<core_v1::Service>(),
        names::<discovery_v1::EndpointSlice>(),
        names::<core_v1::Event>(),
        names::<events_v1::Event>(),
        names::<core_v1::Node>(),
        names::<core_v1::Pod>(),
        names::<authorization_v1::SelfSubjectAccessReview>(),
        names::<authorization_v1::SelfSubjectRulesReview>(),
        names::<authentication_v1::SelfSubjectReview>(),
        names::<core_v1::ConfigMap>(),
        names::<core_v1::Endpoints>(),
        names::<core_v1::PersistentVolume>(),
        names::<core_v1::PersistentVolumeClaim>(),
        names::<core_v1::ReplicationController>(),
        names::<core_v1::Secret>(),
        names::<apps::v1::DaemonSet>(),
        names::<apps::v1::Deployment>(),
        names::<apps::v1::ReplicaSet>(),
        names::<apps::v1::StatefulSet>(),
        names::<batch::v1::CronJob>(),
        names::<batch::v1::Job>(),
        names::<networking_v1::Ingress>(),
        names::<policy::v1::PodDisruptionBudget>(),
    ]
    .into();
    let kinds = every();
    let own: BTreeSet<Names> = kinds
        .iter()
        .map(|kind| (kind.group, kind.version, kind.name, kind.plural, kind.namespaced))
        .collect();
    assert_eq!(own, published);
}

#[test]
fn every_kind_of_clusters_has_the_published_names() {
    let published: BTreeSet<Names> = [
        names::<coordination::v1::Lease>(),
        names::<core_v1::ServiceAccount>(),
        names::<scheduling::v1::PriorityClass>(),
        names::<node::v1::RuntimeClass>(),
        names::<rbac::v1::ClusterRole>(),
        names::<rbac::v1::Role>(),
        names::<rbac::v1::ClusterRoleBinding>(),
        names::<rbac::v1::RoleBinding>(),
        names::<authorization_v1::SubjectAccessReview>(),
        names::<authorization_v1::LocalSubjectAccessReview>(),
        names::<authentication_v1::TokenReview>(),
    ]
    .into();
    let all = all(Config { nodes: NodeSource::Stored, ..Config::default() });
    let kinds = all.iter().map(|resource| resource.kind()).filter(|kind| !every().contains(kind));
    let own = kinds.map(|kind| (kind.group, kind.version, kind.name, kind.plural, kind.namespaced));
    assert_eq!(own.collect::<BTreeSet<Names>>(), published);
}

#[test]
fn tables_are_sound() {
    let published = stored().into_iter().filter(|kind| kind.schema.description.is_empty());
    for (name, schema) in types(published).into_iter().chain(types(every())) {
        let fields: Vec<&Field> = schema.all_fields().collect();
        for (index, field) in fields.iter().enumerate() {
            let is_other = |other: &&Field| other.name != field.name;
            assert!(fields[..index].iter().all(is_other), "{name}.{}", field.name);
        }
        for (index, field) in schema.fields.iter().enumerate() {
            let is_other = |number: u32| number != field.number;
            let numbers = schema.inlined.iter().map(|(number, _)| *number);
            let before = schema.fields[..index].iter().map(|other| other.number);
            assert!(before.chain(numbers).all(is_other), "{name}.{}", field.name);
            let is_described = !field.description.is_empty() || schema.description.is_empty();
            assert!(is_described, "{name}.{}", field.name);
            if let Merge::Key(keys) = field.apply {
                let inner = field.form.inner().unwrap();
                assert!(matches!(field.form, Form::List(_)), "{name}.{}", field.name);
                assert!(keys.iter().all(|key| inner.field(key).is_some()), "{}", field.name);
            }
        }
    }
}
