/* Worlds to proxies over real gRPC: two stream workers, and clients on loops of their own, so that one can be busy while others go on. */
#include "control/push/push.c"

#include <errno.h>
#include <stdio.h>

#include "codec/doc.h"
#include "codec/pb_json.h"
#include "proto/core.pb.h"
#include "proto/types.pb.h"
#include "unit/control/world/world_test.h"
#include "xds/xds.h"
#include "xds/xds_client.h"

#define TAP "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
#define MANY 70 /* more than PUSH_DUE_SERVICES_MAX */

_Static_assert(MANY > PUSH_DUE_SERVICES_MAX, "too few to overflow");

static struct {
    struct loop *loop; /* push's main thread */
    struct mailbox *mailbox;
    struct metric_registry *metrics;
    struct world_builder *builder;
    struct world *world;
    struct push *push;
} t;

/* A proxy. */
struct seat {
    struct loop *loop;
    struct xds_client *client;
    char seen[16384];
    size_t updates; /* of endpoints */
    size_t added;   /* resources in the last of them */
    bool refuse;
};

/* ---- the world ---- */

#define PORT "ports: [{name: http, port: 80}]"
#define TWO_SERVICES                                                                    \
    SERVICE("a", "default", "selector: {app: a}, clusterIP: 10.0.0.1, " PORT)           \
    SERVICE("b", "default", "selector: {app: b}, clusterIP: 10.0.0.2, " PORT)           \
    WORKLOAD("a1", "default", "address: 10.1.0.1, labels: {app: a}, serviceAccount: a") \
    WORKLOAD("b1", "default", "address: 10.1.0.2, labels: {app: b}, serviceAccount: b")

static void build(void)
{
    struct world_change change;
    struct world *old = t.world;
    t.world = world_build(t.builder, &change);
    if (t.push) {
        push_world(t.push, t.world, &change);
    }
    world_unref(old);
}

static void change(const char *yaml)
{
    world_test_read(t.builder, yaml);
    build();
}

/* ---- a client ---- */

static void note(struct seat *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(struct seat *s, const char *fmt, ...)
{
    size_t len = strlen(s->seen);
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(s->seen + len, sizeof s->seen - len, fmt, args);
    va_end(args);
    assert_true(more >= 0 && (size_t)more < sizeof s->seen - len);
}

static int on_update(void *arg, const struct xds_update *u, struct err *err)
{
    struct seat *s = arg;
    note(s, "%.*s", SPAN_ARG(xds_short_type(u->type_url)));
    for (size_t i = 0; i < u->added_count && u->added_count <= 8; i++) {
        note(s, " +%.*s", SPAN_ARG(u->added[i].name));
    }
    for (size_t i = 0; i < u->removed_count; i++) {
        note(s, " -%.*s", SPAN_ARG(u->removed[i]));
    }
    note(s, "; ");
    if (span_is(u->type_url, XDS_ENDPOINTS)) {
        s->updates++;
        s->added = u->added_count;
    }
    return s->refuse ? err_set(err, -ERR_CONFIG, "no thanks") : 0;
}

static const struct xds_client_events client_events = {.on_update = on_update};

static void sit(struct seat *s, struct loop *loop, const char *id, const char *metadata, bool sotw)
{
    struct arena arena;
    struct err err;
    struct doc_node *doc;
    char addr[ADDR_TEXT_BYTES], origin[ADDR_TEXT_BYTES + 8];
    arena_init(&arena, 4096);
    char *text = arena_printf(&arena, "{\"id\": \"%s\", \"metadata\": {%s}}", id, metadata);
    assert_int_equal(doc_parse_json(&arena, span_of(text), NULL, &doc, &err), 0);
    const struct pb_core_Node *node =
        pb_json_read(&proto_types, &pb_core_Node_desc, &arena, doc, &err);
    assert_non_null(node);
    snprintf(origin, sizeof origin, "http://%s", addr_format(push_plain_addr(t.push), addr));
    const struct xds_client_spec spec = {
        .http = {.origin = span_of(origin)}, .node = node, .sotw = sotw};
    *s = (struct seat){.loop = loop};
    assert_int_equal(xds_client_new(&s->client, loop, &spec, &client_events, s, &err), 0);
    arena_dispose(&arena);
}

#define ON_DEMAND "\"MESH_DISCOVERY\": \"on-demand\", \"WORKLOAD_NAME\": \"a1\""
#define A "outbound|80||a.default.svc.cluster.local"
#define B "outbound|80||b.default.svc.cluster.local"

/* What a proxy does that uses both services. */
static void sit_down(struct seat *s, struct loop *loop, const char *name)
{
    char id[128];
    snprintf(id, sizeof id, "sidecar~10.1.0.1~%s.default~default.svc.cluster.local", name);
    sit(s, loop, id, ON_DEMAND, false);
    xds_client_subscribe(s->client, SPAN(XDS_CLUSTER), SPAN(A));
    xds_client_subscribe(s->client, SPAN(XDS_CLUSTER), SPAN(B));
    xds_client_subscribe(s->client, SPAN(XDS_ENDPOINTS), SPAN(A));
    xds_client_subscribe(s->client, SPAN(XDS_ENDPOINTS), SPAN(B));
    xds_client_start(s->client);
}

static void turn(struct seat *s)
{
    (void)loop_turn(t.loop, false);
    if (s && s->loop != t.loop) {
        (void)loop_turn(s->loop, false);
    }
}

static void wait_seen(struct seat *s, const char *text)
{
    int64_t give_up = instant_mono_ms() + 20000;
    while (!strstr(s->seen, text)) {
        if (instant_mono_ms() > give_up) {
            fail_msg("'%s' is not in '%s'", text, s->seen);
        }
        turn(s);
    }
}

static struct proxy_entry *entry_of(const char *name)
{
    LIST_EACH(node, next, &push_proxies(t.push)->entries) {
        struct proxy_entry *e = list_item(node, struct proxy_entry, node);
        if (span_is(e->who.name, name)) {
            return e;
        }
    }
    return NULL;
}

/* Until the main thread heard that all was taken. */
static struct proxy_entry *wait_synced(struct seat *s, const char *name)
{
    int64_t give_up = instant_mono_ms() + 20000;
    struct proxy_entry *e;
    while (!(e = entry_of(name)) || !proxies_is_synced(e)) {
        assert_true(instant_mono_ms() < give_up);
        turn(s);
    }
    return e;
}

static void get_up(struct seat *s)
{
    xds_client_free(s->client);
    s->client = NULL;
    for (int i = 0; i < 5; i++) {
        (void)loop_turn(s->loop, false);
    }
}

/* ---- begin and end ---- */

static void begin_with(const char *yaml, unsigned workers)
{
    struct err err;
    struct push_spec spec = {.loop = t.loop, .workers = workers};
    memset(&t, 0, sizeof t);
    t.loop = loop_new(false);
    t.mailbox = mailbox_new(t.loop, NULL);
    t.metrics = metric_registry_new();
    t.builder = world_builder_new();
    world_test_read(t.builder, yaml);
    build();
    spec.loop = t.loop;
    spec.mailbox = t.mailbox;
    spec.metrics = t.metrics;
    spec.world = t.world;
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &spec.plain_addr, &err), 0);
    assert_int_equal(push_new(&t.push, &spec, &err), 0);
}

static int begin(void **state)
{
    UNUSED(state);
    begin_with(TWO_SERVICES, 1);
    return 0;
}

static int begin_two_workers(void **state)
{
    UNUSED(state);
    begin_with(TWO_SERVICES, 2);
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    push_free(t.push);
    world_unref(t.world);
    world_builder_free(t.builder);
    metric_registry_free(t.metrics);
    mailbox_free(t.mailbox);
    loop_free(t.loop);
    return 0;
}

static int64_t counted(const char *name, const char *type)
{
    const struct span value = span_of(type);
    return metric_read(t.metrics, name, type ? &value : NULL);
}

/* ---- tests ---- */

static void test_first_answers(void **state)
{
    UNUSED(state);
    struct seat s;
    sit_down(&s, t.loop, "p");
    struct proxy_entry *e = wait_synced(&s, "p");
    wait_seen(&s, "Cluster +" A " +" B "; ");
    wait_seen(&s, "ClusterLoadAssignment +" A " +" B "; ");
    e = wait_synced(&s, "p");
    assert_string_equal(e->protocol, "delta");
    assert_null(e->identity);
    while (e->types[PROXIES_ENDPOINTS].acked == 0) {
        turn(&s);
    }
    assert_int_equal(e->types[PROXIES_CLUSTER].names, 2);
    assert_int_equal(e->types[PROXIES_CLUSTER].sent, t.world->version);
    assert_int_equal(e->types[PROXIES_LISTENER].sent, 0);
    assert_int_equal(counted("pilot_xds_pushes", "cds"), 1);
    assert_int_equal(counted("pilot_proxy_convergence_time", NULL), 0); /* it asked */
    get_up(&s);
    int64_t give_up = instant_mono_ms() + 20000;
    while (push_proxies(t.push)->count > 0 && instant_mono_ms() < give_up) {
        turn(&s);
    }
    assert_int_equal(push_proxies(t.push)->count, 0);
    assert_int_equal(push_proxies(t.push)->disconnects, 1);
}

static void test_only_what_changed(void **state)
{
    UNUSED(state);
    struct seat s;
    sit_down(&s, t.loop, "p");
    wait_seen(&s, "ClusterLoadAssignment");
    struct proxy_entry *e = wait_synced(&s, "p");
    s.seen[0] = '\0';
    /* another endpoint of a: neither b nor any cluster */
    change(WORKLOAD("a2", "default", "address: 10.1.0.3, labels: {app: a}, serviceAccount: a"));
    wait_seen(&s, "; ");
    while (e->types[PROXIES_ENDPOINTS].acked < t.world->version) {
        turn(&s);
    }
    assert_string_equal(s.seen, "ClusterLoadAssignment +" A "; ");
    assert_int_equal(counted("pilot_push_triggers", "endpoint"), 1);
    assert_int_equal(counted("pilot_proxy_convergence_time", NULL), 1);
    /* a rule about b: its cluster alone */
    s.seen[0] = '\0';
    change(RULE("b", "default",
                "host: b, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}"));
    wait_seen(&s, "; ");
    wait_synced(&s, "p");
    assert_string_equal(s.seen, "Cluster +" B "; ");
    /* what goes is told as gone */
    s.seen[0] = '\0';
    world_builder_remove(t.builder, SPAN("services/default/b"));
    build();
    wait_seen(&s, "Cluster -" B "; ");
    wait_seen(&s, "ClusterLoadAssignment -" B "; ");
    assert_null(strstr(s.seen, A));
    /* and what comes back, as there */
    change(SERVICE("b", "default", "selector: {app: b}, clusterIP: 10.0.0.2, " PORT));
    wait_seen(&s, "Cluster +" B "; ");
    wait_seen(&s, "ClusterLoadAssignment +" B "; ");
    get_up(&s);
}

static void test_unknown_type(void **state)
{
    UNUSED(state);
    struct seat s;
    sit(&s, t.loop, "sidecar~10.1.0.1~p.default~x", ON_DEMAND, false);
    xds_client_subscribe(s.client, SPAN("type.googleapis.com/foo.Bar"), SPAN("x"));
    xds_client_subscribe(s.client, SPAN(XDS_CLUSTER), SPAN("outbound|80||nobody"));
    xds_client_start(s.client);
    wait_seen(&s, "Bar -x; ");
    wait_seen(&s, "Cluster -outbound|80||nobody; ");
    get_up(&s);
}

static void test_refusal(void **state)
{
    UNUSED(state);
    struct seat s;
    sit_down(&s, t.loop, "p");
    wait_seen(&s, "ClusterLoadAssignment");
    struct proxy_entry *e = wait_synced(&s, "p");
    s.refuse = true;
    change(RULE("a", "default",
                "host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}"));
    while (!e->types[PROXIES_CLUSTER].refused) {
        turn(&s);
    }
    assert_string_equal(e->types[PROXIES_CLUSTER].refused, "no thanks");
    assert_false(proxies_is_synced(e));
    assert_true(e->types[PROXIES_CLUSTER].acked < e->types[PROXIES_CLUSTER].sent);
    assert_int_equal(counted("pilot_total_xds_rejects", "cds"), 1);
    /* the next one is taken */
    s.refuse = false;
    change(RULE("a", "default",
                "host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 8}}}"));
    wait_synced(&s, "p");
    assert_null(e->types[PROXIES_CLUSTER].refused);
    assert_int_equal(counted("pilot_total_xds_rejects", "cds"), 1);
    get_up(&s);
}

/* One client does not read while three worlds come: it gets one answer, then the last world, whatever others got meanwhile. */
static void test_busy_client(void **state)
{
    UNUSED(state);
    struct seat quick, busy;
    struct loop *own = loop_new(false);
    sit_down(&busy, own, "busy");
    wait_seen(&busy, "ClusterLoadAssignment");
    wait_synced(&busy, "busy");
    sit_down(&quick, t.loop, "quick");
    wait_seen(&quick, "ClusterLoadAssignment");
    wait_synced(&quick, "quick");
    busy.updates = 0;
    for (int i = 0; i < 4; i++) {
        char yaml[256];
        snprintf(yaml, sizeof yaml,
                 WORKLOAD("more%d", "default", "address: 10.2.0.%d, labels: {app: a}"), i, i + 1);
        quick.seen[0] = '\0';
        change(yaml);
        wait_seen(&quick, "ClusterLoadAssignment +" A "; "); /* so the worker has looked at all */
    }
    busy.seen[0] = '\0';
    wait_seen(&busy, "ClusterLoadAssignment +" A "; ");
    assert_true(entry_of("busy")->types[PROXIES_ENDPOINTS].sent < t.world->version);
    struct proxy_entry *e = entry_of("busy");
    while (e->types[PROXIES_ENDPOINTS].acked < t.world->version) {
        turn(&busy);
    }
    assert_string_equal(busy.seen, "ClusterLoadAssignment +" A "; ClusterLoadAssignment +" A "; ");
    assert_in_range(busy.updates, 1, 2);
    get_up(&busy);
    get_up(&quick);
    loop_free(own);
}

/* More services change while a client is busy than are remembered one by one. */
static void test_many_services(void **state)
{
    UNUSED(state);
    struct seat quick, busy;
    struct loop *own = loop_new(false);
    char yaml[512], name[128];
    for (int i = 0; i < MANY; i++) {
        snprintf(yaml, sizeof yaml,
                 SERVICE("s%d", "default", "selector: {app: s%d}, clusterIP: 10.3.0.%d, " PORT), i,
                 i, i + 1);
        world_test_read(t.builder, yaml);
    }
    build();
    sit_down(&busy, own, "busy");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "outbound|80||s%d.default.svc.cluster.local", i);
        xds_client_subscribe(busy.client, SPAN(XDS_ENDPOINTS), span_of(name));
    }
    while (busy.added < MANY) {
        turn(&busy);
    }
    wait_synced(&busy, "busy");
    sit_down(&quick, t.loop, "quick");
    wait_seen(&quick, "ClusterLoadAssignment");
    busy.updates = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(yaml, sizeof yaml,
                 WORKLOAD("w%d", "default", "address: 10.4.0.%d, labels: {app: s%d}"), i, i + 1, i);
        change(yaml);
    }
    quick.seen[0] = '\0';
    change(WORKLOAD("last", "default", "address: 10.4.1.1, labels: {app: b}"));
    wait_seen(&quick, "ClusterLoadAssignment +" B "; ");
    struct proxy_entry *e = entry_of("busy");
    while (e->types[PROXIES_ENDPOINTS].acked < t.world->version) {
        turn(&busy);
    }
    /* those that had changed when the worker looked for the first time, and all others at once; or all at once */
    assert_in_range(busy.updates, 1, 2);
    assert_in_range(busy.added, 1, MANY + 1);
    get_up(&busy);
    get_up(&quick);
    loop_free(own);
}

static void test_taps(void **state)
{
    UNUSED(state);
    struct seat s, other;
    static const struct span targets[] = {SPAN_INIT("shop/"), SPAN_INIT("default/a1")};
    sit(&s, t.loop, "sidecar~10.1.0.1~p.default~x", ON_DEMAND, false);
    sit(&other, t.loop, "sidecar~10.1.0.2~q.default~x", "\"WORKLOAD_NAME\": \"b1\"", false);
    for (struct seat *each = &s; each; each = each == &s ? &other : NULL) {
        xds_client_subscribe(each->client, SPAN(TAP), SPAN("mesh.tap"));
        xds_client_start(each->client);
        wait_seen(each, "TypedExtensionConfig -mesh.tap; ");
        each->seen[0] = '\0';
    }
    push_set_tap(t.push, targets, 2);
    wait_seen(&s, "TypedExtensionConfig +mesh.tap; ");
    push_set_tap(t.push, targets, 1);
    wait_seen(&s, "TypedExtensionConfig -mesh.tap; ");
    assert_string_equal(other.seen, "");
    push_set_tap(t.push, (struct span[]){SPAN("/")}, 1);
    wait_seen(&other, "TypedExtensionConfig +mesh.tap; ");
    push_set_tap(t.push, NULL, 0);
    wait_seen(&other, "TypedExtensionConfig -mesh.tap; ");
    get_up(&s);
    get_up(&other);
}

static void test_sotw(void **state)
{
    UNUSED(state);
    struct seat s;
    sit(&s, t.loop, "sidecar~10.1.0.1~p.default~x", "\"WORKLOAD_NAME\": \"a1\"", true);
    xds_client_subscribe(s.client, SPAN(XDS_CLUSTER), XDS_WILDCARD);
    xds_client_subscribe(s.client, SPAN(XDS_ENDPOINTS), SPAN(A));
    xds_client_subscribe(s.client, SPAN(XDS_ENDPOINTS), SPAN(B));
    xds_client_start(s.client);
    wait_seen(&s, "ClusterLoadAssignment");
    struct proxy_entry *e = wait_synced(&s, "p");
    assert_string_equal(e->protocol, "sotw");
    s.seen[0] = '\0';
    change(WORKLOAD("a2", "default", "address: 10.1.0.3, labels: {app: a}, serviceAccount: a"));
    wait_seen(&s, "ClusterLoadAssignment");
    while (e->types[PROXIES_ENDPOINTS].acked < t.world->version) {
        turn(&s);
    }
    assert_null(strstr(s.seen, "Cluster "));
    get_up(&s);
}

/* Worlds, taps and clients that come and go, all at once, on two workers: for ThreadSanitizer. */
static void test_storm(void **state)
{
    UNUSED(state);
    struct seat seats[6];
    char name[8], yaml[256];
    static const struct span all = SPAN_INIT("/");
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(seats); i++) {
            snprintf(name, sizeof name, "p%zu", i);
            sit_down(&seats[i], t.loop, name);
            xds_client_subscribe(seats[i].client, SPAN(TAP), SPAN("mesh.tap"));
        }
        for (int i = 0; i < 20; i++) {
            snprintf(yaml, sizeof yaml,
                     WORKLOAD("n%d", "default", "address: 10.5.%d.1, labels: {app: %s}"), i,
                     round * 20 + i, i % 2 ? "a" : "b");
            change(yaml);
            push_set_tap(t.push, &all, (size_t)i % 2);
            turn(NULL);
        }
        change(RULE("a", "default", "host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}"));
        for (size_t i = 0; i < ARRAY_LEN(seats); i++) {
            snprintf(name, sizeof name, "p%zu", i);
            wait_seen(&seats[i], "ClusterLoadAssignment");
            if (i % 2) {
                wait_synced(&seats[i], name);
            }
        }
        for (size_t i = 0; i < ARRAY_LEN(seats); i++) {
            get_up(&seats[i]);
        }
    }
}

/* A port on which somebody listens is not shared with a stranger. */
static void test_port_in_use(void **state)
{
    UNUSED(state);
    struct err err;
    struct push *second = NULL;
    const struct push_spec spec = {.loop = t.loop,
                                   .mailbox = t.mailbox,
                                   .workers = 1,
                                   .plain_addr = *push_plain_addr(t.push),
                                   .world = t.world};
    assert_int_equal(push_new(&second, &spec, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "127.0.0.1:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_answers, begin, end),
        cmocka_unit_test_setup_teardown(test_only_what_changed, begin, end),
        cmocka_unit_test_setup_teardown(test_unknown_type, begin, end),
        cmocka_unit_test_setup_teardown(test_refusal, begin, end),
        cmocka_unit_test_setup_teardown(test_busy_client, begin, end),
        cmocka_unit_test_setup_teardown(test_many_services, begin, end),
        cmocka_unit_test_setup_teardown(test_taps, begin, end),
        cmocka_unit_test_setup_teardown(test_sotw, begin, end),
        cmocka_unit_test_setup_teardown(test_storm, begin_two_workers, end),
        cmocka_unit_test_setup_teardown(test_port_in_use, begin_two_workers, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
