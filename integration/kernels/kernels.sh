#!/bin/sh
# kernels.sh DIR RUNS PROGRAMS ENGINES [fetch|quick]: runs what depends on the kernel on Debian's kernels, each in qemu, with
# the podhosts programs in PROGRAMS, the newer engines in ENGINES and the test program RUNS/integration. DIR keeps what is
# fetched, RUNS what the consoles showed. KERNELS="6.1 7.x" runs some of them, KERNEL_TESTS="hook::seal::" some of the
# tests; without the latter the table in docs/kernels.md gets what was seen. With `quick` a few tests run on 6.1. `fetch`
# brings what that takes, or says in DIR/missing why it cannot be had; then `quick` is a SKIP, and a failure where nothing
# may be skipped and the machine has a /dev/kvm.
set -eu
dir=$1 runs=$2 programs=$3 engines=$4 part=${5:-}
scripts=$(dirname "$0")
document=$scripts/../../docs/kernels.md
selected=$(sed -e '/^#/d' -e 's/^quick //' "$scripts/selection")
mkdir -p "$dir" "$runs"

# fetch NAME SUITE PATTERN: brings qemu, the root folders and a kernel.
fetch() {
    sh "$scripts/fetch-qemu.sh" "$dir" && sh "$scripts/roots.sh" "$dir" "$engines" && sh "$scripts/fetch-kernel.sh" "$dir" "$@"
}
case $part in
fetch)
    KERNELS=6.1
    if [ "$(id -u)" != 0 ]; then
        echo "not root" >"$dir/missing"
        exit 0
    fi
    ;;
quick)
    KERNELS=6.1 KERNEL_TESTS=$(sed -n 's/^quick //p' "$scripts/selection")
    if [ -e "$dir/missing" ]; then
        echo "SKIP: no tests on an older kernel: $(cat "$dir/missing")"
        if [ "${PODHOSTS_TEST_ALL:-}" = 1 ] && [ -e /dev/kvm ]; then exit 1; fi
        exit 0
    fi
    ;;
esac

# of TEXT LOG: how many tests a log says were TEXT.
of() { sed -n "s/^test result: .* \([0-9]*\) $1.*/\1/p" "$2"; }

# row NAME SUITE: the table's row for a kernel, out of its log.
row() {
    log=$runs/$1.log
    lacks=$(sed -n 's/^doctor: //p' "$log" | sed -e 's/^Linux [^ ]* makes sealed files//' -e 's/^; //' -e 's/; remedy: .*//')
    how=emulated
    if grep -q "^by KVM" "$log"; then how=KVM; fi
    echo "| $1 | $(cat "$dir/$1/release") | $2 | $(of passed "$log") | $(of failed "$log") | ${lacks:-nothing} | $(date -u +%F), $how |"
}

# replace NAME ROW: puts a row into the table of the document, in the place of the kernel's old one.
replace() {
    awk -v name="$1" -v row="$2" '
        /^<!-- make kernels -->$/ { in_table = 1 }
        /^<!-- end -->$/ { if (!done) print row; in_table = 0 }
        in_table && index($0, "| " name " |") == 1 { print row; done = 1; next }
        { print }' "$document" >"$runs/document" && cat "$runs/document" >"$document"
}

failed=""
while read -r name suite pattern; do
    case $name in "#"*) continue ;; esac
    case " ${KERNELS:-$name} " in *" $name "*) ;; *) continue ;; esac
    if [ "$part" = fetch ]; then
        rm -f "$dir/missing"
        fetch "$name" "$suite" "$pattern" </dev/null || echo "what it takes cannot be fetched" >"$dir/missing"
        continue
    fi
    fetch "$name" "$suite" "$pattern" </dev/null
    # Below Linux 5.12 what is tested is the refusal.
    tests=kernels::before_linux_5_12
    if [ "$name" != 5.10 ]; then tests=${KERNEL_TESTS:-$selected}; fi
    # shellcheck disable=SC2086 # a word for each test
    sh "$scripts/run.sh" "$dir" "$runs" "$programs" "$name" $tests </dev/null || failed="$failed $name"
    row=$(row "$name" "$suite")
    echo "$row"
    if [ -z "${KERNEL_TESTS:-}" ]; then replace "$name" "$row"; fi
done <"$scripts/releases"
if [ -n "$failed" ]; then
    echo "failed on$failed: see $runs"
    exit 1
fi
