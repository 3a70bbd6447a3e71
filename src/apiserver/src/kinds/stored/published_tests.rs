//! Compares the tables of stored kinds with what Kubernetes publishes (the crate `k8s-pb`): the published types must
//! have each field of the tables in the same place, under the same numbers from the object down to it, with the same
//! name, and be able to read its bytes.

use std::collections::BTreeSet;

use k8s_pb::api::apps::v1 as apps_v1;
use k8s_pb::api::coordination::v1 as coordination_v1;
use k8s_pb::api::core::v1 as core_v1;
use k8s_pb::api::node::v1 as node_v1;
use k8s_pb::api::rbac::v1 as rbac_v1;
use k8s_pb::api::scheduling::v1 as scheduling_v1;

use crate::kinds::published_tests::{Peer, is_in_envelope, plain, shown, written};
use crate::kinds::stored;
use crate::schema::Type;

/// Fields of 1.36 that the crate does not have yet.
const LATER: [&str; 4] = [
    "PodSpec.schedulingGroup",
    "PodStatus.nodeAllocatableResourceClaimStatuses",
    "ResourceHealth.message",
    "VolumeMountStatus.volumeStatus",
];

/// The message under these numbers, one in the other.
fn wrapped(numbers: &[u32], message: Vec<u8>) -> Vec<u8> {
    numbers.iter().rev().fold(message, |inner, number| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut bytes);
        prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
        [bytes, inner].concat()
    })
}

/// Whether an object with a field shows the field, and one without it does not.
fn is_shown(with: &str, without: &str, name: &str) -> bool {
    let mut before: Vec<&str> = without.lines().collect();
    let is_new = |line: &&str| match before.iter().position(|old| old == line) {
        Some(index) => {
            before.swap_remove(index);
            false
        }
        None => true,
    };
    let mut new = with.lines().filter(is_new);
    new.any(|line| line.trim().split_once(": ").is_some_and(|(own, _)| plain(own) == plain(name)))
}

struct Comparison {
    peer: Peer,
    seen: BTreeSet<&'static str>,
    differences: BTreeSet<String>,
}

impl Comparison {
    /// Compares a structure, and what it consists of, with what the peer has under these numbers.
    fn compare(&mut self, schema: &'static Type, numbers: &[u32]) {
        if !self.seen.insert(schema.name) {
            return;
        }
        let empty = (self.peer)(&wrapped(numbers, Vec::new())).unwrap();
        for field in schema.fields.iter().filter(|field| !is_in_envelope(field)) {
            let bytes = wrapped(numbers, written(field.number, field.form));
            if !(self.peer)(&bytes).is_ok_and(|with| is_shown(&with, &empty, field.name)) {
                self.differences.insert(format!("{}.{}", schema.go_name(), field.name));
            } else if let Some(inner) = field.form.inner() {
                self.compare(inner, &[numbers, &[field.number]].concat());
            }
        }
        for (number, inner) in schema.inlined {
            self.compare(inner, &[numbers, &[*number]].concat());
        }
    }
}

#[test]
fn every_field_of_a_stored_kind_is_the_published_one() {
    let peers: [(&str, Peer); 13] = [
        ("Node", shown::<core_v1::Node>),
        ("Pod", shown::<core_v1::Pod>),
        ("Lease", shown::<coordination_v1::Lease>),
        ("ServiceAccount", shown::<core_v1::ServiceAccount>),
        ("ConfigMap", shown::<core_v1::ConfigMap>),
        ("Role", shown::<rbac_v1::Role>),
        ("RoleBinding", shown::<rbac_v1::RoleBinding>),
        ("ClusterRole", shown::<rbac_v1::ClusterRole>),
        ("ClusterRoleBinding", shown::<rbac_v1::ClusterRoleBinding>),
        ("DaemonSet", shown::<apps_v1::DaemonSet>),
        ("Deployment", shown::<apps_v1::Deployment>),
        ("PriorityClass", shown::<scheduling_v1::PriorityClass>),
        ("RuntimeClass", shown::<node_v1::RuntimeClass>),
    ];
    let mut comparison = Comparison { peer: peers[0].1, seen: BTreeSet::new(), differences: BTreeSet::new() };
    for kind in stored::ALL.iter().map(|shape| shape.kind) {
        comparison.peer = peers.iter().find(|(name, _)| *name == kind.name).unwrap().1;
        comparison.compare(kind.schema, &[]);
    }
    assert_eq!(comparison.differences, LATER.map(str::to_owned).into());
    assert!(comparison.seen.len() > 100, "{}", comparison.seen.len());
}
