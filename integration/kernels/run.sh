#!/bin/sh
# run.sh DIR RUNS PROGRAMS KERNEL TEST...: boots DIR/KERNEL in qemu, and runs the tests there, with the podhosts programs in
# PROGRAMS and the test program RUNS/integration. What the console shows goes to RUNS/KERNEL.log and to the output.
# Everything that is written in there is thrown away.
set -eu
dir=$1 runs=$2 programs=$3 kernel=$4
shift 4
scripts=$(cd "$(dirname "$0")" && pwd)
here=$(cd "$scripts/../.." && pwd)
. "$scripts/image.sh"

# Only what the tests read: the folder itself may be as large as it likes.
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir -p "$new/tree" "$new/bin"
cp -a "$here/integration" "$here/docs" "$here/hooks" "$here/vendor-configs" "$here/examples" "$here"/*.md "$new/tree/"
for program in podhosts podhosts-hook podhosts-runtime podhosts-cni podhosts-apiserver podhosts-node; do cp "$programs/$program" "$new/bin/"; done
cp "$runs/integration" "$new/integration"
cp "$scripts/guest-init" "$new/init"
echo "$here" >"$new/manifest-dir"
echo "$*" >"$new/tests"
echo "export PODHOSTS_TEST_ALL=1 PODHOSTS_BIN_DIR=/programs/bin PODHOSTS_ENGINES_DIR=/engines" >"$new/environment"
image "$runs/programs.img" 1g "$new"
cp -a "$dir/$kernel/initramfs" "$new/initramfs"
cp /bin/busybox "$new/initramfs/bin/busybox"
cp "$scripts/initramfs-init" "$new/initramfs/init"
(cd "$new/initramfs" && find . | busybox cpio -o -H newc 2>/dev/null) >"$new/initramfs.img"

# boot SECONDS OPTIONS WORDS: starts the kernel with these words on its command line; it is ended after so many seconds.
boot() {
    # shellcheck disable=SC2086 # a word for each option
    timeout "$1" nice -n 19 "$dir/qemu/run" $2 -m 4G -nodefaults -display none -serial stdio -no-reboot \
        -kernel "$dir/$kernel/vmlinuz" -initrd "$new/initramfs.img" -append "console=ttyS0 panic=-1 quiet $3" </dev/null
}
disk() { echo "-drive file=$1,if=virtio,format=raw,snapshot=on"; }
disks="$(disk "$dir/root.img") $(disk "$dir/$kernel/modules.img") $(disk "$runs/programs.img") $(disk "$dir/engines.img")"

# There are /dev/kvm that boot none of these kernels: without the processor's own virtualization (pvm's) they refuse the
# processor, or take minutes for what others do in a second. So the kernel is tried; it says a line and ends.
accelerated="-accel kvm -cpu host -smp 2" why=""
if [ ! -w /dev/kvm ]; then
    accelerated="" why="there is no /dev/kvm"
elif ! boot 20 "$accelerated" trial 2>/dev/null | grep -q "^trial: booted"; then
    accelerated="" why="/dev/kvm does not boot this kernel"
fi
if [ -z "$accelerated" ]; then
    echo "$why: it runs emulated, which is slow"
    accelerated="-accel tcg -cpu max -smp 1"
fi
{
    if [ -z "$why" ]; then echo "by KVM"; fi
    boot 7200 "$accelerated $disks" loglevel=3 | sed -u 's|\r||g'
} | tee "$runs/$kernel.log"
grep -q '^ended: 0$' "$runs/$kernel.log"
