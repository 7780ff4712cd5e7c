#ifndef SAMPLE_CALLER_H
#define SAMPLE_CALLER_H
/* A service of a made-up mesh: whatever path it is asked for, it asks its neighbours for the same, all at once, and tells how they
 * answered: 200 when all did well, else 502.
 *
 *    {"name": "svc-001", "calls": [{"name": "svc-002", "status": 200}]}                              /health: 200 */
#include "http/http_server.h"
#include "sample/peer.h"
#include "sample/visit.h"

#define CALLER_CALLS_MAX VISIT_PARTS_MAX

struct caller_spec {
    const char *name;
    struct peer *peers[CALLER_CALLS_MAX]; /* borrowed */
    const char *names[CALLER_CALLS_MAX];
    size_t count;
};

struct caller;
/* Adds its routes to the server, which is borrowed. Texts of `spec` are borrowed for life. */
struct caller *caller_new(struct http_server *server, const struct caller_spec *spec);
/* /health on a second server. */
void caller_serve_health(struct http_server *server);
/* After the servers were freed; the peers later still. */
void caller_free(struct caller *c);
#endif
