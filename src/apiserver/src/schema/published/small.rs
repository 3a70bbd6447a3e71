//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::{ObjectMeta, Toleration};

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

types! { "io.k8s.api.scheduling.v1"
    PriorityClass {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 value: Int32;
        3 globalDefault: Boolean;
        4 description: Text;
        5 preemptionPolicy: Text pointer;
    }
}

types! { "io.k8s.api.node.v1"
    RuntimeClass {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 handler: Text required;
        3 overhead: Overhead pointer;
        4 scheduling: Scheduling pointer;
    }
    Overhead {
        1 podFixed: Quantities;
    }
    Scheduling {
        1 nodeSelector: Texts;
        2 tolerations: [Toleration];
    }
}
