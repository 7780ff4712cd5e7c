#ifndef CLI_DEMO_H
#define CLI_DEMO_H
/* A running demo: Bookinfo on this machine, as real processes of this binary.
 *
 *   load --> gateway --> productpage-v1 --> details-v1
 *            (8080)                    \--> reviews-v1, -v2, -v3 --> ratings-v1      each behind its proxy
 *   control (with the CA) at 127.66.N.1; a workload's proxy at 127.66.N.H, its application at 127.66.N+1.H
 *
 * With --netns each is in a network namespace at 10.66.N.H, and traffic is redirected: the applications know nothing of the mesh.
 *
 * In: examples/bookinfo, embedded. Parts: demo_place (folder, networks, ports), demo_crew (processes), demo_plan (which, with
 * what arguments), demo_pods and demo_net (--netns), demo_ask (requests), demo_desk (what `mesh demo break` talks to), demo_story (--check). */
#include "base/arena.h"
#include "cli/demo_ask.h"
#include "cli/demo_crew.h"
#include "cli/demo_net.h"
#include "cli/demo_place.h"

struct demo_options {
    bool check, json, no_traffic, netns;
    int64_t rps, seed, services;
    const char *scenario, *chapters;
};

/* Where a proxy's environment has its token. */
struct demo_slot {
    const char *workload;
    const char **place;
};
#define DEMO_SLOTS 512

struct demo_desk;
struct demo_graph;
struct demo {
    const struct demo_options *options; /* borrowed */
    struct loop *loop;                  /* borrowed */
    struct arena arena;                 /* texts that live as long as the demo */
    struct demo_place place;
    struct demo_net *net; /* --netns; NULL: all is on loopback */
    struct demo_crew *crew;
    struct demo_asker *asker;
    struct demo_desk *desk;
    const struct demo_graph *graph; /* with --services; in the arena, as are its workloads */
    struct demo_workload *graph_workloads;
    const char *control; /* "unix:/.../control.sock": origin of the API */
    const char *shop;    /* "http://127.0.0.1:8080" */
    int64_t began_ms;
    /* What was measured at the start, in milliseconds since began_ms; -1: not reached */
    int64_t control_ms, services_ms, page_ms, live_ms;
    size_t edges,
        edges_mtls; /* seen by control, and those over mutual TLS between the right identities */
    /* private */
    struct demo_slot slots[DEMO_SLOTS]; /* demo_plan's */
    size_t slot_count;
    int load_count;
    bool is_ruled[DEMO_NET_HOSTS]; /* demo_pods': hosts where mesh init ran */
    struct resolver *inside;       /* owned; of questions from within a pod; outlives the asker */
    struct err trouble;            /* of demo_plan and demo_pods: what could not be made */
};

/* ---- demo_plan: who there is ---- */

struct demo_workload {
    const char *name, *app, *version, *account;
    int host;          /* of its addresses */
    const char *calls; /* of a service of demo_graph: whom it asks; NULL: one of Bookinfo's */
};
#define DEMO_WORKLOADS 6
#define DEMO_SHOP_PORT 9080
#define DEMO_HTTP_PROXY_PORT 15007
extern const struct demo_workload demo_workloads[DEMO_WORKLOADS];
#define DEMO_GATEWAY "bookinfo-gateway"
#define DEMO_EDGES 7
struct demo_edge {
    const char *from, *to; /* workloads */
};
extern const struct demo_edge demo_edges[DEMO_EDGES];

/* Adds control, applications, proxies, gateway and load to the crew; nothing starts. */
void demo_plan_crew(struct demo *d);
/* The application, or the proxy, of a workload ("reviews-v1"). */
struct demo_member *demo_plan_app(const struct demo *d, const char *workload);
struct demo_member *demo_plan_proxy(const struct demo *d, const char *workload);
/* "http://127.66.1.11:9080", where its application is without any proxy; a unix socket with --netns. */
const char *demo_plan_app_origin(const struct demo *d, const struct demo_workload *w,
                                 struct arena *arena);
/* Adds a workload's application and proxy; `w` is borrowed for the demo's life. */
void demo_plan_pair(struct demo *d, const struct demo_workload *w);
/* Adds a load: "load" of the shop's page, or another. */
void demo_plan_load(struct demo *d, const char *name, const char *path, int64_t rps);
/* Adds a further workload of an app, known to nobody yet; its application and proxy are not started. */
const struct demo_workload *demo_plan_more(struct demo *d, const char *app, const char *version,
                                           int host);
/* Gives a proxy its join token, for its next start. */
void demo_plan_token(struct demo *d, const char *workload, struct span token);

/* ---- demo: life ---- */

/* Takes a place and writes the objects; then demo_start. */
MUST_USE int demo_new(struct demo **out, struct loop *loop, const struct demo_options *options,
                      struct err *err);
/* Until the shop is open, and control has seen all edges (if there is traffic). */
MUST_USE int demo_start(struct demo *d, struct err *err);
/* Ends all and leaves nothing behind. NULL is fine. */
void demo_free(struct demo *d);

/* Writes a file of examples/bookinfo ("subsets.yaml", "scenarios/outage/subsets.yaml") to the folder that control watches, in place of
 * one of that name. */
MUST_USE int demo_put_object(struct demo *d, const char *name, struct err *err);
/* Applies one through the API: it is kept by control, and the CLI can change it. */
MUST_USE int demo_apply(struct demo *d, const char *name, struct err *err);
/* A token for one identity, from control's API. */
MUST_USE int demo_token(struct demo *d, const char *account, struct span *token, struct err *err);
/* Counts the edges that control has seen in the last `window_s` seconds: d->edges, d->edges_mtls. */
MUST_USE int demo_look_at_edges(struct demo *d, int window_s, struct err *err);
/* Switches an application's fault: "status=503&share=50"; "" heals. */
MUST_USE int demo_set_fault(struct demo *d, const char *workload, const char *words,
                            struct err *err);
/* Sum over all processes, and this one. */
struct demo_memory demo_memory_sum(const struct demo *d);
/* All that is known of the running demo, as JSON. */
struct doc_node *demo_to_doc(const struct demo *d, struct arena *arena);
#endif
