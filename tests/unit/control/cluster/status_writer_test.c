/* Conditions as the API server gets them: generations, times that change only with the status, other controllers' parents. */
#include "control/cluster/status_writer.c"

#include "unit/cm.h"

static struct arena notes;
static struct doc_node *wanted; /* plural -> object with status */
static struct doc_node *last;

void keeper_want(struct keeper *k, const struct keeper_want *w)
{
    UNUSED(k);
    assert_string_equal(w->sub, "status");
    doc_set(&notes, wanted, w->kind->plural, doc_dup(&notes, w->object));
}

static unsigned told;

void kube_event_write(struct kube_events *e, const struct kube_event *event)
{
    UNUSED(e);
    assert_true(event->warning && event->note.len > 0 && span_is(event->name, "v"));
    told++;
}

static struct world_builder *builder;
static struct sources *sources;
static struct source_origin *origin;

static void on_put(void *arg, struct object *o)
{
    UNUSED(arg);
    world_builder_put(builder, o);
    object_unref(o);
}

static void on_nothing(void *arg)
{
    UNUSED(arg);
}

static void on_removed(void *arg, struct span key)
{
    UNUSED(arg);
    world_builder_remove(builder, key);
}

static int set_up(void **state)
{
    static const struct source_events events = {
        .on_object = on_put, .on_gone = on_removed, .on_settled = on_nothing};
    instant_fake_start(0, 1800000000000000);
    arena_init(&notes, 4096);
    wanted = doc_new_map(&notes);
    builder = world_builder_new();
    sources = sources_new(&events, NULL);
    origin = source_open(sources, SOURCE_STORE, SPAN("test"));
    told = 0;
    *state = status_writer_new((struct kube_events *)&told); /* never looked into */
    return 0;
}

static int tear_down(void **state)
{
    status_writer_free(*state);
    sources_free(sources);
    world_builder_free(builder);
    arena_dispose(&notes);
    instant_fake_stop();
    return 0;
}

static void add(void *arg, struct object *o)
{
    UNUSED(arg);
    source_put_take(origin, o);
}

static void say(const char *text)
{
    struct findings *f = source_findings_reset(origin);
    (void)object_read_text(span_of(text), NULL, f, add, NULL);
    sources_settle(sources);
}

static void write_round(struct status_writer *w)
{
    struct world_change change;
    struct world *world = world_build(builder, &change);
    last = wanted;
    wanted = doc_new_map(&notes);
    status_writer_want(w, NULL, world, sources);
    world_unref(world);
}

static const struct doc_node *condition(const char *plural, const char *type)
{
    const struct doc_node *list = doc_path(doc_get(wanted, plural), "status.conditions");
    for (size_t i = 0; i < doc_count(list); i++) {
        if (span_is(text_at(doc_at(list, i), "type"), type)) {
            return doc_at(list, i);
        }
    }
    return NULL;
}

#define VS(host)                                                                                 \
    "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v, namespace: " \
    "ns, generation: 3}, spec: {hosts: [a], http: [{route: [{destination: {host: " host          \
    "}}]}]}}\n"
#define SERVICE                                                                                   \
    "---\n{apiVersion: v1, kind: Service, metadata: {name: a, namespace: ns}, spec: {clusterIP: " \
    "10.96.0.9, ports: [{port: 80, name: http}]}}\n---\n{apiVersion: discovery.k8s.io/v1, kind: " \
    "EndpointSlice, metadata: {name: a-1, namespace: ns, labels: {kubernetes.io/service-name: "   \
    "a}}, addressType: IPv4, ports: [{name: http, port: 80}], endpoints: [{addresses: "           \
    "[10.0.0.1]}]}\n"

static void test_times_change_with_the_status(void **state)
{
    say(VS("a"));
    write_round(*state); /* there is no service a */
    const struct doc_node *c = condition("virtualservices", "ResolvedRefs");
    assert_non_null(c);
    assert_true(span_is(text_at(c, "status"), "False"));
    assert_true(span_is(text_at(c, "lastTransitionTime"), "2027-01-15T08:00:00Z"));
    assert_int_equal(doc_get(c, "observedGeneration")->integer, 3);

    instant_fake_advance(60 * 1000000000LL);
    write_round(*state);
    assert_true(doc_eq(last, wanted)); /* a minute later, word for word the same */
    assert_int_equal(told, 1);

    say(SERVICE);
    write_round(*state);
    c = condition("virtualservices", "ResolvedRefs");
    assert_string_equal(span_to_cstr(text_at(c, "message"), (char[200]){0}, 200),
                        "all that it names is there");
    assert_true(span_is(text_at(c, "lastTransitionTime"), "2027-01-15T08:01:00Z"));
    c = condition("virtualservices", "Accepted"); /* was and is true */
    assert_true(span_is(text_at(c, "lastTransitionTime"), "2027-01-15T08:00:00Z"));
}

static void test_times_of_before_a_restart(void **state)
{
    say("{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: v, namespace: "
        "ns}, spec: {hosts: [a], http: [{route: [{destination: {host: a}}]}]}, status: "
        "{conditions: [{type: Accepted, status: 'True', lastTransitionTime: "
        "'2020-01-01T00:00:00Z'}]}}\n" SERVICE);
    write_round(*state);
    const struct doc_node *c = condition("virtualservices", "Accepted");
    assert_true(span_is(text_at(c, "lastTransitionTime"), "2020-01-01T00:00:00Z"));
}

static void test_parents_of_others_are_kept(void **state)
{
    say("{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, "
        "namespace: ns}, spec: {parentRefs: [{kind: Service, group: '', name: a}], rules: "
        "[{backendRefs: [{name: a, port: 80}]}]}, status: {parents: [{controllerName: x/y, "
        "parentRef: {name: g}, conditions: []}, {controllerName: mesh.io/gateway-controller, "
        "parentRef: {name: old}, conditions: []}]}}\n" SERVICE);
    write_round(*state);
    const struct doc_node *parents = doc_path(doc_get(wanted, "httproutes"), "status.parents");
    assert_int_equal(doc_count(parents), 2);
    assert_true(span_is(text_at(doc_at(parents, 0), "controllerName"), "x/y"));
    assert_true(span_is(doc_path(parents, "1.parentRef.name")->text, "a"));
}

static void test_services_have_no_status_of_ours(void **state)
{
    say(SERVICE);
    write_round(*state);
    assert_int_equal(doc_count(wanted), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_times_change_with_the_status, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_times_of_before_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parents_of_others_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_services_have_no_status_of_ours, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
