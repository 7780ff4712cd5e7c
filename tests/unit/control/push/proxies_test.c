/* The book of who is connected. */
#include "control/push/proxies.c"

#include "base/mem.h"
#include "unit/cm.h"

static struct proxy_entry *sit(struct proxies *p, uint64_t stream)
{
    struct proxy_entry *e = mem_new(struct proxy_entry);
    arena_init(&e->who.arena, 64);
    e->stream = stream;
    e->identity = mem_strdup("spiffe://x/ns/a/sa/b");
    proxies_add_take(p, e);
    return e;
}

static void test_come_and_go(void **state)
{
    UNUSED(state);
    struct proxies p;
    proxies_init(&p);
    struct proxy_entry *one = sit(&p, 1);
    struct proxy_entry *two = sit(&p, (uint64_t)1 << 48);
    assert_ptr_equal(proxies_find(&p, 1), one);
    assert_ptr_equal(proxies_find(&p, (uint64_t)1 << 48), two);
    assert_null(proxies_find(&p, 2));
    proxies_remove(&p, 2); /* was never there */
    proxies_remove(&p, 1);
    assert_null(proxies_find(&p, 1));
    assert_int_equal(p.count, 1);
    assert_int_equal(p.connects, 2);
    assert_int_equal(p.disconnects, 1);
    two->types[PROXIES_LISTENER].refused = mem_strdup("why not");
    proxies_dispose(&p);
    proxies_entry_free(NULL);
}

static void test_synced(void **state)
{
    UNUSED(state);
    char why[] = "bad";
    static const struct {
        struct proxy_type_state cluster, names;
        bool is_synced;
    } rows[] = {
        {{.sent = 0}, {.sent = 0}, false}, /* told nothing yet */
        {{.sent = 3}, {.sent = 0}, false},
        {{.sent = 3, .acked = 2}, {.sent = 1, .acked = 1}, false},
        {{.sent = 3, .acked = 3}, {.sent = 0}, true},
        {{.sent = 3, .acked = 3}, {.sent = 2, .acked = 2}, true},
        {{.sent = 3, .acked = 3}, {.sent = 2, .acked = 0}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_entry e = {.stream = i};
        e.types[PROXIES_CLUSTER] = rows[i].cluster;
        e.types[PROXIES_NAMES] = rows[i].names;
        assert_int_equal(proxies_is_synced(&e), rows[i].is_synced);
        e.types[PROXIES_ROUTES].refused = why;
        assert_false(proxies_is_synced(&e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_come_and_go),
        cmocka_unit_test(test_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
