/* What is wanted is written: once, again after failures and in time, by the leader alone. */
#include "control/cluster/keeper.c"

#include <stdio.h>

#include "unit/cm.h"

/* ---- a server that answers when the test says so ---- */

struct kube_call {
    kube_on_answer on_answer;
    void *arg;
    char what[256];
    bool over;
};
static struct kube_call calls[64];
static size_t call_count;
static struct loop *loop;

static struct kube_call *note(kube_on_answer heard, void *arg, const char *method, const char *what)
{
    assert_true(call_count < ARRAY_LEN(calls));
    struct kube_call *c = &calls[call_count++];
    *c = (struct kube_call){.on_answer = heard, .arg = arg};
    assert_true(snprintf(c->what, sizeof(c->what), "%s %s", method, what) < (int)sizeof(c->what));
    return c;
}

struct kube_call *kube_apply(struct kube_client *client, const struct kube_apply_spec *spec)
{
    UNUSED(client);
    struct buf text;
    buf_init(&text, 200);
    assert_int_equal(doc_write_json(doc_get(spec->object, "data"), false, &text), 0);
    struct kube_call *c = note(spec->on_answer, spec->arg, "APPLY", buf_cstr(&text));
    buf_dispose(&text);
    return c;
}

struct kube_call *kube_call(struct kube_client *client, const struct kube_call_spec *spec)
{
    UNUSED(client);
    return note(spec->on_answer, spec->arg, spec->method, spec->path);
}

void kube_call_cancel(struct kube_call *call)
{
    call->over = true;
}

struct loop *kube_client_loop(const struct kube_client *client)
{
    UNUSED(client);
    return loop;
}

const char *kube_path(struct arena *arena, const struct kube_kind *kind, struct span ns,
                      struct span name, const char *sub)
{
    return arena_printf(arena, "/%s/%.*s/%.*s%s", kind->plural, SPAN_ARG(ns), SPAN_ARG(name),
                        sub ? sub : "");
}

static void answer(size_t i, int code)
{
    assert_true(i < call_count && !calls[i].over);
    calls[i].over = true;
    calls[i].on_answer(calls[i].arg, &(struct kube_answer){.code = code, .why = "because"});
}

/* ---- what is wanted ---- */

static const struct kube_kind maps = {
    .group = "", .version = "v1", .plural = "configmaps", .namespaced = true};

static void want(struct keeper *k, const char *name, const char *value, bool removes)
{
    struct arena arena;
    arena_init(&arena, 512);
    struct doc_node *object = doc_new_map(&arena);
    doc_set_text(&arena, doc_map_in(&arena, object, "metadata"), "name", span_of(name));
    doc_set_text(&arena, doc_get(object, "metadata"), "namespace", SPAN("ns"));
    doc_set_text(&arena, doc_map_in(&arena, object, "data"), "v", span_of(value));
    keeper_want(k, &(struct keeper_want){.kind = &maps, .object = object, .removes = removes});
    arena_dispose(&arena);
}

static void turn(void)
{
    while (loop_turn(loop, false)) {
    }
}

static int set_up(void **state)
{
    instant_fake_start(1000000000, 1000000);
    loop = loop_new(true);
    call_count = 0;
    *state = keeper_new(NULL);
    return 0;
}

static int tear_down(void **state)
{
    keeper_free(*state);
    loop_free(loop);
    instant_fake_stop();
    return 0;
}

static void round_of(struct keeper *k, const char *name, const char *value, bool removes)
{
    keeper_begin(k);
    if (name) {
        want(k, name, value, removes);
    }
    keeper_end(k);
    turn();
}

static void test_only_the_leader_writes(void **state)
{
    struct keeper *k = *state;
    round_of(k, "a", "1", false);
    assert_int_equal(call_count, 0);
    keeper_lead(k, true);
    turn();
    assert_int_equal(call_count, 1);
    assert_string_equal(calls[0].what, "APPLY {\"v\":\"1\"}");
    answer(0, 0);
    turn();
    assert_int_equal(keeper_numbers(k).written, 1);
    assert_int_equal(keeper_numbers(k).waiting, 0);
}

static void test_the_same_is_not_written_twice(void **state)
{
    struct keeper *k = *state;
    keeper_lead(k, true);
    round_of(k, "a", "1", false);
    answer(0, 0);
    round_of(k, "a", "1", false);
    assert_int_equal(call_count, 1);
    round_of(k, "a", "2", false);
    assert_int_equal(call_count, 2);
}

static void test_a_change_during_a_call_is_written_after_it(void **state)
{
    struct keeper *k = *state;
    keeper_lead(k, true);
    round_of(k, "a", "1", false);
    round_of(k, "a", "2", false);
    assert_int_equal(call_count, 1);
    answer(0, 0);
    turn();
    assert_int_equal(call_count, 2);
    assert_string_equal(calls[1].what, "APPLY {\"v\":\"2\"}");
}

static void test_a_failure_is_tried_again(void **state)
{
    struct keeper *k = *state;
    keeper_lead(k, true);
    round_of(k, "a", "1", false);
    answer(0, -ECONNREFUSED);
    turn();
    assert_int_equal(call_count, 1);
    assert_int_equal(keeper_numbers(k).failed, 1);
    instant_fake_advance((KEEPER_RETRY_MS + 10) * 1000000LL);
    turn();
    assert_int_equal(call_count, 2);
    answer(1, 0);
    assert_int_equal(keeper_numbers(k).waiting, 0);
}

static void test_what_is_not_wanted_any_more_goes(void **state)
{
    struct keeper *k = *state;
    keeper_lead(k, true);
    round_of(k, "kept", "1", false);
    answer(0, 0);
    round_of(k, "made", "1", true);
    answer(1, 0);
    round_of(k, NULL, NULL, false);
    assert_int_equal(call_count, 3);
    assert_string_equal(calls[2].what, "DELETE /configmaps/ns/made");
    answer(2, -ENOENT);
    turn();
    assert_int_equal(keeper_numbers(k).wanted, 0);
}

static void test_wanted_again_while_it_goes(void **state)
{
    struct keeper *k = *state;
    keeper_lead(k, true);
    round_of(k, "made", "1", true);
    answer(0, 0);
    round_of(k, NULL, NULL, false);
    round_of(k, "made", "1", true);
    answer(1, 0); /* the removal */
    turn();
    assert_int_equal(call_count, 3);
    assert_string_equal(calls[2].what, "APPLY {\"v\":\"1\"}");
}

static void test_all_is_written_again_in_time(void **state)
{
    struct keeper *k = *state;
    keeper_lead(k, true);
    round_of(k, "a", "1", false);
    answer(0, 0);
    turn();
    instant_fake_advance((KEEPER_AGAIN_MS + 100) * 1000000LL);
    turn();
    turn();
    assert_int_equal(call_count, 2);
}

static void test_only_some_at_once(void **state)
{
    struct keeper *k = *state;
    char name[16];
    keeper_lead(k, true);
    keeper_begin(k);
    for (int i = 0; i < 3 * KEEPER_AT_ONCE; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        want(k, name, "1", false);
    }
    keeper_end(k);
    turn();
    assert_int_equal(call_count, KEEPER_AT_ONCE);
    for (int i = 0; i < 3 * KEEPER_AT_ONCE; i++) {
        answer((size_t)i, 0);
        turn();
    }
    assert_int_equal(call_count, 3 * KEEPER_AT_ONCE);
    assert_int_equal(keeper_numbers(k).waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_the_leader_writes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_same_is_not_written_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_change_during_a_call_is_written_after_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_failure_is_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_wanted_any_more_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wanted_again_while_it_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_is_written_again_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_some_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
