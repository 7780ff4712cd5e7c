/* pbgen OUTDIR FILE.proto...: writes C structs and tables for the subset of proto3 that our contracts
 * use. A program of the build: plain C, nothing of our tree.
 *
 * In: all .proto files at once, so that every type is known. Read: package, import, message, nested
 * types, enum, oneof, map, repeated, optional, service. Skipped: reserved and options, but for
 * `option objc_class_prefix`, which replaces the package part of the C names where two packages end
 * alike. A comment with "@sensitive" after a field marks it as a secret.
 * Out: OUTDIR/NAME.pb.h and .c for each file, and types.pb.h and .c with all of them by name. A file
 * that would not change is left alone, so that make does not rebuild its users.
 * The shapes are explained in src/codec/pb.h. */
#include "proto/pbgen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void pbgen_die(const char *path, int line, const char *fmt, ...)
{
    fprintf(stderr, "%s:%d: ", path, line);
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void *pbgen_alloc(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (!p) {
        fputs("pbgen: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

char *pbgen_text(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *to = pbgen_alloc((size_t)len + 1);
    va_start(args, fmt);
    (void)vsnprintf(to, (size_t)len + 1, fmt, args);
    va_end(args);
    return to;
}

char *pbgen_slurp(const char *path, bool must)
{
    FILE *f = fopen(path, "r");
    if (!f) {
        if (must) {
            pbgen_die(path, 0, "can not be read");
        }
        return NULL;
    }
    size_t len = 0;
    size_t room = 1 << 16;
    char *all = pbgen_alloc(room);
    size_t got;
    while ((got = fread(all + len, 1, room - len - 1, f)) > 0) {
        len += got;
        if (len + 1 == room) {
            char *more = pbgen_alloc(room * 2);
            memcpy(more, all, len);
            free(all);
            all = more;
            room *= 2;
        }
    }
    all[len] = '\0';
    (void)fclose(f); /* only read */
    return all;
}

/* Ends the text of `out` (made by open_memstream) and puts it in its file if that differs. */
static void save(const char *dir, const char *base, const char *ext, const char *fresh)
{
    char *path = pbgen_text("%s/%s.pb.%s", dir, base, ext);
    char *old = pbgen_slurp(path, false);
    bool is_same = old && strcmp(old, fresh) == 0;
    free(old);
    if (!is_same) {
        FILE *f = fopen(path, "w");
        if (!f || fputs(fresh, f) < 0 || fclose(f) != 0) {
            pbgen_die(path, 0, "can not be written");
        }
    }
    free(path);
}

struct page {
    FILE *out;
    char *text;
    size_t len;
};

static FILE *page_open(struct page *p)
{
    p->out = open_memstream(&p->text, &p->len);
    if (!p->out) {
        pbgen_die("pbgen", 0, "out of memory");
    }
    return p->out;
}

static void page_save(struct page *p, const char *dir, const char *base, const char *ext)
{
    if (fclose(p->out) != 0) {
        pbgen_die("pbgen", 0, "out of memory");
    }
    save(dir, base, ext, p->text);
    free(p->text);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: pbgen OUTDIR FILE.proto...\n", stderr);
        return 2;
    }
    struct schema schema = {0};
    for (int i = 2; i < argc; i++) {
        pbgen_read(&schema, argv[i]);
    }
    pbgen_resolve(&schema);
    struct page page;
    for (const struct file *f = schema.files; f; f = f->next) {
        pbgen_write_header(page_open(&page), &schema, f);
        page_save(&page, argv[1], f->base, "h");
        pbgen_write_tables(page_open(&page), &schema, f);
        page_save(&page, argv[1], f->base, "c");
    }
    pbgen_write_types_header(page_open(&page));
    page_save(&page, argv[1], "types", "h");
    pbgen_write_types(page_open(&page), &schema);
    page_save(&page, argv[1], "types", "c");
    return 0;
}
