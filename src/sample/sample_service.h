#ifndef SAMPLE_SAMPLE_SERVICE_H
#define SAMPLE_SAMPLE_SERVICE_H
/* The small HTTP service that `mesh demo` and tests put behind a proxy. It tells what it saw:
 *
 *    /health           200 "ok"
 *    /status/N         that status
 *    /delay/MS         200 after so long
 *    /bytes/N          a body of N bytes
 *    /echo             the request's body
 *    /upstream/PATH    asks its upstream for /PATH and wraps the answer: {"name", "status", "answer"}
 *    anything else     {"name", "method", "path", "headers", "body_bytes"}
 */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_client.h"
#include "http/http_server.h"

#define SAMPLE_DELAY_MAX_MS 600000
#define SAMPLE_BYTES_MAX (1ull << 40)

struct sample_service;
/* `name` is borrowed for life; `server` and `upstream` (NULL = none) too. Adds its routes to the server. */
struct sample_service *sample_service_new(struct loop *loop, const char *name,
                                          struct http_server *server, struct http_client *upstream);
/* After the server was freed; answers of the upstream that come later are dropped. */
void sample_service_free(struct sample_service *s);
#endif
