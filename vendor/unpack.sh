#!/bin/sh
# unpack.sh DOWNLOADS PACKAGE OUT : unpacks the pinned source of a package into OUT without its top folder and
# applies Debian's patches where their tarball is pinned too (it is where they change what we build).
set -eu
dl=$1
package=$2
out=$3
here=$(cd "$(dirname "$0")" && pwd)
pins=${MESH_VENDOR_PINS:-$here/pins}
orig=$(awk -v p="$package" '$3 == p && $4 ~ /\.orig\.tar\./ { print $4 }' "$pins")
patches=$(awk -v p="$package" '$3 == p && $4 ~ /\.debian\.tar\./ { print $4 }' "$pins")
[ -n "$orig" ] || {
    echo "vendor: no source of '$package' in $pins" >&2
    exit 1
}
rm -rf "$out"
mkdir -p "$out"
tar -xf "$dl/$orig" -C "$out" --strip-components=1
[ -n "$patches" ] || exit 0
tar -xf "$dl/$patches" -C "$out"
series=$out/debian/patches/series
[ -f "$series" ] || exit 0
sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$series" > "$out/debian/mesh-series"
while read -r p _; do
    (cd "$out" && patch -s -f -p1 --no-backup-if-mismatch < "debian/patches/$p") || {
        echo "vendor: Debian's patch '$p' does not apply to $package" >&2
        exit 1
    }
done < "$out/debian/mesh-series"
