/* Resources from a watched file.
 * In: a DiscoveryResponse as YAML, JSON or protobuf. Out: on_update, a call for each type.
 * Next: proxy/config/ingest. */
#include "xds/xds_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "codec/doc.h"
#include "codec/pb_json.h"
#include "io/file_watch.h"
#include "proto/discovery.pb.h"
#include "proto/types.pb.h"

#define READ_BYTES 65536
#define ARENA_BYTES 65536

struct xds_file {
    char *path;               /* owned */
    struct span only;         /* owned; empty = any type */
    struct file_watch *watch; /* owned */
    struct xds_file_events ev;
    void *arg;
    unsigned type_count;
    struct span types[XDS_TYPES_MAX]; /* owned; in the file, now or before */
};

static int read_all(const char *path, struct buf *to, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1) {
        return err_set(err, -errno, "'%s' can not be opened: %s", path, err_name(-errno));
    }
    int rc = 0;
    for (;;) {
        char *at = buf_reserve(to, READ_BYTES);
        if (!at) {
            rc = err_set(err, -ERR_LIMIT, "'%s' is larger than XDS_FILE_BYTES_MAX", path);
            break;
        }
        ssize_t got = read(fd, at, READ_BYTES);
        if (got == -1) {
            rc = err_set(err, -errno, "'%s' can not be read: %s", path, err_name(-errno));
            break;
        }
        if (got == 0) {
            break;
        }
        buf_commit(to, (size_t)got);
    }
    (void)close(fd); /* only read */
    return rc;
}

static bool path_ends(const char *path, const char *end)
{
    return span_ends(span_of(path), span_of(end));
}

/* The message in `text`, in `a`; points into `text`. */
static const struct pb_discovery_DiscoveryResponse *parse(const char *path, struct span text,
                                                          struct arena *a, struct err *err)
{
    const struct pb_desc *desc = &pb_discovery_DiscoveryResponse_desc;
    if (path_ends(path, ".pb")) {
        const void *msg = pb_decode(desc, a, text, err);
        if (!msg) {
            (void)err_prefix(err, "%s", path); /* told by NULL */
        }
        return msg;
    }
    struct doc_node *doc = NULL;
    int rc = path_ends(path, ".json") ? doc_parse_json(a, text, path, &doc, err)
                                      : doc_parse_yaml(a, text, path, &doc, err);
    if (rc < 0) {
        return NULL;
    }
    if (doc->kind == DOC_NULL) {
        return arena_new(a, struct pb_discovery_DiscoveryResponse); /* an empty file */
    }
    return pb_json_read(&proto_types, desc, a, doc, err);
}

/* A resource without a version of its own has one by its content, the same in every process. */
static struct span content_version(struct arena *a, struct span value)
{
    static const struct hash_key key = {0x6d657368, 0x66696c65};
    return span_of(arena_printf(a, "%016llx", (unsigned long long)hash_span(&key, value)));
}

static int note_type(struct xds_file *f, struct span url, struct err *err)
{
    for (unsigned i = 0; i < f->type_count; i++) {
        if (span_eq(f->types[i], url)) {
            return 0;
        }
    }
    if (f->only.len && !span_eq(f->only, url)) {
        return err_set(err, -ERR_CONFIG, "%s: a resource is of type '%.*s'; want '%.*s'", f->path,
                       SPAN_ARG(url), SPAN_ARG(f->only));
    }
    if (f->type_count == XDS_TYPES_MAX) {
        return err_set(err, -ERR_LIMIT, "%s: more types than XDS_TYPES_MAX", f->path);
    }
    f->types[f->type_count++] = span_from(mem_strndup(url.at, url.len), url.len);
    return 0;
}

/* All resources of the file, without envelopes. */
static int unwrap_all(struct xds_file *f, const struct pb_discovery_DiscoveryResponse *rs,
                      struct arena *a, struct xds_resource *all, size_t *count, struct err *err)
{
    for (uint32_t i = 0; i < rs->resources.count; i++) {
        const struct pb_protobuf_Any *any = rs->resources.at[i];
        struct xds_resource *r = &all[*count];
        int rc = xds_unwrap(a, any->type_url, any->value, r, err);
        if (rc == 1) {
            r->version = rs->version_info.len ? rs->version_info : content_version(a, r->value);
            ++*count;
            rc = note_type(f, r->type_url, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int tell_type(struct xds_file *f, struct span url, const struct xds_resource *all,
                     size_t count, struct xds_update *u, struct err *err)
{
    struct xds_resource *added = mem_array(count + 1, sizeof *added);
    u->type_url = url;
    u->added = added;
    u->added_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (span_eq(all[i].type_url, url)) {
            added[u->added_count++] = all[i];
        }
    }
    int rc = f->ev.on_update(f->arg, u, err);
    mem_free(added);
    return rc < 0 ? err_prefix(err, "%s", f->path) : 0;
}

static int tell_all(struct xds_file *f, const struct pb_discovery_DiscoveryResponse *rs,
                    struct arena *a, struct err *err)
{
    struct xds_resource *all = arena_array(a, rs->resources.count + 1, sizeof *all);
    size_t count = 0;
    int rc = unwrap_all(f, rs, a, all, &count, err);
    struct xds_update u = {.version = rs->version_info, .full = true};
    for (unsigned i = 0; i < f->type_count && rc == 0; i++) {
        rc = tell_type(f, f->types[i], all, count, &u, err);
    }
    return rc;
}

static int load(struct xds_file *f, struct err *err)
{
    struct buf text;
    struct arena a;
    buf_init(&text, XDS_FILE_BYTES_MAX);
    arena_init(&a, ARENA_BYTES);
    err_clear(err);
    int rc = read_all(f->path, &text, err);
    if (rc == 0) {
        const struct pb_discovery_DiscoveryResponse *rs = parse(f->path, buf_span(&text), &a, err);
        rc = rs ? tell_all(f, rs, &a, err) : err->code;
    }
    arena_dispose(&a);
    buf_dispose(&text);
    return rc;
}

static void on_change(void *arg)
{
    struct xds_file *f = arg;
    struct err err;
    int rc = load(f, &err);
    if (f->ev.on_read) {
        f->ev.on_read(f->arg, rc < 0 ? &err : NULL);
    }
}

int xds_file_new(struct xds_file **out, struct loop *loop, const struct xds_file_spec *spec,
                 const struct xds_file_events *ev, void *arg, struct err *err)
{
    struct err local;
    err = err ? err : &local;
    struct xds_file *f = mem_new(struct xds_file);
    f->path = mem_strdup(spec->path);
    f->only =
        span_from(mem_strndup(spec->type_url.len ? spec->type_url.at : "", spec->type_url.len),
                  spec->type_url.len);
    f->ev = *ev;
    f->arg = arg;
    int rc = file_watch_new(&f->watch, loop, f->path, XDS_FILE_SETTLE_MS, on_change, f, err);
    if (rc == 0) {
        rc = load(f, err); /* after the watch began, so that no change is missed */
    }
    if (rc < 0) {
        xds_file_free(f);
        return rc;
    }
    *out = f;
    return 0;
}

void xds_file_free(struct xds_file *f)
{
    if (!f) {
        return;
    }
    if (f->watch) {
        file_watch_free(f->watch);
    }
    for (unsigned i = 0; i < f->type_count; i++) {
        mem_free((void *)(uintptr_t)f->types[i].at);
    }
    mem_free((void *)(uintptr_t)f->only.at);
    mem_free(f->path);
    mem_free(f);
}
