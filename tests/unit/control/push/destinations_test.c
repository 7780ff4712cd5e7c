/* What the proxies of a workload use: remembered, given up, bounded, over a restart of the store. */
#include "control/push/destinations.c"

#include <stdlib.h>

#include "io/loop.h"
#include "unit/cm.h"

static char folder[] = "/tmp/destinations-XXXXXX";
static struct loop *loop;
static struct store *store;
static char got[4096];

static void open_store(void)
{
    struct err err;
    char db[128];
    (void)snprintf(db, sizeof(db), "%s/mesh.db", folder);
    if (store_open(&store, db, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new(false);
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    char line[128];
    loop_free(loop);
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

static void add(void *arg, struct span name)
{
    (void)arg;
    size_t len = strlen(got);
    (void)snprintf(got + len, sizeof(got) - len, "%.*s ", SPAN_ARG(name));
}

static const char *names_of(const struct destinations *d, const char *workload)
{
    got[0] = '\0';
    destinations_each(d, span_of(workload), add, NULL);
    return got;
}

static void test_use(void **state)
{
    (void)state;
    struct destinations *d = destinations_new(loop, NULL);
    struct span page = SPAN("default/page/page"), other = SPAN("default/page/other");
    assert_string_equal(names_of(d, "default/page/page"), "");
    destinations_hold(d, page, SPAN("a"));
    destinations_hold(d, page, SPAN("b"));
    destinations_hold(d, page, SPAN("a")); /* another replica */
    destinations_hold(d, other, SPAN("c"));
    assert_string_equal(names_of(d, "default/page/page"), "a b ");
    assert_string_equal(names_of(d, "default/page/other"), "c ");
    destinations_release(d, page, SPAN("a"), true); /* one gave it up, the other has it */
    assert_string_equal(names_of(d, "default/page/page"), "a b ");
    destinations_release(d, page, SPAN("b"), false); /* the proxy went */
    assert_string_equal(names_of(d, "default/page/page"), "a b ");
    destinations_release(d, page, SPAN("a"), true);
    assert_string_equal(names_of(d, "default/page/page"), "b ");
    destinations_release(d, page, SPAN("never"), true);
    destinations_release(d, SPAN("no/such/workload"), SPAN("a"), true);
    destinations_free(d);
}

static void test_limits(void **state)
{
    (void)state;
    struct destinations *d = destinations_new(loop, NULL);
    struct span page = SPAN("default/page/page");
    char name[DESTINATIONS_NAME_BYTES_MAX + 2];
    for (int i = 0; i <= DESTINATIONS_NAMES_MAX; i++) {
        int len = snprintf(name, sizeof(name), "n%d", i);
        destinations_hold(d, page, span_from(name, (size_t)len));
    }
    struct workload *w = map_get(&d->workloads, page);
    assert_int_equal(map_count(&w->by_name), DESTINATIONS_NAMES_MAX);
    destinations_release(d, page, span_of(name), true); /* the one that had no room */
    assert_int_equal(map_count(&w->by_name), DESTINATIONS_NAMES_MAX);
    memset(name, 'x', sizeof(name));
    destinations_hold(d, SPAN("a/b/c"), span_from(name, sizeof(name) - 1));
    assert_string_equal(names_of(d, "a/b/c"), "");
    /* A workload without proxies makes room; those with some stay. */
    for (int i = 0; i < DESTINATIONS_WORKLOADS_MAX; i++) {
        int len = snprintf(name, sizeof(name), "w/%d", i);
        destinations_hold(d, span_from(name, (size_t)len), SPAN("a"));
    }
    assert_int_equal(map_count(&d->workloads), DESTINATIONS_WORKLOADS_MAX);
    assert_null(map_get(&d->workloads, SPAN("a/b/c")));
    assert_ptr_equal(map_get(&d->workloads, page), w);
    assert_null(map_get(&d->workloads, SPAN("w/9999")));
    destinations_free(d);
}

/* Until the store has answered. */
static struct destinations *loaded(const char *workload)
{
    struct destinations *d = destinations_new(loop, store);
    for (int i = 0; i < 100 && *names_of(d, workload) == '\0'; i++) {
        loop_turn(loop, true);
    }
    return d;
}

static void test_kept(void **state)
{
    (void)state;
    open_store();
    struct destinations *d = destinations_new(loop, store);
    destinations_hold(d, SPAN("ns/sa/a"), SPAN("VirtualHost|9080/x:9080"));
    destinations_hold(d, SPAN("ns/sa/a"), SPAN("Listener|10.0.0.1:80"));
    destinations_hold(d, SPAN("ns/sa/b"), SPAN("y"));
    destinations_free(d); /* writes at once */
    store_close(store);
    open_store();
    d = loaded("ns/sa/b");
    assert_string_equal(names_of(d, "ns/sa/a"), "VirtualHost|9080/x:9080 Listener|10.0.0.1:80 ");
    destinations_hold(d, SPAN("ns/sa/b"), SPAN("y"));
    destinations_release(d, SPAN("ns/sa/b"), SPAN("y"), true); /* the last: its row goes */
    destinations_free(d);
    d = loaded("ns/sa/a");
    assert_string_equal(names_of(d, "ns/sa/b"), "");
    assert_int_equal(map_count(&d->workloads), 1);
    destinations_free(d);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
