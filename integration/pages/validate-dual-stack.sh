#!/bin/sh
# The commands of Kubernetes' page "Validate IPv4/IPv6 dual-stack", but for `kubectl exec`. The server has to have the
# page's node, k8s-linuxpool1-34450317-0, with the page's addresses and networks, and its Pod, pod01; Services on
# 10.96.0.0/28 and 2001:db8:fd00::/112, and 192.0.2.10 and 2603:1030:805::5 as the first external addresses.
. "$(dirname "$0")/lib.sh"

# Validate node addressing.
page 'kubectl get nodes k8s-linuxpool1-34450317-0 -o go-template --template='\''{{range .spec.podCIDRs}}{{printf "%s\n" .}}{{end}}'\' <<'PAGE'
10.244.1.0/24
2001:db8::/64
PAGE
page 'kubectl get nodes k8s-linuxpool1-34450317-0 -o go-template --template='\''{{range .status.addresses}}{{printf "%s: %s\n" .type .address}}{{end}}'\' <<'PAGE'
Hostname: k8s-linuxpool1-34450317-0
InternalIP: 10.0.0.5
InternalIP: 2001:db8:10::5
PAGE

# Validate Pod addressing.
page 'kubectl get pods pod01 -o go-template --template='\''{{range .status.podIPs}}{{printf "%s\n" .ip}}{{end}}'\' <<'PAGE'
10.244.1.4
2001:db8::4
PAGE
# Not on the page; as it was recorded, but that what runs in a Pod is the engine's affair.
page 'kubectl get pods -o wide | grep -e NAME -e pod01 | sed "s/ [0-9]*s / AGE /"' <<'PAGE'
NAME  READY  STATUS  RESTARTS  AGE  IP  NODE  NOMINATED NODE  READINESS GATES
pod01  0/0  Running  0  AGE  10.244.1.4  k8s-linuxpool1-34450317-0  <none>  <none>
PAGE

# Validate Services. How they are created the page leaves to the reader; its manifests have all the same name.
manifest() {
    cat >"$work/manifest"
}

manifest <<'MANIFEST'
apiVersion: v1
kind: Service
metadata:
  name: my-service
  labels:
    app.kubernetes.io/name: MyApp
spec:
  selector:
    app.kubernetes.io/name: MyApp
  ports:
    - protocol: TCP
      port: 80
MANIFEST
page 'kubectl apply -f - <"$work/manifest"' <<'PAGE'
service/my-service created
PAGE
page 'kubectl get svc my-service -o yaml' <<'PAGE'
apiVersion: v1
kind: Service
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"v1","kind":"Service","metadata":{"annotations":{},"labels":{"app.kubernetes.io/name":"MyApp"},"name":"my-service","namespace":"default"},"spec":{"ports":[{"port":80,"protocol":"TCP"}],"selector":{"app.kubernetes.io/name":"MyApp"}}}
  creationTimestamp: TIME
  labels:
    app.kubernetes.io/name: MyApp
  name: my-service
  namespace: default
  resourceVersion: VERSION
  uid: UID
spec:
  clusterIP: IPV4
  clusterIPs:
  - IPV4
  internalTrafficPolicy: Cluster
  ipFamilies:
  - IPv4
  ipFamilyPolicy: SingleStack
  ports:
  - port: 80
    protocol: TCP
    targetPort: 80
  selector:
    app.kubernetes.io/name: MyApp
  sessionAffinity: None
  type: ClusterIP
status:
  loadBalancer: {}
PAGE
page 'kubectl delete svc my-service' <<'PAGE'
service "my-service" deleted
PAGE

manifest <<'MANIFEST'
apiVersion: v1
kind: Service
metadata:
  name: my-service
  labels:
    app.kubernetes.io/name: MyApp
spec:
  ipFamilies:
  - IPv6
  selector:
    app.kubernetes.io/name: MyApp
  ports:
    - protocol: TCP
      port: 80
MANIFEST
page 'kubectl apply -f - <"$work/manifest"' <<'PAGE'
service/my-service created
PAGE
page 'kubectl get svc my-service -o yaml' <<'PAGE'
apiVersion: v1
kind: Service
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"v1","kind":"Service","metadata":{"annotations":{},"labels":{"app.kubernetes.io/name":"MyApp"},"name":"my-service","namespace":"default"},"spec":{"ipFamilies":["IPv6"],"ports":[{"port":80,"protocol":"TCP"}],"selector":{"app.kubernetes.io/name":"MyApp"}}}
  creationTimestamp: TIME
  labels:
    app.kubernetes.io/name: MyApp
  name: my-service
  namespace: default
  resourceVersion: VERSION
  uid: UID
spec:
  clusterIP: IPV6
  clusterIPs:
  - IPV6
  internalTrafficPolicy: Cluster
  ipFamilies:
  - IPv6
  ipFamilyPolicy: SingleStack
  ports:
  - port: 80
    protocol: TCP
    targetPort: 80
  selector:
    app.kubernetes.io/name: MyApp
  sessionAffinity: None
  type: ClusterIP
status:
  loadBalancer: {}
PAGE
page 'kubectl delete svc my-service' <<'PAGE'
service "my-service" deleted
PAGE

manifest <<'MANIFEST'
apiVersion: v1
kind: Service
metadata:
  name: my-service
  labels:
    app.kubernetes.io/name: MyApp
spec:
  ipFamilyPolicy: PreferDualStack
  selector:
    app.kubernetes.io/name: MyApp
  ports:
    - protocol: TCP
      port: 80
MANIFEST
page 'kubectl apply -f - <"$work/manifest"' <<'PAGE'
service/my-service created
PAGE
page 'kubectl get svc -l app.kubernetes.io/name=MyApp' <<'PAGE'
NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE
my-service  ClusterIP  IPV4  <none>  80/TCP AGE
PAGE
page 'kubectl describe svc -l app.kubernetes.io/name=MyApp' <<'PAGE'
Name:  my-service
Namespace:  default
Labels:  app.kubernetes.io/name=MyApp
Annotations:  <none>
Selector:  app.kubernetes.io/name=MyApp
Type:  ClusterIP
IP Family Policy:  PreferDualStack
IP Families:  IPv4,IPv6
IP:  IPV4
IPs:  IPV4,IPV6
Port:  <unset>  80/TCP
TargetPort:  80/TCP
Endpoints:  <none>
Session Affinity:  None
Events:  <none>
PAGE
page 'kubectl delete svc my-service' <<'PAGE'
service "my-service" deleted
PAGE

# Create a dual-stack load balanced Service. The page's provider gives addresses of one family only.
manifest <<'MANIFEST'
apiVersion: v1
kind: Service
metadata:
  name: my-service
  labels:
    app.kubernetes.io/name: MyApp
spec:
  ipFamilyPolicy: PreferDualStack
  ipFamilies:
  - IPv6
  type: LoadBalancer
  selector:
    app.kubernetes.io/name: MyApp
  ports:
    - protocol: TCP
      port: 80
MANIFEST
page 'kubectl apply -f - <"$work/manifest"' <<'PAGE'
service/my-service created
PAGE
page 'kubectl get svc -l app.kubernetes.io/name=MyApp' <<'PAGE'
NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE
my-service  LoadBalancer  IPV6  192.0.2.10,2603:1030:805::5  80:NODEPORT/TCP AGE
PAGE
# Not on the page; as it was recorded.
page 'kubectl describe svc -l app.kubernetes.io/name=MyApp' <<'PAGE'
Name:  my-service
Namespace:  default
Labels:  app.kubernetes.io/name=MyApp
Annotations:  <none>
Selector:  app.kubernetes.io/name=MyApp
Type:  LoadBalancer
IP Family Policy:  PreferDualStack
IP Families:  IPv6,IPv4
IP:  IPV6
IPs:  IPV6,IPV4
LoadBalancer Ingress:  2603:1030:805::5, 192.0.2.10
Port:  <unset>  80/TCP
TargetPort:  80/TCP
NodePort:  <unset>  NODEPORT/TCP
Endpoints:  <none>
Session Affinity:  None
External Traffic Policy:  Cluster
Events:  <none>
PAGE
page 'kubectl delete svc my-service' <<'PAGE'
service "my-service" deleted
PAGE
