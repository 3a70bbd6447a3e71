//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::ObjectMeta;

types! { "io.k8s.api.core.v1"
    Node {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 spec: NodeSpec;
        3 status: NodeStatus;
    }
    NodeSpec {
        1 podCIDR: Text;
        7 podCIDRs: [Text] patch_set apply_set;
        3 providerID: Text;
        4 unschedulable: Boolean;
        5 taints: [Taint];
        6 configSource: NodeConfigSource pointer;
        2 externalID: Text;
    }
    Taint {
        1 key: Text required;
        2 value: Text;
        3 effect: Text required;
        4 timeAdded: Time pointer;
    }
    NodeConfigSource {
        2 configMap: ConfigMapNodeConfigSource pointer;
    }
    ConfigMapNodeConfigSource {
        1 namespace: Text required;
        2 name: Text required;
        3 uid: Text;
        4 resourceVersion: Text;
        5 kubeletConfigKey: Text required;
    }
    NodeStatus {
        1 capacity: Quantities;
        2 allocatable: Quantities;
        3 phase: Text;
        4 conditions: [NodeCondition] patched_by(type) applied_by(type);
        5 addresses: [NodeAddress] patched_by(type) applied_by(type);
        6 daemonEndpoints: NodeDaemonEndpoints;
        7 nodeInfo: NodeSystemInfo;
        8 images: [ContainerImage];
        9 volumesInUse: [Text];
        10 volumesAttached: [AttachedVolume];
        11 config: NodeConfigStatus pointer;
        12 runtimeHandlers: [NodeRuntimeHandler];
        13 features: NodeFeatures pointer;
        14 declaredFeatures: [Text];
    }
    NodeCondition {
        1 type: Text required;
        2 status: Text required;
        3 lastHeartbeatTime: Time;
        4 lastTransitionTime: Time;
        5 reason: Text;
        6 message: Text;
    }
    NodeAddress {
        1 type: Text required;
        2 address: Text required;
    }
    NodeDaemonEndpoints {
        1 kubeletEndpoint: DaemonEndpoint;
    }
    DaemonEndpoint {
        1 Port: Int32 required;
    }
    NodeSystemInfo {
        1 machineID: Text required;
        2 systemUUID: Text required;
        3 bootID: Text required;
        4 kernelVersion: Text required;
        5 osImage: Text required;
        6 containerRuntimeVersion: Text required;
        7 kubeletVersion: Text required;
        8 kubeProxyVersion: Text required;
        9 operatingSystem: Text required;
        10 architecture: Text required;
        11 swap: NodeSwapStatus pointer;
    }
    NodeSwapStatus {
        1 capacity: Int64 pointer;
    }
    ContainerImage {
        1 names: [Text];
        2 sizeBytes: Int64;
    }
    AttachedVolume {
        1 name: Text required;
        2 devicePath: Text required;
    }
    NodeConfigStatus {
        1 assigned: NodeConfigSource pointer;
        2 active: NodeConfigSource pointer;
        3 lastKnownGood: NodeConfigSource pointer;
        4 error: Text;
    }
    NodeRuntimeHandler {
        1 name: Text;
        2 features: NodeRuntimeHandlerFeatures pointer;
    }
    NodeRuntimeHandlerFeatures {
        1 recursiveReadOnlyMounts: Boolean pointer;
        2 userNamespaces: Boolean pointer;
    }
    NodeFeatures {
        1 supplementalGroupsPolicy: Boolean pointer;
    }
}
