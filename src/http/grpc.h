#ifndef HTTP_GRPC_H
#define HTTP_GRPC_H
/* gRPC over HTTP/2: framing, status, deadlines, streams, both sides. Messages are bytes here; pb encodes
 * them. Source: gRPC "PROTOCOL-HTTP2", grpc-timeout, status codes. Only the identity encoding. */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_client.h"
#include "http/http_server.h"

enum grpc_status {
    GRPC_OK,
    GRPC_CANCELLED,
    GRPC_UNKNOWN,
    GRPC_INVALID_ARGUMENT,
    GRPC_DEADLINE_EXCEEDED,
    GRPC_NOT_FOUND,
    GRPC_ALREADY_EXISTS,
    GRPC_PERMISSION_DENIED,
    GRPC_RESOURCE_EXHAUSTED,
    GRPC_FAILED_PRECONDITION,
    GRPC_ABORTED,
    GRPC_OUT_OF_RANGE,
    GRPC_UNIMPLEMENTED,
    GRPC_INTERNAL,
    GRPC_UNAVAILABLE,
    GRPC_DATA_LOSS,
    GRPC_UNAUTHENTICATED,
};
const char *grpc_status_name(enum grpc_status status);
/* As gRPC's http-grpc-status-mapping and Envoy's local replies. */
enum grpc_status grpc_status_of_http(unsigned http_status);
/* What stands for it where only HTTP is understood (Envoy's Grpc::Utility::grpcToHttpStatus). */
unsigned grpc_http_of_status(enum grpc_status status);
/* "application/grpc" and "application/grpc+..." but not grpc-web. */
bool grpc_is_content_type(struct span content_type);
/* "1S", "200m" ... to milliseconds, at least 1; false if malformed. */
MUST_USE bool grpc_timeout_parse(struct span text, int64_t *ms);
/* The other way; memory from `arena`. */
struct span grpc_timeout_format(struct arena *arena, int64_t ms);
/* Percent-encoding of grpc-message; memory from `arena`. */
struct span grpc_message_encode(struct arena *arena, struct span text);

#define GRPC_MESSAGE_MAX (64u * 1024 * 1024)

struct grpc_stream;
struct grpc_events {
    /* One message; borrowed for the call. */
    void (*on_message)(void *arg, struct span message);
    /* Server: the client has half-closed. */
    void (*on_half_close)(void *arg);
    /* Once, last: client: the final status; server: the call was cancelled or the connection went. */
    void (*on_end)(void *arg, enum grpc_status status, struct span message);
    /* Client: the server's initial metadata came; the call is being served. May be NULL. */
    void (*on_head)(void *arg, const struct head *head);
    /* What grpc_send left queued has been handed to the kernel. May be NULL. */
    void (*on_drained)(void *arg);
};

/* Client: `path` "/package.Service/Method"; `fields` extra metadata; deadline_ms 0 = none. */
struct grpc_stream *grpc_call(struct http_client *c, const char *path, const struct header *fields,
                              size_t field_count, int64_t deadline_ms, const struct grpc_events *ev,
                              void *arg);
/* Queued before the connection is up. Negative when the call has ended. */
int grpc_send(struct grpc_stream *g, struct span message);
/* Bytes not yet handed to the kernel. */
size_t grpc_queued(const struct grpc_stream *g);
/* Client: no more messages from us. */
void grpc_half_close(struct grpc_stream *g);
/* The largest message that the peer may send: GRPC_MESSAGE_MAX unless set to less, before it has sent any. */
void grpc_message_max(struct grpc_stream *g, size_t bytes);
/* Server: ends the call with this status; `g` is gone. */
void grpc_finish(struct grpc_stream *g, enum grpc_status status, struct span message);
/* Ends the call at once, no on_end; `g` is gone. */
void grpc_cancel(struct grpc_stream *g);
/* Server: the stream's connection, for the peer's identity; metadata of the request. */
struct http_stream *grpc_http(struct grpc_stream *g);
const struct head *grpc_head(const struct grpc_stream *g);

/* Server: a method; `on_call` answers the events and argument of each call. */
typedef void (*grpc_on_call)(void *service, struct grpc_stream *g, const struct grpc_events **ev,
                             void **arg);
void grpc_serve(struct http_server *s, const char *path, grpc_on_call on_call, void *service);
#endif
