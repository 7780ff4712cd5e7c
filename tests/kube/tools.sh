#!/bin/sh
# tools.sh [--missing] : the programs of a Kubernetes, at the versions that go.mod, etcd/go.mod and kwok/go.mod pin, as build/tools/NAME.
# They are built once for a machine and kept in a cache, so that other checkouts and 'make clean' do not cost ten minutes.
# --missing only names those that would have to be built.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../../build/tools
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
[ -n "$cache" ] && mkdir -p "$cache" 2> /dev/null && [ -w "$cache" ] || cache=$here/../../build
cache=$cache/mesh-tools
mkdir -p "$cache" "$tools"
cache=$(cd "$cache" && pwd)

# NAME MODULE-FOLDER PACKAGE
list='kube-apiserver . k8s.io/kubernetes/cmd/kube-apiserver
kube-controller-manager . k8s.io/kubernetes/cmd/kube-controller-manager
kube-scheduler . k8s.io/kubernetes/cmd/kube-scheduler
kubectl . k8s.io/kubernetes/cmd/kubectl
etcd etcd go.etcd.io/etcd/server/v3
kwok kwok sigs.k8s.io/kwok/cmd/kwok'
count=$(echo "$list" | wc -l)

# Clients refuse a server without a version, so it is given as their own build gives it.
version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 } $1 == "k8s.io/kubernetes" { print $2 }' "$here/go.mod")
flags="-s -w -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/client-go/pkg/version.gitVersion=$version"

built() { # built NAME FOLDER : where it is in the cache
    echo "$cache/$1-$({ cat "$here/$2/go.mod" "$here/$2/go.sum"; echo "$flags"; } | sha256sum | cut -c1-16)"
}
if [ "${1:-}" = --missing ]; then
    echo "$list" | while read -r name folder _; do
        [ -x "$(built "$name" "$folder")" ] || echo "$name"
    done
    exit 0
fi

exec 9> "$cache/lock"
flock 9
number=0
echo "$list" | while read -r name folder package; do
    number=$((number + 1))
    result=$(built "$name" "$folder")
    if [ ! -x "$result" ]; then
        if ! command -v go > /dev/null 2>&1; then
            echo "kube-tools: $name has to be built, and there is no Go: install Go 1.26 or later (https://go.dev/dl)" >&2
            exit 1
        fi
        started=$(date +%s)
        printf '%s %s of %s ...' "$name" "$number" "$count"
        (
            cd "$here/$folder"
            unset GOFLAGS
            CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off go build -mod=readonly -p "$(nproc)" -trimpath -ldflags "$flags" \
                -o "$result.new" "$package" > "$cache/$name.log" 2>&1 < /dev/null 9>&-
        ) || {
            echo " failed"
            tail -n 20 "$cache/$name.log" >&2
            exit 1
        }
        mv "$result.new" "$result"
        echo " $(($(date +%s) - started)) s"
    fi
    ln -sfn "$result" "$tools/$name"
done
