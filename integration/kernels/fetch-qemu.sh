#!/bin/sh
# fetch-qemu.sh DIR: puts trixie's qemu, with all that it is linked with, into DIR/qemu; DIR/qemu/run starts it on any
# machine. Debian 12's own, 7.2, runs kernels from 7.x on into a panic where it emulates the processor. What is there already
# stays.
set -eu
qemu=$1/qemu
if [ -x "$qemu/run" ]; then exit 0; fi
. "$(dirname "$0")/apt.sh"
echo "fetching qemu from trixie"
private_apt "$1/apt/trixie" trixie
rm -rf "$qemu" && mkdir -p "$qemu"
apt-get install -qq -y --download-only --no-install-recommends qemu-system-x86 >/dev/null
for file in "$1"/apt/trixie/archives/*.deb; do dpkg -x "$file" "$qemu"; done
rm -f "$1"/apt/trixie/archives/*.deb
cat >"$qemu/run.new" <<END
#!/bin/sh
cd "\$(dirname "\$0")/usr" && exec lib64/ld-linux-x86-64.so.2 --library-path lib/x86_64-linux-gnu bin/qemu-system-x86_64 \\
    -L share/qemu -L share/seabios "\$@"
END
chmod +x "$qemu/run.new" && mv "$qemu/run.new" "$qemu/run"
