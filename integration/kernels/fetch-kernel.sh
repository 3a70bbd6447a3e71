#!/bin/sh
# fetch-kernel.sh DIR NAME SUITE PATTERN: puts the newest of Debian's kernels for the cloud that matches PATTERN into
# DIR/NAME: `release`, `vmlinuz`, `initramfs` with what finds the disks, and `modules.img`, a file system with its modules.
# What is there already stays.
set -eu
dir=$1/$2 suite=$3 pattern=$4
if [ -e "$dir/release" ]; then exit 0; fi
rm -rf "$dir" && mkdir -p "$dir"
. "$(dirname "$0")/apt.sh"
. "$(dirname "$0")/image.sh"
private_apt "$1/apt/$suite" "$suite"
# Newer releases have the parts of a kernel in packages of their own, and of some the archive has lost a part.
for image in $(apt-cache pkgnames | grep -xE "linux-image-$pattern-cloud-amd64" | sort -rV); do
    release=${image#linux-image-}
    packages=$(apt-cache depends "$image" | sed -nE "s/^ *Depends: <?(linux-(base|binary|modules)-[0-9][^>]*)>?$/\1/p")
    # shellcheck disable=SC2086 # a word for each package
    if apt-get download -qq --print-uris $image $packages >/dev/null 2>&1; then break; fi
    release=""
done
if [ -z "${release:-}" ]; then
    echo "cannot fetch a kernel: $suite has no linux-image-$pattern-cloud-amd64 that is complete" >&2
    exit 1
fi
echo "fetching $image from $suite"
# shellcheck disable=SC2086 # a word for each package
(cd "$dir" && apt-get download -qq $image $packages && for file in ./*.deb; do dpkg -x "$file" files; done && rm ./*.deb)
mkdir -p "$dir/depmod/lib/modules" "$dir/modules"
mv "$(find "$dir/files" -type d -path "*/modules/$release")" "$dir/depmod/lib/modules/"
depmod -b "$dir/depmod" "$release"
mv "$(find "$dir/files" "$dir/depmod" -type f -name "vmlinuz*")" "$dir/vmlinuz"
cp -a "$dir/depmod/lib/modules/$release" "$dir/modules/"
image "$dir/modules.img" 400m "$dir/modules"
# What finds the disks.
mkdir -p "$dir/initramfs/bin" "$dir/initramfs/modules"
number=10
modprobe -d "$dir/depmod" -S "$release" --show-depends virtio_pci >"$dir/needed"
modprobe -d "$dir/depmod" -S "$release" --show-depends virtio_blk >>"$dir/needed"
modprobe -d "$dir/depmod" -S "$release" --show-depends ext4 >>"$dir/needed"
while read -r what file rest; do
    if [ "$what" != insmod ]; then continue; fi
    name=$(basename "$file")
    case $file in
    *.xz) xz -dc "$file" >"$dir/initramfs/modules/$number-${name%.xz}" ;;
    *.zst) zstd -qdc "$file" >"$dir/initramfs/modules/$number-${name%.zst}" ;;
    *) cp "$file" "$dir/initramfs/modules/$number-$name" ;;
    esac
    number=$((number + 1))
done <"$dir/needed"
rm -rf "$dir/files" "$dir/modules" "$dir/depmod" "$dir/needed"
echo "$release" >"$dir/release"
