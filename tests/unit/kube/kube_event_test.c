/* kube/kube_event: what is said, how, and how often. */
#include "kube/kube_event.c"

#include "unit/kube/fake_api.h"

static struct kube_client api;

static struct kube_event event_of(const char *note)
{
    return (struct kube_event){
        .namespace = SPAN("shop"),
        .kind = SPAN("HTTPRoute"),
        .api_version = SPAN("gateway.networking.k8s.io/v1"),
        .name = SPAN("cart"),
        .uid = SPAN("u1"),
        .reason = SPAN("MeshRouteRefused"),
        .note = span_of(note),
        .warning = true,
    };
}

static void test_written(void **state)
{
    UNUSED(state);
    fake_api_start(&api);
    struct kube_events *e = kube_events_new(&api, SPAN("mesh-control-1"));
    rng_seed(&e->rng, 1);
    struct kube_event event = event_of("no such service: \"x\"");
    kube_event_write(e, &event);
    struct kube_call *call = fake_call(&api);
    assert_string_equal(call->method, "POST");
    assert_string_equal(call->path, "/apis/events.k8s.io/v1/namespaces/shop/events");
    struct arena arena;
    struct doc_node *doc;
    struct err err;
    arena_init(&arena, 1024);
    assert_int_equal(doc_parse_json(&arena, span_of(call->body), NULL, &doc, &err), 0);
    static const struct {
        const char *path, *want;
    } fields[] = {
        {"kind", "Event"},
        {"metadata.namespace", "shop"},
        {"eventTime", "2023-11-14T22:13:20.000000Z"},
        {"reportingController", "mesh.io/control"},
        {"reportingInstance", "mesh-control-1"},
        {"type", "Warning"},
        {"reason", "MeshRouteRefused"},
        {"action", "Observe"},
        {"note", "no such service: \"x\""},
        {"regarding.kind", "HTTPRoute"},
        {"regarding.namespace", "shop"},
        {"regarding.name", "cart"},
        {"regarding.uid", "u1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct doc_node *node = doc_path(doc, fields[i].path);
        assert_non_null(node);
        assert_span(node->text, fields[i].want);
    }
    struct span name = doc_path(doc, "metadata.name")->text;
    assert_true(span_starts(name, SPAN("cart.")) && name.len == 5 + 16);
    fake_answer(call, 201, "{}");
    arena_dispose(&arena);
    /* The same is said again after five minutes, another at once. */
    kube_event_write(e, &event);
    fake_api_pass(&api, QUIET_MS - 1);
    kube_event_write(e, &event);
    assert_true(list_is_empty(&api.calls));
    event.uid = SPAN("u2");
    kube_event_write(e, &event);
    fake_answer(fake_call(&api), 403, "");
    event.uid = SPAN("u1");
    fake_api_pass(&api, 1);
    kube_event_write(e, &event);
    fake_answer(fake_call(&api), 201, "{}");
    /* A cluster's object, with a name that no Event may have. */
    event.namespace = SPAN_EMPTY;
    event.name = SPAN("system:thing");
    kube_event_write(e, &event);
    call = fake_call(&api);
    assert_string_equal(call->path, "/apis/events.k8s.io/v1/namespaces/default/events");
    assert_non_null(strstr(call->body, "\"name\":\"mesh."));
    kube_events_free(e); /* it goes on */
    fake_answer(call, 201, "{}");
    fake_api_end(&api);
}

static void test_bounds(void **state)
{
    UNUSED(state);
    fake_api_start(&api);
    struct kube_events *e = kube_events_new(&api, SPAN("i"));
    char note[2 * NOTE_BYTES_MAX + 3];
    for (size_t i = 0; i + 2 < sizeof(note); i += 2) {
        note[i] = '\xc3';
        note[i + 1] = '\xa9';
    }
    note[sizeof(note) - 3] = '\0';
    struct kube_event event = event_of(note + 1); /* so that the limit falls within a character */
    event.note.at++;
    event.note.len--;
    char name[300];
    memset(name, 'a', sizeof(name));
    name[NAME_BYTES_MAX - 1] = '.';
    event.name = span_from(name, sizeof(name));
    kube_event_write(e, &event);
    struct kube_call *call = fake_call(&api);
    const char *at = strstr(call->body, "\"note\":\"");
    assert_true(strchr(at + 8, '"') - (at + 8) <= NOTE_BYTES_MAX);
    assert_null(strstr(call->body, "\xef\xbf\xbd"));
    at = strstr(call->body, "\"name\":\"");
    assert_true(strchr(at + 8, '"') - (at + 8) == NAME_BYTES_MAX - 1 + 17);
    fake_answer(call, 201, "{}");
    /* Few at once; what is remembered is bounded. */
    for (int i = 0; i < 2 * OUTSTANDING_MAX; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "note %d", i);
        event = event_of(text);
        kube_event_write(e, &event);
    }
    for (int i = 0; i < OUTSTANDING_MAX; i++) {
        assert_false(list_is_empty(&api.calls));
        fake_answer(list_item(api.calls.next, struct kube_call, node), 201, "{}");
    }
    assert_true(list_is_empty(&api.calls));
    for (int i = 0; i < SAID_MAX + 100; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "more %d", i);
        event = event_of(text);
        kube_event_write(e, &event);
        fake_answer(fake_call(&api), 201, "{}");
    }
    assert_int_equal(map_count(&e->said), SAID_MAX);
    kube_events_free(e);
    fake_api_end(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written),
        cmocka_unit_test(test_bounds),
    };
    return log_set_levels("error") != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
