/* Reading what a server sends to those who follow a collection.
 * In: a line of a watch, an item of a list.  Out: what happened to which object, at which version.
 * Source: Kubernetes "API Concepts"; apimachinery meta/v1 WatchEvent {type, object}, Status, ObjectMeta. */
#include "kube/reflector_int.h"

enum {
    NAME_BYTES_MAX = 512,    /* names end at 253 bytes; some kinds put two together */
    VERSION_BYTES_MAX = 128, /* opaque; of etcd at most 20 digits */
};

static int read_version(const struct doc_node *metadata, struct span *version, struct err *err)
{
    *version = reflector_text(metadata, "resourceVersion");
    if (version->len == 0 || version->len > VERSION_BYTES_MAX) {
        return err_set(err, -ERR_PROTO, "metadata.resourceVersion is %s",
                       version->len == 0 ? "missing" : "too long");
    }
    return 0;
}

int reflector_meta_read(const struct doc_node *object, struct reflector_meta *meta, struct err *err)
{
    const struct doc_node *metadata = doc_get(object, "metadata");
    *meta = (struct reflector_meta){
        .namespace = reflector_text(metadata, "namespace"),
        .name = reflector_text(metadata, "name"),
        .uid = reflector_text(metadata, "uid"),
    };
    if (meta->name.len == 0 || meta->name.len > NAME_BYTES_MAX ||
        meta->namespace.len > NAME_BYTES_MAX || span_find_byte(meta->name, '/') >= 0 ||
        span_find_byte(meta->namespace, '/') >= 0) {
        return err_set(err, -ERR_PROTO, "an object without a proper name");
    }
    return read_version(metadata, &meta->version, err);
}

static enum reflector_event_type type_of(struct span text)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (span_is(text, names[i])) {
            return (enum reflector_event_type)i;
        }
    }
    return REFLECTOR_OTHER;
}

static void read_status(const struct doc_node *status, struct reflector_event *out)
{
    const struct doc_node *code = doc_get(status, "code");
    const struct doc_node *after = doc_path(status, "details.retryAfterSeconds");
    struct span reason = reflector_text(status, "reason");
    bool is_old = span_is(reason, "Expired") || span_is(reason, "Gone");
    out->status = is_old ? 410 : doc_is(code, DOC_INT) ? code->integer : 0;
    out->retry_after_s = doc_is(after, DOC_INT) && after->integer >= 0 ? after->integer : -1;
    out->why = reflector_text(status, "message");
    if (out->why.len == 0) {
        out->why = reason.len > 0 ? reason : SPAN("the server gave no reason");
    }
}

int reflector_event_read(struct arena *arena, struct span line, struct reflector_event *out,
                         struct err *err)
{
    struct doc_node *doc;
    *out = (struct reflector_event){.retry_after_s = -1};
    if (doc_parse_json(arena, line, "watch", &doc, err) != 0) {
        return err->code;
    }
    struct span type = reflector_text(doc, "type");
    out->object = doc_get(doc, "object");
    if (type.len == 0 || !doc_is(out->object, DOC_MAP)) {
        return err_set(err, -ERR_PROTO, "watch: a line that is no event");
    }
    out->type = type_of(type);
    switch (out->type) {
    case REFLECTOR_ADDED:
    case REFLECTOR_MODIFIED:
    case REFLECTOR_DELETED:
        return reflector_meta_read(out->object, &out->meta, err);
    case REFLECTOR_BOOKMARK:
        return read_version(doc_get(out->object, "metadata"), &out->meta.version, err);
    case REFLECTOR_ERROR:
        read_status(out->object, out);
        break;
    case REFLECTOR_OTHER:
        break;
    }
    return 0;
}
