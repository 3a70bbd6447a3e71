//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::{LocalObjectReference, ObjectMeta, ObjectReference};

types! { "io.k8s.api.core.v1"
    ServiceAccount {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 secrets: [ObjectReference] patched_by(name) applied_by(name);
        3 imagePullSecrets: [LocalObjectReference];
        4 automountServiceAccountToken: Boolean pointer;
    }
    ConfigMap {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        4 immutable: Boolean pointer;
        2 data: Texts;
        3 binaryData: Blobs;
    }
}
