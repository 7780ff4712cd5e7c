/* See world.h. The worker's file is included, so that its random state can be seeded; io/worker, which would make a
 * thread, is defined anew. */
#include "sim/world.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/instant.h"
#include "proxy/bootstrap.h"
#include "proxy/proxy_discovery.h"
#include "proxy/proxy_worker.c"
#include "sim/control.h"

#define START_NS INT64_C(1000000000)
#define START_WALL_US INT64_C(1700000000000000)
#define SEED 42
#define TURNS_MAX 200000 /* more, and it spins */
#define LOG_MAX (1 << 20)

#define ANY "'@type': type.googleapis.com/envoy.extensions."
#define HCM ANY "filters.network.http_connection_manager.v3.HttpConnectionManager"
#define ROUTER ANY "filters.http.router.v3.Router"
#define TCP ANY "filters.network.tcp_proxy.v3.TcpProxy"
#define LOG ANY "access_loggers.file.v3.FileAccessLog"

/* ---- io/worker ---- */

struct worker {
    struct loop *loop;
    struct mailbox *mailbox;
    const struct worker_ops *ops;
    void *arg;
};

static struct sim *the_sim; /* worker_start is not told which */

int worker_start(struct worker **out, unsigned index, const struct worker_ops *worker_ops,
                 void *arg, struct err *err)
{
    UNUSED(index);
    struct worker *w = mem_new(struct worker);
    w->loop = the_sim->loop;
    w->mailbox = mailbox_new(w->loop, arg);
    w->ops = worker_ops;
    w->arg = arg;
    int code = w->ops->on_start(w, arg, err);
    ASSERT(code == 0);
    *out = w;
    return 0;
}

struct loop *worker_loop(struct worker *w)
{
    return w->loop;
}

struct mailbox *worker_mailbox(struct worker *w)
{
    return w->mailbox;
}

void worker_stop(struct worker *w)
{
    mailbox_deliver(w->mailbox);
    w->ops->on_stop(w, w->arg);
    mailbox_free(w->mailbox);
    mem_free(w);
}

/* ---- configuration ---- */

static void put(struct buf *b, const char *text)
{
    ASSERT(buf_append_span(b, span_of(text)) == 0);
}

static void put_more(struct buf *b, const char *fields)
{
    if (fields != NULL) {
        put(b, fields);
        put(b, ", ");
    }
}

static void put_endpoints(struct buf *b, const char *list)
{
    struct span rest = span_of(list);
    while (rest.at != NULL) {
        struct span one = span_cut(&rest, ' ');
        struct span n = span_cut(&one, '*');
        if (n.len == 0) {
            continue;
        }
        int code = buf_printf(
            b,
            "{endpoint: {address: {socket_address: {address: 10.0.0.%.*s, port_value: 80}}},"
            " load_balancing_weight: %.*s},",
            SPAN_ARG(n), SPAN_ARG(one.at != NULL ? one : SPAN("1")));
        ASSERT(code == 0);
    }
}

static void put_log(struct sim *s, struct buf *b, const char *format)
{
    if (format == NULL) {
        return;
    }
    int code = buf_printf(b,
                          "access_log: [{name: f, typed_config: {" LOG
                          ", path: /proc/self/fd/%d, log_format: "
                          "{text_format_source: {inline_string: \"%s\\n\"}}}}], ",
                          s->log_fd, format);
    ASSERT(code == 0);
}

static void put_http(struct sim *s, struct buf *b, const struct sim_conf *c)
{
    put(b, "{name: http, typed_config: {" HCM ", stat_prefix: in, ");
    put_more(b, c->hcm);
    put_log(s, b, c->log);
    put(b, "route_config: {name: r, virtual_hosts: [{name: v, domains: ['*'], ");
    put_more(b, c->vhost);
    put(b, "routes: [");
    if (c->routes != NULL) {
        put(b, c->routes);
    } else {
        put(b, "{name: one, match: {prefix: /}, route: {");
        put(b, c->route != NULL ? c->route : "cluster: a");
        put(b, "}}");
    }
    put(b, "]}]}, http_filters: [");
    put_more(b, c->filters);
    put(b, "{name: router, typed_config: {");
    put_more(b, c->router);
    put(b, ROUTER "}}]}}");
}

static void put_listener(struct sim *s, struct buf *b, const struct sim_conf *c)
{
    put(b, "{name: in, ");
    put_more(b, c->listener);
    put(b, "address: {socket_address: {address: 10.0.0.100, port_value: 80}}, filter_chains: [{");
    put_more(b, c->chain);
    put(b, "filters: [");
    if (c->tcp != NULL) {
        put(b, "{name: tcp, typed_config: {" TCP ", stat_prefix: in, ");
        put_log(s, b, c->log);
        put(b, c->tcp);
        put(b, "}}");
    } else {
        put_http(s, b, c);
    }
    put(b, "]}]}, ");
}

static struct span bootstrap_text(struct sim *s, const struct sim_conf *c)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    put(&b, "{static_resources: {listeners: [");
    if (!c->no_listener) {
        put_listener(s, &b, c);
    }
    put(&b, c->listeners != NULL ? c->listeners : "");
    put(&b, "], clusters: [");
    if (!c->no_cluster) {
        put(&b, "{name: a, ");
        put_more(&b, c->cluster);
        put(&b, "load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [");
        put_endpoints(&b, c->endpoints != NULL ? c->endpoints : "1");
        put(&b, "]}]}}, ");
    }
    put(&b, c->clusters != NULL ? c->clusters : "");
    put(&b, "]}}");
    struct span text = arena_dup(&s->texts, buf_span(&b));
    buf_dispose(&b);
    return text;
}

static int apply(struct sim *s, struct ingest_resource *list, size_t count, const char *type_url,
                 struct err *err)
{
    struct span version = span_of(arena_printf(&s->texts, "%u", s->version));
    for (size_t i = 0; i < count; i++) {
        list[i].version = version;
    }
    return ingest_apply(s->ingest, list, count, span_of(type_url), NULL, 0, true, err);
}

int sim_try_config(struct sim *s, const struct sim_conf *conf, struct err *err)
{
    struct bootstrap boot;
    err_clear(err);
    int code = bootstrap_read(&boot, bootstrap_text(s, conf), "sim.yaml", err);
    if (code != 0) {
        return code;
    }
    s->version++;
    code = apply(s, boot.clusters, boot.cluster_count,
                 "type.googleapis.com/envoy.config.cluster.v3.Cluster", err);
    code = code ? code
                : apply(s, boot.listeners, boot.listener_count,
                        "type.googleapis.com/envoy.config.listener.v3.Listener", err);
    bootstrap_dispose(&boot);
    sim_settle(s);
    return code;
}

void sim_config(struct sim *s, const struct sim_conf *conf)
{
    struct err err;
    if (sim_try_config(s, conf, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        ASSERT(false);
    }
}

/* ---- what a main thread does ---- */

static void on_snapshot(void *arg, struct snapshot *snapshot)
{
    struct sim *s = arg;
    snapshot_get(snapshot);
    s->views++;
    s->most_views = s->views > s->most_views ? s->views : s->most_views;
    proxy_worker_apply(s->worker, snapshot);
    if (s->control != NULL && s->control->discovery != NULL) {
        proxy_discovery_hints(s->control->discovery, snapshot);
    }
}

static void on_settled(void *arg)
{
    struct sim *s = arg;
    if (s->control != NULL && s->control->discovery != NULL) {
        proxy_discovery_settled(s->control->discovery);
    }
}

static void on_question(void *arg, unsigned index, enum conf_kind kind, struct span name)
{
    struct sim *s = arg;
    proxy_discovery_ask(s->control->discovery, index, kind, name);
}

static void on_interest(void *arg, enum conf_kind kind, struct span name, struct span path,
                        bool wanted)
{
    struct sim *s = arg;
    UNUSED(path);
    if (s->control != NULL) {
        sim_control_want(s->control, kind, name, wanted);
    }
}

static void on_snapshot_done(void *arg, struct snapshot *snapshot)
{
    struct sim *s = arg;
    s->views--;
    ingest_snapshot_done(s->ingest, snapshot);
}

static void on_applied(void *arg, unsigned index, uint64_t number, const struct err *err)
{
    struct sim *s = arg;
    UNUSED(index);
    UNUSED(number);
    s->applied++;
    s->apply_err = *err;
}

static void on_idle(void *arg, unsigned index)
{
    struct sim *s = arg;
    UNUSED(index);
    s->idle = true;
}

void sim_drain(struct sim *s, bool stop_accepting)
{
    proxy_worker_drain(s->worker, stop_accepting);
    sim_settle(s);
}

/* ---- time ---- */

void sim_settle(struct sim *s)
{
    unsigned turns = 0;
    bool any = true;
    while (any) {
        any = loop_turn(s->loop, false);
        any = sim_net_move(s->net) || any;
        ASSERT(++turns < TURNS_MAX);
    }
}

void sim_advance(struct sim *s, int64_t ms)
{
    sim_settle(s);
    while (ms > 0) {
        int64_t due_ms = loop_next_due_ms(s->loop);
        int64_t step_ms = due_ms < 0 ? ms : i64_min(i64_max(due_ms, 1), ms);
        instant_fake_advance(step_ms * 1000000);
        ms -= step_ms;
        sim_settle(s);
    }
}

/* ---- connections ---- */

struct sim_peer *sim_connect_to(struct sim *s, const char *addr)
{
    char from[32];
    (void)snprintf(from, sizeof(from), "192.0.2.1:%u", 5000 + s->clients++ % 60000);
    return sim_net_connect(s->net, addr, from, 0);
}

struct sim_peer *sim_connect(struct sim *s)
{
    return sim_connect_to(s, SIM_LISTENER_ADDR);
}

struct sim_origin *sim_origin(struct sim *s, unsigned n)
{
    char addr[32];
    (void)snprintf(addr, sizeof(addr), "10.0.0.%u:80", n);
    return sim_net_origin(s->net, addr);
}

/* ---- what it counts ---- */

struct sum {
    const char *name;
    const char *labels;
    int64_t value;
    const char *first;
};

static bool has_label(const struct metric_sample *m, struct span name, struct span value)
{
    for (size_t i = 0; m->family->labels != NULL && m->family->labels[i] != NULL; i++) {
        if (span_is(name, m->family->labels[i])) {
            return span_eq(m->label_values[i], value);
        }
    }
    return false;
}

static void add_sample(void *arg, const struct metric_sample *m)
{
    struct sum *sum = arg;
    if (strcmp(m->family->name, sum->name) != 0) {
        return;
    }
    struct span rest = span_of(sum->labels);
    while (rest.at != NULL) {
        struct span value = span_cut(&rest, ',');
        struct span name = span_cut(&value, '=');
        if (!has_label(m, name, value)) {
            return;
        }
    }
    sum->value += m->value;
}

int64_t sim_metric(struct sim *s, const char *name, const char *labels)
{
    struct sum sum = {.name = name, .labels = labels};
    metric_each(s->registry, add_sample, &sum);
    return sum.value;
}

static void add_active(void *arg, const struct metric_sample *m)
{
    struct sum *sum = arg;
    if (m->family->kind == METRIC_GAUGE && span_ends(span_of(m->family->name), SPAN("_active"))) {
        sum->value += m->value;
        sum->first = m->value != 0 && sum->first == NULL ? m->family->name : sum->first;
    }
}

int64_t sim_active(struct sim *s, const char **name)
{
    struct sum sum = {0};
    metric_each(s->registry, add_active, &sum);
    *name = sum.first;
    return sum.value;
}

const char *sim_log(struct sim *s)
{
    sim_advance(s, 1000);
    char *text = arena_bytes(&s->texts, LOG_MAX);
    ssize_t n = pread(s->log_fd, text, LOG_MAX - 1, 0);
    ASSERT(n >= 0);
    text[n] = '\0';
    return text;
}

/* ---- life ---- */

void sim_begin(struct sim *s, const struct sim_conf *conf)
{
    *s = (struct sim){0};
    ASSERT(the_sim == NULL);
    the_sim = s;
    s->live_bytes = mem_live_bytes();
    instant_fake_start(START_NS, START_WALL_US);
    s->loop = loop_new(true);
    s->net = sim_net_new(s->loop);
    s->mailbox = mailbox_new(s->loop, s);
    arena_init(&s->texts, 65536);
    s->log_fd = memfd_create("access", MFD_CLOEXEC);
    ASSERT(s->log_fd >= 0);
    s->registry = metric_registry_new();
    static const struct stats_workload self = {
        .workload = SPAN_INIT("w"), .workload_namespace = SPAN_INIT("ns"), .app = SPAN_INIT("app")};
    s->families = stats_families_new(s->registry, &self);
    s->shard = metric_shard_new(s->registry);
    s->shared = shared_new();
    struct ingest_events events = {
        .on_snapshot = on_snapshot, .on_interest = on_interest, .on_settled = on_settled};
    s->ingest = ingest_new(s->loop, NULL, &events, s);
    struct proxy_worker_spec spec = {
        .main = s->mailbox,
        .shared = s->shared,
        .families = s->families,
        .shard = s->shard,
        .on_snapshot_done = on_snapshot_done,
        .on_applied = on_applied,
        .on_idle = on_idle,
        .on_question = conf->control != NULL ? on_question : NULL,
    };
    s->control = conf->control;
    if (s->control != NULL) {
        sim_control_begin(s->control, s);
    }
    struct err err;
    int code = proxy_worker_start(&s->worker, &spec, &err);
    ASSERT(code == 0);
    rng_seed(&s->worker->rng, SEED);
    sim_config(s, conf);
}

static void check_breakers(struct sim *s)
{
    for (uint32_t slot = 0; slot < 64; slot++) {
        const struct shared_cluster *c = shared_cluster_get(s->shared, slot);
        ASSERT(c->connections == 0 && c->pending == 0 && c->retries == 0);
        ASSERT(c->requests[0] == 0 && c->requests[1] == 0);
    }
}

void sim_end(struct sim *s)
{
    sim_net_close(s->net);
    sim_settle(s);
    sim_net_close(s->net); /* and what was opened in place of it */
    sim_settle(s);
    proxy_worker_stop(s->worker);
    sim_net_close(s->net);
    sim_settle(s);
    const char *name;
    int64_t active = sim_active(s, &name);
    if (active != 0 || name != NULL) {
        (void)fprintf(stderr, "still active: %s\n", name);
        ASSERT(false);
    }
    check_breakers(s);
    ASSERT(s->views == 0);
    if (s->control != NULL) {
        sim_control_end(s->control);
    }
    ingest_free(s->ingest);
    sim_net_free(s->net);
    mailbox_free(s->mailbox);
    loop_free(s->loop);
    shared_free(s->shared);
    stats_families_free(s->families);
    metric_registry_free(s->registry);
    arena_dispose(&s->texts);
    (void)close(s->log_fd);
    instant_fake_stop();
    the_sim = NULL;
    size_t live_bytes = mem_live_bytes();
    if (live_bytes != s->live_bytes && !s->keeps_memory) {
        (void)fprintf(stderr, "%zu bytes at the end, %zu at the beginning\n", live_bytes,
                      s->live_bytes);
        ASSERT(false);
    }
}
