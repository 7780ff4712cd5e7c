/* Requests as they happen: GET /api/v1/tap?target=[ns/]workload ("ns/": all of the namespace, none: all of the mesh), a stream of server-sent events, each
 * {"node":{"id","namespace","workload"},"http":<HTTPAccessLogEntry>} (or "tcp"). While nobody watches, nothing is sent by proxies.
 * In: push (on_tap), api. Out: http/sse. */
#include "base/log.h"
#include "base/mem.h"
#include "codec/pb_json.h"
#include "control/api/api_parts.h"
#include "control/push/push.h"
#include "http/sse.h"
#include "mesh/identity.h"
#include "proto/accesslog_entry.pb.h"
#include "proto/accesslog_service.pb.h"
#include "proto/types.pb.h"

#define WATCHERS_MAX 32
#define ENTRY_MAX 65536 /* bytes of one event */

struct api_taps {
    struct list watchers;
    size_t count;
    struct buf text; /* one event at a time */
};

struct watcher {
    struct list node;
    struct api *api;
    struct sse *sse;
    char *target; /* "ns/workload", "ns/", "/" */
};

struct api_taps *api_taps_new(void)
{
    struct api_taps *t = mem_new(struct api_taps);
    list_init(&t->watchers);
    buf_init(&t->text, ENTRY_MAX);
    return t;
}

void api_taps_free(struct api_taps *t)
{
    if (t) {
        ASSERT(list_is_empty(&t->watchers)); /* the servers are gone, and their streams with them */
        buf_dispose(&t->text);
        mem_free(t);
    }
}

size_t api_taps_count(const struct api_taps *t)
{
    return t->count;
}

/* ---- who watches ---- */

static void tell_push(struct api *api)
{
    struct span targets[WATCHERS_MAX];
    size_t count = 0;
    LIST_EACH(node, next, &api->taps->watchers) {
        targets[count++] = span_of(list_item(node, struct watcher, node)->target);
    }
    if (api->push) {
        push_set_tap(api->push, targets, count);
    }
}

static void on_gone(void *arg)
{
    struct watcher *w = arg;
    list_remove(&w->node);
    w->api->taps->count--;
    tell_push(w->api);
    mem_free(w->target);
    mem_free(w);
}

static void watch(struct api_call *c)
{
    struct api *api = c->api;
    struct span target = api_param(c, "target");
    if (api->taps->count == WATCHERS_MAX) {
        api_refuse(c, 429, 6010, NULL, "%d taps are open, and no more are allowed", WATCHERS_MAX);
        return;
    }
    struct watcher *w = mem_new(struct watcher);
    w->api = api;
    const char *namespace = target.len == 0                    ? "/"
                            : span_find_byte(target, '/') >= 0 ? ""
                                                               : "default/";
    struct span whole = span_of(arena_printf(c->arena, "%s%.*s", namespace, SPAN_ARG(target)));
    w->target = mem_strndup(whole.at, whole.len);
    list_push_back(&api->taps->watchers, &w->node);
    api->taps->count++;
    const struct sse_spec spec = {.on_gone = on_gone, .arg = w};
    w->sse = sse_start(c->rq->stream, api->loop, &spec);
    tell_push(api);
}

/* ---- what they see ---- */

static struct span metadata_text(const struct pb_core_Node *node, const char *key)
{
    const struct pb_protobuf_Struct *s = node ? node->metadata : NULL;
    for (uint32_t i = 0; s && i < s->fields.count; i++) {
        const struct pb_protobuf_Value *v = s->fields.at[i]->value;
        if (span_is(s->fields.at[i]->key, key) && v) {
            return v->string_value;
        }
    }
    return SPAN_EMPTY;
}

static bool is_watched_by(const struct watcher *w, struct span namespace, struct span workload)
{
    struct span name = span_of(w->target);
    struct span wanted = span_cut(&name, '/');
    return (wanted.len == 0 || span_eq(wanted, namespace)) &&
           (name.len == 0 || span_eq(name, workload));
}

struct showing {
    struct api *api;
    const struct pb_core_Node *node;
    struct span namespace, workload;
};

static void show(struct showing *s, const char *what, const struct pb_desc *desc, const void *entry)
{
    struct buf *to = &s->api->taps->text;
    buf_reset(to);
    int code = buf_printf(to, "{\"node\":{\"id\":");
    code = code ? code : doc_write_json_text(s->node ? s->node->id : SPAN_EMPTY, to);
    code = code ? code : buf_printf(to, ",\"namespace\":");
    code = code ? code : doc_write_json_text(s->namespace, to);
    code = code ? code : buf_printf(to, ",\"workload\":");
    code = code ? code : doc_write_json_text(s->workload, to);
    code = code ? code : buf_printf(to, "},\"%s\":", what);
    code = code ? code : pb_json_write(&proto_types, desc, entry, PB_JSON_CAMEL, to);
    code = code ? code : buf_append_byte(to, '}');
    if (code != 0) {
        return; /* larger than anybody wants to read */
    }
    LIST_EACH(node, next, &s->api->taps->watchers) {
        struct watcher *w = list_item(node, struct watcher, node);
        if (is_watched_by(w, s->namespace, s->workload)) {
            sse_send(w->sse, SPAN_EMPTY, SPAN_EMPTY, buf_span(to));
        }
    }
}

/* A proxy speaks for its own service account only. */
static bool is_its_own(struct span identity, const struct pb_core_Node *node)
{
    struct identity id;
    return identity.len == 0 || (identity_parse(identity, &id) == 0 &&
                                 span_eq(id.ns, metadata_text(node, "NAMESPACE")) &&
                                 span_eq(id.sa, metadata_text(node, "SERVICE_ACCOUNT")));
}

void api_tap_take(struct api *api, struct span message, struct span identity)
{
    if (!api->taps || list_is_empty(&api->taps->watchers)) {
        return;
    }
    struct arena arena;
    struct err err;
    arena_init(&arena, 16384);
    const struct pb_accesslog_service_StreamAccessLogsMessage *m =
        pb_decode(&pb_accesslog_service_StreamAccessLogsMessage_desc, &arena, message, &err);
    const struct pb_core_Node *node = m && m->identifier ? m->identifier->node : NULL;
    if (m && is_its_own(identity, node)) {
        struct showing s = {.api = api,
                            .node = node,
                            .namespace = metadata_text(node, "NAMESPACE"),
                            .workload = metadata_text(node, "WORKLOAD_NAME")};
        for (uint32_t i = 0; m->http_logs && i < m->http_logs->log_entry.count; i++) {
            show(&s, "http", &pb_accesslog_entry_HTTPAccessLogEntry_desc,
                 m->http_logs->log_entry.at[i]);
        }
        for (uint32_t i = 0; m->tcp_logs && i < m->tcp_logs->log_entry.count; i++) {
            show(&s, "tcp", &pb_accesslog_entry_TCPAccessLogEntry_desc,
                 m->tcp_logs->log_entry.at[i]);
        }
    } else {
        log_debug("control", "tap refused identity=%.*s", SPAN_ARG(identity));
    }
    arena_dispose(&arena);
}

const struct api_route api_tap_routes[] = {
    {"GET", "/api/v1/tap", API_STREAM | API_OF_TAPS, watch},
    {NULL, NULL, 0, NULL},
};
