#!/bin/sh
# Fuzzes every target, or those that are named, for FUZZ_SECONDS each. What makes one fail is kept as a file.
set -eu
cd "$(dirname "$0")"
seconds=${FUZZ_SECONDS:-10}
seed=${FUZZ_SEED:-$(date +%s)}
target=$(rustc -vV | sed -n 's/^host: //p')
out=${FUZZ_DIR:-$PWD/../target/fuzz}
mkdir -p "$out/failures"

# The compiler's own coverage pass, which stable has, too; for the programs and not for build scripts, as a target is named.
pass=-Cllvm-args=-sanitizer-coverage
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module $pass-level=4 $pass-inline-8bit-counters $pass-pc-table $pass-trace-compares" \
  CARGO_TARGET_DIR=$out/build cargo build --quiet --locked --release --target "$target"
program=$out/build/$target/release/podhosts-fuzz

for name in ${*:-$(ls seeds)}; do
  mkdir -p "$out/corpus/$name"
  if ! FUZZ_TARGET=$name "$program" -max_total_time="$seconds" -seed="$seed" -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
    -artifact_prefix="$out/failures/$name-" "$out/corpus/$name" "seeds/$name" >"$out/$name.log" 2>&1; then
    tail -n 40 "$out/$name.log"
    echo "FAILED $name, seed $seed: see $out/$name.log; again with FUZZ_TARGET=$name $program <the file named above>"
    exit 1
  fi
  echo "ok $name: $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$out/$name.log"), seed $seed"
done
