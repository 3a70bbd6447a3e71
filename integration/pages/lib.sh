# What the scripts of Kubernetes' pages share. They are run with KUBECTL, the kubectl to use, and KUBECONFIG. A page's
# commands stand in them word for word; what is printed is compared with what the page, or a 1.36 API server, shows.
set -eu
: "${KUBECTL:?is the kubectl to use}" "${KUBECONFIG:?is the file that tells where the server is}"
work=$(mktemp -d)
waiting=
trap 'rm -rf "$work"; if [ -n "$waiting" ]; then kill "$waiting" 2>/dev/null || true; fi' EXIT

kubectl() {
    "$KUBECTL" "$@"
}

# Replaces what is another each time: addresses of Services, node ports, ages, uids, times. Columns of tables are as wide
# as their longest text. Later kubectls than the page's tell from which namespace they delete, describe more, and leave the
# endpoints blank where a Service has a slice without any. Earlier ones ask for v1 Endpoints, of which a server of today warns.
normal() {
    sed -E \
        -e 's/10\.96\.0\.([2-9]|[1-9][0-9]+)/IPV4/g' \
        -e 's/2001:db8:fd00::[0-9a-f]+/IPV6/g' \
        -e 's/(:|nodePort: |> +)3[0-9]{4}\b/\1NODEPORT/' \
        -e 's/"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z"/TIME/' \
        -e 's/^( *uid:) [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/\1 UID/' \
        -e 's/^( *resourceVersion:) "[0-9]+"$/\1 VERSION/' \
        -e 's/ +([0-9]+[dhms])+$/ AGE/' \
        -e 's/ deleted from default namespace$/ deleted/' \
        -e '/^Internal Traffic Policy: +Cluster$/d' \
        -e '/^Warning: v1 Endpoints is deprecated /d' \
        -e 's/^Endpoints: +$/Endpoints:  <none>/' \
        -e '/^LoadBalancer Ingress:/s/ \(VIP\)//g' \
        -e 's/([^ ])  +/\1  /g'
}

# Ends the script unless the output in $work/out is what is expected on stdin.
same() {
    cat >"$work/expected"
    normal <"$work/out" >"$work/seen"
    if ! diff -u --label expected --label printed "$work/expected" "$work/seen"; then
        echo "$0: $("$KUBECTL" version --client 2>/dev/null | head -n 1): another output of: $1" >&2
        exit 1
    fi
}

# Runs a command of the page's, given as it stands there, and compares what it prints with stdin.
page() {
    status=0
    eval "$1" >"$work/out" 2>&1 || status=$?
    same "$1"
}

# Ends the script unless the last command of the page's ended so.
ended() {
    if [ "$status" != "$1" ]; then
        echo "$0: the last command ended with $status, expected $1" >&2
        exit 1
    fi
}
