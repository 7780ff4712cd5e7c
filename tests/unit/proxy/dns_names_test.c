/* Which names a question may mean, and what the table takes. */
#include "unit/cm.h"

#include "proxy/dns_names.c"

static void meanings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *want;
    } cases[] = {
        {"", ""},
        {"reviews", "reviews.shop.svc.mesh.example reviews"},
        {"reviews.prod", "reviews.prod reviews.prod.svc.mesh.example"},
        {"reviews.prod.svc", "reviews.prod.svc reviews.prod.svc.mesh.example"},
        {"reviews.prod.svc.mesh.example", "reviews.prod.svc.mesh.example"},
        {"reviews.shop.svc.mesh.example", "reviews.shop.svc.mesh.example"},
        {"pod-0.db.shop.svc.mesh.example", "pod-0.db.shop.svc.mesh.example pod-0.db"},
        {"www.example.com", "www.example.com"},
        {"example.com.shop.svc.mesh.example", "example.com.shop.svc.mesh.example example.com"},
    };
    struct dns_names *d = dns_names_new(SPAN("shop"), SPAN("mesh.example"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        arena_init(&arena, 256);
        struct span out[DNS_NAMES_MEANINGS_MAX];
        size_t count = dns_names_meanings(d, span_of(cases[i].name), &arena, out);
        char text[512] = "";
        for (size_t k = 0; k < count; k++) {
            size_t len = strlen(text);
            (void)snprintf(text + len, sizeof(text) - len, "%s%.*s", k > 0 ? " " : "",
                           SPAN_ARG(out[k]));
        }
        assert_string_equal(text, cases[i].want);
        arena_dispose(&arena);
    }
    dns_names_free(d);
}

static struct span table(struct arena *arena, const char *key, const char *const *ips)
{
    struct pb_nds_NameTable *t = arena_new(arena, struct pb_nds_NameTable);
    struct pb_nds_NameTable_TableEntry *e = arena_new(arena, struct pb_nds_NameTable_TableEntry);
    e->key = span_of(key);
    e->value = arena_new(arena, struct pb_nds_NameTable_NameInfo);
    for (size_t i = 0; ips[i] != NULL; i++) {
        PB_ADD(arena, &e->value->ips, span_of(ips[i]));
    }
    PB_ADD(arena, &t->table, e);
    return pb_encode_in(&pb_nds_NameTable_desc, t, arena);
}

static int update(struct dns_names *d, const char *name, struct span value)
{
    struct err err;
    struct xds_resource r = {.name = span_of(name), .version = SPAN("1"), .value = value};
    struct span gone = span_of(name);
    struct xds_update u = {.type_url = SPAN(DNS_NAMES_TYPE)};
    if (value.len > 0) {
        u.added = &r;
        u.added_count = 1;
    } else {
        u.removed = &gone;
        u.removed_count = 1;
    }
    return dns_names_update(d, &u, &err);
}

static void note(void *arg, struct span name, const struct dns_name *known)
{
    char *text = arg;
    size_t len = strlen(text);
    (void)snprintf(text + len, 64 - len, "%.*s=%zu ", SPAN_ARG(name), known->count);
}

static void each(void **state)
{
    (void)state;
    static const char *const one[] = {"10.0.0.1", NULL};
    char text[64] = "";
    struct arena arena;
    arena_init(&arena, 4096);
    struct dns_names *d = dns_names_new(SPAN_EMPTY, SPAN_EMPTY);
    dns_names_want(d, SPAN("a"), true);
    dns_names_want(d, SPAN("b"), true); /* and nothing is known */
    assert_int_equal(update(d, "a", table(&arena, "a", one)), 0);
    dns_names_each(d, note, text);
    assert_string_equal(text, "a=1 ");
    dns_names_free(d);
    arena_dispose(&arena);
}

static void life(void **state)
{
    (void)state;
    static const char *const both[] = {"10.0.0.1", "fd00::1", NULL};
    static const char *const wrong[] = {"10.0.0.1", "nonsense", NULL};
    struct arena arena;
    arena_init(&arena, 4096);
    struct dns_names *d = dns_names_new(SPAN_EMPTY, SPAN_EMPTY);
    assert_int_equal(dns_names_look(d, SPAN("a")), INGEST_COMING);
    assert_int_equal(update(d, "a", table(&arena, "a", both)), 0); /* nobody wants it */
    assert_null(dns_names_get(d, SPAN("a")));
    dns_names_want(d, SPAN("a"), true);
    assert_null(dns_names_get(d, SPAN("a")));
    assert_int_equal(update(d, "a", table(&arena, "a", both)), 0);
    assert_int_equal(dns_names_get(d, SPAN("a"))->count, 2);
    assert_int_equal(update(d, "a", table(&arena, "a", wrong)), -ERR_CONFIG);
    assert_int_equal(dns_names_get(d, SPAN("a"))->count, 2);
    assert_int_equal(update(d, "a", SPAN("\xff\xff")), -ERR_CONFIG);
    assert_int_equal(update(d, "a", SPAN_EMPTY), 0);
    assert_int_equal(dns_names_look(d, SPAN("a")), INGEST_MISSING);
    assert_null(dns_names_get(d, SPAN("a")));
    assert_int_equal(update(d, "a", table(&arena, "other", both)), 0);
    assert_int_equal(dns_names_get(d, SPAN("a"))->count, 2);
    dns_names_want(d, SPAN("a"), false);
    assert_int_equal(dns_names_look(d, SPAN("a")), INGEST_COMING);
    dns_names_free(d);
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(meanings),
        cmocka_unit_test(life),
        cmocka_unit_test(each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
