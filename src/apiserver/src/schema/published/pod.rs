//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::{
    AppArmorProfile, Container, EphemeralContainer, LabelSelector, LocalObjectReference, ObjectMeta,
    ResourceRequirements, SELinuxOptions, SeccompProfile, Volume, WindowsSecurityContextOptions,
};

types! { "io.k8s.api.core.v1"
    Pod {
        1001 apiVersion: Text;
        1002 kind: Text;
        1 metadata: ObjectMeta;
        2 spec: PodSpec;
        3 status: PodStatus;
    }
    PodSpec {
        1 volumes: [Volume] patched_by(name) applied_by(name);
        20 initContainers: [Container] patched_by(name) applied_by(name);
        2 containers: [Container] required patched_by(name) applied_by(name);
        34 ephemeralContainers: [EphemeralContainer] patched_by(name) applied_by(name);
        3 restartPolicy: Text;
        4 terminationGracePeriodSeconds: Int64 pointer;
        5 activeDeadlineSeconds: Int64 pointer;
        6 dnsPolicy: Text;
        7 nodeSelector: Texts;
        8 serviceAccountName: Text;
        9 serviceAccount: Text;
        21 automountServiceAccountToken: Boolean pointer;
        10 nodeName: Text;
        11 hostNetwork: Boolean;
        12 hostPID: Boolean;
        13 hostIPC: Boolean;
        27 shareProcessNamespace: Boolean pointer;
        14 securityContext: PodSecurityContext pointer;
        15 imagePullSecrets: [LocalObjectReference] patched_by(name) applied_by(name);
        16 hostname: Text;
        17 subdomain: Text;
        18 affinity: Affinity pointer;
        19 schedulerName: Text;
        22 tolerations: [Toleration];
        23 hostAliases: [HostAlias] patched_by(ip) applied_by(ip);
        24 priorityClassName: Text;
        25 priority: Int32 pointer;
        26 dnsConfig: PodDNSConfig pointer;
        28 readinessGates: [PodReadinessGate];
        29 runtimeClassName: Text pointer;
        30 enableServiceLinks: Boolean pointer;
        31 preemptionPolicy: Text pointer;
        32 overhead: Quantities;
        33 topologySpreadConstraints: [TopologySpreadConstraint] patched_by(topologyKey) applied_by(topologyKey, whenUnsatisfiable);
        35 setHostnameAsFQDN: Boolean pointer;
        36 os: PodOS pointer;
        37 hostUsers: Boolean pointer;
        38 schedulingGates: [PodSchedulingGate] patched_by(name) applied_by(name);
        39 resourceClaims: [PodResourceClaim] patched_by(name) applied_by(name);
        40 resources: ResourceRequirements pointer;
        41 hostnameOverride: Text pointer;
        43 schedulingGroup: PodSchedulingGroup pointer;
    }
    PodSecurityContext {
        1 seLinuxOptions: SELinuxOptions pointer;
        8 windowsOptions: WindowsSecurityContextOptions pointer;
        2 runAsUser: Int64 pointer;
        6 runAsGroup: Int64 pointer;
        3 runAsNonRoot: Boolean pointer;
        4 supplementalGroups: [Int64];
        12 supplementalGroupsPolicy: Text pointer;
        5 fsGroup: Int64 pointer;
        7 sysctls: [Sysctl];
        9 fsGroupChangePolicy: Text pointer;
        10 seccompProfile: SeccompProfile pointer;
        11 appArmorProfile: AppArmorProfile pointer;
        13 seLinuxChangePolicy: Text pointer;
    }
    Sysctl {
        1 name: Text required;
        2 value: Text required;
    }
    Affinity {
        1 nodeAffinity: NodeAffinity pointer;
        2 podAffinity: PodAffinity pointer;
        3 podAntiAffinity: PodAntiAffinity pointer;
    }
    NodeAffinity {
        1 requiredDuringSchedulingIgnoredDuringExecution: NodeSelector pointer;
        2 preferredDuringSchedulingIgnoredDuringExecution: [PreferredSchedulingTerm];
    }
    NodeSelector {
        1 nodeSelectorTerms: [NodeSelectorTerm] required;
    }
    NodeSelectorTerm {
        1 matchExpressions: [NodeSelectorRequirement];
        2 matchFields: [NodeSelectorRequirement];
    }
    NodeSelectorRequirement {
        1 key: Text required;
        2 operator: Text required;
        3 values: [Text];
    }
    PreferredSchedulingTerm {
        1 weight: Int32 required;
        2 preference: NodeSelectorTerm required;
    }
    PodAffinity {
        1 requiredDuringSchedulingIgnoredDuringExecution: [PodAffinityTerm];
        2 preferredDuringSchedulingIgnoredDuringExecution: [WeightedPodAffinityTerm];
    }
    PodAffinityTerm {
        1 labelSelector: LabelSelector pointer;
        2 namespaces: [Text];
        3 topologyKey: Text required;
        4 namespaceSelector: LabelSelector pointer;
        5 matchLabelKeys: [Text];
        6 mismatchLabelKeys: [Text];
    }
    WeightedPodAffinityTerm {
        1 weight: Int32 required;
        2 podAffinityTerm: PodAffinityTerm required;
    }
    PodAntiAffinity {
        1 requiredDuringSchedulingIgnoredDuringExecution: [PodAffinityTerm];
        2 preferredDuringSchedulingIgnoredDuringExecution: [WeightedPodAffinityTerm];
    }
    Toleration {
        1 key: Text;
        2 operator: Text;
        3 value: Text;
        4 effect: Text;
        5 tolerationSeconds: Int64 pointer;
    }
    HostAlias {
        1 ip: Text required;
        2 hostnames: [Text];
    }
    PodDNSConfig {
        1 nameservers: [Text];
        2 searches: [Text];
        3 options: [PodDNSConfigOption];
    }
    PodDNSConfigOption {
        1 name: Text;
        2 value: Text pointer;
    }
    PodReadinessGate {
        1 conditionType: Text required;
    }
    TopologySpreadConstraint {
        1 maxSkew: Int32 required;
        2 topologyKey: Text required;
        3 whenUnsatisfiable: Text required;
        4 labelSelector: LabelSelector pointer;
        5 minDomains: Int32 pointer;
        6 nodeAffinityPolicy: Text pointer;
        7 nodeTaintsPolicy: Text pointer;
        8 matchLabelKeys: [Text];
    }
    PodOS {
        1 name: Text required;
    }
    PodSchedulingGate {
        1 name: Text required;
    }
    PodResourceClaim {
        1 name: Text required;
        3 resourceClaimName: Text pointer;
        4 resourceClaimTemplateName: Text pointer;
    }
    PodSchedulingGroup {
        1 podGroupName: Text pointer;
    }
    PodStatus {
        17 observedGeneration: Int64;
        1 phase: Text;
        2 conditions: [PodCondition] patched_by(type) applied_by(type);
        3 message: Text;
        4 reason: Text;
        11 nominatedNodeName: Text;
        5 hostIP: Text;
        16 hostIPs: [HostIP] patched_by(ip);
        6 podIP: Text;
        12 podIPs: [PodIP] patched_by(ip) applied_by(ip);
        7 startTime: Time pointer;
        10 initContainerStatuses: [ContainerStatus];
        8 containerStatuses: [ContainerStatus];
        9 qosClass: Text;
        13 ephemeralContainerStatuses: [ContainerStatus];
        14 resize: Text;
        15 resourceClaimStatuses: [PodResourceClaimStatus] patched_by(name) applied_by(name);
        18 extendedResourceClaimStatus: PodExtendedResourceClaimStatus pointer;
        19 allocatedResources: Quantities;
        20 resources: ResourceRequirements pointer;
        21 nodeAllocatableResourceClaimStatuses: [NodeAllocatableResourceClaimStatus];
    }
    PodCondition {
        1 type: Text required;
        7 observedGeneration: Int64;
        2 status: Text required;
        3 lastProbeTime: Time;
        4 lastTransitionTime: Time;
        5 reason: Text;
        6 message: Text;
    }
    HostIP {
        1 ip: Text required;
    }
    PodIP {
        1 ip: Text required;
    }
    ContainerStatus {
        1 name: Text required;
        2 state: ContainerState;
        3 lastState: ContainerState;
        4 ready: Boolean required;
        5 restartCount: Int32 required;
        6 image: Text required;
        7 imageID: Text required;
        8 containerID: Text;
        9 started: Boolean pointer;
        10 allocatedResources: Quantities;
        11 resources: ResourceRequirements pointer;
        12 volumeMounts: [VolumeMountStatus] patched_by(mountPath) applied_by(mountPath);
        13 user: ContainerUser pointer;
        14 allocatedResourcesStatus: [ResourceStatus] patched_by(name) applied_by(name);
        15 stopSignal: Text pointer;
    }
    ContainerState {
        1 waiting: ContainerStateWaiting pointer;
        2 running: ContainerStateRunning pointer;
        3 terminated: ContainerStateTerminated pointer;
    }
    ContainerStateWaiting {
        1 reason: Text;
        2 message: Text;
    }
    ContainerStateRunning {
        1 startedAt: Time;
    }
    ContainerStateTerminated {
        1 exitCode: Int32 required;
        2 signal: Int32;
        3 reason: Text;
        4 message: Text;
        5 startedAt: Time;
        6 finishedAt: Time;
        7 containerID: Text;
    }
    VolumeMountStatus {
        1 name: Text required;
        2 mountPath: Text required;
        3 readOnly: Boolean;
        4 recursiveReadOnly: Text pointer;
        5 volumeStatus: VolumeStatus pointer;
    }
    VolumeStatus {
        1 image: ImageVolumeStatus pointer;
    }
    ImageVolumeStatus {
        1 imageRef: Text;
    }
    ContainerUser {
        1 linux: LinuxContainerUser pointer;
    }
    LinuxContainerUser {
        1 uid: Int64 required;
        2 gid: Int64 required;
        3 supplementalGroups: [Int64];
    }
    ResourceStatus {
        1 name: Text required;
        2 resources: [ResourceHealth] applied_by(resourceID);
    }
    ResourceHealth {
        1 resourceID: Text required;
        2 health: Text;
        6 message: Text pointer;
    }
    PodResourceClaimStatus {
        1 name: Text required;
        2 resourceClaimName: Text pointer;
    }
    PodExtendedResourceClaimStatus {
        1 requestMappings: [ContainerExtendedResourceRequest] required;
        2 resourceClaimName: Text required;
    }
    ContainerExtendedResourceRequest {
        1 containerName: Text required;
        2 resourceName: Text required;
        3 requestName: Text required;
    }
    NodeAllocatableResourceClaimStatus {
        1 resourceClaimName: Text required;
        2 containers: [Text] apply_set;
        3 resources: Quantities required;
    }
    PodTemplateSpec {
        1 metadata: ObjectMeta;
        2 spec: PodSpec;
    }
}
