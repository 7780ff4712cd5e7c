#!/bin/sh
# fetch.sh OUTDIR : puts every file that vendor/pins names into OUTDIR. A file comes from the cache; or through the
# machine's own apt, from its usual place in the archive's pool, or from where the signed source lists of its suites
# have it. The pinned hash decides each time. What is missing or different stops the build.
#   MESH_VENDOR_CACHE  the cache of files, each named by its hash
#   MESH_VENDOR_PINS   another list of pins (tests)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
pins=${MESH_VENDOR_PINS:-$here/pins}
cache=${MESH_VENDOR_CACHE:?vendor: MESH_VENDOR_CACHE is not set}
mkdir -p "$out" "$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
grep -v -e '^#' -e '^$' "$pins" > "$work/pins"

sha() {
    sha256sum "$1" | cut -d' ' -f1
}

# Files of the cache that are whole are linked into OUTDIR; the rest are listed in $work/missing.
from_cache() {
    : > "$work/missing"
    while read -r want size package file suites; do
        if [ ! -e "$cache/$want" ]; then
            echo "$want $size $package $file $suites" >> "$work/missing"
            continue
        fi
        got=$(sha "$cache/$want")
        if [ "$got" != "$want" ]; then
            echo "vendor: the cached '$file' is damaged: $cache/$want has SHA-256 $got; delete that file and run make again" >&2
            exit 1
        fi
        ln -sf "$cache/$want" "$out/$file"
    done < "$work/pins"
}

# Private lists, state and cache, so that the machine's own apt stays as it is and no root is needed. Lists may be old
# (some mirrors are): signatures are checked all the same, and the pins keep anybody from rolling us back.
apt_setup() { # apt_setup SUITE...
    "$here/derive.sh" "$work/parts" "$@"
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    cat > "$work/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/parts";
Dir::State::lists "$work/lists";
Dir::Cache "$work";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
CONF
    export APT_CONFIG="$work/apt.conf"
}
read_lists() {
    echo "vendor: reading the source lists of $*" >&2
    if ! apt-get -q update > "$work/update.log" 2>&1; then
        sed 's/^/vendor: apt: /' "$work/update.log" >&2
    fi
}

# Reads the source lists once and writes "hash package version" for every missing file that one of them names.
look_up() {
    find "$work/lists" -maxdepth 1 -name '*_Sources*' -exec /usr/lib/apt/apt-helper cat-file {} + | awk '
        FNR == NR { want[$1] = 1; next }
        /^Package: / { p = $2 }
        /^Version: / { v = $2 }
        NF == 3 && ($1 in want) { found[$1] = 1 }
        /^$/ { for (h in found) print h, p, v; split("", found) }
        END { for (h in found) print h, p, v }' "$work/missing" - > "$work/found"
}

# fetch_one HASH FILE URI : into the cache, if the file there is the one that is pinned.
fetch_one() {
    rm -f "$work/$1"
    /usr/lib/apt/apt-helper -q download-file "$3" "$work/$1" "SHA256:$1" > "$work/helper.log" 2>&1 || return 1
    [ "$(sha "$work/$1")" = "$1" ] || return 1
    echo "vendor: fetched $2" >&2
    mv "$work/$1" "$cache/.$1.$$"
    mv "$cache/.$1.$$" "$cache/$1"
}

# apt knows the address; its own helper fetches that one file. (Not "apt-get source": it wants the .dsc, which some
# mirrors lack, and brings whatever else the package has.)
from_lists() {
    look_up
    while read -r want size package file suites; do
        grep "^$want " "$work/found" | while read -r _ p v; do
            uri=$(apt-get source --print-uris --download-only "$p=$v" 2> "$work/uris.log" |
                awk -v f="$file" '$2 == f { gsub("\047", "", $1); print $1; exit }')
            [ -n "$uri" ] && fetch_one "$want" "$file" "$uri" || continue
            break
        done
    done < "$work/missing"
}

# Where the archive keeps a file, whatever the suites are at now: no lists to read, and a version that just left them
# is often still there.
from_pool() {
    while read -r want size package file suites; do
        case $package in
        lib*) dir=$(printf '%.4s' "$package") ;;
        *) dir=$(printf '%.1s' "$package") ;;
        esac
        for archive in $(awk '/^URIs:/ { print $2 }' "$work/parts/mesh.sources"); do
            if fetch_one "$want" "$file" "$archive/pool/main/$dir/$package/$file"; then
                break
            fi
        done
    done < "$work/missing"
}

from_cache
if [ -s "$work/missing" ]; then
    apt_setup "$(cut -d' ' -f5 "$work/missing" | cut -d, -f1 | sort -u | head -n 1)"
    from_pool
    from_cache
fi
round=1
while [ -s "$work/missing" ] && [ $round -le 3 ]; do
    # Each file's first suite, then its second ...: a list is some 10 MB.
    suites=$(awk -v n=$round '{ if (split($5, s, ",") >= n) print s[n] }' "$work/missing" | sort -u)
    if [ -n "$suites" ]; then
        # shellcheck disable=SC2086 # a list of words
        apt_setup $suites
        # shellcheck disable=SC2086
        read_lists $suites
        from_lists
        from_cache
    fi
    round=$((round + 1))
done
if [ -s "$work/missing" ]; then
    while read -r want size package file suites; do
        echo "vendor: can not get '$file' ($size bytes, SHA-256 $want) of Debian's source package '$package' from $suites" >&2
    done < "$work/missing"
    echo "vendor: put each such file, from wherever you trust, into $cache under its SHA-256 as name; or see vendor/README.md" >&2
    exit 1
fi
