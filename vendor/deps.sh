#!/bin/sh
# deps.sh SET... : installs the packages that the sets (build, test, bench, lint, fuzz, kube, image) need and the machine lacks.
# Asks nothing and touches nothing when all is there. As root or with sudo it runs apt-get; else it prints the command.
set -eu

have() { command -v "$1" > /dev/null 2>&1; }
missing=
need() { # need PACKAGE CHECK...
    package=$1
    shift
    "$@" > /dev/null 2>&1 || missing="$missing $package"
}
has_header() { echo "#include <$1>" | ${CC:-gcc} -E - ; }
has_sanitizer() { echo 'int main(void){return 0;}' | clang -fsanitize=fuzzer-no-link,address -x c - -o /dev/null; }
has_venv() { python3 -c 'import venv, ensurepip'; }

for set in "$@"; do
    case $set in
    build)
        need gcc have "${CC:-gcc}"
        need libc6-dev has_header stdio.h
        need linux-libc-dev has_header linux/netlink.h
        need make have make
        need binutils have ld
        need patch have patch
        need xz-utils have xz
        need bzip2 have bzip2
        need tcl have tclsh
        need debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg -o -e /usr/share/keyrings/debian-archive-keyring.pgp
        ;;
    test)
        need python3 have python3
        need python3-venv has_venv
        need ca-certificates test -d /etc/ssl/certs
        need openssl have openssl
        need curl have curl
        need protobuf-compiler have protoc
        need nginx have /usr/sbin/nginx
        need nghttp2-client have nghttp
        need slowhttptest have slowhttptest
        ;;
    bench)
        need nginx have /usr/sbin/nginx
        need libnginx-mod-stream test -e /usr/lib/nginx/modules/ngx_stream_module.so
        need haproxy have /usr/sbin/haproxy
        need util-linux have setpriv
        need valgrind have valgrind
        ;;
    lint)
        need clang-format have clang-format
        need clang-tidy have clang-tidy
        need cppcheck have cppcheck
        need shellcheck have shellcheck
        need python3 have python3
        need git have git
        ;;
    fuzz)
        need clang have clang
        need llvm have llvm-symbolizer
        if have clang; then
            v=$(clang -dumpversion | cut -d. -f1)
        else
            v=$(apt-cache show clang 2> /dev/null | sed -n 's/^Depends:.*clang-\([0-9]*\).*/\1/p' | head -n 1)
        fi
        need "libclang-rt-$v-dev" has_sanitizer
        ;;
    kube)
        need iproute2 have ip
        need nftables have nft
        need procps have sysctl
        need util-linux have nsenter
        ;;
    image) # only to try the image that `mesh image` makes
        need podman have podman
        need runc have runc
        need skopeo have skopeo
        ;;
    *)
        echo "deps: no set '$set'; sets are build, test, bench, lint, fuzz, kube, image" >&2
        exit 2
        ;;
    esac
done
[ -n "$missing" ] || exit 0

missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
if ! have apt-get || { [ -n "$sudo" ] && ! $sudo true 2> /dev/null; }; then
    echo "deps: this needs packages that are not installed. On Debian or Ubuntu, as root: apt-get install -y --no-install-recommends $missing" >&2
    exit 1
fi
echo "deps: installing $missing"
export DEBIAN_FRONTEND=noninteractive
install() {
    # shellcheck disable=SC2086 # lists of words
    $sudo apt-get install -y -q --no-install-recommends $missing > "$log" 2>&1 < /dev/null
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install || { $sudo apt-get update -q > /dev/null 2>&1 && install; } || {
    tail -n 20 "$log" >&2
    exit 1
}
