//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::{LabelSelector, ObjectMeta};

types! { "io.k8s.api.rbac.v1"
    ClusterRole {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 rules: [PolicyRule];
        3 aggregationRule: AggregationRule pointer;
    }
    PolicyRule {
        1 verbs: [Text] required;
        2 apiGroups: [Text];
        3 resources: [Text];
        4 resourceNames: [Text];
        5 nonResourceURLs: [Text];
    }
    AggregationRule {
        1 clusterRoleSelectors: [LabelSelector];
    }
    ClusterRoleBinding {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 subjects: [Subject];
        3 roleRef: RoleRef required;
    }
    Subject {
        1 kind: Text required;
        2 apiGroup: Text;
        3 name: Text required;
        4 namespace: Text;
    }
    RoleRef {
        1 apiGroup: Text;
        2 kind: Text required;
        3 name: Text required;
    }
    Role {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 rules: [PolicyRule];
    }
    RoleBinding {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 subjects: [Subject];
        3 roleRef: RoleRef required;
    }
}
