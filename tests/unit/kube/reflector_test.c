/* kube/reflector: lists, watches and what goes wrong with them, over an API of paper and the fake clock. That nothing is lost or told
 * twice whatever happens is reflector_mirror_test's matter. */
#include "kube/reflector.c"

#include "unit/kube/fake_api.h"

static struct kube_client api;
static struct reflector *followed;
static char heard[8192];
static const char *free_at; /* ends the reflector when this was just heard */
static const char *relist_at;

const char *kube_path(struct arena *arena, const struct kube_kind *kind, struct span ns,
                      struct span name, const char *sub)
{
    UNUSED(name);
    UNUSED(sub);
    return ns.len > 0 ? arena_printf(arena, "/%.*s/%s", SPAN_ARG(ns), kind->plural)
                      : arena_printf(arena, "/%s", kind->plural);
}

static void hear(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void hear(const char *fmt, ...)
{
    size_t len = strlen(heard);
    va_list args;
    va_start(args, fmt);
    assert_true(vsnprintf(heard + len, sizeof(heard) - len, fmt, args) > 0);
    va_end(args);
    if (free_at != NULL && strcmp(heard + len, free_at) == 0) {
        reflector_free(followed);
        followed = NULL;
    }
    if (relist_at != NULL && strcmp(heard + len, relist_at) == 0) {
        relist_at = NULL;
        reflector_relist(followed);
    }
}

static void on_object(void *arg, const struct doc_node *doc)
{
    assert_ptr_equal(arg, heard);
    const struct doc_node *metadata = doc_get(doc, "metadata");
    hear("%.*s/%.*s %.*s@%.*s ", SPAN_ARG(reflector_text(doc, "apiVersion")),
         SPAN_ARG(reflector_text(doc, "kind")), SPAN_ARG(reflector_text(metadata, "name")),
         SPAN_ARG(reflector_text(metadata, "resourceVersion")));
}

static void on_gone(void *arg, struct span ns, struct span name)
{
    assert_ptr_equal(arg, heard);
    hear("-%.*s/%.*s ", SPAN_ARG(ns), SPAN_ARG(name));
}

static void on_batch(void *arg)
{
    assert_ptr_equal(arg, heard);
    hear(". ");
}

static void on_state(void *arg, enum reflector_state state, const char *why)
{
    static const char *const names[] = {"LISTING", "SYNCED", "BEHIND", "ABSENT", "DENIED"};
    assert_ptr_equal(arg, heard);
    assert_int_equal(state == REFLECTOR_SYNCED, why[0] == '\0');
    hear("%s ", names[state]);
}

/* What was told since the last time. */
#define assert_heard(want)                \
    do {                                  \
        fake_api_settle(&api);            \
        assert_string_equal(heard, want); \
        heard[0] = '\0';                  \
    } while (0)

static struct reflector_spec spec_of(const char *plural)
{
    return (struct reflector_spec){
        .client = &api,
        .kind = {.group = "", .version = "v1", .plural = plural, .namespaced = true},
        .on_object = on_object,
        .on_gone = on_gone,
        .on_batch = on_batch,
        .on_state = on_state,
        .arg = heard,
    };
}

static void begin(const struct reflector_spec *spec)
{
    fake_api_start(&api);
    heard[0] = '\0';
    free_at = relist_at = NULL;
    followed = reflector_new(spec);
    assert_string_equal(heard, "");
}

static void end(void)
{
    reflector_free(followed);
    followed = NULL;
    assert_heard("");
    fake_api_end(&api);
}

/* "a@1 b@2": items of a list, in namespace n, each with uid "u-NAME". */
static char *list_of(const char *version, const char *token, const char *items)
{
    static char text[8192];
    size_t len = (size_t)snprintf(text, sizeof(text),
                                  "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
                                  "\"resourceVersion\":\"%s\",\"continue\":\"%s\"},\"items\":[",
                                  version, token);
    const char *comma = "";
    for (struct span rest = span_of(items); rest.at != NULL && rest.len > 0; comma = ",") {
        struct span item = span_cut(&rest, ' '), name = span_cut(&item, '@');
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "%s{\"metadata\":{\"name\":\"%.*s\",\"namespace\":\"n\","
                                "\"resourceVersion\":\"%.*s\",\"uid\":\"u-%.*s\"}}",
                                comma, SPAN_ARG(name), SPAN_ARG(item), SPAN_ARG(name));
    }
    (void)snprintf(text + len, sizeof(text) - len, "]}");
    return text;
}

static char *event_of(const char *type, const char *name, const char *version)
{
    static char text[1024];
    (void)snprintf(
        text, sizeof(text),
        "{\"type\":\"%s\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":"
        "{\"name\":\"%s\",\"namespace\":\"n\",\"resourceVersion\":\"%s\",\"uid\":\"u-%s\"}}}",
        type, name, version, name);
    return text;
}

/* From the beginning to a watch that began. */
static struct kube_stream *synced(const char *items)
{
    fake_answer(fake_call(&api), 200, list_of("10", "", items));
    struct kube_stream *s = fake_stream(&api);
    s->spec.on_begin(s->spec.arg);
    fake_api_settle(&api);
    assert_int_equal(reflector_state(followed), REFLECTOR_SYNCED);
    heard[0] = '\0';
    return s;
}

static void assert_path_has(const char *path, const char *part)
{
    if (strstr(path, part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, path);
    }
}

static void test_list_and_watch(void **state)
{
    UNUSED(state);
    struct reflector_spec spec = spec_of("pods");
    spec.namespace = SPAN("n");
    spec.label_selector = "app in (a,b)";
    spec.field_selector = "spec.nodeName=x";
    begin(&spec);
    struct kube_call *call = fake_call(&api);
    assert_string_equal(call->method, "GET");
    assert_string_equal(call->path, "/n/pods?limit=500&labelSelector=app%20in%20%28a%2Cb%29"
                                    "&fieldSelector=spec.nodeName%3Dx");
    fake_answer(call, 200, list_of("10", "t/=", "a@1 b@2"));
    assert_heard("v1/Pod a@1 v1/Pod b@2 ");
    call = fake_call(&api);
    assert_path_has(call->path, "&continue=t%2F%3D");
    assert_int_equal(reflector_state(followed), REFLECTOR_LISTING);
    fake_answer(call, 200, list_of("12", "", "c@3"));
    assert_heard("v1/Pod c@3 SYNCED . ");
    assert_int_equal(reflector_count(followed), 3);
    struct kube_stream *s = fake_stream(&api);
    assert_path_has(s->path, "/n/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=");
    assert_path_has(s->path, "&fieldSelector=spec.nodeName%3Dx&resourceVersion=10");
    s->spec.on_begin(s->spec.arg);
    /* Two events of one read are one batch; what was told is not told again. */
    fake_line(s, event_of("MODIFIED", "a", "20"));
    fake_line(s, event_of("DELETED", "b", "21"));
    assert_heard("v1/Pod a@20 -n/b . ");
    fake_line(s, event_of("MODIFIED", "a", "20"));
    fake_line(s, event_of("DELETED", "b", "21"));
    assert_heard("");
    fake_line(s, event_of("ADDED", "b", "22"));
    assert_heard("v1/Pod b@22 . ");
    fake_line(s, "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"30\"}}}");
    fake_line(s, "{\"type\":\"NEWS\",\"object\":{}}");
    assert_heard("");
    /* The server ends it in order: at once again, from the bookmark. */
    fake_api_pass(&api, 6000);
    fake_end(s, 200, 0, "");
    s = fake_stream(&api);
    assert_path_has(s->path, "&resourceVersion=30");
    assert_heard("");
    end();
}

static void test_relist(void **state)
{
    UNUSED(state);
    struct reflector_spec spec = spec_of("pods");
    begin(&spec);
    synced("a@1 b@2 c@3");
    fake_api_pass(&api, RELIST_MS + RELIST_MS / 10);
    assert_true(list_is_empty(&api.streams));
    struct kube_call *call = fake_call(&api);
    assert_string_equal(call->path, "/pods?limit=500");
    fake_answer(call, 200, list_of("40", "", "a@1 c@39 d@38"));
    assert_heard("v1/Pod c@39 v1/Pod d@38 -n/b . ");
    assert_path_has(fake_stream(&api)->path, "resourceVersion=40");
    /* One that fails before anything was told leaves the watch where it was. */
    fake_stream(&api)->spec.on_begin(followed);
    fake_api_pass(&api, RELIST_MS + RELIST_MS / 10);
    fake_answer(fake_call(&api), 500, "");
    fake_api_pass(&api, 300);
    assert_path_has(fake_stream(&api)->path, "resourceVersion=40");
    fake_stream(&api)->spec.on_begin(followed);
    fake_api_pass(&api, RELIST_AGAIN_MS + RELIST_AGAIN_MS / 10);
    /* One that told something can not go back. */
    fake_answer(fake_call(&api), 200, list_of("50", "t", "a@1 c@45"));
    assert_heard("v1/Pod c@45 ");
    fake_answer(fake_call(&api), 500, "");
    assert_heard("BEHIND ");
    fake_api_pass(&api, 300);
    call = fake_call(&api);
    assert_path_has(call->path, "&continue=t"); /* the page again */
    fake_answer(call, 200, list_of("50", "", "d@38"));
    assert_heard("SYNCED . ");
    assert_path_has(fake_stream(&api)->path, "resourceVersion=50");
    /* When asked, also in the middle of a watch; once. */
    reflector_relist(followed);
    reflector_relist(followed);
    fake_answer(fake_call(&api), 200, list_of("60", "", "a@1 c@45 d@38"));
    assert_heard(". ");
    end();
    spec.relist_ms = -1;
    spec.page = 7;
    begin(&spec);
    assert_string_equal(fake_call(&api)->path, "/pods?limit=7");
    synced("");
    fake_api_pass(&api, 24 * 3600 * 1000);
    assert_non_null(fake_stream(&api));
    end();
}

static void test_expired(void **state)
{
    UNUSED(state);
    struct reflector_spec spec = spec_of("pods");
    begin(&spec);
    /* In the middle of a list: from the beginning; then all at once. */
    fake_answer(fake_call(&api), 200, list_of("10", "t", "a@1"));
    fake_answer(fake_call(&api), 410, "Expired");
    struct kube_call *call = fake_call(&api);
    assert_string_equal(call->path, "/pods?limit=500");
    fake_answer(call, 200, list_of("11", "t", "a@1"));
    fake_answer(fake_call(&api), 410, "Expired");
    fake_api_pass(&api, 300);
    call = fake_call(&api);
    assert_string_equal(call->path, "/pods?limit=0");
    fake_answer(call, 200, list_of("12", "", "a@1 b@2"));
    assert_heard("v1/Pod a@1 v1/Pod b@2 SYNCED . ");
    /* By an event, and by the answer to the watch. */
    static const char gone[] = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,"
                               "\"reason\":\"Expired\",\"message\":\"too old\"}}";
    struct kube_stream *s = fake_stream(&api);
    s->spec.on_begin(s->spec.arg);
    fake_api_pass(&api, 6000);
    fake_line(s, gone);
    call = fake_call(&api); /* at once: the watch lived */
    assert_string_equal(call->path, "/pods?limit=500");
    fake_answer(call, 200, list_of("20", "", "a@1"));
    assert_heard("-n/b . ");
    fake_end(fake_stream(&api), 410, -EREMOTEIO, "too old");
    int64_t waits_ms = 0;
    for (int i = 0; i < 8; i++) { /* and slower each time */
        int64_t due_ms = loop_next_due_ms(api.loop);
        assert_true(due_ms * 2 >= waits_ms && list_is_empty(&api.calls));
        waits_ms = due_ms;
        fake_api_pass(&api, due_ms);
        fake_answer(fake_call(&api), 200, list_of("21", "", "a@1"));
        s = fake_stream(&api);
        s->spec.on_begin(s->spec.arg);
        fake_line(s, gone);
    }
    assert_in_range(waits_ms, 8000, 30000);
    heard[0] = '\0';
    end();
}

static void test_absent_and_denied(void **state)
{
    UNUSED(state);
    struct reflector_spec spec = spec_of("pods");
    begin(&spec);
    fake_answer(fake_call(&api), 404, "");
    assert_heard("ABSENT . ");
    fake_api_pass(&api, ABSENT_MS + ABSENT_MS / 10);
    struct kube_stream *s = synced("a@1");
    /* The kind is taken away while it is followed. */
    fake_api_pass(&api, 6000);
    fake_end(s, 200, 0, "");
    fake_end(fake_stream(&api), 404, -ENOENT, "no such kind");
    fake_api_pass(&api, 300);
    fake_answer(fake_call(&api), 404, "");
    assert_heard("-n/a ABSENT . ");
    assert_int_equal(reflector_count(followed), 0);
    fake_api_pass(&api, ABSENT_MS + ABSENT_MS / 10);
    fake_answer(fake_call(&api), 200, list_of("10", "", "a@1"));
    assert_heard("v1/Pod a@1 SYNCED . ");
    /* Reading is forbidden: what was told stays. */
    fake_end(fake_stream(&api), 403, -EACCES, "watch is forbidden");
    assert_heard("DENIED ");
    fake_api_pass(&api, DENIED_MS + DENIED_MS / 10);
    fake_answer(fake_call(&api), 200, list_of("11", "", "a@2"));
    assert_heard("v1/Pod a@2 . "); /* may be listed, but not watched: still so */
    s = fake_stream(&api);
    s->spec.on_begin(s->spec.arg);
    assert_heard("SYNCED ");
    reflector_relist(followed);
    fake_answer(fake_call(&api), 403, "");
    assert_heard("DENIED ");
    reflector_relist(followed);
    fake_answer(fake_call(&api), 0, "");
    fake_api_pass(&api, 300);
    fake_end(fake_stream(&api), 0, -ECONNREFUSED, "connection refused");
    assert_heard("BEHIND ");
    end();
}

static void test_backoff(void **state)
{
    UNUSED(state);
    struct reflector_spec spec = spec_of("pods");
    begin(&spec);
    int64_t least_ms = 125;
    for (int i = 0; i < 12; i++) {
        fake_answer(fake_call(&api), 0, "");
        int64_t due_ms = loop_next_due_ms(api.loop);
        assert_in_range(due_ms, least_ms, i64_min(least_ms * 2, BACKOFF_MAX_MS) + 1);
        least_ms = i64_min(least_ms * 2, BACKOFF_MAX_MS / 2);
        fake_api_pass(&api, due_ms);
    }
    assert_int_equal(reflector_state(followed), REFLECTOR_LISTING);
    fake_answer_after(fake_call(&api), 429, "", 50);
    assert_in_range(loop_next_due_ms(api.loop), 50000, 50300);
    fake_api_pass(&api, 50300);
    fake_answer_after(fake_call(&api), 503, "", 1000000);
    assert_in_range(loop_next_due_ms(api.loop), RETRY_AFTER_MAX_MS, RETRY_AFTER_MAX_MS + 300);
    fake_api_pass(&api, RETRY_AFTER_MAX_MS + 300);
    assert_heard("");
    struct kube_stream *s = synced("a@1");
    /* A cut that the next try mends is not told; one that it does not is. */
    fake_line(s, event_of("MODIFIED", "a", "11"));
    assert_heard("v1/Pod a@11 . ");
    fake_end(s, 200, -ERR_RESET, "reset");
    fake_api_pass(&api, 250);
    s = fake_stream(&api);
    assert_path_has(s->path, "resourceVersion=11");
    s->spec.on_begin(s->spec.arg);
    assert_heard("");
    fake_api_pass(&api, 6000);
    fake_end(s, 200, -ERR_RESET, "reset");
    fake_api_pass(&api, 250);
    fake_end(fake_stream(&api), 0, -ECONNREFUSED, "connection refused");
    assert_heard("BEHIND ");
    fake_api_pass(&api, 300);
    s = fake_stream(&api);
    assert_path_has(s->path, "resourceVersion=11");
    s->spec.on_begin(s->spec.arg);
    assert_heard("SYNCED ");
    /* A complaint within the watch, with a time to wait. */
    fake_line(s, "{\"type\":\"ERROR\",\"object\":{\"code\":429,\"reason\":\"TooManyRequests\","
                 "\"details\":{\"retryAfterSeconds\":7}}}");
    assert_in_range(loop_next_due_ms(api.loop), 7000, 7300);
    fake_api_pass(&api, 7300);
    assert_path_has(fake_stream(&api)->path, "resourceVersion=11");
    /* A version that the server refuses for ever is given up. */
    for (int i = 0; i < LIST_AFTER; i++) {
        fake_end(fake_stream(&api), 504, -EREMOTEIO, "Too large resource version");
        fake_api_pass(&api, 1100);
    }
    fake_answer(fake_call(&api), 200, list_of("5", "", "a@4"));
    assert_path_has(fake_stream(&api)->path, "resourceVersion=5");
    assert_heard("BEHIND v1/Pod a@4 SYNCED . ");
    end();
}

static void test_bad_answers(void **state)
{
    UNUSED(state);
    struct reflector_spec spec = spec_of("pods");
    begin(&spec);
    static const char *const bad[] = {"", "{}", "{\"metadata\":{}}", "{\"metadata\":[]}",
                                      "{\"metadata\":{\"resourceVersion\":7}}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        fake_answer(fake_call(&api), 200, bad[i]);
        assert_heard("");
        fake_api_pass(&api, loop_next_due_ms(api.loop));
    }
    /* What is no object is passed over; a custom kind says what it is. */
    fake_answer(
        fake_call(&api), 200,
        "{\"kind\":\"XList\",\"apiVersion\":\"x/v1\",\"metadata\":{\"resourceVersion\":"
        "\"1\"},\"items\":[7,{},{\"metadata\":{\"name\":\"q/r\",\"resourceVersion\":\"1\"}},"
        "{\"kind\":\"Y\",\"apiVersion\":\"y/v2\",\"metadata\":{\"name\":\"a\","
        "\"resourceVersion\":\"1\"}}]}");
    assert_heard("y/v2/Y a@1 SYNCED . ");
    static const char *const lines[] = {
        "7",
        "{",
        "{}",
        "[]",
        "{\"type\":\"ADDED\"}",
        "{\"type\":\"ADDED\",\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}",
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        fake_line(fake_stream(&api), lines[i]);
        assert_true(list_is_empty(&api.streams));
        assert_true(loop_next_due_ms(api.loop) <= i64_min(BACKOFF_FIRST_MS << i, BACKOFF_MAX_MS));
        fake_api_pass(&api, loop_next_due_ms(api.loop));
        fake_answer(fake_call(&api), 200, list_of("2", "", "a@1"));
    }
    heard[0] = '\0';
    end();
}

/* The owner may end it, or wish for another list, in every call it gets. */
static void test_from_callbacks(void **state)
{
    UNUSED(state);
    static const char *const moments[] = {"v1/Pod a@1 ",  "v1/Pod b@2 ", "SYNCED ",     ". ",
                                          "v1/Pod a@20 ", "-n/b ",       "-n/c ",       "BEHIND ",
                                          "DENIED ",      "ABSENT ",     "v1/Pod d@30 "};
    struct reflector_spec spec = spec_of("pods");
    for (size_t i = 0; i < 2 * ARRAY_LEN(moments); i++) {
        struct rng dice;
        rng_seed(&dice, i);
        begin(&spec);
        *(i % 2 ? &free_at : &relist_at) = moments[i / 2];
        for (int turn = 0; followed != NULL && turn < 500; turn++) {
            unsigned step = (unsigned)rng_below(&dice, 84);
            fake_api_settle(&api);
            assert_true(list_is_empty(&api.calls) || list_is_empty(&api.streams));
            if (!list_is_empty(&api.calls)) {
                struct kube_call *call = fake_call(&api);
                unsigned kind = strstr(call->path, "continue") ? 1 : step % 7;
                if (kind == 6) {
                    fake_answer(call, step % 2 ? 403 : 404, "");
                } else if (kind == 5) {
                    fake_answer(call, 0, "");
                } else if (kind == 1) {
                    fake_answer(call, 200, list_of("10", "", "b@2 c@3"));
                } else {
                    fake_answer(call, 200, list_of("10", step % 2 ? "" : "t", "a@1"));
                }
            } else if (!list_is_empty(&api.streams)) {
                struct kube_stream *s = fake_stream(&api);
                s->spec.on_begin(s->spec.arg);
                if (!s->closed) {
                    fake_line(s,
                              event_of(step % 3 ? "ADDED" : "DELETED", step % 3 ? "a" : "b", "20"));
                }
                if (!s->closed) {
                    fake_line(s, event_of("ADDED", "d", "30"));
                }
                if (!s->closed) {
                    fake_end(s, step % 4 ? 0 : 200, step % 4 ? -ECONNREFUSED : 0, "no");
                }
                fake_api_settle(&api);
                if (followed != NULL && !list_is_empty(&api.streams)) {
                    fake_end(fake_stream(&api), step % 3 ? 410 : 0, -EREMOTEIO, "refused");
                }
            }
            if (loop_next_due_ms(api.loop) >= 0) {
                fake_api_pass(&api, loop_next_due_ms(api.loop));
            }
            heard[0] = '\0';
        }
        if (i % 2 == 1 && followed != NULL) {
            fail_msg("never heard '%s'", moments[i / 2]);
        }
        end();
    }
}

/* 5,000 pods cost what their names do. */
static void test_memory(void **state)
{
    UNUSED(state);
    struct reflector_book book;
    struct err err;
    struct arena arena;
    arena_init(&arena, 4096);
    size_t before = mem_live_bytes();
    reflector_book_init(&book);
    for (int i = 0; i < 5000; i++) {
        struct doc_node *doc = doc_new_map(&arena);
        struct doc_node *metadata = doc_map_in(&arena, doc, "metadata");
        doc_set_text(&arena, metadata, "namespace", SPAN("some-namespace"));
        doc_set_text(&arena, metadata, "name",
                     span_of(arena_printf(&arena, "some-deployment-5d8c7f9b4c-%05d", i)));
        doc_set_text(&arena, metadata, "resourceVersion", span_of(arena_printf(&arena, "%d", i)));
        doc_set_text(&arena, metadata, "uid", SPAN("8a1ec0de-77a3-4b58-9d34-6f0a5d3a9d11"));
        struct reflector_meta meta;
        assert_int_equal(reflector_meta_read(doc, &meta, &err), 0);
        assert_true(reflector_book_note(&book, &meta));
        assert_false(reflector_book_note(&book, &meta));
        arena_reset(&arena);
    }
    assert_in_range((mem_live_bytes() - before) / 5000, 80, 200);
    reflector_book_dispose(&book);
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_and_watch), cmocka_unit_test(test_relist),
        cmocka_unit_test(test_expired),        cmocka_unit_test(test_absent_and_denied),
        cmocka_unit_test(test_backoff),        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_from_callbacks), cmocka_unit_test(test_memory),
    };
    return log_set_levels("error") != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
