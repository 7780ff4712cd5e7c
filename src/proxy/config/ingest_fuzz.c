/* Resources of each type from wire bytes; the first byte says which. What is taken can be taken again without
 * a change, dumped and removed; what is refused leaves no snapshot. A file that an input names may be read. */
#include "base/instant.h"
#include "proxy/config/ingest_int.h"
#include "proxy/config/resource.h"
#include "tls/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    unsigned snapshots;
};

static void on_snapshot(void *arg, struct snapshot *s)
{
    struct seen *seen = arg;
    seen->snapshots++;
    ASSERT(s->users == 1);
    for (size_t i = 0; i < s->listener_count; i++) {
        const struct conf_listener *l = s->listeners[i];
        for (size_t k = 0; k < l->chain_count; k++) {
            ASSERT((l->chains[k].http != NULL) != (l->chains[k].tcp != NULL));
        }
    }
}

static void on_interest(void *arg, enum conf_kind kind, struct span name, struct span path,
                        bool wanted)
{
    (void)arg;
    (void)path;
    (void)wanted;
    ASSERT(kind < CONF_KIND_COUNT && (name.len == 0 || name.at));
}

static void settle(struct loop *loop)
{
    while (loop_turn(loop, false)) {
    }
    instant_fake_advance((int64_t)(INGEST_WARM_MS + 1) * 1000000);
    while (loop_turn(loop, false)) {
    }
}

static void take(struct loop *loop, struct ingest *g, const struct seen *seen, enum conf_kind kind,
                 const struct ingest_resource *r)
{
    struct err err = {.code = 0};
    struct span type = span_of(resource_type_url(kind));
    if (ingest_apply(g, r, 1, type, NULL, 0, false, &err) != 0) {
        ASSERT(err.code != 0 && err.text[0] != '\0');
        settle(loop);
        ASSERT(seen->snapshots == 0);
        return;
    }
    settle(loop);
    ASSERT(seen->snapshots == 1);
    ASSERT(ingest_is_complete(g));
    ASSERT(ingest_apply(g, r, 1, type, NULL, 0, true, &err) == 0);
    settle(loop);
    ASSERT(seen->snapshots == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct err ready;
    ASSERT(tls_init(&ready) == 0); /* once; later calls do nothing */
    enum conf_kind kind = (enum conf_kind)(data[0] % CONF_KIND_COUNT);
    instant_fake_start(1000000000, 1700000000000000);
    struct loop *loop = loop_new(true);
    struct seen seen = {0};
    struct ingest_events events = {.on_snapshot = on_snapshot, .on_interest = on_interest};
    struct ingest *g = ingest_new(loop, NULL, &events, &seen);
    struct ingest_resource r = {.version = SPAN("1"), .value = span_from(data + 1, size - 1)};
    take(loop, g, &seen, kind, &r);
    struct buf out;
    buf_init(&out, 1 << 22);
    int code = ingest_config_dump(g, SPAN_EMPTY, true, &out);
    UNUSED(code); /* may be too large */
    buf_dispose(&out);
    struct span name = resource_name(r.value);
    struct err err;
    ASSERT(ingest_apply(g, NULL, 0, span_of(resource_type_url(kind)), &name, 1, false, &err) == 0);
    settle(loop);
    ingest_free(g);
    loop_free(loop);
    instant_fake_stop();
    return 0;
}
