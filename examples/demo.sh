#!/bin/sh
# The pod of hostaliases-pod.yaml as a real runc container, started through podhosts-runtime. Called by `make demo`.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
bin=${PODHOSTS_BIN_DIR:?set it to where the programs are}
pod_ip=10.200.0.5

if [ "$(id -u)" != 0 ]; then
    cat <<EOF
The demo needs root, to start a container with runc; nothing was done. As root it would
  1. install runc and busybox-static from Debian, where they are missing,
  2. start the pod of examples/hostaliases-pod.yaml as a runc container through podhosts-runtime,
  3. show its /etc/hosts and what comes of writing, remounting and unmounting it.
This is the file it would get:

EOF
    exec "$bin/podhosts" render -f "$here/hostaliases-pod.yaml" --pod-ip "$pod_ip"
fi

# In a mount namespace of its own: the hook's log, too, is gone when the demo is over.
if [ "${1:-}" != inside ]; then
    exec unshare -m --propagation private sh "$0" inside
fi
mount -t tmpfs tmpfs /var/log
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

mkdir -p "$dir/rootfs/bin" "$dir/rootfs/etc" "$dir/rootfs/proc" "$dir/rootfs/dev"
cp "$(command -v busybox)" "$dir/rootfs/bin/busybox"
for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$dir/rootfs/bin/$applet"
done

cat > "$dir/rootfs/try" <<'EOF'
try() { printf '  # %s\n    ' "$1"; sh -c "$1" 2>&1 || true; }
echo "--- /etc/hosts in the container:"
cat /etc/hosts
echo "--- and what comes of changing it:"
try 'echo "6.6.6.6 bank.example" >> /etc/hosts'
try 'chmod 666 /etc/hosts'
try 'rm /etc/hosts'
try 'mv /etc/hosts /etc/hosts.old'
try 'mount -o remount,rw /etc/hosts'
try 'mount --bind /try /etc/hosts'
try 'umount /etc/hosts'
EOF

cat > "$dir/config.json" <<'EOF'
{
  "ociVersion": "1.0.2",
  "hostname": "hostaliases-pod",
  "root": { "path": "rootfs" },
  "process": {
    "cwd": "/", "args": ["sh", "/try"], "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 },
    "capabilities": {
      "bounding":  ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID"],
      "effective": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID"],
      "permitted": ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID"]
    }
  },
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] }
  ],
  "annotations": {
    "podhosts.io/host-aliases": "[{\"ip\":\"127.0.0.1\",\"hostnames\":[\"foo.local\",\"bar.local\"]},{\"ip\":\"10.1.2.3\",\"hostnames\":[\"foo.remote\",\"bar.remote\"]}]",
    "podhosts.io/pod-ips": "10.200.0.5"
  },
  "linux": {
    "namespaces": [
      { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }
    ]
  }
}
EOF

echo '$ podhosts-runtime run --bundle <the bundle> hostaliases-pod'
"$bin/podhosts-runtime" --root "$dir/state" run --bundle "$dir" hostaliases-pod | tee "$dir/output"

echo "--- the same as the kubelet's file for examples/hostaliases-pod.yaml?"
"$bin/podhosts" render -f "$here/hostaliases-pod.yaml" --pod-ip "$pod_ip" > "$dir/rendered"
sed '1d; /^--- and what/,$d' "$dir/output" | cmp - "$dir/rendered" || exit 1
echo "yes, byte for byte"
echo "--- how long the hook took:"
sed 's/.*"duration_us":\([0-9]*\).*/\1 microseconds/' /var/log/podhosts/hook.log
