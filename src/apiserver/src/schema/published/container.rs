//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::{LocalObjectReference, ObjectFieldSelector, ResourceFieldSelector};

types! { "io.k8s.api.core.v1"
    Container {
        1 name: Text required;
        2 image: Text;
        3 command: [Text];
        4 args: [Text];
        5 workingDir: Text;
        6 ports: [ContainerPort] patched_by(containerPort) applied_by(containerPort, protocol);
        19 envFrom: [EnvFromSource];
        7 env: [EnvVar] patched_by(name) applied_by(name);
        8 resources: ResourceRequirements;
        23 resizePolicy: [ContainerResizePolicy];
        24 restartPolicy: Text pointer;
        25 restartPolicyRules: [ContainerRestartRule];
        9 volumeMounts: [VolumeMount] patched_by(mountPath) applied_by(mountPath);
        21 volumeDevices: [VolumeDevice] patched_by(devicePath) applied_by(devicePath);
        10 livenessProbe: Probe pointer;
        11 readinessProbe: Probe pointer;
        22 startupProbe: Probe pointer;
        12 lifecycle: Lifecycle pointer;
        13 terminationMessagePath: Text;
        20 terminationMessagePolicy: Text;
        14 imagePullPolicy: Text;
        15 securityContext: SecurityContext pointer;
        16 stdin: Boolean;
        17 stdinOnce: Boolean;
        18 tty: Boolean;
    }
    ContainerPort {
        1 name: Text;
        2 hostPort: Int32;
        3 containerPort: Int32 required;
        4 protocol: Text;
        5 hostIP: Text;
    }
    EnvFromSource {
        1 prefix: Text;
        2 configMapRef: ConfigMapEnvSource pointer;
        3 secretRef: SecretEnvSource pointer;
    }
    ConfigMapEnvSource {
        2 optional: Boolean pointer;
        ..1 LocalObjectReference;
    }
    SecretEnvSource {
        2 optional: Boolean pointer;
        ..1 LocalObjectReference;
    }
    EnvVar {
        1 name: Text required;
        2 value: Text;
        3 valueFrom: EnvVarSource pointer;
    }
    EnvVarSource {
        1 fieldRef: ObjectFieldSelector pointer;
        2 resourceFieldRef: ResourceFieldSelector pointer;
        3 configMapKeyRef: ConfigMapKeySelector pointer;
        4 secretKeyRef: SecretKeySelector pointer;
        5 fileKeyRef: FileKeySelector pointer;
    }
    ConfigMapKeySelector {
        2 key: Text required;
        3 optional: Boolean pointer;
        ..1 LocalObjectReference;
    }
    SecretKeySelector {
        2 key: Text required;
        3 optional: Boolean pointer;
        ..1 LocalObjectReference;
    }
    FileKeySelector {
        1 volumeName: Text required;
        2 path: Text required;
        3 key: Text required;
        4 optional: Boolean pointer;
    }
    ResourceRequirements {
        1 limits: Quantities;
        2 requests: Quantities;
        3 claims: [ResourceClaim] applied_by(name);
    }
    ResourceClaim {
        1 name: Text required;
        2 request: Text;
    }
    ContainerResizePolicy {
        1 resourceName: Text required;
        2 restartPolicy: Text required;
    }
    ContainerRestartRule {
        1 action: Text;
        2 exitCodes: ContainerRestartRuleOnExitCodes pointer;
    }
    ContainerRestartRuleOnExitCodes {
        1 operator: Text;
        2 values: [Int32] apply_set;
    }
    VolumeMount {
        1 name: Text required;
        2 readOnly: Boolean;
        7 recursiveReadOnly: Text pointer;
        3 mountPath: Text required;
        4 subPath: Text;
        5 mountPropagation: Text pointer;
        6 subPathExpr: Text;
    }
    VolumeDevice {
        1 name: Text required;
        2 devicePath: Text required;
    }
    Probe {
        2 initialDelaySeconds: Int32;
        3 timeoutSeconds: Int32;
        4 periodSeconds: Int32;
        5 successThreshold: Int32;
        6 failureThreshold: Int32;
        7 terminationGracePeriodSeconds: Int64 pointer;
        ..1 ProbeHandler;
    }
    ProbeHandler {
        1 exec: ExecAction pointer;
        2 httpGet: HTTPGetAction pointer;
        3 tcpSocket: TCPSocketAction pointer;
        4 grpc: GRPCAction pointer;
    }
    ExecAction {
        1 command: [Text];
    }
    HTTPGetAction {
        1 path: Text;
        2 port: IntOrString required;
        3 host: Text;
        4 scheme: Text;
        5 httpHeaders: [HTTPHeader];
    }
    HTTPHeader {
        1 name: Text required;
        2 value: Text required;
    }
    TCPSocketAction {
        1 port: IntOrString required;
        2 host: Text;
    }
    GRPCAction {
        1 port: Int32 required;
        2 service: Text pointer;
    }
    Lifecycle {
        1 postStart: LifecycleHandler pointer;
        2 preStop: LifecycleHandler pointer;
        3 stopSignal: Text pointer;
    }
    LifecycleHandler {
        1 exec: ExecAction pointer;
        2 httpGet: HTTPGetAction pointer;
        3 tcpSocket: TCPSocketAction pointer;
        4 sleep: SleepAction pointer;
    }
    SleepAction {
        1 seconds: Int64 required;
    }
    SecurityContext {
        1 capabilities: Capabilities pointer;
        2 privileged: Boolean pointer;
        3 seLinuxOptions: SELinuxOptions pointer;
        10 windowsOptions: WindowsSecurityContextOptions pointer;
        4 runAsUser: Int64 pointer;
        8 runAsGroup: Int64 pointer;
        5 runAsNonRoot: Boolean pointer;
        6 readOnlyRootFilesystem: Boolean pointer;
        7 allowPrivilegeEscalation: Boolean pointer;
        9 procMount: Text pointer;
        11 seccompProfile: SeccompProfile pointer;
        12 appArmorProfile: AppArmorProfile pointer;
    }
    Capabilities {
        1 add: [Text];
        2 drop: [Text];
    }
    SELinuxOptions {
        1 user: Text;
        2 role: Text;
        3 type: Text;
        4 level: Text;
    }
    WindowsSecurityContextOptions {
        1 gmsaCredentialSpecName: Text pointer;
        2 gmsaCredentialSpec: Text pointer;
        3 runAsUserName: Text pointer;
        4 hostProcess: Boolean pointer;
    }
    SeccompProfile {
        1 type: Text required;
        2 localhostProfile: Text pointer;
    }
    AppArmorProfile {
        1 type: Text required;
        2 localhostProfile: Text pointer;
    }
    EphemeralContainer {
        2 targetContainerName: Text;
        ..1 EphemeralContainerCommon;
    }
    EphemeralContainerCommon {
        1 name: Text required;
        2 image: Text;
        3 command: [Text];
        4 args: [Text];
        5 workingDir: Text;
        6 ports: [ContainerPort] patched_by(containerPort) applied_by(containerPort, protocol);
        19 envFrom: [EnvFromSource];
        7 env: [EnvVar] patched_by(name) applied_by(name);
        8 resources: ResourceRequirements;
        23 resizePolicy: [ContainerResizePolicy];
        24 restartPolicy: Text pointer;
        25 restartPolicyRules: [ContainerRestartRule];
        9 volumeMounts: [VolumeMount] patched_by(mountPath) applied_by(mountPath);
        21 volumeDevices: [VolumeDevice] patched_by(devicePath) applied_by(devicePath);
        10 livenessProbe: Probe pointer;
        11 readinessProbe: Probe pointer;
        22 startupProbe: Probe pointer;
        12 lifecycle: Lifecycle pointer;
        13 terminationMessagePath: Text;
        20 terminationMessagePolicy: Text;
        14 imagePullPolicy: Text;
        15 securityContext: SecurityContext pointer;
        16 stdin: Boolean;
        17 stdinOnce: Boolean;
        18 tty: Boolean;
    }
}
