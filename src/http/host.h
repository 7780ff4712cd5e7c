#ifndef HTTP_HOST_H
#define HTTP_HOST_H
/* What a process offers, as a set of named servers that roles attach themselves to: each role registers its
 * gRPC services, HTTP paths and readiness here, so that control can host ca and injector in its own process
 * and each of them can also stand alone with a host of its own. */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_server.h"

struct host;
struct host *host_new(struct loop *loop);
/* Opens a server under a name ("admin", "grpc", "grpc-tls", "ready" ...; static text). */
MUST_USE int host_listen(struct host *h, const char *name, const struct listener_spec *where,
                         struct tls_ctx *tls, struct err *err);
/* The server of that name, or NULL: a role attaches to those that are there. */
struct http_server *host_server(struct host *h, const char *name);
struct loop *host_loop(struct host *h);

/* Readiness: all checks must hold. A new one does not hold yet. `name` and `why` are static text. */
struct host_check;
struct host_check *host_check_add(struct host *h, const char *name);
void host_check_set(struct host_check *check, bool holds, const char *why);
void host_check_free(struct host_check *check);
bool host_is_ready(const struct host *h);
/* Answers GET and HEAD of `path` on `s`: 200, or 503 while a check does not hold; one line a check. */
void host_serve_ready(struct host *h, struct http_server *s, const char *path);

/* Not ready any more; servers stop accepting and drain. */
void host_drain(struct host *h);
/* All servers have drained. */
bool host_is_idle(const struct host *h);
void host_free(struct host *h);
#endif
