#!/bin/sh
# kernels.sh DIR PROGRAMS ENGINES: runs what depends on the kernel on Debian's kernels, each in qemu, with the podhosts
# programs in PROGRAMS and the newer engines in ENGINES. KERNELS="6.1 7.x" runs some of them, KERNEL_TESTS="seal::" some
# of the tests. The table in docs/kernels.md is DIR/table.
set -eu
dir=$1 programs=$2 engines=$3
scripts=$(dirname "$0")
debian=http://deb.debian.org/debian
seal="kernels:: hook::seal:: hook::hostile_rootfs:: hook::user_namespace:: hook::kernel::"
network="cni::nftables:: cni::nftables_traffic:: cni::roles:: cni::conformance --skip attacks::"
all="5.10 bullseye 5\\.10\\.0-[0-9]+
6.1 bookworm 6\\.1\\.0-[0-9]+
6.12 trixie 6\\.12\\.[0-9]+\\+deb13
6.x trixie-backports 6\\.[0-9.]+\\+deb13
7.x trixie-backports 7\\.[0-9.]+\\+deb13"
mkdir -p "$dir"
: >"$dir/table"
: >"$dir/failed"
echo "$all" | while read -r name suite pattern; do
    case " ${KERNELS:-$name} " in *" $name "*) ;; *) continue ;; esac
    # Below Linux 5.12 what is tested is the refusal.
    tests=kernels::
    if [ "$name" != 5.10 ]; then tests=${KERNEL_TESTS:-$seal $network}; fi
    sh "$scripts/fetch.sh" "$dir" "$name" "$suite" "$debian" "$pattern"
    # shellcheck disable=SC2086 # a word for each test
    sh "$scripts/run.sh" "$dir" "$programs" "$engines" "$name" $tests || echo "$name" >>"$dir/failed"
    counts=$(sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed.*/\1 | \2/p' "$dir/$name.log")
    echo "| $(cat "$dir/$name/release") | $suite | ${counts:-none | all} |" >>"$dir/table"
done
cat "$dir/table"
if [ -s "$dir/failed" ]; then
    echo "failed on $(tr '\n' ' ' <"$dir/failed")"
    exit 1
fi
