#!/bin/sh
# Makes DIR/sid, a root folder with the newest engines that Debian has, for tests that run them in a mount namespace of
# their own; its containerd also runs outside of it. Without root, or without debootstrap, the tests say what they skip.
set -eu
mkdir -p "$1"
# This Debian's own kubectl, an old one. Not installed, because other kubectls may have its place.
if [ ! -x "$1/kubectl/usr/bin/kubectl" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    (cd "$1" && apt-get download -qq kubernetes-client && dpkg -x kubernetes-client_*.deb kubectl && rm kubernetes-client_*.deb)
fi
# The newest Docker that Debian has, for the root folder below: it needs nothing else that is not there.
fetch_docker() {
    apt=$1/docker-apt
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/debs"
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$key] http://deb.debian.org/debian sid main" >"$apt/sources.list"
    set -- "$1" -qq -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt" -o Dir::Etc::SourceList="$apt/sources.list" \
        -o Dir::Etc::SourceParts=- -o APT::Sandbox::User=root
    docker=$1
    shift
    (cd "$apt/debs" && apt-get "$@" update && apt-get "$@" download docker.io docker-cli) || return 1
    for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$docker/docker"; done
    rm -rf "$apt"
}
if [ ! -x "$1/docker/usr/bin/docker" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    fetch_docker "$1" || echo "no Docker: it cannot be had from here"
fi
dir=$1/sid
packages=containerd,runc,crun,podman,netavark,aardvark-dns,conmon,kubectl,busybox-static,iproute2,nftables
packages=$packages,containernetworking-plugins
# One that was made with another list is made anew.
if [ "$(cat "$dir/complete" 2>/dev/null)" = "$packages" ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "no newer engines: debootstrap is missing, or this is not root"
    exit 0
fi
echo "fetching newer engines into $dir"
rm -rf "$dir"
if ! debootstrap --variant=minbase --include="$packages" sid "$dir" http://deb.debian.org/debian >"$1/log" 2>&1; then
    tail -n 5 "$1/log"
    exit 1
fi
rm -rf "$dir/var/cache/apt/archives" "$dir/var/lib/apt/lists"
echo "$packages" >"$dir/complete"
