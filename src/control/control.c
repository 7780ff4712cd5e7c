/* The control plane's process: options, parts, and what passes between them.
 *
 *   main thread:   sources -> world_builder -> world ---mail---> stream workers: translate, send (push)
 *                  API, insight, CA's decisions  <---mail--- who is connected, reports, signing requests
 *   store thread:  SQLite
 * In: role.h. Next: sources/source, world/world_build, push/push. */
#include "control/control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/control_int.h"
#include "io/worker.h"
#include "mesh/paths.h"
#include "tls/tls.h"

/* Changes that come within this make one world. */
#define SETTLE_MS 5

/* ---- from objects to the world ---- */

static void on_object(void *arg, struct object *o)
{
    struct control *c = arg;
    world_builder_put(c->builder, o);
    object_unref(o); /* the builder has its own reference */
}

static void on_gone(void *arg, struct span key)
{
    struct control *c = arg;
    world_builder_remove(c->builder, key);
}

static void on_settled(void *arg)
{
    struct control *c = arg;
    if (c->has_begun && !deadline_is_armed(&c->settle)) {
        deadline_arm(&c->settle, c->loop, SETTLE_MS);
    }
}

static void build_world(struct control *c)
{
    struct world_change change;
    struct world *old = c->world;
    int64_t begin_ns = instant_mono_ns();
    c->world = world_build(c->builder, &change);
    monitoring_world_built(&c->monitoring, (instant_mono_ns() - begin_ns) / 1000);
    c->api.world = c->world;
    owners_reset(&c->owners);
    if (c->has_begun) {
        control_kube_world(c, c->world);
    }
    if (c->push && (change.config || change.service_count > 0 || change.workload_count > 0)) {
        push_world(c->push, c->world, &change);
    }
    log_debug("control", "world version=%llu config=%d services=%zu",
              (unsigned long long)c->world->version, change.config, change.service_count);
    world_unref(old);
}

static void on_settle_due(struct deadline *d)
{
    build_world(container_of(d, struct control, settle));
}

/* ---- what push asks and tells ---- */

static int make_tls(void *arg, struct tls_ctx **out, struct err *err)
{
    struct control *c = arg;
    return ca_server_tls(c->ca, out, err);
}

static int on_host(void *arg, struct host *host, void **own, struct err *err)
{
    struct control *c = arg;
    struct ca_desk *desk = NULL;
    int code = ca_attach(&desk, c->ca, host, err);
    *own = desk;
    return code;
}

static void on_host_end(void *arg, void *own)
{
    UNUSED(arg);
    ca_desk_close(own);
}

static struct span owner_of(void *arg, struct span namespace, struct span workload)
{
    struct control *c = arg;
    return owners_find(&c->owners, c->world, namespace, workload);
}

static void on_report(void *arg, struct span message, struct span identity)
{
    struct control *c = arg;
    struct err err;
    metric_add(c->monitoring.reports, 1);
    if (insight_take(c->insight, message, identity, instant_wall_us(), &err) != 0) {
        metric_add(c->monitoring.reports_refused, 1);
        log_debug("control", "report refused identity=%.*s why=\"%s\"", SPAN_ARG(identity),
                  err.text);
    }
}

static void on_tap(void *arg, struct span message, struct span identity)
{
    struct control *c = arg;
    metric_add(c->monitoring.tap_messages, 1);
    api_tap_take(&c->api, message, identity);
}

/* ---- start ---- */

static int parse_address(const char *text, const char *flag, struct addr *out, struct err *err)
{
    *out = (struct addr){.kind = ADDR_NONE};
    if (strcmp(text, "off") == 0 || *text == '\0') {
        return 0;
    }
    int code = addr_parse(span_of(text), out, err);
    return code ? err_prefix(err, "--%s", flag) : 0;
}

static int listen_api(struct control *c, const char *name, const struct addr *addr, struct err *err)
{
    if (addr->kind == ADDR_NONE) {
        return 0;
    }
    const struct listener_spec where = {.addr = *addr, .unix_mode = 0600};
    int code = host_listen(c->host, name, &where, NULL, err);
    if (code == 0) {
        struct http_server *s = host_server(c->host, name);
        char text[ADDR_TEXT_BYTES];
        api_attach(s, &c->api);
        host_serve_ready(c->host, s, "/readyz");
        log_info("control", "api address=%s", addr_format(http_server_addr(s), text));
    }
    return code;
}

static int start_push(struct control *c, struct err *err)
{
    struct push_spec spec = {.loop = c->loop,
                             .mailbox = c->mailbox,
                             .workers = (unsigned)c->set.workers,
                             .world = c->world,
                             .metrics = c->monitoring.registry,
                             .destinations = c->destinations,
                             .events = {.make_tls = make_tls,
                                        .on_host = on_host,
                                        .on_host_end = on_host_end,
                                        .on_report = on_report,
                                        .on_tap = on_tap},
                             .arg = c};
    unsigned cpus = worker_cpu_quota();
    spec.workers = spec.workers ? spec.workers : cpus < PUSH_WORKERS_MAX ? cpus : PUSH_WORKERS_MAX;
    int code = parse_address(c->set.xds_address, "xds-address", &spec.tls_addr, err);
    code =
        code ? code
             : parse_address(c->set.xds_plain_address, "xds-plain-address", &spec.plain_addr, err);
    code = code ? code : push_new(&c->push, &spec, err);
    if (code == 0) {
        char text[ADDR_TEXT_BYTES];
        c->api.push = c->push;
        log_info("control", "xds address=%s workers=%u", addr_format(push_tls_addr(c->push), text),
                 spec.workers);
    }
    return code;
}

/* Everything is read, from files and store: the first world, and only then the servers, so that nobody is told that something is
 * gone which was not yet read. */
static void on_begin(struct deadline *d)
{
    struct control *c = container_of(d, struct control, begin);
    struct addr addr;
    struct err err;
    host_check_set(c->check_objects, true, NULL);
    build_world(c);
    c->has_begun = true;
    int code = c->kube ? control_kube_serve(c, &err) : 0;
    code = code ? code : start_push(c, &err);
    code = code ? code : parse_address(c->set.api_address, "api-address", &addr, &err);
    code = code ? code : listen_api(c, "api", &addr, &err);
    if (code != 0) {
        c->failure = err;
        c->status = 1;
        loop_stop(c->loop);
        return;
    }
    host_check_set(c->check_world, true, NULL);
    log_info("control", "ready objects=%zu services=%zu in_ms=%lld", sources_count(c->sources),
             c->world->config->service_count,
             (long long)((instant_wall_us() - c->started_us) / 1000));
}

static void begin_if_read(struct control *c)
{
    if (c->store_is_loaded && (!c->kube || c->kube_is_synced)) {
        sources_settle(c->sources);
        deadline_arm(&c->begin, c->loop, 0);
    }
}

static void on_loaded(void *arg, const struct err *err)
{
    struct control *c = arg;
    if (err) {
        c->failure = *err;
        c->status = 1;
        loop_stop(c->loop);
        return;
    }
    c->store_is_loaded = true;
    begin_if_read(c);
}

static void on_kube_synced(void *arg)
{
    struct control *c = arg;
    c->kube_is_synced = true;
    begin_if_read(c);
}

static int open_files(struct control *c, struct err *err)
{
    if (c->set.config_dirs.count > CONTROL_FOLDERS_MAX) {
        return err_set(err, -ERR_CONFIG, "--config-dir: at most %d folders", CONTROL_FOLDERS_MAX);
    }
    for (size_t i = 0; i < c->set.config_dirs.count; i++) {
        int code = from_files_new(&c->files[i], c->loop, c->sources, c->store,
                                  c->set.config_dirs.items[i], err);
        if (code != 0) {
            return code;
        }
        c->file_count++;
    }
    return 0;
}

static void each_world_finding(void *arg, void (*on_finding)(void *to, const struct finding *f),
                               void *to)
{
    struct control *c = arg;
    struct arena arena;
    struct findings all;
    arena_init(&arena, 4096);
    findings_init(&all, &arena);
    if (c->world) {
        world_findings(c->world, &all);
    }
    for (const struct finding *f = all.first; f; f = f->next) {
        on_finding(to, f);
    }
    arena_dispose(&arena);
}

static void on_signal(void *arg, int signo)
{
    struct control *c = arg;
    UNUSED(signo);
    loop_stop(c->loop);
}

static int open_state(struct control *c, struct err *err)
{
    char dir[PATHS_BYTES];
    const char *data = c->set.data_dir ? c->set.data_dir : paths_data_dir(dir);
    char *db = arena_printf(&c->arena, "%s/mesh.db", data);
    int code = c->set.kubernetes ? control_kube_open(c, data, err) : 0;
    code = code ? code : store_open(&c->store, db, err);
    code = code ? code
                : ca_new(&c->ca,
                         &(struct ca_spec){.loop = c->loop,
                                           .store = c->store,
                                           .data_dir = data,
                                           .trust_domain = c->set.trust_domain,
                                           .leaf_ttl_s = c->set.leaf_ttl_ms / 1000},
                         err);
    if (code != 0 || !c->kube) {
        return code;
    }
    return control_kube_join(c, data, on_kube_synced, c, err);
}

static int open_socket(struct control *c, struct err *err)
{
    char path[PATHS_BYTES];
    struct addr addr = {.kind = ADDR_UNIX};
    const char *socket = c->set.socket ? c->set.socket : paths_control_socket(path);
    if (strlen(socket) >= sizeof addr.path) {
        return err_set(err, -ERR_CONFIG, "--socket '%s' is longer than %zu bytes", socket,
                       sizeof addr.path - 1);
    }
    snprintf(addr.path, sizeof addr.path, "%s", socket);
    return listen_api(c, "api-socket", &addr, err);
}

static int open_monitoring(struct control *c, struct err *err)
{
    struct listener_spec where = {.backlog = 0};
    int code = parse_address(c->set.monitoring_address, "monitoring-address", &where.addr, err);
    if (code != 0 || where.addr.kind == ADDR_NONE) {
        return code;
    }
    code = host_listen(c->host, "monitoring", &where, NULL, err);
    if (code == 0) {
        struct http_server *s = host_server(c->host, "monitoring");
        char text[ADDR_TEXT_BYTES];
        monitoring_attach(s, c);
        log_info("control", "monitoring address=%s", addr_format(http_server_addr(s), text));
    }
    return code;
}

static int build(struct control *c, struct err *err)
{
    static const int signos[] = {SIGTERM, SIGINT, 0};
    static const struct source_events events = {
        .on_object = on_object, .on_gone = on_gone, .on_settled = on_settled};
    c->loop = loop_new(false);
    c->mailbox = mailbox_new(c->loop, c);
    c->signals = signals_new(c->loop, signos, on_signal, c);
    c->host = host_new(c->loop);
    c->check_objects = host_check_add(c->host, "objects");
    c->check_world = host_check_add(c->host, "push");
    c->insight = insight_new();
    owners_init(&c->owners);
    insight_set_owner(c->insight, owner_of, c);
    monitoring_init(&c->monitoring);
    c->builder = world_builder_new();
    c->sources = sources_new(&events, c);
    deadline_init(&c->settle, on_settle_due);
    deadline_init(&c->begin, on_begin);
    world_builder_set_defaults(c->builder, span_of(c->set.trust_domain),
                               c->set.kubernetes ? SPAN("Kubernetes") : SPAN_EMPTY);
    int code = open_state(c, err);
    code = code ? code : open_files(c, err);
    if (code != 0) {
        return code;
    }
    c->destinations = destinations_new(c->loop, c->store);
    c->stored = from_store_new(c->loop, c->sources, c->store, on_loaded, c);
    c->api = (struct api){.loop = c->loop,
                          .token = c->api.token,
                          .host = c->host,
                          .sources = c->sources,
                          .store = c->kube ? NULL : c->stored, /* there kubectl writes */
                          .each_world_finding = each_world_finding,
                          .world_arg = c,
                          .insight = c->insight,
                          .ca = c->ca,
                          .started_us = c->started_us,
                          .taps = api_taps_new()};
    code = open_monitoring(c, err);
    return code ? code : open_socket(c, err);
}

static void take_down(struct control *c)
{
    control_kube_end(c);
    host_drain(c->host);
    push_free(c->push);
    destinations_free(c->destinations);
    c->api.push = NULL;
    for (size_t i = 0; i < c->file_count; i++) {
        from_files_free(c->files[i]);
    }
    host_free(c->host); /* API calls end before what they use */
    api_taps_free(c->api.taps);
    from_store_free(c->stored);
    ca_free(c->ca);
    control_kube_free(c);
    sources_free(c->sources);
    world_builder_free(c->builder);
    world_unref(c->world);
    insight_free(c->insight);
    owners_dispose(&c->owners);
    monitoring_dispose(&c->monitoring);
    store_close(c->store);
    signals_free(c->signals);
    deadline_disarm(&c->settle);
    deadline_disarm(&c->begin);
    mailbox_free(c->mailbox);
    loop_free(c->loop);
}

static int set_up_process(struct control *c, struct err *err)
{
    log_set_json(c->set.log_format == 1);
    if (log_set_levels(c->set.log_level) != 0) {
        return err_set(err, -ERR_CONFIG,
                       "--log-level '%s' is not known; use error, warn, info or debug",
                       c->set.log_level);
    }
    int code = instant_init();
    return code ? code : tls_init(err);
}

int control_main(int argc, char **argv)
{
    struct control *c = mem_new(struct control);
    struct opt_list operands; /* none are taken */
    struct err err;
    err_clear(&err);
    arena_init(&c->arena, 1024);
    c->started_us = instant_wall_us();
    int code = opt_parse(&control_options, &c->set, argc, argv, &c->arena, &operands, &err);
    if (code == 0) {
        code = set_up_process(c, &err);
        if (code == 0) {
            code = build(c, &err);
            if (code == 0) {
                loop_run(c->loop);
                err = c->failure;
                code = err.code;
            }
            take_down(c);
        }
    }
    if (code < 0) {
        fprintf(stderr, "mesh control: %s\n", err.text);
    }
    int status = code < 0 ? (code == -ERR_CONFIG ? 2 : 1) : 0;
    arena_dispose(&c->arena);
    mem_free(c);
    return status;
}
