/* The data plane's process: options, bootstrap, workers, configuration, admin, draining.
 *
 *   main thread: sources -> ingest -> snapshots ---mail---> workers: connections
 *                admin    <- questions and answers ---------'
 * In: role.h. Next: proxy_sources (where configuration comes from), proxy_worker (what it does). */
#include "proxy/proxy.h"

#include <signal.h>
#include <stdlib.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/resolver.h"
#include "io/signals.h"
#include "proxy/bootstrap.h"
#include "proxy/dns_capture.h"
#include "proxy/node_identity.h"
#include "proxy/overload.h"
#include "proxy/pod/pod_ports.h"
#include "proxy/proxy_admin.h"
#include "proxy/last_good.h"
#include "proxy/proxy_discovery.h"
#include "proxy/proxy_native.h"
#include "proxy/proxy_options.h"
#include "proxy/proxy_report.h"
#include "proxy/proxy_sources.h"
#include "proxy/proxy_worker.h"
#include "tls/tls.h"

#define LINGER_MS 1000 /* after the drain period connections that are still busy get so long */
#define IDLE_MS 1000   /* --exit-idle: how long connections are taken, at least */

struct proxy {
    struct proxy_options set;
    struct bootstrap boot;
    struct loop *loop;
    struct mailbox *mailbox;
    struct signals *signals;
    struct resolver *resolver;
    struct metric_registry *registry;
    struct stats_families *families;
    struct shared *shared;
    struct ingest *ingest;
    struct node_identity *identity; /* NULL: certificates come with the configuration */
    struct proxy_sources *sources;
    struct proxy_discovery *discovery; /* NULL: full discovery */
    struct last_good *last_good;       /* NULL: nothing is kept */
    struct proxy_report *report;       /* NULL: nobody wants it */
    struct dns_names *dns_names;       /* NULL: no DNS */
    struct dns_capture *dns;
    struct proxy_admin *admin;
    struct overload *overload;
    struct pod_ports *pod; /* NULL: none of them is open */
    struct proxy_worker *workers[PROXY_WORKERS_MAX];
    unsigned worker_count, idle_count;
    uint64_t applied[PROXY_WORKERS_MAX]; /* the newest snapshot each worker has taken */
    struct err listening;                /* a listener that could not be opened, last */
    const struct snapshot *newest;
    struct proxy_numbers numbers;
    struct map listeners; /* name -> struct known_listener: to count what changed */
    bool failed_health, was_ready, is_ending;
    enum proxy_state state;
    struct deadline drain;
    int64_t linger_ms;
    enum { DRAIN_NONE, DRAIN_ACCEPTING, DRAIN_LINGERING } drain_state;
    int64_t started_us;
    int exit_code;
};

/* ---- state ---- */

static bool is_applied_everywhere(const struct proxy *p)
{
    for (unsigned i = 0; i < p->worker_count; i++) {
        if (p->newest == NULL || p->applied[i] < p->newest->number) {
            return false;
        }
    }
    return true;
}

/* What a start waits for, or NULL. */
static const char *waits_for(const struct proxy *p)
{
    if (p->identity != NULL && !node_identity_is_there(p->identity)) {
        const char *why = node_identity_why(p->identity);
        return why ? why : "the first certificate is being asked for";
    }
    if (!ingest_is_complete(p->ingest) || !proxy_sources_are_complete(p->sources)) {
        return "the control plane has not told all of the configuration yet";
    }
    if (p->discovery != NULL && !proxy_discovery_is_settled(p->discovery) &&
        !last_good_is_restored(p->last_good)) {
        return "known destinations are being asked for";
    }
    return is_applied_everywhere(p) ? NULL : "the configuration is being put in force";
}

/* Ready once, ready until drained: a later change of configuration does not take a proxy out of service. */
static void look_whether_live(struct proxy *p)
{
    if (p->state != PROXY_INITIALIZING || waits_for(p) != NULL) {
        return;
    }
    p->state = PROXY_LIVE;
    last_good_changed(p->last_good);
    log_info("proxy", "live workers=%u after_ms=%lld", p->worker_count,
             (long long)((instant_wall_us() - p->started_us) / 1000));
}

static enum proxy_state get_state(void *arg)
{
    const struct proxy *p = arg;
    return p->failed_health && p->state == PROXY_LIVE ? PROXY_DRAINING : p->state;
}

/* A sidecar that can not listen would be a hole in its pod, so that matters too until it was ready once. */
static const char *why_not_ready(void *arg)
{
    struct proxy *p = arg;
    if (get_state(p) == PROXY_DRAINING) {
        return "draining";
    }
    if (p->state == PROXY_INITIALIZING) {
        return waits_for(p);
    }
    if (!p->was_ready && p->listening.code != 0 && p->set.type == PROXY_SIDECAR) {
        return p->listening.text;
    }
    p->was_ready = true;
    return NULL;
}

static const struct snapshot *get_snapshot(void *arg)
{
    return ((const struct proxy *)arg)->newest;
}

static void fail_health(void *arg, bool failed)
{
    ((struct proxy *)arg)->failed_health = failed;
}

/* ---- workers ---- */

static void on_snapshot_done(void *arg, struct snapshot *s)
{
    struct proxy *p = arg;
    ingest_snapshot_done(p->ingest, s);
}

static void on_applied(void *arg, unsigned index, uint64_t number, const struct err *err)
{
    struct proxy *p = arg;
    p->applied[index] = number;
    if (err->code != 0) {
        log_error("proxy", "%s", err->text);
        p->listening = *err;
        p->numbers.listener_create_failures++;
        if (p->state == PROXY_INITIALIZING &&
            number == 1) { /* what the file asks for can not be had */
            p->exit_code = 1;
            loop_stop(p->loop);
            return;
        }
    }
    look_whether_live(p);
}

static void on_worker_idle(void *arg, unsigned index)
{
    struct proxy *p = arg;
    UNUSED(index);
    if (++p->idle_count == p->worker_count) {
        log_info("proxy", "drained, no connection left");
        loop_stop(p->loop);
    }
}

static void on_question(void *arg, unsigned index, enum conf_kind kind, struct span name)
{
    struct proxy *p = arg;
    if (p->is_ending) {
        return; /* mail that comes while workers stop */
    }
    proxy_discovery_ask(p->discovery, index, kind, name);
}

static int start_workers(struct proxy *p, struct err *err)
{
    const struct peer_facts facts = {.node_id = p->boot.node_id,
                                     .name = p->boot.node_name,
                                     .owner = p->boot.node_owner,
                                     .self = &p->boot.self};
    const struct peer_self *self = peers_self_new(&p->boot.arena, &facts);
    unsigned count = p->set.concurrency > 0 ? (unsigned)p->set.concurrency : worker_cpu_quota();
    count = count < PROXY_WORKERS_MAX ? count : PROXY_WORKERS_MAX;
    for (unsigned i = 0; i < count; i++) {
        struct proxy_worker_spec w = {
            .index = i,
            .several = count > 1,
            .main = p->mailbox,
            .shared = p->shared,
            .families = p->families,
            .shard = metric_shard_new(p->registry),
            .self = self,
            .on_snapshot_done = on_snapshot_done,
            .on_applied = on_applied,
            .on_idle = on_worker_idle,
            .on_question = p->discovery != NULL ? on_question : NULL,
        };
        int code = proxy_worker_start(&p->workers[i], &w, err);
        if (code != 0) {
            return code;
        }
        p->worker_count++;
    }
    return 0;
}

/* ---- configuration ---- */

struct known_listener {
    char *name;
    const struct conf_listener *conf; /* compared only */
    uint64_t seen;                    /* number of the last snapshot that had it */
};

static void count_listeners(struct proxy *p, const struct snapshot *s)
{
    p->numbers.snapshots++;
    for (size_t i = 0; i < s->listener_count; i++) {
        const struct conf_listener *l = s->listeners[i];
        struct known_listener *k = map_get(&p->listeners, l->conf.name);
        if (k == NULL) {
            k = mem_new(struct known_listener);
            k->name = mem_strndup(l->conf.name.at, l->conf.name.len);
            map_put(&p->listeners, span_from(k->name, l->conf.name.len), k);
            p->numbers.listeners_added++;
        } else if (k->conf != l) {
            p->numbers.listeners_modified++;
        }
        k->conf = l;
        k->seen = s->number;
    }
    for (struct map_slot *slot = NULL; (slot = map_next(&p->listeners, slot)) != NULL;) {
        struct known_listener *k = slot->value;
        if (k->seen != s->number) {
            map_remove(&p->listeners, slot->key);
            mem_free(k->name);
            mem_free(k);
            p->numbers.listeners_removed++;
        }
    }
}

static void on_snapshot(void *arg, struct snapshot *s)
{
    struct proxy *p = arg;
    count_listeners(p, s);
    p->newest = s;
    proxy_sources_snapshot(p->sources, s);
    for (unsigned i = 0; i < p->worker_count; i++) {
        snapshot_get(s);
        proxy_worker_apply(p->workers[i], s);
    }
    if (p->discovery != NULL && p->state == PROXY_INITIALIZING) {
        proxy_discovery_hints(p->discovery, s);
    }
}

static void on_interest(void *arg, enum conf_kind kind, struct span name, struct span path,
                        bool wanted)
{
    struct proxy *p = arg;
    if (p->identity == NULL || !node_identity_owns(kind, name)) {
        proxy_sources_want(p->sources, kind, name, path, wanted);
    }
}

static void on_settled(void *arg)
{
    struct proxy *p = arg;
    if (p->discovery != NULL) {
        proxy_discovery_settled(p->discovery);
    }
}

static const struct ingest_events ingest_events = {
    .on_snapshot = on_snapshot, .on_interest = on_interest, .on_settled = on_settled};

static void on_sources_moved(void *arg)
{
    struct proxy *p = arg;
    if (p->state !=
        PROXY_INITIALIZING) { /* what is not yet whole would be less than what is kept */
        last_good_changed(p->last_good);
    }
    look_whether_live(p);
}

static int make_identity(struct proxy *p, struct err *err)
{
    const struct node_identity_spec spec = {
        .loop = p->loop,
        .resolver = p->resolver,
        .ingest = p->ingest,
        .registry = p->registry,
        .control = p->set.control,
        .token_file = p->set.token_file,
        .ca_root = p->set.ca_root,
        .ca_pin = p->set.ca_pin,
        .trust_domain = p->set.trust_domain,
        .ns = p->set.ns,
        .service_account = p->set.service_account,
        .state_dir = p->set.state_dir,
        .on_ready = on_sources_moved,
        .arg = p,
    };
    return p->set.control != NULL ? node_identity_new(&p->identity, &spec, err) : 0;
}

static void start_discovery(struct proxy *p)
{
    if (!p->boot.on_demand) {
        return;
    }
    ingest_set_by_name(p->ingest);
    if (p->boot.dns_capture || p->set.dns_address != NULL) {
        p->dns_names = dns_names_new(p->boot.self.workload_namespace, p->boot.dns_domain);
    }
    const struct proxy_discovery_spec names = {
        .loop = p->loop,
        .registry = p->registry,
        .ingest = p->ingest,
        .sources = p->sources,
        .names = p->dns_names,
        .numbers = &p->numbers,
        .workers = p->workers,
        .worker_count = &p->worker_count,
        .state_dir = p->set.state_dir,
        .on_moved = on_sources_moved,
        .arg = p,
    };
    p->discovery = proxy_discovery_new(&names);
}

/* Clusters first, so that the control plane can be found; then secrets; then listeners. */
static int apply_static(struct proxy *p, struct err *err)
{
    const struct {
        const struct ingest_resource *items;
        size_t count;
    } lists[] = {
        {p->boot.clusters, p->boot.cluster_count},
        {p->boot.secrets, p->boot.secret_count},
        {p->boot.listeners, p->boot.listener_count},
    };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (lists[i].count == 0) {
            continue;
        }
        int code = ingest_apply(p->ingest, lists[i].items, lists[i].count,
                                lists[i].items[0].type_url, NULL, 0, false, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* ---- the end ---- */

static void on_drain_due(struct deadline *d)
{
    struct proxy *p = container_of(d, struct proxy, drain);
    if (p->drain_state == DRAIN_LINGERING) {
        log_info("proxy", "drain time is over, closing what is left");
        loop_stop(p->loop);
        return;
    }
    p->drain_state = DRAIN_LINGERING;
    for (unsigned i = 0; i < p->worker_count; i++) {
        proxy_worker_drain(p->workers[i], true);
    }
    deadline_arm(&p->drain, p->loop, p->linger_ms);
}

/* `accept_ms`: how long connections are taken on; all of it lasts the drain time, and a little longer where connections are left. */
static void start_draining(struct proxy *p, int64_t accept_ms)
{
    if (p->drain_state != DRAIN_NONE) {
        loop_stop(p->loop); /* told twice: at once */
        return;
    }
    log_info("proxy", "draining for_s=%lld accepting_ms=%lld", (long long)p->set.drain_s,
             (long long)accept_ms);
    p->linger_ms = p->set.drain_s * 1000 - accept_ms + LINGER_MS;
    p->drain_state = DRAIN_ACCEPTING;
    p->state = PROXY_DRAINING;
    for (unsigned i = 0; i < p->worker_count; i++) {
        proxy_worker_drain(p->workers[i], false);
    }
    deadline_arm(&p->drain, p->loop, accept_ms);
}

/* Endpoints are taken out of service behind our back, so for the whole drain time somebody may come who has not heard of it; and the application
 * may have last calls to make. */
static void quit(void *arg)
{
    struct proxy *p = arg;
    start_draining(p, p->set.drain_s * 1000);
}

/* The application is done: what is under way is finished, and nothing else is waited for. */
static void quit_soon(void *arg)
{
    struct proxy *p = arg;
    start_draining(p, i64_min(p->set.drain_s * 1000, IDLE_MS));
}

/* Not ready any more; everything is served on, and connections are asked to come again elsewhere. */
static void drain_softly(void *arg)
{
    struct proxy *p = arg;
    p->state = PROXY_DRAINING;
    for (unsigned i = 0; i < p->worker_count; i++) {
        proxy_worker_drain(p->workers[i], false);
    }
}

static void drain_listeners(void *arg)
{
    struct proxy *p = arg;
    p->state = PROXY_DRAINING;
    for (unsigned i = 0; i < p->worker_count; i++) {
        proxy_worker_drain(p->workers[i], true);
    }
}

static void on_signal(void *arg, int signo)
{
    struct proxy *p = arg;
    if (signo == SIGUSR1) {
        for (unsigned i = 0; i < p->worker_count; i++) {
            proxy_worker_reopen_logs(p->workers[i]);
        }
        return;
    }
    if (p->set.exit_idle) {
        quit_soon(p);
    } else {
        quit(p);
    }
}

/* ---- start ---- */

static int open_admin(struct proxy *p, struct err *err)
{
    if (!p->boot.has_admin) {
        return 0;
    }
    const struct listener_spec where = {.addr = p->boot.admin};
    const struct proxy_admin_view view = {
        .loop = p->loop,
        .registry = p->registry,
        .ingest = p->ingest,
        .workers = p->workers,
        .worker_count = p->worker_count,
        .node_id = p->boot.node_id,
        .node_cluster = p->boot.node_cluster,
        .started_us = p->started_us,
        .numbers = &p->numbers,
        .overload = p->overload,
        .state = get_state,
        .snapshot = get_snapshot,
        .fail_health = fail_health,
        .drain = drain_listeners,
        .quit = quit,
        .arg = p,
    };
    int code = proxy_admin_new(&p->admin, &where, &view, err);
    if (code != 0) {
        return err_prefix(err, "admin");
    }
    char text[ADDR_TEXT_BYTES];
    addr_format(proxy_admin_addr(p->admin), text);
    log_info("proxy", "admin address=%s", text);
    FILE *f = p->set.admin_address_path ? fopen(p->set.admin_address_path, "we") : NULL;
    if (p->set.admin_address_path != NULL && (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)) {
        return err_set(err, -errno, "'%s' can not be written: %s", p->set.admin_address_path,
                       err_name(-errno));
    }
    return 0;
}

/* As the pod knows them: --address, and the others that INSTANCE_IPS has. */
static size_t read_own_ips(const struct proxy *p, struct ip *to, size_t room)
{
    struct span rest = span_of(p->set.instance_ips);
    size_t count = p->set.address != NULL && ip_parse(span_of(p->set.address), to) == 0;
    while (rest.at != NULL && count < room) {
        struct ip ip;
        if (ip_parse(span_trim(span_cut(&rest, ',')), &ip) == 0 &&
            (count == 0 || !ip_eq(&ip, &to[0]))) {
            to[count++] = ip;
        }
    }
    return count;
}

static int open_pod(struct proxy *p, struct err *err)
{
    struct ip own[APP_REACH_OWN_MAX];
    const struct pod_ports_spec spec = {
        .loop = p->loop,
        .registry = p->registry,
        .status_addr = p->set.status_addr,
        .ready_addr = p->set.ready_addr,
        .stats_addr = p->set.stats_addr,
        .app_probes = p->set.app_probes,
        .app_metrics = p->set.app_metrics,
        .own = own,
        .own_count = read_own_ips(p, own, ARRAY_LEN(own)),
        .why_not_ready = why_not_ready,
        .quit = quit_soon,
        .drain = drain_softly,
        .arg = p,
    };
    return pod_ports_new(&p->pod, &spec, err);
}

static int load_bootstrap(struct proxy *p, struct err *err)
{
    int code;
    if (p->set.config_text != NULL) {
        code = bootstrap_read(&p->boot, span_of(p->set.config_text), "--config-yaml", err);
    } else if (p->set.config_file != NULL) {
        code = bootstrap_load(&p->boot, p->set.config_file, err);
    } else if (p->set.control != NULL) {
        code = proxy_native_bootstrap(&p->boot, &p->set, err);
    } else {
        return err_set(err, -ERR_CONFIG,
                       "--control or --config-file is missing; see mesh proxy --help");
    }
    if (code == 0 && p->set.service_node != NULL) {
        p->boot.node_id = arena_dup(&p->boot.arena, span_of(p->set.service_node));
    }
    if (code == 0 && p->set.service_cluster != NULL) {
        p->boot.node_cluster = arena_dup(&p->boot.arena, span_of(p->set.service_cluster));
    }
    return code;
}

static int build(struct proxy *p, struct err *err)
{
    static const int signos[] = {SIGTERM, SIGINT, SIGUSR1, 0};
    p->loop = loop_new(false);
    p->mailbox = mailbox_new(p->loop, p);
    p->signals = signals_new(p->loop, signos, on_signal, p);
    deadline_init(&p->drain, on_drain_due);
    p->registry = metric_registry_new();
    p->families = stats_families_new(p->registry, &p->boot.self);
    p->shared = shared_new();
    const struct resolver_spec dns = {0};
    int code = resolver_new(&p->resolver, p->loop, &dns, err);
    if (code != 0) {
        return code;
    }
    p->ingest = ingest_new(p->loop, p->resolver, &ingest_events, p);
    ingest_set_bootstrap(p->ingest, p->boot.message);
    map_init(&p->listeners);
    p->sources = proxy_sources_new(p->loop, p->resolver, p->ingest, &p->boot, &p->numbers,
                                   on_sources_moved, p);
    start_discovery(p);
    code = make_identity(p, err);
    return code ? code : apply_static(p, err);
}

static void start_report(struct proxy *p)
{
    if (p->boot.has_ads && p->boot.report_otlp) {
        p->report = proxy_report_new(&(struct proxy_report_spec){
            .loop = p->loop,
            .registry = p->registry,
            .boot = &p->boot,
            .sources = p->sources,
            .workers = p->workers,
            .worker_count = p->worker_count,
        });
    }
}

static int open_dns(struct proxy *p, struct err *err)
{
    if (p->dns_names == NULL) {
        return p->set.dns_address == NULL
                   ? 0
                   : err_set(err, -ERR_CONFIG,
                             "--dns-address needs node metadata MESH_DISCOVERY 'on-demand'");
    }
    struct dns_capture_spec dns = {
        .upstream = p->set.dns_upstream,
        .names = p->dns_names,
        .discovery = proxy_discovery_learned(p->discovery),
        .registry = p->registry,
    };
    const char *text = p->set.dns_address != NULL ? p->set.dns_address : DNS_CAPTURE_ADDRESS;
    int code = addr_parse(span_of(text), &dns.addr, err);
    code = code ? code : dns_capture_new(&p->dns, p->loop, &dns, err);
    return code ? err_prefix(err, "dns") : 0;
}

static void start_keeping(struct proxy *p)
{
    const char *dir = p->set.state_dir;
    if (!p->boot.has_ads || dir == NULL || dir[0] == '\0') {
        return;
    }
    p->last_good = last_good_new(&(struct last_good_spec){.loop = p->loop,
                                                          .ingest = p->ingest,
                                                          .sources = p->sources,
                                                          .discovery = p->discovery,
                                                          .names = p->dns_names,
                                                          .node_id = p->boot.node_id,
                                                          .state_dir = dir});
    last_good_start(p->last_good);
}

static int serve(struct proxy *p, struct err *err)
{
    const struct overload_spec limits = {
        .loop = p->loop,
        .registry = p->registry,
        .shared = p->shared,
        .workers = p->workers,
        .worker_count = &p->worker_count,
        .max_connections = (uint32_t)p->set.max_connections,
        .max_connections_per_peer = (uint32_t)p->set.max_connections_per_peer,
        .memory_bytes = (uint64_t)p->set.memory_limit_mb << 20,
    };
    p->overload = overload_new(&limits); /* before workers read its limits */
    int code = start_workers(p, err);
    code = code ? code : open_admin(p, err);
    code = code ? code : open_pod(p, err);
    code = code ? code : open_dns(p, err);
    code = code ? code : proxy_sources_start(p->sources, err);
    if (code != 0) {
        return code;
    }
    start_report(p);
    start_keeping(p);
    if (p->identity != NULL) {
        node_identity_start(p->identity);
    }
    log_info("proxy", "started node=%.*s workers=%u listeners=%zu clusters=%zu",
             SPAN_ARG(p->boot.node_id), p->worker_count, p->boot.listener_count,
             p->boot.cluster_count);
    loop_run(p->loop);
    return 0;
}

static void forget_listeners(struct proxy *p)
{
    for (struct map_slot *slot = NULL; (slot = map_next(&p->listeners, slot)) != NULL;) {
        struct known_listener *k = slot->value;
        mem_free(k->name);
        mem_free(k);
    }
    map_dispose(&p->listeners);
}

static void take_down(struct proxy *p)
{
    forget_listeners(p);
    p->is_ending = true;
    proxy_report_stop(p->report);
    last_good_free(p->last_good);
    p->last_good = NULL;
    node_identity_free(p->identity);
    dns_capture_free(p->dns);
    overload_free(p->overload);
    proxy_sources_free(p->sources);
    for (unsigned i = 0; i < p->worker_count; i++) {
        proxy_worker_stop(p->workers[i]);
    }
    pod_ports_free(p->pod);
    proxy_admin_free(p->admin);
    mailbox_free(p->mailbox); /* the last snapshots come home */
    proxy_report_free(p->report);
    proxy_discovery_free(p->discovery);
    dns_names_free(p->dns_names);
    ingest_free(p->ingest);
    resolver_free(p->resolver);
    shared_free(p->shared);
    stats_families_free(p->families);
    metric_registry_free(p->registry);
    signals_free(p->signals);
    deadline_disarm(&p->drain);
    loop_free(p->loop);
    bootstrap_dispose(&p->boot);
}

static int run(struct proxy *p, struct err *err)
{
    int code = build(p, err);
    if (code == 0 && p->set.mode == 1) {
        printf("configuration is valid: %zu listeners, %zu clusters, %zu secrets\n",
               p->boot.listener_count, p->boot.cluster_count, p->boot.secret_count);
    } else if (code == 0) {
        code = serve(p, err);
    }
    take_down(p);
    return code;
}

static int fail(const struct err *err)
{
    fprintf(stderr, "mesh proxy: %s\n", err->text);
    return err->code == -ERR_CONFIG ? 2 : 1;
}

int proxy_main(int argc, char **argv)
{
    struct proxy *p = mem_new(struct proxy);
    struct arena arena;
    struct err err;
    err_clear(&err);
    arena_init(&arena, 1024);
    p->started_us = instant_wall_us();
    struct opt_list operands; /* none are taken */
    int code = opt_parse(&proxy_options, &p->set, argc, argv, &arena, &operands, &err);
    int status = 0;
    if (code == 0) {
        log_set_json(p->set.log_format == 1);
        code = log_set_levels(p->set.log_level);
        code = code ? err_set(&err, -ERR_CONFIG,
                              "--log-level '%s' is not known; use error, warn, info or debug",
                              p->set.log_level)
                    : instant_init();
        code = code ? code : tls_init(&err);
        code = code ? code : load_bootstrap(p, &err);
        code = code ? code : run(p, &err);
    }
    if (code < 0) {
        status = fail(&err);
    } else {
        status = p->exit_code;
    }
    arena_dispose(&arena);
    mem_free(p);
    return status;
}
