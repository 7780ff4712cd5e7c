#!/bin/sh
# build.sh FLAVOUR LINK : makes LINK point to the built libraries of a flavour (lib/, include/). They are built once for
# a machine and kept in the cache under a key (key.sh), so that other checkouts and 'make clean' do not cost a rebuild.
set -eu
flavour=$1
link=$2
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
[ -n "$cache" ] && mkdir -p "$cache" 2> /dev/null && [ -w "$cache" ] || cache=$here/../build
cache=$cache/mesh-vendor
mkdir -p "$cache/built"
cache=$(cd "$cache" && pwd)
result=$cache/built/$flavour-$("$here/key.sh")

# One builder at a time: a second checkout waits and then finds the work done.
exec 9> "$cache/lock"
flock 9
if [ ! -e "$result/.ok" ]; then
    echo "vendor: building the libraries once ($flavour; 1 to 2 minutes on two cores)"
    MESH_VENDOR_CACHE=$cache "$here/fetch.sh" "$cache/files"
    work=$cache/work-$flavour
    rm -rf "$work" "$result"
    mkdir -p "$work/src" "$result"
    for package in $(awk '!/^#/ && NF { print $3 }' "$here/pins" | sort -u); do
        "$here/unpack.sh" "$cache/files" "$package" "$work/src/$package"
    done
    # The one-file form of SQLite is the same for every flavour.
    amalgamation=$cache/built/sqlite-$(grep -e ' sqlite3 ' "$here/pins" | sha256sum | cut -c1-16)
    if [ ! -e "$amalgamation/sqlite3.h" ]; then
        (
            cd "$work/src/sqlite3"
            { ./configure --disable-shared --disable-tcl --disable-readline && make sqlite3.c; } > mesh.log 2>&1 < /dev/null 9>&- || {
                tail -n 20 mesh.log >&2
                exit 1
            }
        )
        mkdir -p "$amalgamation"
        cp "$work/src/sqlite3/sqlite3.c" "$work/src/sqlite3/sqlite3.h" "$amalgamation/"
    fi
    cp "$amalgamation/sqlite3.c" "$amalgamation/sqlite3.h" "$work/src/sqlite3/"
    case " ${MAKEFLAGS:-}" in
    *-j* | *jobserver*) jobs= ;;
    *) jobs=-j$(nproc) ;;
    esac

    ${MAKE:-make} $jobs --no-print-directory -C "$here" FLAVOUR="$flavour" S="$work/src" B="$work" D="$result" 9>&-
    touch "$result/.ok"
    rm -rf "$work"
fi
mkdir -p "$(dirname "$link")"
ln -sfn "$result" "$link"
