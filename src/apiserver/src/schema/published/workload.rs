//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::{LabelSelector, ObjectMeta, PodTemplateSpec};

types! { "io.k8s.api.apps.v1"
    DaemonSet {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 spec: DaemonSetSpec;
        3 status: DaemonSetStatus;
    }
    DaemonSetSpec {
        1 selector: LabelSelector required pointer;
        2 template: PodTemplateSpec required;
        3 updateStrategy: DaemonSetUpdateStrategy;
        4 minReadySeconds: Int32;
        6 revisionHistoryLimit: Int32 pointer;
    }
    DaemonSetUpdateStrategy {
        1 type: Text;
        2 rollingUpdate: RollingUpdateDaemonSet pointer;
    }
    RollingUpdateDaemonSet {
        1 maxUnavailable: IntOrString pointer;
        2 maxSurge: IntOrString pointer;
    }
    DaemonSetStatus {
        1 currentNumberScheduled: Int32 required;
        2 numberMisscheduled: Int32 required;
        3 desiredNumberScheduled: Int32 required;
        4 numberReady: Int32 required;
        5 observedGeneration: Int64;
        6 updatedNumberScheduled: Int32;
        7 numberAvailable: Int32;
        8 numberUnavailable: Int32;
        9 collisionCount: Int32 pointer;
        10 conditions: [DaemonSetCondition] patched_by(type) applied_by(type);
    }
    DaemonSetCondition {
        1 type: Text required;
        2 status: Text required;
        3 lastTransitionTime: Time;
        4 reason: Text;
        5 message: Text;
    }
    Deployment {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 spec: DeploymentSpec;
        3 status: DeploymentStatus;
    }
    DeploymentSpec {
        1 replicas: Int32 pointer;
        2 selector: LabelSelector required pointer;
        3 template: PodTemplateSpec required;
        4 strategy: DeploymentStrategy;
        5 minReadySeconds: Int32;
        6 revisionHistoryLimit: Int32 pointer;
        7 paused: Boolean;
        9 progressDeadlineSeconds: Int32 pointer;
    }
    DeploymentStrategy {
        1 type: Text;
        2 rollingUpdate: RollingUpdateDeployment pointer;
    }
    RollingUpdateDeployment {
        1 maxUnavailable: IntOrString pointer;
        2 maxSurge: IntOrString pointer;
    }
    DeploymentStatus {
        1 observedGeneration: Int64;
        2 replicas: Int32;
        3 updatedReplicas: Int32;
        7 readyReplicas: Int32;
        4 availableReplicas: Int32;
        5 unavailableReplicas: Int32;
        9 terminatingReplicas: Int32 pointer;
        6 conditions: [DeploymentCondition] patched_by(type) applied_by(type);
        8 collisionCount: Int32 pointer;
    }
    DeploymentCondition {
        1 type: Text required;
        2 status: Text required;
        6 lastUpdateTime: Time;
        7 lastTransitionTime: Time;
        4 reason: Text;
        5 message: Text;
    }
}
