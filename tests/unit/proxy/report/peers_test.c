/* proxy/report/peers: what one sidecar says is what the other reads, and only from whom it may come. */
#include "proxy/report/peers.c"

#include "unit/cm.h"
#include "unit/guard.h"

static const struct stats_workload reviews = {
    .workload = SPAN_INIT("reviews-v1"),
    .workload_namespace = SPAN_INIT("default"),
    .principal = SPAN_INIT("not told"),
    .app = SPAN_INIT("reviews"),
    .version = SPAN_INIT("v1"),
    .canonical_service = SPAN_INIT("reviews-canonical"),
    .canonical_revision = SPAN_INIT("r1"),
    .cluster = SPAN_INIT("mesh"),
};

static const struct peer_self *self_of(struct arena *arena, const struct stats_workload *w)
{
    const struct peer_facts facts = {.node_id = SPAN("sidecar~1"),
                                     .name = SPAN("reviews-v1-abc"),
                                     .owner = SPAN("kubernetes://x"),
                                     .self = w};
    return peers_self_new(arena, &facts);
}

static void assert_reviews(const struct stats_workload *w)
{
    assert_span(w->workload, "reviews-v1");
    assert_span(w->workload_namespace, "default");
    assert_span(w->app, "reviews");
    assert_span(w->version, "v1");
    assert_span(w->canonical_service, "reviews-canonical");
    assert_span(w->canonical_revision, "r1");
    assert_span(w->cluster, "mesh");
}

static void says_and_reads(void **state)
{
    UNUSED(state);
    struct arena arena;
    arena_init(&arena, 1024);
    const struct peer_self *self = self_of(&arena, &reviews);
    struct peers *p = peers_new();
    const struct peer *a = peers_of_header(p, guard_copy(0, self->value));
    assert_non_null(a);
    assert_reviews(&a->labels);
    assert_int_equal(a->labels.principal.len, 0);
    assert_ptr_equal(peers_of_header(p, self->value), a); /* read once */

    ssize_t len = peers_frame_read(self->frame);
    assert_int_equal(len + PEER_FRAME_HEAD, self->frame.len);
    const struct peer *b =
        peers_of_frame(p, guard_copy(0, span_from_offset(self->frame, PEER_FRAME_HEAD)));
    assert_non_null(b);
    assert_reviews(&b->labels);
    assert_int_equal(map_count(&p->by_bytes), 2);

    /* As other implementations may send it: without padding. */
    struct span bare = self->value;
    while (bare.at[bare.len - 1] == '=') {
        bare.len--;
    }
    assert_reviews(&peers_of_header(p, bare)->labels);
    peers_free(p);
    arena_dispose(&arena);
}

static void has_nothing_to_say(void **state)
{
    UNUSED(state);
    static const struct stats_workload nobody;
    struct arena arena;
    arena_init(&arena, 1024);
    const struct peer_self *self = self_of(&arena, &nobody);
    struct peers *p = peers_new();
    assert_int_equal(self->value.len, 0);
    assert_true(peers_frame_read(self->frame) > 0); /* the other end waits for one */
    assert_null(peers_of_frame(p, span_from_offset(self->frame, PEER_FRAME_HEAD)));
    peers_free(p);
    arena_dispose(&arena);
}

static void survives_nonsense(void **state)
{
    UNUSED(state);
    struct arena arena;
    arena_init(&arena, 1024);
    const struct peer_self *self = self_of(&arena, &reviews);
    struct peers *p = peers_new();
    for (size_t len = 0; len < self->value.len; len++) {
        (void)peers_of_header(p, guard_copy(0, span_first(self->value, len)));
    }
    struct span any = span_from_offset(self->frame, PEER_FRAME_HEAD);
    for (size_t len = 0; len < any.len; len++) {
        (void)peers_of_frame(p, guard_copy(0, span_first(any, len)));
    }
    static const char *const bad[] = {"", "=", "====", "!", "AAAA", "CgA=", "aGVsbG8gd29ybGQ="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const struct peer *x = peers_of_header(p, span_of(bad[i]));
        assert_true(x == NULL || x->labels.workload.len == 0);
    }
    peers_free(p);
    arena_dispose(&arena);
}

static void remembers_a_bounded_number(void **state)
{
    UNUSED(state);
    size_t before = mem_live_bytes();
    struct peers *p = peers_new();
    size_t known = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct arena arena;
        arena_init(&arena, 1024);
        char name[32];
        (void)snprintf(name, sizeof(name), "w%u", i);
        struct stats_workload w = reviews;
        w.workload = span_of(name);
        known += peers_of_header(p, self_of(&arena, &w)->value) != NULL;
        arena_dispose(&arena);
    }
    assert_true(known > 500 && known < 20000);
    assert_true(mem_live_bytes() - before < 2 * PEERS_BYTES_MAX);
    peers_free(p);
}

static void believes(void **state)
{
    UNUSED(state);
    static const struct {
        const char *id;
        bool believed;
    } rows[] = {
        {"spiffe://cluster.local/ns/default/sa/reviews", true},
        {"spiffe://cluster.local/ns/other/sa/reviews", false},
        {"spiffe://cluster.local/reviews", false},
        {"nonsense", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer told = {.labels = reviews};
        struct stats_workload labels = {.principal = span_of(rows[i].id)};
        assert_int_equal(peers_believe(&labels, &told, span_of(rows[i].id)), rows[i].believed);
        assert_span(labels.principal, rows[i].id);
        assert_int_equal(labels.workload.len > 0, rows[i].believed);
    }
}

static void frames(void **state)
{
    UNUSED(state);
    static const struct {
        struct span bytes;
        ssize_t want;
    } rows[] = {
        {SPAN_INIT(""), PEER_MORE},
        {SPAN_INIT("\x3d"), PEER_MORE},
        {SPAN_INIT("\x3d\x23\x04\x67\x00\x00\x01"), PEER_MORE},
        {SPAN_INIT("\x3d\x23\x04\x67\x00\x00\x01\x02"), 258},
        {SPAN_INIT("\x3d\x23\x04\x67\xff\xff\xff\xff"), 4294967295},
        {SPAN_INIT("\x3d\x24"), PEER_BAD},
        {SPAN_INIT("GET / HTTP/1.1"), PEER_BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(peers_frame_read(guard_copy(0, rows[i].bytes)), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_and_reads),    cmocka_unit_test(has_nothing_to_say),
        cmocka_unit_test(survives_nonsense), cmocka_unit_test(remembers_a_bounded_number),
        cmocka_unit_test(believes),          cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
