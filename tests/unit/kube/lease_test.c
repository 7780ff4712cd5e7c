/* kube/lease: taking, keeping, losing and leaving it; and that of many candidates over a bad network never two lead. */
#include "kube/lease.c"

#include "unit/kube/fake_api.h"

static struct kube_client api;
static char heard[256];

static void on_leading(void *arg, bool leading)
{
    size_t len = strlen(heard);
    (void)snprintf(heard + len, sizeof(heard) - len, "%s%s ", (const char *)arg,
                   leading ? "+" : "-");
}

static struct lease *candidate(const char *holder)
{
    const struct lease_spec spec = {
        .client = &api,
        .namespace = SPAN("mesh-system"),
        .name = SPAN("mesh-leader"),
        .holder = span_of(holder),
        .on_leading = on_leading,
        .arg = (void *)(uintptr_t)holder,
    };
    return lease_new(&spec);
}

#define assert_heard(want)                \
    do {                                  \
        fake_api_settle(&api);            \
        assert_string_equal(heard, want); \
        heard[0] = '\0';                  \
    } while (0)

#define PATH "/apis/coordination.k8s.io/v1/namespaces/mesh-system/leases"

static const char *lease_of(const char *holder, unsigned version, const char *renewed)
{
    static char text[512];
    (void)snprintf(text, sizeof(text),
                   "{\"metadata\":{\"resourceVersion\":\"%u\"},\"spec\":{\"holderIdentity\":\"%s\","
                   "\"leaseDurationSeconds\":15,\"leaseTransitions\":4,\"acquireTime\":\"then\","
                   "\"renewTime\":\"%s\"}}",
                   version, holder, renewed);
    return text;
}

static void assert_body_has(const struct kube_call *call, const char *part)
{
    if (strstr(call->body, part) == NULL) {
        fail_msg("'%s' is not in '%s'", part, call->body);
    }
}

/* Moves on to the next call. */
static struct kube_call *next_call(void)
{
    for (int i = 0; i < 20 && list_is_empty(&api.calls); i++) {
        fake_api_pass(&api, 250);
    }
    return fake_call(&api);
}

static void test_create_keep_release(void **state)
{
    UNUSED(state);
    fake_api_start(&api);
    struct lease *l = candidate("a");
    struct kube_call *call = fake_call(&api);
    assert_string_equal(call->method, "GET");
    assert_string_equal(call->path, PATH "/mesh-leader");
    assert_false(lease_is_leading(l));
    fake_answer(call, 404, "NotFound");
    call = fake_call(&api);
    assert_string_equal(call->method, "POST");
    assert_string_equal(call->path, PATH);
    assert_string_equal(
        call->body,
        "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"namespace\":"
        "\"mesh-system\",\"name\":\"mesh-leader\"},\"spec\":{\"holderIdentity\":\"a\","
        "\"leaseDurationSeconds\":15,\"leaseTransitions\":0,\"acquireTime\":"
        "\"2023-11-14T22:13:20.000000Z\",\"renewTime\":\"2023-11-14T22:13:20.000000Z\"}}");
    fake_answer(call, 201, lease_of("a", 7, "t0"));
    assert_heard("a+ ");
    assert_true(lease_is_leading(l));
    assert_span(lease_holder(l), "a");
    /* Kept by one write each 2 s, for the version that the last one made. */
    call = next_call();
    assert_string_equal(call->method, "PATCH");
    assert_string_equal(call->path, PATH "/mesh-leader");
    assert_string_equal(call->content_type, KUBE_MERGE);
    assert_body_has(call, "{\"metadata\":{\"resourceVersion\":\"7\"},\"spec\":{");
    assert_body_has(call, "\"leaseTransitions\":4,\"acquireTime\":\"then\"");
    assert_body_has(call, "\"renewTime\":\"2023-11-14T22:13:2");
    fake_answer(call, 200, lease_of("a", 8, "t1"));
    assert_heard("");
    /* Released, and gone. */
    lease_free(l);
    call = fake_call(&api);
    assert_body_has(call, "\"resourceVersion\":\"8\"},\"spec\":{\"holderIdentity\":\"\"");
    assert_body_has(call, "\"leaseDurationSeconds\":1,");
    fake_answer(call, 200, lease_of("", 9, "t2"));
    assert_heard("");
    fake_api_end(&api);
}

static void test_lost(void **state)
{
    UNUSED(state);
    fake_api_start(&api);
    struct lease *l = candidate("a");
    fake_answer(fake_call(&api), 200, lease_of("", 7, "t0"));
    struct kube_call *call = fake_call(&api);
    assert_body_has(call, "\"leaseTransitions\":5");
    fake_answer(call, 200, lease_of("a", 8, "t1"));
    assert_heard("a+ ");
    /* Nobody answers: given up 10 s after it was last asked for with success. */
    for (int i = 0; i < 100 && lease_is_leading(l); i++) {
        if (!list_is_empty(&api.calls)) {
            fake_answer(fake_call(&api), 0, "");
        }
        fake_api_pass(&api, 100);
    }
    assert_heard("a- ");
    assert_int_equal(instant_mono_ms(), 1000000 + 10000);
    /* It is ours as before, so a write brings it back. */
    fake_answer(next_call(), 200, lease_of("a", 8, "t1"));
    call = fake_call(&api);
    assert_body_has(call, "\"leaseTransitions\":4,\"acquireTime\":\"then\"");
    fake_answer(call, 200, lease_of("a", 9, "t2"));
    assert_heard("a+ ");
    /* An answer that comes too late counts for nothing. */
    call = next_call();
    fake_api_pass(&api, 10000);
    assert_heard("a- ");
    fake_answer(call, 200, lease_of("a", 10, "t3"));
    assert_heard("");
    fake_answer(next_call(), 200, lease_of("a", 11, "t4"));
    assert_heard("a+ ");
    /* Somebody only wrote a label: a conflict, then ours again. Then somebody took it. */
    fake_answer(next_call(), 409, "Conflict");
    fake_answer(fake_call(&api), 200, lease_of("a", 12, "t4"));
    fake_answer(fake_call(&api), 200, lease_of("a", 13, "t5"));
    assert_heard("");
    fake_answer(next_call(), 409, "Conflict");
    fake_answer(fake_call(&api), 200, lease_of("b", 14, "t6"));
    assert_heard("a- ");
    assert_span(lease_holder(l), "b");
    assert_false(lease_is_leading(l));
    lease_free(l);
    fake_api_end(&api);
}

static void test_takes_over(void **state)
{
    UNUSED(state);
    static const char *const times[] = {"1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00Z", ""};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) { /* whatever the holder's clock shows */
        fake_api_start(&api);
        struct lease *l = candidate("a");
        struct kube_call *call = next_call();
        while (instant_mono_ms() < 1000000 + 250 + 15000) { /* since the first answer */
            assert_string_equal(call->method, "GET");
            fake_answer(call, 200, lease_of("b", 7, times[i]));
            call = next_call();
        }
        fake_answer(call, 200, lease_of("b", 8, times[i])); /* a label: it does not live for that */
        call = fake_call(&api);
        assert_string_equal(call->method, "PATCH");
        assert_body_has(call, "\"resourceVersion\":\"8\"},\"spec\":{\"holderIdentity\":\"a\"");
        fake_answer(call, 409, "Conflict"); /* somebody was faster */
        assert_heard("");
        fake_answer(next_call(), 200, lease_of("c", 9, "now"));
        /* Deleted: its holder may not know yet. */
        fake_answer(next_call(), 404, "NotFound");
        assert_true(list_is_empty(&api.calls));
        while (instant_mono_ms() < 1000000 + 15000 + 15000 + 8000) {
            call = next_call();
            if (call->method[0] == 'P') {
                break;
            }
            fake_answer(call, 404, "NotFound");
        }
        assert_string_equal(call->method, "POST");
        fake_answer(call, 201, lease_of("a", 10, "now"));
        assert_heard("a+ ");
        lease_free(l);
        fake_answer(fake_call(&api), 200, "{}");
        fake_api_end(&api);
    }
}

static void test_free_at_any_time(void **state)
{
    UNUSED(state);
    /* While it is read: nothing to release. */
    fake_api_start(&api);
    struct lease *l = candidate("a");
    (void)fake_call(&api);
    lease_free(l);
    assert_true(list_is_empty(&api.calls));
    fake_api_end(&api);
    /* While it is created: released once it is there. */
    for (int good = 0; good < 2; good++) {
        fake_api_start(&api);
        l = candidate("a");
        fake_answer(fake_call(&api), 404, "NotFound");
        lease_free(l);
        struct kube_call *call = fake_call(&api);
        assert_string_equal(call->method, "POST");
        if (good) {
            fake_answer(call, 201, lease_of("a", 7, "t"));
            call = fake_call(&api);
            assert_body_has(call, "\"resourceVersion\":\"7\"},\"spec\":{\"holderIdentity\":\"\"");
            fake_answer(call, 0, "");
        } else {
            fake_answer(call, 0, "");
        }
        assert_heard("");
        fake_api_end(&api);
    }
    /* While it is renewed. */
    fake_api_start(&api);
    l = candidate("a");
    fake_answer(fake_call(&api), 200, lease_of("a", 7, "t"));
    fake_answer(fake_call(&api), 200, lease_of("a", 8, "t1"));
    assert_heard("a+ ");
    struct kube_call *call = next_call();
    lease_free(l);
    fake_answer(call, 200, lease_of("a", 9, "t2"));
    fake_answer(fake_call(&api), 200, "{}");
    assert_heard("");
    fake_api_end(&api);
}

/* --- a race --- */

enum { CANDIDATES = 4, RACES = 20, RACE_MS = 5 * 60 * 1000, STEP_MS = 10 };

/* The lease as the server has it. */
static struct {
    struct rng dice;
    bool there;
    unsigned version;
    char holder[32], renewed[64], acquired[64];
    int64_t duration_s, transitions;
    struct lease *leases[CANDIDATES];
    char names[CANDIDATES][16];
    bool cut[CANDIDATES]; /* from the server */
    unsigned generations, led_steps, changes;
} race;

static bool chance(unsigned of_10000)
{
    return rng_below(&race.dice, 10000) < of_10000;
}

static const char *race_lease(void)
{
    static char text[512];
    (void)snprintf(text, sizeof(text),
                   "{\"metadata\":{\"resourceVersion\":\"%u\"},\"spec\":{\"holderIdentity\":\"%s\","
                   "\"leaseDurationSeconds\":%lld,\"leaseTransitions\":%lld,\"acquireTime\":\"%s\","
                   "\"renewTime\":\"%s\"}}",
                   race.version, race.holder, (long long)race.duration_s,
                   (long long)race.transitions, race.acquired, race.renewed);
    return text;
}

/* What the server does with a request; the status. */
static unsigned race_serve(const struct kube_call *call)
{
    if (call->method[0] == 'G') {
        return race.there ? 200 : 404;
    }
    struct arena arena;
    struct doc_node *doc;
    struct err err;
    arena_init(&arena, 4096);
    assert_int_equal(doc_parse_json(&arena, span_of(call->body), NULL, &doc, &err), 0);
    struct span version = text_of(doc_get(doc, "metadata"), "resourceVersion");
    char present[16];
    (void)snprintf(present, sizeof(present), "%u", race.version);
    bool is_post = call->method[1] == 'O';
    unsigned status = is_post && race.there                 ? 409
                      : is_post                             ? 201
                      : !race.there                         ? 404
                      : !span_eq(version, span_of(present)) ? 409
                                                            : 200;
    if (status < 300) {
        const struct doc_node *spec = doc_get(doc, "spec");
        race.there = true;
        race.version++;
        race.changes += !span_is(text_of(spec, "holderIdentity"), race.holder);
        span_to_cstr(text_of(spec, "holderIdentity"), race.holder, sizeof(race.holder));
        span_to_cstr(text_of(spec, "renewTime"), race.renewed, sizeof(race.renewed));
        span_to_cstr(text_of(spec, "acquireTime"), race.acquired, sizeof(race.acquired));
        race.duration_s = int_of(spec, "leaseDurationSeconds");
        race.transitions = int_of(spec, "leaseTransitions");
    }
    arena_dispose(&arena);
    return status;
}

/* A request on its way: to the server, then back. The asker hears of a time-out, the server may still get it. */
struct message {
    struct deadline d;
    struct kube_call copy;  /* what was asked */
    struct kube_call *call; /* NULL once the asker has given up */
    unsigned status;
    char *answer;
    bool served, lost;
    int64_t back_ms;
};
static struct list messages;

struct flight {
    struct list node;
    struct message m;
};

static void flight_free(void *obj)
{
    struct flight *f = obj;
    deadline_disarm(&f->m.d);
    mem_free(f->m.copy.method);
    mem_free(f->m.copy.body);
    mem_free(f->m.answer);
    mem_free(f);
}

static void on_message(struct deadline *d)
{
    struct flight *f = container_of(d, struct flight, m.d);
    struct message *m = &f->m;
    if (!m->served) {
        m->served = true;
        m->status = race_serve(&m->copy);
        m->answer = mem_strdup(m->status < 300 ? race_lease() : "Conflict");
        deadline_arm(&m->d, api.loop, m->back_ms);
        return;
    }
    if (m->call != NULL && !m->lost) {
        struct kube_call *call = m->call;
        m->call = NULL;
        fake_answer(call, m->status, m->answer);
    }
    if (m->call == NULL) {
        list_remove(&f->node);
        loop_bury(api.loop, flight_free, f);
    }
}

static void forget_flight(const struct kube_call *call)
{
    LIST_EACH(node, next, &messages) {
        struct flight *f = list_item(node, struct flight, node);
        if (f->m.call == call) {
            f->m.call = NULL;
        }
    }
}

static void on_timeout(struct deadline *d)
{
    struct kube_call *call = container_of(d, struct kube_call, later);
    forget_flight(call);
    fake_answer(call, 0, "");
}

static void on_call(struct kube_call *call)
{
    deadline_init(&call->later, on_timeout);
    deadline_arm(&call->later, api.loop, call->timeout_ms);
    size_t who = 0;
    const char *holder = ((struct lease *)call->arg)->holder.at;
    while (who < CANDIDATES && strcmp(race.names[who], holder) != 0) {
        who++;
    }
    if (who < CANDIDATES && race.cut[who]) {
        return;
    }
    struct flight *f = mem_new(struct flight);
    f->m.copy.method = mem_strdup(call->method);
    f->m.copy.body = mem_strdup(call->body);
    f->m.call = call;
    f->m.lost = chance(500);
    f->m.back_ms = (int64_t)rng_below(&race.dice, chance(500) ? 12000 : 300);
    deadline_init(&f->m.d, on_message);
    deadline_arm(&f->m.d, api.loop, (int64_t)rng_below(&race.dice, chance(500) ? 30000 : 300));
    list_push_back(&messages, &f->node);
}

/* It dies, without a word. */
static void kill_candidate(size_t i)
{
    struct lease *l = race.leases[i];
    deadline_disarm(&l->next);
    deadline_disarm(&l->lapse);
    if (l->call != NULL) {
        kube_call_cancel(l->call);
    }
    loop_bury(l->loop, destroy, l);
    race.leases[i] = NULL;
}

static void start_candidate(size_t i)
{
    (void)snprintf(race.names[i], sizeof(race.names[i]), "c%u", ++race.generations);
    race.leases[i] = candidate(race.names[i]);
    rng_seed(&race.leases[i]->rng, rng_u64(&race.dice));
    race.cut[i] = false;
}

static void disturb(size_t i)
{
    if (race.leases[i] == NULL) {
        if (chance(50)) {
            start_candidate(i);
        }
    } else if (chance(1)) {
        if (chance(5000)) {
            kill_candidate(i);
        } else {
            lease_free(race.leases[i]);
            race.leases[i] = NULL;
        }
    } else if (chance(race.cut[i] ? 10 : 2)) {
        race.cut[i] = !race.cut[i];
    }
}

static void end_race(void)
{
    for (size_t i = 0; i < CANDIDATES; i++) {
        if (race.leases[i] != NULL) {
            kill_candidate(i);
        }
    }
    fake_api_pass(&api, 60000); /* what is released, or in the air */
    LIST_EACH(node, next, &messages) {
        struct flight *f = list_item(node, struct flight, node);
        list_remove(&f->node);
        flight_free(f);
    }
    fake_api_end(&api);
}

static void test_race(void **state)
{
    UNUSED(state);
    unsigned led_steps = 0, changes = 0;
    for (uint64_t seed = 0; seed < RACES; seed++) {
        memset(&race, 0, sizeof(race));
        rng_seed(&race.dice, seed);
        list_init(&messages);
        fake_api_start(&api);
        api.on_call = on_call;
        api.on_cancel = forget_flight;
        for (int64_t at = 0; at < RACE_MS; at += STEP_MS) {
            unsigned leading = 0;
            heard[0] = '\0';
            for (size_t i = 0; i < CANDIDATES; i++) {
                disturb(i);
                leading += race.leases[i] != NULL && lease_is_leading(race.leases[i]);
            }
            if (leading > 1) {
                fail_msg("seed %lu: %u lead at %lld ms", seed, leading, (long long)at);
            }
            led_steps += leading;
            fake_api_pass(&api, STEP_MS);
        }
        changes += race.changes;
        end_race();
    }
    heard[0] = '\0';
    assert_true(changes > 3 * RACES);
    assert_true(led_steps > RACES * RACE_MS / STEP_MS / 3); /* mostly somebody does */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create_keep_release),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_takes_over),
        cmocka_unit_test(test_free_at_any_time),
        cmocka_unit_test(test_race),
    };
    return log_set_levels("error") != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
