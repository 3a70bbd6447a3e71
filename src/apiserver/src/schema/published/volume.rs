//! Fields as Kubernetes 1.36 publishes them; `kinds/published_tests.rs` compares them with the crate k8s-pb.

use super::{LabelSelector, ObjectMeta};

types! { "io.k8s.api.core.v1"
    Volume {
        1 name: Text required;
        ..2 VolumeSource;
    }
    VolumeSource {
        1 hostPath: HostPathVolumeSource pointer;
        2 emptyDir: EmptyDirVolumeSource pointer;
        3 gcePersistentDisk: GCEPersistentDiskVolumeSource pointer;
        4 awsElasticBlockStore: AWSElasticBlockStoreVolumeSource pointer;
        5 gitRepo: GitRepoVolumeSource pointer;
        6 secret: SecretVolumeSource pointer;
        7 nfs: NFSVolumeSource pointer;
        8 iscsi: ISCSIVolumeSource pointer;
        9 glusterfs: GlusterfsVolumeSource pointer;
        10 persistentVolumeClaim: PersistentVolumeClaimVolumeSource pointer;
        11 rbd: RBDVolumeSource pointer;
        12 flexVolume: FlexVolumeSource pointer;
        13 cinder: CinderVolumeSource pointer;
        14 cephfs: CephFSVolumeSource pointer;
        15 flocker: FlockerVolumeSource pointer;
        16 downwardAPI: DownwardAPIVolumeSource pointer;
        17 fc: FCVolumeSource pointer;
        18 azureFile: AzureFileVolumeSource pointer;
        19 configMap: ConfigMapVolumeSource pointer;
        20 vsphereVolume: VsphereVirtualDiskVolumeSource pointer;
        21 quobyte: QuobyteVolumeSource pointer;
        22 azureDisk: AzureDiskVolumeSource pointer;
        23 photonPersistentDisk: PhotonPersistentDiskVolumeSource pointer;
        26 projected: ProjectedVolumeSource pointer;
        24 portworxVolume: PortworxVolumeSource pointer;
        25 scaleIO: ScaleIOVolumeSource pointer;
        27 storageos: StorageOSVolumeSource pointer;
        28 csi: CSIVolumeSource pointer;
        29 ephemeral: EphemeralVolumeSource pointer;
        30 image: ImageVolumeSource pointer;
    }
    HostPathVolumeSource {
        1 path: Text required;
        2 type: Text pointer;
    }
    EmptyDirVolumeSource {
        1 medium: Text;
        2 sizeLimit: Quantity pointer;
    }
    GCEPersistentDiskVolumeSource {
        1 pdName: Text required;
        2 fsType: Text;
        3 partition: Int32;
        4 readOnly: Boolean;
    }
    AWSElasticBlockStoreVolumeSource {
        1 volumeID: Text required;
        2 fsType: Text;
        3 partition: Int32;
        4 readOnly: Boolean;
    }
    GitRepoVolumeSource {
        1 repository: Text required;
        2 revision: Text;
        3 directory: Text;
    }
    SecretVolumeSource {
        1 secretName: Text;
        2 items: [KeyToPath];
        3 defaultMode: Int32 pointer;
        4 optional: Boolean pointer;
    }
    KeyToPath {
        1 key: Text required;
        2 path: Text required;
        3 mode: Int32 pointer;
    }
    NFSVolumeSource {
        1 server: Text required;
        2 path: Text required;
        3 readOnly: Boolean;
    }
    ISCSIVolumeSource {
        1 targetPortal: Text required;
        2 iqn: Text required;
        3 lun: Int32 required;
        4 iscsiInterface: Text;
        5 fsType: Text;
        6 readOnly: Boolean;
        7 portals: [Text];
        8 chapAuthDiscovery: Boolean;
        11 chapAuthSession: Boolean;
        10 secretRef: LocalObjectReference pointer;
        12 initiatorName: Text pointer;
    }
    LocalObjectReference {
        1 name: Text;
    }
    GlusterfsVolumeSource {
        1 endpoints: Text required;
        2 path: Text required;
        3 readOnly: Boolean;
    }
    PersistentVolumeClaimVolumeSource {
        1 claimName: Text required;
        2 readOnly: Boolean;
    }
    RBDVolumeSource {
        1 monitors: [Text] required;
        2 image: Text required;
        3 fsType: Text;
        4 pool: Text;
        5 user: Text;
        6 keyring: Text;
        7 secretRef: LocalObjectReference pointer;
        8 readOnly: Boolean;
    }
    FlexVolumeSource {
        1 driver: Text required;
        2 fsType: Text;
        3 secretRef: LocalObjectReference pointer;
        4 readOnly: Boolean;
        5 options: Texts;
    }
    CinderVolumeSource {
        1 volumeID: Text required;
        2 fsType: Text;
        3 readOnly: Boolean;
        4 secretRef: LocalObjectReference pointer;
    }
    CephFSVolumeSource {
        1 monitors: [Text] required;
        2 path: Text;
        3 user: Text;
        4 secretFile: Text;
        5 secretRef: LocalObjectReference pointer;
        6 readOnly: Boolean;
    }
    FlockerVolumeSource {
        1 datasetName: Text;
        2 datasetUUID: Text;
    }
    DownwardAPIVolumeSource {
        1 items: [DownwardAPIVolumeFile];
        2 defaultMode: Int32 pointer;
    }
    DownwardAPIVolumeFile {
        1 path: Text required;
        2 fieldRef: ObjectFieldSelector pointer;
        3 resourceFieldRef: ResourceFieldSelector pointer;
        4 mode: Int32 pointer;
    }
    ObjectFieldSelector {
        1 apiVersion: Text;
        2 fieldPath: Text required;
    }
    ResourceFieldSelector {
        1 containerName: Text;
        2 resource: Text required;
        3 divisor: Quantity;
    }
    FCVolumeSource {
        1 targetWWNs: [Text];
        2 lun: Int32 pointer;
        3 fsType: Text;
        4 readOnly: Boolean;
        5 wwids: [Text];
    }
    AzureFileVolumeSource {
        1 secretName: Text required;
        2 shareName: Text required;
        3 readOnly: Boolean;
    }
    ConfigMapVolumeSource {
        2 items: [KeyToPath];
        3 defaultMode: Int32 pointer;
        4 optional: Boolean pointer;
        ..1 LocalObjectReference;
    }
    VsphereVirtualDiskVolumeSource {
        1 volumePath: Text required;
        2 fsType: Text;
        3 storagePolicyName: Text;
        4 storagePolicyID: Text;
    }
    QuobyteVolumeSource {
        1 registry: Text required;
        2 volume: Text required;
        3 readOnly: Boolean;
        4 user: Text;
        5 group: Text;
        6 tenant: Text;
    }
    AzureDiskVolumeSource {
        1 diskName: Text required;
        2 diskURI: Text required;
        3 cachingMode: Text pointer;
        4 fsType: Text pointer;
        5 readOnly: Boolean pointer;
        6 kind: Text pointer;
    }
    PhotonPersistentDiskVolumeSource {
        1 pdID: Text required;
        2 fsType: Text;
    }
    ProjectedVolumeSource {
        1 sources: [VolumeProjection];
        2 defaultMode: Int32 pointer;
    }
    VolumeProjection {
        1 secret: SecretProjection pointer;
        2 downwardAPI: DownwardAPIProjection pointer;
        3 configMap: ConfigMapProjection pointer;
        4 serviceAccountToken: ServiceAccountTokenProjection pointer;
        5 clusterTrustBundle: ClusterTrustBundleProjection pointer;
        6 podCertificate: PodCertificateProjection pointer;
    }
    SecretProjection {
        2 items: [KeyToPath];
        4 optional: Boolean pointer;
        ..1 LocalObjectReference;
    }
    DownwardAPIProjection {
        1 items: [DownwardAPIVolumeFile];
    }
    ConfigMapProjection {
        2 items: [KeyToPath];
        4 optional: Boolean pointer;
        ..1 LocalObjectReference;
    }
    ServiceAccountTokenProjection {
        1 audience: Text;
        2 expirationSeconds: Int64 pointer;
        3 path: Text required;
    }
    ClusterTrustBundleProjection {
        1 name: Text pointer;
        2 signerName: Text pointer;
        3 labelSelector: LabelSelector pointer;
        5 optional: Boolean pointer;
        4 path: Text required;
    }
    PodCertificateProjection {
        1 signerName: Text;
        2 keyType: Text;
        3 maxExpirationSeconds: Int32 pointer;
        4 credentialBundlePath: Text;
        5 keyPath: Text;
        6 certificateChainPath: Text;
        7 userAnnotations: Texts;
    }
    PortworxVolumeSource {
        1 volumeID: Text required;
        2 fsType: Text;
        3 readOnly: Boolean;
    }
    ScaleIOVolumeSource {
        1 gateway: Text required;
        2 system: Text required;
        3 secretRef: LocalObjectReference required pointer;
        4 sslEnabled: Boolean;
        5 protectionDomain: Text;
        6 storagePool: Text;
        7 storageMode: Text;
        8 volumeName: Text;
        9 fsType: Text;
        10 readOnly: Boolean;
    }
    StorageOSVolumeSource {
        1 volumeName: Text;
        2 volumeNamespace: Text;
        3 fsType: Text;
        4 readOnly: Boolean;
        5 secretRef: LocalObjectReference pointer;
    }
    CSIVolumeSource {
        1 driver: Text required;
        2 readOnly: Boolean pointer;
        3 fsType: Text pointer;
        4 volumeAttributes: Texts;
        5 nodePublishSecretRef: LocalObjectReference pointer;
    }
    EphemeralVolumeSource {
        1 volumeClaimTemplate: PersistentVolumeClaimTemplate pointer;
    }
    PersistentVolumeClaimTemplate {
        1 metadata: ObjectMeta;
        2 spec: PersistentVolumeClaimSpec required;
    }
    PersistentVolumeClaimSpec {
        1 accessModes: [Text];
        4 selector: LabelSelector pointer;
        2 resources: VolumeResourceRequirements;
        3 volumeName: Text;
        5 storageClassName: Text pointer;
        6 volumeMode: Text pointer;
        7 dataSource: TypedLocalObjectReference pointer;
        8 dataSourceRef: TypedObjectReference pointer;
        9 volumeAttributesClassName: Text pointer;
    }
    VolumeResourceRequirements {
        1 limits: Quantities;
        2 requests: Quantities;
    }
    TypedLocalObjectReference {
        1 apiGroup: Text pointer;
        2 kind: Text required;
        3 name: Text required;
    }
    TypedObjectReference {
        1 apiGroup: Text pointer;
        2 kind: Text required;
        3 name: Text required;
        4 namespace: Text pointer;
    }
    ImageVolumeSource {
        1 reference: Text;
        2 pullPolicy: Text;
    }
}
