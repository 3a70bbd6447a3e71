#!/bin/sh
# roots.sh DIR ENGINES: makes the disks that kernels under test share: DIR/root.img with a root folder of this machine's
# Debian, so that the test program finds its libc there, and DIR/engines.img with the newest runc and crun out of
# ENGINES. What is there already stays.
set -eu
dir=$1 engines=$2
. "$(dirname "$0")/image.sh"

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
packages=runc,crun,busybox-static,strace,iproute2,nftables,containernetworking-plugins,kmod,python3-minimal,procps
made="$suite $packages"
if [ ! -e "$dir/root.img" ] || [ "$(cat "$dir/root.complete" 2>/dev/null)" != "$made" ]; then
    echo "making a root folder for kernels under test"
    rm -rf "$dir/root" "$dir/root.complete"
    debootstrap --variant=minbase --include=$packages "$suite" "$dir/root" http://deb.debian.org/debian >"$dir/root.log" 2>&1 ||
        { tail -n 5 "$dir/root.log"; exit 1; }
    rm -rf "$dir/root/var/cache/apt/archives" "$dir/root/var/lib/apt/lists"
    image "$dir/root.img" 1g "$dir/root"
    rm -rf "$dir/root"
    echo "$made" >"$dir/root.complete"
fi
if [ ! "$dir/engines.img" -nt "$engines/sid/complete" ]; then
    rm -rf "$dir/engines" && mkdir -p "$dir/engines"
    # The other engines are most of it.
    tar -C "$engines" -c --exclude=sid/usr/share --exclude='sid/usr/bin/*ctl' --exclude='sid/usr/bin/containerd*' \
        --exclude='sid/usr/bin/podman*' --exclude=sid/usr/lib/podman --exclude=sid/usr/libexec/podman \
        --exclude=sid/var --exclude='sid/dev/*' --exclude='sid/proc/*' sid | tar -C "$dir/engines" -x
    image "$dir/engines.img" 1g "$dir/engines"
    rm -rf "$dir/engines"
fi
