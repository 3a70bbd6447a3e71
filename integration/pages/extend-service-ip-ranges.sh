#!/bin/sh
# The commands of Kubernetes' page "Extend Service IP Ranges".
# Usage: extend-service-ip-ranges.sh [CIDRS], CIDRS being what the server's Services get their addresses from; its first
# network has to be 10.96.0.0/28.
. "$(dirname "$0")/lib.sh"
cidrs=${1:-10.96.0.0/28}

# The page's cluster has its DNS, at the address that kubeadm gives it.
kubectl create namespace kube-system >/dev/null 2>&1 || true
kubectl apply -f - >/dev/null <<'MANIFEST'
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}]}
MANIFEST

page 'kubectl get servicecidr' <<PAGE
NAME  CIDRS  AGE
kubernetes  $cidrs AGE
PAGE

page 'kubectl get service kubernetes' <<'PAGE'
NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE
kubernetes  ClusterIP  10.96.0.1  <none>  443/TCP AGE
PAGE

page 'kubectl get ipaddress 10.96.0.1' <<'PAGE'
NAME  PARENTREF
10.96.0.1  services/default/kubernetes
PAGE

# Adding a new ServiceCIDR. The page's API server is older than the words "for Service".
page 'for i in $(seq 1 13); do kubectl create service clusterip "test-$i" --tcp 80 -o json | jq -r .spec.clusterIP; done' <<'PAGE'
IPV4
IPV4
IPV4
IPV4
IPV4
IPV4
IPV4
IPV4
IPV4
IPV4
IPV4
IPV4
error: failed to create ClusterIP service: Internal error occurred: failed to allocate a serviceIP for Service "test-13": range is full
PAGE
head -n 12 "$work/out" | sort -V >"$work/given"
for last in 2 3 4 5 6 7 8 9 11 12 13 14; do echo "10.96.0.$last"; done | diff - "$work/given"

page 'cat <<EOF | kubectl apply -f -
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata:
  name: newcidr1
spec:
  cidrs:
  - 10.96.0.0/24
EOF' <<'PAGE'
servicecidr.networking.k8s.io/newcidr1 created
PAGE
ended 0

# Not on the page; as it was recorded.
page 'kubectl get servicecidr' <<PAGE
NAME  CIDRS  AGE
kubernetes  $cidrs AGE
newcidr1  10.96.0.0/24 AGE
PAGE
page 'kubectl get servicecidr newcidr1 -o yaml' <<'PAGE'
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"annotations":{},"name":"newcidr1"},"spec":{"cidrs":["10.96.0.0/24"]}}
  creationTimestamp: TIME
  finalizers:
  - networking.k8s.io/service-cidr-finalizer
  name: newcidr1
  resourceVersion: VERSION
  uid: UID
spec:
  cidrs:
  - 10.96.0.0/24
status:
  conditions:
  - lastTransitionTime: TIME
    message: Kubernetes Service CIDR is ready
    reason: ""
    status: "True"
    type: Ready
PAGE

page 'for i in $(seq 13 16); do kubectl create service clusterip "test-$i" --tcp 80 -o json | jq -r .spec.clusterIP; done' <<'PAGE'
IPV4
IPV4
IPV4
IPV4
PAGE
if [ "$(sort -u "$work/out" | grep -cE '^10\.96\.0\.(1[5-9]|[2-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-4])$')" != 4 ]; then
    echo "$0: not four addresses of the new network: $(cat "$work/out")" >&2
    exit 1
fi

# Deleting a ServiceCIDR. The command waits until it is gone; meanwhile the page goes on.
kubectl delete servicecidr newcidr1 >"$work/deletion" 2>&1 &
waiting=$!
for _ in $(seq 200); do
    if [ -s "$work/deletion" ]; then break; fi
    sleep 0.05
done
# Not on the page; as it was recorded: somebody who does not wait for ever.
page 'kubectl delete servicecidr newcidr1 --timeout=1s' <<'PAGE'
servicecidr.networking.k8s.io "newcidr1" deleted
error: timed out waiting for the condition on servicecidrs/newcidr1
PAGE
ended 1

# The page's API server is older than the reason Terminating.
page 'kubectl get servicecidr newcidr1 -o yaml' <<'PAGE'
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"annotations":{},"name":"newcidr1"},"spec":{"cidrs":["10.96.0.0/24"]}}
  creationTimestamp: TIME
  deletionGracePeriodSeconds: 0
  deletionTimestamp: TIME
  finalizers:
  - networking.k8s.io/service-cidr-finalizer
  name: newcidr1
  resourceVersion: VERSION
  uid: UID
spec:
  cidrs:
  - 10.96.0.0/24
status:
  conditions:
  - lastTransitionTime: TIME
    message: There are still IPAddresses referencing the ServiceCIDR, please remove
      them or create a new ServiceCIDR
    reason: Terminating
    status: "False"
    type: Ready
PAGE
kill -0 "$waiting"

page 'for i in $(seq 13 16); do kubectl delete service "test-$i" ; done' <<'PAGE'
service "test-13" deleted
service "test-14" deleted
service "test-15" deleted
service "test-16" deleted
PAGE
ended 0

# What waited ends when it is gone. The page shows the one line.
status=0
wait "$waiting" || status=$?
waiting=
cp "$work/deletion" "$work/out"
same 'kubectl delete servicecidr newcidr1' <<'PAGE'
servicecidr.networking.k8s.io "newcidr1" deleted
PAGE
ended 0

page 'kubectl get servicecidr newcidr1' <<'PAGE'
Error from server (NotFound): servicecidrs.networking.k8s.io "newcidr1" not found
PAGE
ended 1
