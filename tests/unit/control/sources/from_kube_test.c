/* control/sources/from_kube: what it follows, when it is synced, and what becomes of objects, over reflectors of paper. */
#include "control/sources/from_kube.c"

#include "base/instant.h"
#include "unit/cm.h"

#define FOLLOWED_MAX 64

struct kube_client {
    struct loop *loop;
};

/* What from_kube asked to be followed. */
struct reflector {
    struct reflector_spec spec;
    enum reflector_state state;
    char *version, *selector;
    const char *plural, *group;
    bool live;
};

static struct reflector followed[FOLLOWED_MAX];
static size_t followed_count;
static struct kube_client client;
static struct sources *sources;
static struct from_kube *from;
static char told[4096];
static unsigned synced;

struct loop *kube_client_loop(const struct kube_client *c)
{
    return c->loop;
}

struct reflector *reflector_new(const struct reflector_spec *spec)
{
    assert_true(followed_count < FOLLOWED_MAX);
    struct reflector *r = &followed[followed_count++];
    *r = (struct reflector){.spec = *spec, .live = true};
    r->version = mem_strdup(spec->kind.version);
    r->selector = mem_strdup(spec->field_selector != NULL ? spec->field_selector : "");
    r->plural = spec->kind.plural;
    r->group = spec->kind.group;
    return r;
}

void reflector_free(struct reflector *r)
{
    assert_true(r->live);
    r->live = false;
}

enum reflector_state reflector_state(const struct reflector *r)
{
    return r->state;
}

size_t reflector_count(const struct reflector *r)
{
    return (size_t)r->live;
}

/* The one that follows it now. */
static struct reflector *of(const char *group, const char *plural, const char *selector)
{
    for (size_t i = followed_count; i-- > 0;) {
        struct reflector *r = &followed[i];
        if (r->live && strcmp(r->group, group) == 0 && strcmp(r->plural, plural) == 0 &&
            (selector == NULL || strcmp(r->selector, selector) == 0)) {
            return r;
        }
    }
    return NULL;
}

static void state(struct reflector *r, enum reflector_state s)
{
    assert_non_null(r);
    r->state = s;
    r->spec.on_state(r->spec.arg, s, s == REFLECTOR_SYNCED ? "" : "a reason");
}

static void give(struct reflector *r, const char *yaml)
{
    struct arena arena;
    struct doc_node *doc;
    struct err err;
    assert_non_null(r);
    arena_init(&arena, 4096);
    assert_int_equal(doc_parse_yaml(&arena, span_of(yaml), NULL, &doc, &err), 0);
    r->spec.on_object(r->spec.arg, doc);
    arena_dispose(&arena);
}

static void batch(struct reflector *r)
{
    r->spec.on_batch(r->spec.arg);
}

static void turn(int64_t ms)
{
    instant_fake_advance(ms * 1000000);
    while (loop_turn(client.loop, false)) {
    }
}

/* ---- what is told ---- */

static void tell(const char *what, struct span key)
{
    size_t len = strlen(told);
    (void)snprintf(told + len, sizeof(told) - len, "%s%.*s ", what, SPAN_ARG(key));
}

static void on_told(void *arg, struct object *o)
{
    UNUSED(arg);
    tell("", o->key);
    object_unref(o);
}

static void on_told_gone(void *arg, struct span key)
{
    UNUSED(arg);
    tell("-", key);
}

static void on_settled(void *arg)
{
    UNUSED(arg);
    tell(".", SPAN_EMPTY);
}

static const struct source_events events = {on_told, on_told_gone, on_settled};

static void on_all(void *arg)
{
    assert_ptr_equal(arg, told);
    synced++;
}

#define assert_told(want)                \
    do {                                 \
        assert_string_equal(told, want); \
        told[0] = '\0';                  \
    } while (0)

static int set_up(void **s)
{
    UNUSED(s);
    instant_fake_start(INT64_C(1000000000000), INT64_C(1700000000000000));
    client.loop = loop_new(true);
    followed_count = 0;
    synced = 0;
    told[0] = '\0';
    sources = sources_new(&events, NULL);
    from = from_kube_new(&(struct from_kube_spec){
        .client = &client, .sources = sources, .on_synced = on_all, .arg = told});
    return 0;
}

static int tear_down(void **s)
{
    UNUSED(s);
    from_kube_free(from);
    sources_free(sources);
    for (size_t i = 0; i < followed_count; i++) {
        assert_false(followed[i].live);
        mem_free(followed[i].version);
        mem_free(followed[i].selector);
    }
    turn(1);
    loop_free(client.loop);
    instant_fake_stop();
    return 0;
}

/* All but one of this plural. */
static void sync_but(const char *plural)
{
    for (size_t i = 0; i < followed_count; i++) {
        if (followed[i].live && followed[i].state == REFLECTOR_LISTING &&
            strcmp(followed[i].plural, plural) != 0) {
            state(&followed[i], REFLECTOR_SYNCED);
        }
    }
}

#define SERVICE(name, port)                                                                          \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: a, "                       \
    "resourceVersion: '" port "1', managedFields: [{manager: x}], annotations: "                     \
    "{kubectl.kubernetes.io/last-applied-configuration: '{}', own: b}}\nspec: {ports: [{port: " port \
    "}]}\nstatus: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}, conditions: []}\n"

/* ---- tests ---- */

static void follows_all_kinds(void **s)
{
    UNUSED(s);
    assert_int_equal(followed_count, OBJECT_KIND_COUNT);
    assert_string_equal(of("", "secrets", NULL)->selector, "type=kubernetes.io/tls");
    assert_string_equal(of("networking.istio.io", "gateways", NULL)->version, "v1");
    assert_string_equal(of("gateway.networking.k8s.io", "referencegrants", NULL)->version,
                        "v1beta1");
    assert_false(of("", "nodes", NULL)->spec.kind.namespaced);
    assert_int_equal(of("", "pods", NULL)->spec.page, POD_PAGE);
}

static void waits_for_all(void **s)
{
    UNUSED(s);
    give(of("", "services", NULL), SERVICE("web", "80"));
    batch(of("", "services", NULL));
    sync_but("pods");
    assert_told("");
    assert_false(from_kube_is_synced(from));
    state(of("", "pods", NULL), REFLECTOR_DENIED);
    assert_true(from_kube_is_synced(from));
    assert_told("services/a/web . ");
    assert_int_equal(synced, 0); /* not within the call */
    turn(1);
    assert_int_equal(synced, 1);
    /* from now on each batch */
    give(of("", "services", NULL), SERVICE("api", "80"));
    assert_told("");
    batch(of("", "services", NULL));
    assert_told("services/a/api . ");
    /* away and back */
    state(of("", "services", NULL), REFLECTOR_BEHIND);
    state(of("", "services", NULL), REFLECTOR_SYNCED);
    batch(of("", "services", NULL));
    turn(1);
    assert_told("");
    assert_int_equal(synced, 1);
}

static void goes_through_versions(void **s)
{
    static const char group[] = "networking.istio.io";
    UNUSED(s);
    sync_but("virtualservices");
    state(of(group, "virtualservices", NULL), REFLECTOR_ABSENT);
    turn(1);
    assert_string_equal(of(group, "virtualservices", NULL)->version, "v1beta1");
    assert_false(from_kube_is_synced(from));
    state(of(group, "virtualservices", NULL), REFLECTOR_ABSENT);
    turn(1);
    assert_string_equal(of(group, "virtualservices", NULL)->version, "v1alpha3");
    assert_false(from_kube_is_synced(from));
    state(of(group, "virtualservices", NULL), REFLECTOR_ABSENT); /* there are none at all */
    assert_true(from_kube_is_synced(from));
    turn(ABSENT_MS - 1);
    assert_string_equal(of(group, "virtualservices", NULL)->version, "v1alpha3");
    turn(1);
    assert_string_equal(of(group, "virtualservices", NULL)->version, "v1");
    state(of(group, "virtualservices", NULL), REFLECTOR_SYNCED); /* the CRDs came */
    turn(ABSENT_MS + 1);
    assert_string_equal(of(group, "virtualservices", NULL)->version, "v1");
}

static void tells_only_changes(void **s)
{
    UNUSED(s);
    struct reflector *services = of("", "services", NULL);
    sync_but("");
    give(services, SERVICE("web", "80"));
    batch(services);
    assert_told("services/a/web . ");
    give(services, SERVICE("web", "80"));
    batch(services);
    assert_told("");
    give(services, SERVICE("web", "81"));
    batch(services);
    assert_told("services/a/web . ");
    const struct object *o = sources_get(sources, SPAN("services/a/web"));
    assert_null(doc_path(o->doc, "metadata.resourceVersion"));
    assert_null(doc_path(o->doc, "metadata.managedFields"));
    assert_null(doc_path(o->doc, "status.conditions"));
    assert_int_equal(o->annotation_count, 1);
    assert_span(doc_path(o->doc, "status.loadBalancer.ingress.0.ip")->text, "1.2.3.4");
    assert_int_equal(o->doc->line, 0);
    services->spec.on_gone(services->spec.arg, SPAN("a"), SPAN("web"));
    batch(services);
    assert_told("-services/a/web . ");
}

static void count_findings(void *arg, const struct finding *f)
{
    size_t *count = arg;
    assert_span(f->name, "web");
    assert_span(f->namespace, "a");
    (*count)++;
}

static size_t bad_services(void);

static void keeps_the_last_good(void **s)
{
    UNUSED(s);
    struct reflector *services = of("", "services", NULL);
    size_t count = 0;
    sync_but("");
    give(services, SERVICE("web", "80"));
    give(services, SERVICE("web", "ten"));
    batch(services);
    assert_told("services/a/web . ");
    sources_each_finding(sources, count_findings, &count);
    assert_int_equal(count, 1);
    assert_int_equal(bad_services(), 1);
    give(services, SERVICE("web", "80"));
    batch(services);
    count = 0;
    sources_each_finding(sources, count_findings, &count);
    assert_int_equal(count, 0);
    /* gone while it was bad */
    give(services, SERVICE("web", "ten"));
    services->spec.on_gone(services->spec.arg, SPAN("a"), SPAN("web"));
    batch(services);
    assert_told("-services/a/web . ");
    sources_each_finding(sources, count_findings, &count);
    assert_int_equal(count + bad_services(), 0);
    /* never good */
    give(services, SERVICE("web", "ten"));
    batch(services);
    assert_told("");
    assert_int_equal(bad_services(), 1);
}

static void on_each_state(void *arg, const struct from_kube_state *s)
{
    size_t *bad = arg;
    assert_string_not_equal(s->version, "");
    if (s->kind == OBJECT_SERVICE) {
        assert_string_equal(from_kube_state_name(s->state), "synced");
        *bad = s->bad;
    }
}

static size_t bad_services(void)
{
    size_t bad = 99;
    from_kube_each_state(from, on_each_state, &bad);
    return bad;
}

#define GATEWAY(name, server)                                                                     \
    "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: " name                   \
    ", namespace: a}\n"                                                                           \
    "spec: {selector: {istio: x}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, " \
    "hosts: ['*'], tls: {" server "}}]}\n"
#define OPAQUE(name) "type=Opaque,metadata.name=" name

/* Generic Secrets have no type to select them by; those that gateways name are followed one by one. */
static void follows_credentials(void **s)
{
    UNUSED(s);
    struct reflector *gateways = of("networking.istio.io", "gateways", NULL);
    sync_but("gateways");
    give(gateways, GATEWAY("gw", "mode: MUTUAL, credentialName: web"));
    sync_but("secrets");
    assert_false(from_kube_is_synced(from)); /* their certificates are waited for too */
    struct reflector *own = of("", "secrets", OPAQUE("web"));
    struct reflector *ca = of("", "secrets", OPAQUE("web-cacert"));
    state(own, REFLECTOR_SYNCED);
    state(ca, REFLECTOR_SYNCED);
    state(of("", "secrets", "type=kubernetes.io/tls"), REFLECTOR_SYNCED);
    state(of("gateway.networking.k8s.io", "gateways", NULL), REFLECTOR_SYNCED);
    assert_true(from_kube_is_synced(from));
    give(own, "apiVersion: v1\nkind: Secret\nmetadata: {name: web, namespace: edge}\n"
              "type: Opaque\ndata: {cert: YQ==, other: YQ==}\n");
    told[0] = '\0';
    batch(own);
    assert_told("secrets/edge/web . ");
    const struct object *o = sources_get(sources, SPAN("secrets/edge/web"));
    assert_int_equal(doc_count(doc_get(o->doc, "data")), 1);
    /* simple: no roots */
    give(gateways, GATEWAY("gw", "mode: SIMPLE, credentialName: web"));
    batch(gateways);
    assert_ptr_equal(of("", "secrets", OPAQUE("web")), own);
    assert_null(of("", "secrets", OPAQUE("web-cacert")));
    told[0] = '\0';
    gateways->spec.on_gone(gateways->spec.arg, SPAN("a"), SPAN("gw"));
    batch(gateways);
    assert_null(of("", "secrets", OPAQUE("web")));
    assert_null(sources_get(sources, SPAN("secrets/edge/web")));
}

/* What is left of documents. */
static void prunes(void **s)
{
    static const struct {
        enum object_kind kind;
        const char *yaml, *json;
    } cases[] = {
        {OBJECT_POD,
         "{apiVersion: v1, kind: Pod, metadata: {name: a, uid: u, annotations: {b: c}, labels: {d: "
         "e}, ownerReferences: [{apiVersion: x, kind: R, name: r, uid: u, controller: true}]}, "
         "spec: {nodeName: n1, volumes: [{name: v}], containers: [{name: c, image: i, ports: "
         "[{containerPort: 80, protocol: TCP}]}, {name: d}]}, status: {phase: Running, podIP: "
         "10.0.0.1, conditions: [{type: Initialized, status: 'True'}, {type: Ready, status: "
         "'True', lastTransitionTime: x}], containerStatuses: [{name: c}]}}",
         "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"labels\":{\"d\":"
         "\"e\"},\"ownerReferences\":[{\"kind\":\"R\",\"name\":\"r\",\"controller\":true}]},"
         "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"ports\":[{\"containerPort\":80}]}]},"
         "\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\",\"conditions\":[{\"type\":"
         "\"Ready\",\"status\":\"True\"}]}}"},
        {OBJECT_NODE,
         "{apiVersion: v1, kind: Node, metadata: {name: a, labels: {b: c, "
         "topology.kubernetes.io/zone: z}}, status: {images: [a]}}",
         "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"a\",\"labels\":{"
         "\"topology.kubernetes.io/zone\":\"z\"}}}"},
        {OBJECT_GATEWAY,
         "{apiVersion: g/v1, kind: Gateway, metadata: {name: a, resourceVersion: '1', generation: "
         "2}, spec: {a: [1, {b: null}]}, status: {conditions: [c]}}",
         "{\"apiVersion\":\"g/v1\",\"kind\":\"Gateway\",\"metadata\":{\"name\":\"a\","
         "\"generation\":2},\"spec\":{\"a\":[1,{\"b\":null}]},\"status\":{\"conditions\":[\"c\"]}}"},
        {OBJECT_VIRTUAL_SERVICE, "{kind: V, metadata: {name: a}, status: {x: y}}",
         "{\"kind\":\"V\",\"metadata\":{\"name\":\"a\"}}"},
        {OBJECT_ENDPOINT_SLICE,
         "{kind: E, metadata: {name: a, generateName: b, labels: {c: d, "
         "kubernetes.io/service-name: s}}, addressType: IPv4, endpoints: [{addresses: [10.0.0.1], "
         "hints: {forZones: []}, conditions: {ready: true}, targetRef: {kind: Pod, name: p, uid: "
         "u}}]}",
         "{\"kind\":\"E\",\"metadata\":{\"name\":\"a\",\"labels\":{\"kubernetes.io/service-name\":"
         "\"s\"}},\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.1\"],"
         "\"conditions\":{\"ready\":true},\"targetRef\":{\"kind\":\"Pod\",\"name\":\"p\"}}]}"},
        {OBJECT_POD, "[]", "[]"},
        {OBJECT_POD, "{metadata: 1, status: [], spec: {containers: {ports: 1}}}",
         "{\"metadata\":1,\"spec\":{\"containers\":{\"ports\":1}}}"},
        {OBJECT_SERVICE, "{metadata: [], status: x}", "{\"metadata\":[],\"status\":\"x\"}"},
        {OBJECT_SECRET, "{}", "{}"},
    };
    UNUSED(s);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct doc_node *doc;
        struct err err;
        struct buf out;
        arena_init(&arena, 4096);
        buf_init(&out, 1 << 16);
        assert_int_equal(doc_parse_yaml(&arena, span_of(cases[i].yaml), "f", &doc, &err), 0);
        const struct doc_node *pruned = from_kube_prune(&arena, cases[i].kind, doc);
        assert_int_equal(doc_write_json(pruned, false, &out), 0);
        assert_span(buf_span(&out), cases[i].json);
        assert_null(pruned->file);
        buf_dispose(&out);
        arena_dispose(&arena);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(follows_all_kinds),  TEST(waits_for_all),       TEST(goes_through_versions),
        TEST(tells_only_changes), TEST(keeps_the_last_good), TEST(follows_credentials),
        cmocka_unit_test(prunes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
