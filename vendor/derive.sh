#!/bin/sh
# derive.sh OUTDIR SUITE... : writes OUTDIR/mesh.sources, a private list of Debian's source packages for the given
# suites, made from the machine's own apt sources, so that proxies and mirrors it uses are used here too.
#   APT_ETC            look here instead of /etc/apt (tests)
#   MESH_DEB_URI       the archive to use where the machine has none of Debian's (Ubuntu, for one)
#   MESH_DEB_KEYRING   the keyring that signs it
set -eu
etc=${APT_ETC:-/etc/apt}
out=$1
shift
mkdir -p "$out"

keyring=
for k in ${MESH_DEB_KEYRING:-} /usr/share/keyrings/debian-archive-keyring.pgp /usr/share/keyrings/debian-archive-keyring.gpg; do
    if [ -r "$k" ]; then
        keyring=$k
        break
    fi
done
if [ -z "$keyring" ]; then
    echo "vendor: no keyring of Debian's archive; install the package 'debian-archive-keyring' or set MESH_DEB_KEYRING" >&2
    exit 3
fi

# The URIs of both forms of list: paragraphs (*.sources, switched off by 'Enabled: no') and lines (*.list).
paragraphs() {
    for f in "$etc"/sources.list.d/*.sources; do
        [ -r "$f" ] || continue
        cat "$f"
        echo
    done | awk '
        /^[ \t]*$/ { if (u != "" && !off) print u; u = ""; off = 0; next }
        tolower($1) == "uris:" { $1 = ""; u = $0 }
        tolower($1) == "enabled:" && tolower($2) == "no" { off = 1 }
        END { if (u != "" && !off) print u }'
}
lines() {
    for f in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
        [ -r "$f" ] || continue
        cat "$f"
        echo
    done | sed -nE 's/^[ \t]*deb(-src)?[ \t]+(\[[^]]*\][ \t]+)?([^ \t]+).*/\3/p'
}
uris=${MESH_DEB_URI:-$({ paragraphs; lines; } | tr -s ' \t' '\n\n' | sed -e 's,/*$,,' |
    grep -E '/debian(-security)?$' | awk '!seen[$0]++')}

list=$out/mesh.sources
: > "$list"
main=
for u in $uris; do
    suites=
    case $u in
    *-security)
        for s in "$@"; do
            case $s in
            sid | forky) ;; # they have no security suite
            *) suites="$suites $s-security" ;;
            esac
        done
        ;;
    *)
        [ -z "$main" ] || continue
        main=$u
        suites=" $*"
        ;;
    esac
    [ -z "$suites" ] ||
        printf 'Types: deb-src\nURIs: %s\nSuites:%s\nComponents: main\nSigned-By: %s\n\n' "$u" "$suites" "$keyring" >> "$list"
done
if [ -z "$main" ]; then
    echo "vendor: no Debian archive in $etc; set MESH_DEB_URI to the address of one" >&2
    exit 3
fi
