//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::ObjectMeta;

types! { "io.k8s.api.coordination.v1"
    Lease {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 spec: LeaseSpec;
    }
    LeaseSpec {
        1 holderIdentity: Text pointer;
        2 leaseDurationSeconds: Int32 pointer;
        3 acquireTime: MicroTime pointer;
        4 renewTime: MicroTime pointer;
        5 leaseTransitions: Int32 pointer;
        6 strategy: Text pointer;
        7 preferredHolder: Text pointer;
    }
}
