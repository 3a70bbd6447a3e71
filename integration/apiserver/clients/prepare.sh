#!/bin/sh
# Puts the clients of the API server's tests into DIR: Python's, kube-rs' and JavaScript's, with everything that they
# depend on, in the versions of the lock files here. What is there in these versions stays. Where a registry cannot be
# reached, DIR/NAME/missing says why, and the test says what it skips.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
log=$dir/log
cargo=${CARGO:-cargo}

# Calls `install_NAME` in DIR/NAME, unless what it made of these files is there. An answer other than what the lock file
# says is a failure: only a registry that does not answer is a reason to skip a test.
prepare() {
    name=$1
    shift
    sum=$(cat "$@" | sha256sum)
    if [ "$(cat "$dir/$name/complete" 2>/dev/null)" = "$sum" ]; then return; fi
    echo "fetching the $name client into $dir"
    rm -rf "${dir:?}/$name"
    mkdir -p "$dir/$name"
    if (cd "$dir/$name" && "install_$name" >"$log" 2>&1); then
        echo "$sum" >"$dir/$name/complete"
    else
        tail -n 5 "$log"
        if grep -q 'DO NOT MATCH THE HASHES\|EINTEGRITY\|npm ci. can only install' "$log"; then exit 1; fi
        reason >"$dir/$name/missing"
    fi
}

# What the log says of the network, or its last line.
reason() {
    { grep -i -m 1 'connection broken\|could not resolve\|EAI_AGAIN\|ECONNREFUSED\|ETIMEDOUT' "$log" ||
        tail -n 1 "$log"; } | cut -c 1-300
}

install_python() {
    python3 -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check --timeout 20 --retries 1 \
        --only-binary :all: --require-hashes -r "$here/python/requirements.txt"
}

# Its node is one of the packages: Debian's is older than the client wants.
install_node() {
    cp "$here/node/package.json" "$here/node/package-lock.json" .
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1 --fetch-timeout=20000
    node_modules/.bin/node --version
}

# cargo knows itself what it has. --offline first, so that no registry is asked where nothing is missing.
prepare_rust() {
    mkdir -p "$dir/rust"
    rm -f "$dir/rust/missing"
    export CARGO_TARGET_DIR="$dir/rust" CARGO_NET_RETRY=1
    set -- --quiet --locked --manifest-path "$here/rust/Cargo.toml"
    if ! $cargo fetch --offline "$@" >/dev/null 2>&1 && ! $cargo fetch "$@" >"$log" 2>&1; then
        tail -n 5 "$log"
        if grep -q 'lock file\|checksum' "$log"; then exit 1; fi
        reason >"$dir/rust/missing"
        return
    fi
    $cargo build --offline "$@"
}

prepare python "$here/python/requirements.txt"
prepare node "$here/node/package.json" "$here/node/package-lock.json"
prepare_rust
