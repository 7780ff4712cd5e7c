/* kube/reflector: nothing lost, nothing told twice, nothing told backwards. A server of paper with a history, that changes at random
 * while it is listed and watched, cuts, forgets, is away, forbids, has its kind taken away; when it has calmed down, what was told
 * equals what it has. */
#include "kube/reflector.c"

#include "unit/kube/fake_api.h"

enum {
    OBJECTS = 24,
    HISTORY_MAX = 4096,
    RUNS = 150,
    RUN_MS = 4 * 60 * 1000,
    CALM_MS =
        3 * 60 * 1000, /* longer than any wait of a reflector with relist_ms = LOSSY_RELIST_MS */
    LOSSY_RELIST_MS = 60 * 1000,
};

struct object {
    unsigned version; /* 0 = not there */
    unsigned uid;
};

static struct {
    struct rng dice;
    struct kube_client api;
    struct {
        unsigned id, uid;
        bool gone, modified;
    } history[HISTORY_MAX]; /* [version - 1] */
    unsigned version;       /* the present */
    unsigned floor;         /* what is not younger is forgotten */
    unsigned uids;
    bool is_away, is_denied, is_absent;
    /* how it misbehaves in this run */
    unsigned trouble; /* of 100 */
    bool tears;       /* pages are of different times */
    bool loses;       /* events, now and then */
    struct deadline change;
    bool calm;
} server;

static struct {
    struct object told[OBJECTS];
    unsigned last[OBJECTS]; /* version that was told last, also of what is gone */
    unsigned count;
    unsigned told_count, gone_count, batches;
    struct reflector *reflector;
} mirror;

const char *kube_path(struct arena *arena, const struct kube_kind *kind, struct span ns,
                      struct span name, const char *sub)
{
    UNUSED(ns);
    UNUSED(name);
    UNUSED(sub);
    return arena_printf(arena, "/%s", kind->plural);
}

static bool chance(unsigned of_100)
{
    return rng_below(&server.dice, 100) < of_100;
}

/* --- the server --- */

/* How it was right after `version`. */
static void state_at(unsigned version, struct object state[OBJECTS])
{
    memset(state, 0, OBJECTS * sizeof(state[0]));
    for (unsigned v = 1; v <= version; v++) {
        struct object *o = &state[server.history[v - 1].id];
        o->version = server.history[v - 1].gone ? 0 : v;
        o->uid = server.history[v - 1].uid;
    }
}

static void change_one(unsigned id, bool gone)
{
    struct object state[OBJECTS];
    state_at(server.version, state);
    bool there = state[id].version != 0;
    if (server.version == HISTORY_MAX || (gone && !there)) {
        return;
    }
    unsigned v = server.version++;
    server.history[v].id = id;
    server.history[v].gone = gone;
    server.history[v].modified = there;
    server.history[v].uid = there ? state[id].uid : ++server.uids;
}

static void on_change(struct deadline *d)
{
    if (server.calm) {
        return;
    }
    for (unsigned n = (unsigned)rng_below(&server.dice, 4); n > 0 && !server.is_absent; n--) {
        unsigned id = (unsigned)rng_below(&server.dice, OBJECTS);
        change_one(id, chance(35));
    }
    if (chance(10)) {
        server.floor = server.version - (unsigned)rng_below(&server.dice, server.version / 4 + 1);
    }
    if (chance(3)) {
        reflector_relist(mirror.reflector);
    }
    if (chance(server.is_away ? 20 : server.trouble / 4)) {
        server.is_away = !server.is_away;
    }
    if (chance(server.is_denied ? 20 : server.trouble / 8)) {
        server.is_denied = !server.is_denied;
    }
    if (chance(server.is_absent ? 20 : server.trouble / 8)) {
        server.is_absent = !server.is_absent;
        for (unsigned id = 0; id < OBJECTS; id++) { /* a kind goes with its objects */
            change_one(id, true);
        }
        server.floor = server.version;
    }
    deadline_arm(d, server.api.loop, (int64_t)rng_below(&server.dice, 2000));
}

static size_t write_object(char *to, size_t room, unsigned id, const struct object *o)
{
    return (size_t)snprintf(to, room,
                            "{\"metadata\":{\"name\":\"o%u\",\"namespace\":\"n%u\",\"uid\":\"uid-"
                            "%u\",\"resourceVersion\":\"%u\"}}",
                            id, id % 3, o->uid, o->version);
}

static void answer_list(struct kube_call *call)
{
    static char text[OBJECTS * 160 + 256];
    struct object state[OBJECTS];
    unsigned version = server.version, from = 0, limit = 0;
    const char *token = strstr(call->path, "continue=");
    assert_int_equal(sscanf(call->path, "/things?limit=%u", &limit), 1);
    if (token != NULL) {
        assert_int_equal(sscanf(token, "continue=%u.%u", &version, &from), 2);
        if (version < server.floor || chance(server.trouble / 4)) {
            fake_answer(call, 410, "Expired");
            return;
        }
    }
    state_at(server.tears ? server.version : version, state);
    size_t len = 0;
    unsigned n = 0, id = from;
    for (; id < OBJECTS && (limit == 0 || n < limit); id++) {
        if (state[id].version != 0) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", n++ ? "," : "");
            len += write_object(text + len, sizeof(text) - len, id, &state[id]);
        }
    }
    static char answer[sizeof(text) + 256];
    char next[32] = "";
    if (id < OBJECTS) {
        (void)snprintf(next, sizeof(next), "%u.%u", version, id);
    }
    (void)snprintf(
        answer, sizeof(answer),
        "{\"kind\":\"ThingList\",\"apiVersion\":\"x/v1\",\"metadata\":{\"resourceVersion\":"
        "\"%u\",\"continue\":\"%s\"},\"items\":[%.*s]}",
        server.tears ? server.version : version, next, (int)len, text);
    fake_answer(call, 200, answer);
}

static void on_answer_due(struct deadline *d)
{
    struct kube_call *call = container_of(d, struct kube_call, later);
    static const unsigned troubles[] = {0, 429, 500, 503, 504};
    if (server.is_away) {
        fake_answer(call, 0, "");
    } else if (server.is_denied) {
        fake_answer(call, 403, "");
    } else if (server.is_absent) {
        fake_answer(call, 404, "");
    } else if (chance(server.trouble)) {
        fake_answer_after(call, troubles[rng_below(&server.dice, ARRAY_LEN(troubles))], "",
                          chance(20) ? 2 : -1);
    } else {
        answer_list(call);
    }
}

static void on_call(struct kube_call *call)
{
    deadline_init(&call->later, on_answer_due);
    deadline_arm(&call->later, server.api.loop, (int64_t)rng_below(&server.dice, 300));
}

static void send_event(struct kube_stream *s, unsigned version)
{
    char text[512], object[256];
    struct object o = {.version = version, .uid = server.history[version - 1].uid};
    (void)write_object(object, sizeof(object), server.history[version - 1].id, &o);
    (void)snprintf(text, sizeof(text), "{\"type\":\"%s\",\"object\":%s}",
                   server.history[version - 1].gone       ? "DELETED"
                   : server.history[version - 1].modified ? "MODIFIED"
                                                          : "ADDED",
                   object);
    fake_line(s, text);
}

/* One of: an event after the other, a bookmark, an error in the stream, a cut, an end in order. */
static void on_stream_due(struct deadline *d)
{
    struct kube_stream *s = container_of(d, struct kube_stream, later);
    bool began = s->spec.idle_ms == 0; /* ours from there on */
    if (server.is_away || server.is_denied || server.is_absent) {
        fake_end(s, server.is_away ? 0 : server.is_denied ? 403 : 404, -EACCES, "no");
        return;
    }
    if (!began) {
        assert_int_equal(sscanf(strstr(s->path, "resourceVersion="), "resourceVersion=%lu", &s->at),
                         1);
        s->spec.idle_ms = 0;
        if (s->at < server.floor && chance(50)) {
            fake_end(s, 410, -EREMOTEIO, "too old");
            return;
        }
        if (chance(server.trouble)) {
            fake_end(s, 500 + (unsigned)rng_below(&server.dice, 5), -EREMOTEIO, "no");
            return;
        }
        s->spec.on_begin(s->spec.arg);
        if (s->at < server.floor) {
            fake_line(s, "{\"type\":\"ERROR\",\"object\":{\"code\":410,\"reason\":\"Expired\"}}");
            assert_true(s->closed);
            return;
        }
    }
    for (unsigned n = (unsigned)rng_below(&server.dice, 5); n > 0 && s->at < server.version; n--) {
        s->at++;
        if (!server.loses || server.calm || !chance(10)) {
            send_event(s, (unsigned)s->at);
        }
    }
    if (chance(10)) {
        char text[128];
        (void)snprintf(
            text, sizeof(text),
            "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%lu\"}}}",
            s->at);
        fake_line(s, text);
    }
    if (chance(server.trouble / 2)) {
        switch (rng_below(&server.dice, 3)) {
        case 0:
            fake_end(s, 200, 0, "");
            return;
        case 1:
            fake_end(s, 200, -ERR_RESET, "reset");
            return;
        default:
            fake_line(s,
                      chance(50) ? "{\"type\":\"ERROR\",\"object\":{\"code\":500}}" : "{\"type\"");
            assert_true(s->closed);
            return;
        }
    }
    deadline_arm(&s->later, server.api.loop, (int64_t)rng_below(&server.dice, 500) + 1);
}

static void on_stream(struct kube_stream *s)
{
    deadline_init(&s->later, on_stream_due);
    deadline_arm(&s->later, server.api.loop, (int64_t)rng_below(&server.dice, 300));
}

/* --- the mirror --- */

static void on_object(void *arg, const struct doc_node *doc)
{
    UNUSED(arg);
    struct reflector_meta m;
    struct err err;
    unsigned id, ns;
    uint64_t version;
    assert_int_equal(reflector_meta_read(doc, &m, &err), 0);
    char text[32];
    assert_int_equal(sscanf(span_to_cstr(m.name, text, sizeof(text)), "o%u", &id), 1);
    assert_int_equal(sscanf(span_to_cstr(m.namespace, text, sizeof(text)), "n%u", &ns), 1);
    assert_true(id < OBJECTS && ns == id % 3 && span_to_u64(m.version, &version));
    struct object *o = &mirror.told[id];
    assert_int_not_equal(o->version, version);
    assert_true(server.tears || version > mirror.last[id]);
    mirror.count += o->version == 0;
    mirror.last[id] = o->version = (unsigned)version;
    assert_int_equal(sscanf(span_to_cstr(m.uid, text, sizeof(text)), "uid-%u", &o->uid), 1);
    mirror.told_count++;
}

static void on_gone(void *arg, struct span ns, struct span name)
{
    UNUSED(arg);
    char text[32];
    unsigned id;
    assert_int_equal(sscanf(span_to_cstr(name, text, sizeof(text)), "o%u", &id), 1);
    assert_true(id < OBJECTS && ns.len == 2 && ns.at[1] == (char)('0' + id % 3));
    assert_int_not_equal(mirror.told[id].version, 0);
    mirror.told[id].version = 0;
    mirror.count--;
    mirror.gone_count++;
}

static void on_batch(void *arg)
{
    UNUSED(arg);
    mirror.batches++;
}

static void run(uint64_t seed)
{
    memset(&server, 0, sizeof(server));
    memset(&mirror, 0, sizeof(mirror));
    rng_seed(&server.dice, seed);
    fake_api_start(&server.api);
    server.api.on_call = on_call;
    server.api.on_stream = on_stream;
    server.trouble = (unsigned)(seed % 4) * 10;
    server.tears = seed % 5 == 4;
    server.loses = seed % 7 == 6;
    const struct reflector_spec spec = {
        .client = &server.api,
        .kind = {.group = "x", .version = "v1", .plural = "things", .namespaced = true},
        .page = 1 + (unsigned)rng_below(&server.dice, 10),
        .relist_ms = server.loses ? LOSSY_RELIST_MS
                     : seed % 2   ? -1
                                  : 0,
        .on_object = on_object,
        .on_gone = on_gone,
        .on_batch = on_batch,
    };
    deadline_init(&server.change, on_change);
    deadline_arm(&server.change, server.api.loop, 0);
    struct reflector *r = mirror.reflector = reflector_new(&spec);
    rng_seed(&r->rng, seed);
    fake_api_pass(&server.api, RUN_MS);
    server.calm = true;
    server.is_away = server.is_denied = server.is_absent = false;
    server.trouble = 0;
    fake_api_pass(&server.api, CALM_MS);
    struct object state[OBJECTS];
    state_at(server.version, state);
    unsigned there = 0;
    for (unsigned id = 0; id < OBJECTS; id++) {
        if (state[id].version != mirror.told[id].version ||
            (state[id].version != 0 && state[id].uid != mirror.told[id].uid)) {
            fail_msg("seed %lu: o%u is %u, told was %u", seed, id, state[id].version,
                     mirror.told[id].version);
        }
        there += state[id].version != 0;
    }
    assert_int_equal(reflector_state(r), REFLECTOR_SYNCED);
    assert_int_equal(reflector_count(r), there);
    assert_int_equal(mirror.count, there);
    assert_true(mirror.told_count > 5 && mirror.batches > 5);
    assert_true(mirror.batches <= 2 * (mirror.told_count + mirror.gone_count) + 100);
    reflector_free(r);
    deadline_disarm(&server.change);
    fake_api_end(&server.api);
}

static void test_mirror(void **state)
{
    UNUSED(state);
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mirror)};
    return log_set_levels("error") != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
