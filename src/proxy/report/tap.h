#ifndef PROXY_REPORT_TAP_H
#define PROXY_REPORT_TAP_H
/* Finished requests told to the control plane while somebody there watches. A worker keeps a bounded batch (struct tap, NULL while nobody
 * watches); the main thread fetches it ten times a second and sends it by Envoy's access log service on the connection to control
 * (struct tap_stream). What is too much is dropped and counted: traffic never waits for an onlooker.
 * Source: envoy.service.accesslog.v3, envoy.data.accesslog.v3. In: request/finish. Out: http/grpc. */
#include "base/buf.h"
#include "base/compiler.h"
#include "http/http_client.h"
#include "proxy/report/access_format.h"
#include "proxy/report/stats.h"

#define TAP_RESOURCE "mesh.tap" /* a TypedExtensionConfig of that name is the switch */
#define TAP_EVERY_MS 100
#define TAP_BYTES_MAX 262144 /* of a worker's batch */
#define TAP_ENTRIES_MAX 500
#define TAP_UNSENT_MAX 1048576 /* bytes that wait on the stream; then batches are dropped */

/* ---- a worker's side ---- */
struct tap;
NONNULL_RETURN struct tap *tap_new(void);
/* NULL is fine. */
void tap_free(struct tap *t);
void tap_add(struct tap *t, const struct access_entry *e, const struct stats_edge *edge);

/* Entries as they stand in StreamAccessLogsMessage.http_logs. */
struct tap_batch {
    struct buf entries; /* owned */
    size_t count;
    uint64_t dropped;
};
/* What there is, moved to `to`, which is then the caller's. */
void tap_take(struct tap *t, struct tap_batch *to);

/* ---- the main thread's side ---- */
struct tap_stream_spec {
    struct loop *loop;
    /* The client of the stream to the control plane, or NULL while there is none. */
    struct http_client *(*client)(void *arg);
    /* Fetch from all workers; with `on` they go on gathering. */
    void (*fetch)(void *arg, bool on);
    void *arg;
    struct span node; /* copied: the wire form of the Node, with each message */
};

struct tap_stream;
NONNULL_RETURN struct tap_stream *tap_stream_new(const struct tap_stream_spec *spec);
/* NULL is fine. */
void tap_stream_free(struct tap_stream *s);
void tap_stream_set(struct tap_stream *s, bool on);
/* What a worker had. */
void tap_stream_send(struct tap_stream *s, const struct tap_batch *batch);
#endif
