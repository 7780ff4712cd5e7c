#!/bin/sh
# embed.sh FOLDER OUT.c : writes OUT.c and OUT.h with a table of the folder's files (see embed.h). The assembler brings
# the bytes in, so that size costs nothing; each file is followed by a zero byte.
set -eu
folder=$1
out=$2
table=$(basename "$out" .c)
guard=$(echo "$table" | tr 'a-z.-' 'A-Z__')_H

cat > "${out%.c}.h" << END
#ifndef $guard
#define $guard
#include "base/embed.h"
extern const struct embed ${table}[];
#endif
END
find -H "$folder" -type f ! -name '.*' -printf '%s %P\n' | LC_ALL=C sort -k2 | awk -v folder="$folder" -v table="$table" '
    BEGIN { printf "#include \"%s.h\"\n", table }
    {
        size = $1
        name = substr($0, length(size) + 2)
        bytes = table "_bytes_" NR
        printf "__asm__(\".pushsection .rodata\\n.balign 16\\n%s: .incbin \\\"%s/%s\\\"\\n.byte 0\\n.popsection\");\n", bytes, folder, name
        printf "extern const unsigned char %s[];\n", bytes
        row[NR] = "    {\"" name "\", " bytes ", " size "},"
    }
    END {
        printf "const struct embed %s[] = {\n", table
        for (i = 1; i <= NR; i++) print row[i]
        print "    {0, 0, 0},\n};"
    }' > "$out.new"
mv "$out.new" "$out"
