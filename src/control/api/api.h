#ifndef CONTROL_API_API_H
#define CONTROL_API_API_H
/* The HTTP API of control: JSON, read by the CLI, the dashboard and scripts; on the unix socket (owner only) and on
 * 15080. Every path is a row of a table (struct api_route); a part of the API is one file with a table, listed in api.c.
 *
 * Where `token` is set, TCP callers must show it (`x-mesh-token`), and nothing else is asked of them. Elsewhere on TCP a Host that is no address, "localhost" or one of ours is refused (DNS rebinding), and writes need the header `x-mesh-write: 1`, which
 * no foreign web page can send. The unix socket needs neither: who can open it owns the mesh.
 *
 * GET /api/v1/objects?kind=&namespace=&name=&selector= and /api/v1/objects/KIND[/NAMESPACE[/NAME]] (KIND as people write it: plural, short name,
 * with a group; "-" as namespace of kinds without): the documents in force, from files and store. DELETE of one: kept by the API only.
 * POST /api/v1/apply?dryRun=&file= (YAML or JSON, any number of objects; `file` names the text in findings): all or nothing, answered after the store
 * has it: {"kind":"ApplyResult","dryRun","items":[{"kind","namespace","name","result":"created|configured|unchanged|deleted","generation"}],
 * "warnings":[findings]}; 422 with "findings" when there is an error among them. GET /api/v1/findings: FindingList.
 * POST /api/v1/analyze {"files":[{"name","text"}]}: what would be wrong if these objects were in force, too: FindingList with "objects", how many were read.
 *
 * Lists: {"apiVersion":"mesh/v1","kind":"<X>List","items":[...],"warnings":[...]}. Errors: {"apiVersion":"mesh/v1","kind":"Error", and the fields of
 * finding_to_doc}, with the HTTP status. `?pretty=true` indents.
 * In: http_server. Out: answers. Next: api_*.c. */
#include "base/compiler.h"
#include "codec/doc.h"
#include "http/http_server.h"
#include "model/finding.h"

#define API_BODY_MAX (8UL << 20) /* of one request */

struct api_taps;
struct ca;
struct from_store;
struct host;
struct insight;
struct push;
struct sources;
struct world;

/* What the API speaks about: filled by who runs it, borrowed, outlives the servers. A part whose member is NULL answers 503. */
struct api {
    struct loop *loop;
    struct host *host; /* for /readyz and /livez */
    struct sources *sources;
    struct from_store *store; /* NULL: no writes, objects come from files alone */
    struct span token;        /* of callers over TCP; empty: none is asked for */
    const struct span *hosts; /* more names for Host on TCP */
    size_t host_count;
    /* Findings of the world about objects in relation to one another; may be NULL. */
    void (*each_world_finding)(void *arg, void (*on_finding)(void *to, const struct finding *f),
                               void *to);
    void *world_arg;
    const struct world *world; /* of now; NULL before the first */
    struct push *push;         /* NULL before the first world */
    struct insight *insight;
    struct ca *ca;
    int64_t started_us;                      /* wall time */
    uint64_t applies_taken, applies_refused; /* counted here, since the start */
    struct api_taps *taps;                   /* who watches; see api_tap.c */
};
/* Registers all routes; to be called for each server that shall offer the API. */
void api_attach(struct http_server *s, struct api *api);

/* Who watches requests go by: to be made before api_attach, freed after the servers. */
NONNULL_RETURN struct api_taps *api_taps_new(void);
void api_taps_free(struct api_taps *t);
size_t api_taps_count(const struct api_taps *t);
/* An access-log message of a proxy that is tapped (envoy.service.accesslog.v3.StreamAccessLogsMessage), for those who watch it. */
void api_tap_take(struct api *api, struct span message, struct span identity);

/* ---- for the parts ---- */

/* A request under way; lives in its stream's arena, until it is answered or the client is gone. */
struct api_call {
    struct api *api;
    const struct http_request *rq;
    struct arena *arena;
    struct span rest;                    /* of the path, where the row ends in '*' */
    void (*on_gone)(struct api_call *c); /* see api_wait */
    void *state;                         /* the handler's */
};
typedef void (*api_handler)(struct api_call *c);

enum {
    API_WRITE = 1,  /* changes something: guarded on TCP */
    API_STREAM = 2, /* the handler takes the stream over (server-sent events): no body is awaited */
    API_OF_CA = 4,  /* needs the member `ca` */
    API_OF_INSIGHT = 8,
    API_OF_TAPS = 16
};
struct api_route {
    const char *methods; /* "GET", "POST, DELETE"; NULL ends a table */
    const char *path;    /* exact, or ending in '*' */
    unsigned flags;
    api_handler handler;
};

/* A parameter of the query, decoded; NULL `at` when there is none, or it can not be decoded. */
struct span api_param(const struct api_call *c, const char *name);
/* "?name", "?name=true" or "=1" (and what Kubernetes writes: dryRun=All). */
bool api_flag(const struct api_call *c, const char *name);
/* As a whole number within bounds; `otherwise` when absent. False: it is none, and the call was refused. */
MUST_USE bool api_number(struct api_call *c, const char *name, int64_t min, int64_t max,
                         int64_t otherwise, int64_t *out);
/* {"apiVersion":"mesh/v1","kind":...} to be filled and sent. */
NONNULL_RETURN struct doc_node *api_answer(const struct api_call *c, const char *kind);
/* An answer with empty "items" and "warnings". */
NONNULL_RETURN struct doc_node *api_list(const struct api_call *c, const char *kind);
void api_reply(struct api_call *c, unsigned status, const struct doc_node *answer);
/* An error with a code of mesh/codes.def. `fix` may be NULL. */
void api_refuse(struct api_call *c, unsigned status, unsigned code, const char *fix,
                const char *what, ...) PRINTF_LIKE(5, 6);
/* The answer comes later: until then the call stays, and `on_gone` (on c) tells that nobody waits for it any more. */
void api_wait(struct api_call *c, void (*on_gone)(struct api_call *c));
#endif
