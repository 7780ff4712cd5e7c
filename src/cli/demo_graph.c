/* A made-up graph of services: drawn from a seed, written as objects, run as workloads. */
#include "cli/demo_graph.h"

#include "base/buf.h"
#include "cli/demo.h"

#define FIRST_HOST 30
#define TEXT_MAX (1u << 20)
#define LOAD_REQUESTS 200 /* a second, in the whole graph */
#define SPREAD \
    3 /* parents are not further back than a third, so that it is neither a list nor a star */
#define EXTRA_PERCENT 20 /* services that call a leaf of another branch too */

static bool calls_already(const struct demo_graph *g, unsigned from, unsigned to)
{
    for (unsigned i = 0; i < g->counts[from]; i++) {
        if (g->calls[from][i] == to) {
            return true;
        }
    }
    return false;
}

static bool add_call(struct demo_graph *g, unsigned from, unsigned to)
{
    if (g->counts[from] == DEMO_GRAPH_CALLS || calls_already(g, from, to)) {
        return false;
    }
    g->calls[from][g->counts[from]++] = to;
    return true;
}

void demo_graph_draw(struct demo_graph *g, unsigned count, struct rng *rng)
{
    *g = (struct demo_graph){.count = count};
    for (unsigned i = 1; i < count; i++) {
        unsigned first = i / SPREAD;
        unsigned from = first + (unsigned)rng_below(rng, i - first);
        while (!add_call(g, from, i)) {
            from =
                first + (from + 1 - first) % (i - first); /* one of them has room: each calls six */
        }
    }
    for (unsigned i = 1; i + 1 < count; i++) {
        unsigned to = i + 1 + (unsigned)rng_below(rng, count - i - 1);
        /* Only leaves, or the number of requests would multiply. */
        if (g->counts[to] == 0 && g->counts[i] > 0 && rng_below(rng, 100) < EXTRA_PERCENT) {
            (void)add_call(g, i, to);
        }
    }
}

static const char *name_of(struct demo *d, unsigned i)
{
    return arena_printf(&d->arena, "svc-%03u", i + 1);
}

void demo_graph_plan(struct demo *d)
{
    struct rng rng;
    struct demo_graph *g = arena_new(&d->arena, struct demo_graph);

    ASSERT(d->options->services > 0 && d->options->services <= DEMO_GRAPH_MAX);
    rng_seed(&rng, (uint64_t)d->options->seed);
    demo_graph_draw(g, (unsigned)d->options->services, &rng);
    d->graph = g;
    d->graph_workloads = arena_array(&d->arena, g->count, sizeof(*d->graph_workloads));
    for (unsigned i = 0; i < g->count; i++) {
        struct demo_workload *w = &d->graph_workloads[i];
        const char *calls = "";
        for (unsigned k = 0; k < g->counts[i]; k++) {
            calls = arena_printf(&d->arena, "%s%s%s:%d", calls, k > 0 ? "," : "",
                                 name_of(d, g->calls[i][k]), DEMO_SHOP_PORT);
        }
        w->app = name_of(d, i);
        w->version = "v1";
        w->name = arena_printf(&d->arena, "%s-v1", w->app);
        w->account = w->app;
        w->host = FIRST_HOST + (int)i;
        w->calls = calls;
        demo_plan_pair(d, w);
    }
    demo_plan_load(d, "load of the graph", "/graph",
                   i64_max(1, LOAD_REQUESTS / d->options->services));
}

static int write_one(struct demo *d, const struct demo_workload *w, struct buf *out)
{
    return buf_printf(out,
                      "apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: default}\n"
                      "spec: {ports: [{name: http, port: %d}], selector: {app: %s}}\n---\n"
                      "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
                      "metadata: {name: %s, namespace: default}\n"
                      "spec: {address: %s%d, serviceAccount: %s,\n"
                      "  labels: {app: %s, version: %s, security.istio.io/tlsMode: istio}}\n---\n",
                      w->app, DEMO_SHOP_PORT, w->app, w->name, d->place.net, w->host, w->account,
                      w->app, w->version);
}

int demo_graph_write(struct demo *d, struct err *err)
{
    struct buf out;
    int code = 0;
    buf_init(&out, TEXT_MAX);
    for (unsigned i = 0; i < d->graph->count && code == 0; i++) {
        code = write_one(d, &d->graph_workloads[i], &out);
    }
    code = code == 0
               ? buf_printf(&out,
                            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
                            "metadata: {name: graph, namespace: default}\n"
                            "spec:\n  parentRefs: [{name: " DEMO_GATEWAY "}]\n"
                            "  rules:\n    - matches: [{path: {type: PathPrefix, value: /graph}}]\n"
                            "      backendRefs: [{name: %s, port: %d}]\n",
                            d->graph_workloads[0].app, DEMO_SHOP_PORT)
               : code;
    code = code == 0 ? demo_place_write(&d->place, "config/graph.yaml", buf_span(&out), err)
                     : err_set(err, code, "the graph is too large");
    buf_dispose(&out);
    return code;
}
