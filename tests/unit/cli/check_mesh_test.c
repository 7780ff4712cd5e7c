/* Checks out of control's answers: synchronisation, certificates, versions, findings. */
#include "cli/check_mesh.c"

#include "cli/check.c"
#include "unit/cm.h"

static struct verb_flags flags;
static struct verb verb = {.flags = &flags};
static struct check check;

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&verb.arena, 4096);
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    arena_dispose(&verb.arena);
    return 0;
}

static struct doc_node *yaml(const char *text)
{
    struct doc_node *doc = NULL;
    struct err err;
    assert_int_equal(doc_parse_yaml(&verb.arena, span_of(text), "test", &doc, &err), 0);
    return doc;
}

static const struct doc_node *found(const char *name)
{
    for (size_t i = 0; i < doc_count(check.items); i++) {
        if (span_is(item_text(doc_at(check.items, i), "name"), name)) {
            return doc_at(check.items, i);
        }
    }
    return NULL;
}

/* "result code" of the check of that name: "failed MESH1353", "passed ", or "" */
static const char *result(const char *name)
{
    const struct doc_node *one = found(name);
    return one ? arena_printf(&verb.arena, "%.*s %.*s", SPAN_ARG(item_text(one, "result")),
                              SPAN_ARG(item_text(one, "code")))
               : "";
}

#define WEEK_MS (7 * 86400000LL)
static void look(const char *status, const char *proxies, const char *certs, const char *findings)
{
    int64_t now_us;
    assert_int_equal(date_parse_rfc3339(SPAN("2026-06-01T00:00:00Z"), &now_us), 0);
    const struct check_answers a = {.status = status ? yaml(status) : NULL,
                                    .proxies = proxies ? yaml(proxies) : NULL,
                                    .certs = certs ? yaml(certs) : NULL,
                                    .findings = findings ? yaml(findings) : NULL};
    check_init(&check, &verb);
    check_mesh(&check, &a, WEEK_MS, now_us);
}

#define STATUS(ENDS) "{version: v2, ca: {issued: 7, rootNotAfter: '" ENDS "'}}"

static void test_root(void **state)
{
    UNUSED(state);
    static const struct {
        const char *ends, *result;
    } cases[] = {
        {"2036-06-01T00:00:00Z", "passed "},
        {"2026-06-20T00:00:00Z", "warning MESH1354"},
        {"2026-06-07T00:00:00Z", "failed MESH1353"},
        {"2026-05-01T00:00:00Z", "failed MESH1353"},
        {"", "failed MESH1353"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        look(arena_printf(&verb.arena, STATUS("%s"), cases[i].ends), NULL, NULL, NULL);
        assert_string_equal(result("certs/root"), cases[i].result);
    }
    look("{version: v2}", NULL, NULL, NULL);
    assert_int_equal(doc_count(check.items), 0);
}

#define PROXY(NAME, SYNCED, STATE, SENT)                                                         \
    "{name: " NAME ", version: v2, identity: i-" NAME ", synced: " SYNCED                        \
    ", types: {clusters: {state: " STATE ", sent: '" SENT "', why: bad field}, routes: {state: " \
    "SYNCED}}}"
#define OLD "2026-05-31T23:59:00Z"
#define NEW "2026-05-31T23:59:55Z"

static void test_sync(void **state)
{
    UNUSED(state);
    look(NULL, "{items: [" PROXY("a", "true", "SYNCED", OLD) "]}", NULL, NULL);
    assert_string_equal(result("control/sync"), "passed ");
    look(NULL, "{items: [" PROXY("a", "false", "STALE", NEW) "]}", NULL, NULL);
    assert_string_equal(result("control/sync"), "passed ");
    look(NULL, "{items: [" PROXY("a", "false", "STALE", OLD) "]}", NULL, NULL);
    assert_string_equal(result("control/sync"), "warning MESH1347");
    look(
        NULL,
        "{items: [" PROXY("a", "false", "REFUSED", OLD) ", " PROXY("b", "true", "SYNCED", OLD) "]}",
        NULL, NULL);
    assert_string_equal(result("control/refused"), "failed MESH1348");
    assert_span(item_text(found("control/refused"), "text"),
                "1 proxy refuses what control sent: a: bad field");
    look(NULL, "{items: []}", NULL, NULL);
    assert_span(item_text(found("control/sync"), "text"), "configuration acknowledged by 0/0");
}

static void test_versions(void **state)
{
    UNUSED(state);
    look("{version: v2}", "{items: [{name: a, version: v2}, {name: b}]}", NULL, NULL);
    assert_string_equal(result("plane/version"), "passed ");
    look("{version: v2}",
         "{items: [{name: a, version: v1}, {name: b, version: v1}, {name: c, version: v1}, {name: "
         "d, version: v1}, {name: e, version: v2}]}",
         NULL, NULL);
    assert_span(item_text(found("plane/version"), "text"),
                "4 proxies are of another version than control (v2): a, b, c and 1 more (v1)");
}

#define CERT(ENDS) "{identity: i-a, notAfter: '" ENDS "'}"

static void test_workloads(void **state)
{
    UNUSED(state);
    static const struct {
        const char *certs, *result;
    } cases[] = {
        {"{items: [" CERT("2026-06-01T12:00:00Z") ", " CERT("2026-05-01T00:00:00Z") "]}",
         "passed "},
        {"{items: [" CERT("2026-06-01T00:03:00Z") "]}", "failed MESH1359"},
        {"{items: [" CERT("2026-05-31T00:00:00Z") "]}", "failed MESH1359"},
        {"{items: []}", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        look(NULL, "{items: [" PROXY("a", "true", "SYNCED", OLD) "]}", cases[i].certs, NULL);
        assert_string_equal(result("certs/workloads"), cases[i].result);
    }
}

static void test_findings(void **state)
{
    UNUSED(state);
    look(
        NULL, NULL, NULL,
        "{items: [{code: MESH2031, severity: error, what: a route is wrong, fix: [mend it], where: "
        "{kind: HTTPRoute, namespace: n, name: r}}, {code: MESH2107, severity: info, what: a note}]}");
    assert_string_equal(result("config"), "failed MESH2031");
    assert_int_equal(check_count(&check, CHECK_NOTE), 1);
    assert_int_equal(check_exit(&check, CHECK_FAILED), EXIT_NEGATIVE);
    look(NULL, NULL, NULL, "{items: []}");
    assert_string_equal(result("config"), "passed ");
    assert_int_equal(check_exit(&check, CHECK_NOTE), EXIT_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_root, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_workloads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_findings, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
