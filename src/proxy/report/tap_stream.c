/* The main thread's side of tap: see tap.h.
 *
 *   off --set(on)--> every 100 ms: fetch --batches--> the stream (opened with the first)
 *   In: tap.c's batches, by mail. Out: AccessLogService/StreamAccessLogs. */
#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/grpc.h"
#include "io/deadline.h"
#include "proto/accesslog_service.pb.h"
#include "proxy/report/tap.h"

#define LOGS_PATH "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
#define LOG_NAME SPAN(TAP_RESOURCE)
#define RETRY_MS 1000 /* after a stream that ended */

struct tap_stream {
    struct tap_stream_spec spec;
    struct span head; /* owned: a message without entries */
    struct deadline tick;
    struct grpc_stream *stream; /* NULL while there is none */
    struct buf out;
    bool on;
    int64_t not_before_ms; /* of the next stream */
    uint64_t sent, dropped;
};

static void on_message(void *arg, struct span message)
{
    UNUSED(arg); /* the only one comes at the end, and says nothing */
    UNUSED(message);
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    struct tap_stream *s = arg;
    UNUSED(message);
    log_debug("report", "tap stream ended status=%s", grpc_status_name(status));
    s->stream = NULL;
    s->not_before_ms = instant_mono_ms() + RETRY_MS;
}

static const struct grpc_events stream_events = {.on_message = on_message, .on_end = on_end};

static bool open_stream(struct tap_stream *s)
{
    struct http_client *client = s->spec.client(s->spec.arg);
    if (s->stream == NULL && client != NULL && instant_mono_ms() >= s->not_before_ms) {
        s->stream = grpc_call(client, LOGS_PATH, NULL, 0, 0, &stream_events, s);
    }
    return s->stream != NULL && grpc_queued(s->stream) < TAP_UNSENT_MAX;
}

/* The identifier goes with every message, so that each can be judged alone; then http_logs: field 2, length-delimited. */
static int compose(struct tap_stream *s, struct span entries)
{
    char head[8];
    size_t len = 0;
    head[len++] = 0x12;
    size_t rest = entries.len;
    for (; rest >= 0x80; rest >>= 7) {
        head[len++] = (char)(unsigned char)(rest | 0x80);
    }
    head[len++] = (char)rest;
    buf_reset(&s->out);
    int code = buf_append_span(&s->out, s->head);
    code = code ? code : buf_append(&s->out, head, len);
    return code ? code : buf_append_span(&s->out, entries);
}

void tap_stream_send(struct tap_stream *s, const struct tap_batch *batch)
{
    s->dropped += batch->dropped;
    if (!s->on || batch->count == 0) {
        return;
    }
    if (open_stream(s) && compose(s, buf_span(&batch->entries)) == 0 &&
        grpc_send(s->stream, buf_span(&s->out)) >= 0) {
        s->sent += batch->count;
    } else {
        s->dropped += batch->count;
    }
}

static void on_tick(struct deadline *d)
{
    struct tap_stream *s = container_of(d, struct tap_stream, tick);
    s->spec.fetch(s->spec.arg, true);
    deadline_arm(&s->tick, s->spec.loop, TAP_EVERY_MS);
}

void tap_stream_set(struct tap_stream *s, bool on)
{
    if (s->on == on) {
        return;
    }
    s->on = on;
    if (on) {
        log_info("report", "tap on");
        on_tick(&s->tick);
        return;
    }
    deadline_disarm(&s->tick);
    s->spec.fetch(s->spec.arg, false);
    if (s->stream != NULL) {
        grpc_cancel(s->stream);
        s->stream = NULL;
    }
    buf_release(&s->out);
    log_info("report", "tap off sent=%llu dropped=%llu", (unsigned long long)s->sent,
             (unsigned long long)s->dropped);
    s->sent = s->dropped = 0;
}

static struct span make_head(struct span node_wire)
{
    struct arena arena;
    struct err err;
    arena_init(&arena, 4096);
    struct pb_accesslog_service_StreamAccessLogsMessage_Identifier identifier = {
        .log_name = LOG_NAME,
        .node = pb_decode(&pb_core_Node_desc, &arena, node_wire, &err), /* ours: it can be read */
    };
    struct pb_accesslog_service_StreamAccessLogsMessage m = {.identifier = &identifier};
    struct span wire = pb_encode_in(&pb_accesslog_service_StreamAccessLogsMessage_desc, &m, &arena);
    struct span head = span_from(mem_dup(wire.at, wire.len), wire.len);
    arena_dispose(&arena);
    return head;
}

struct tap_stream *tap_stream_new(const struct tap_stream_spec *spec)
{
    struct tap_stream *s = mem_new(struct tap_stream);
    s->spec = *spec;
    s->head = make_head(spec->node);
    deadline_init(&s->tick, on_tick);
    buf_init(&s->out, TAP_BYTES_MAX + s->head.len + 16);
    return s;
}

void tap_stream_free(struct tap_stream *s)
{
    if (s == NULL) {
        return;
    }
    if (s->stream != NULL) {
        grpc_cancel(s->stream);
    }
    deadline_disarm(&s->tick);
    buf_dispose(&s->out);
    mem_free((void *)(uintptr_t)s->head.at);
    mem_free(s);
}
