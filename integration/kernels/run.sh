#!/bin/sh
# run.sh DIR PROGRAMS ENGINES KERNEL TEST...: boots DIR/KERNEL in qemu, and runs the tests there, with the podhosts programs
# in PROGRAMS and the newer engines in ENGINES. What the console shows goes to DIR/KERNEL.log and, but for the kernel's own
# messages, to the output. Everything that is written in there is thrown away.
set -eu
dir=$1 programs=$2 engines=$3 kernel=$4
shift 4
here=$(cd "$(dirname "$0")/../.." && pwd)

# image FILE SIZE FOLDER: a file system with a folder's content.
image() {
    rm -f "$1"
    mke2fs -q -t ext4 -O ^has_journal -d "$3" "$1.new" "$2" >/dev/null && mv "$1.new" "$1"
}

packages=runc,crun,busybox-static,strace,iproute2,nftables,containernetworking-plugins,kmod,python3-minimal,procps
if [ "$(cat "$dir/root.complete" 2>/dev/null)" != "$packages" ]; then
    echo "making a root folder for kernels under test"
    rm -rf "$dir/root" "$dir/root.complete"
    debootstrap --variant=minbase --include=$packages bookworm "$dir/root" http://deb.debian.org/debian >"$dir/root.log" 2>&1 ||
        { tail -n 5 "$dir/root.log"; exit 1; }
    rm -rf "$dir/root/var/cache/apt/archives" "$dir/root/var/lib/apt/lists"
    image "$dir/root.img" 1g "$dir/root"
    echo "$packages" >"$dir/root.complete"
fi
if [ ! "$dir/engines.img" -nt "$engines/sid/complete" ]; then
    mkdir -p "$dir/engines" && rm -f "$dir/engines/sid" && cp -a "$engines/sid" "$dir/engines/sid"
    image "$dir/engines.img" 2g "$dir/engines"
    rm -rf "$dir/engines"
fi

# Only what the tests read: the folder itself may be as large as it likes.
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir -p "$new/tree" "$new/bin"
cp -a "$here/integration" "$here/docs" "$here/hooks" "$here/vendor-configs" "$here/examples" "$here"/*.md "$new/tree/"
for program in podhosts podhosts-hook podhosts-runtime podhosts-cni podhosts-apiserver; do cp "$programs/$program" "$new/bin/"; done
cp "$dir/integration" "$new/integration"
cp "$(dirname "$0")/guest-init" "$new/init"
echo "$here" >"$new/manifest-dir"
echo "$*" >"$new/tests"
echo "export PODHOSTS_TEST_ALL=1 PODHOSTS_BIN_DIR=/programs/bin PODHOSTS_ENGINES_DIR=/engines" >"$new/environment"
image "$dir/programs.img" 1g "$new"

initramfs=$dir/$kernel/initramfs
cp /bin/busybox "$initramfs/bin/busybox"
cp "$(dirname "$0")/initramfs-init" "$initramfs/init"
(cd "$initramfs" && find . | busybox cpio -o -H newc 2>/dev/null) >"$new/initramfs.img"

# A /dev/kvm without the processor's own virtualization (such as pvm's) does not boot these kernels.
if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
    accelerated="-accel kvm -cpu host"
else
    echo "no /dev/kvm that boots any kernel: this one runs emulated, which is slow"
    accelerated="-accel tcg -cpu max"
fi
disk() { echo "-drive file=$1,if=virtio,format=raw,snapshot=on"; }
# shellcheck disable=SC2046,SC2086 # a word for each option
timeout 10800 qemu-system-x86_64 $accelerated -smp 2 -m 4G -nodefaults -display none -serial stdio -no-reboot \
    -kernel "$dir/$kernel/vmlinuz" -initrd "$new/initramfs.img" -append "console=ttyS0 panic=-1 quiet loglevel=3" \
    $(disk "$dir/root.img") $(disk "$dir/$kernel/modules.img") $(disk "$dir/programs.img") $(disk "$dir/engines.img") \
    </dev/null | sed -u 's|\r||g' | tee "$dir/$kernel.log"
grep -q '^ended: 0$' "$dir/$kernel.log"
