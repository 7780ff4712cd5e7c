/* Fuzz target of proxy/report/peers: any bytes as a header and as a frame. What is read is bounded and, said again, read alike. */
#include "base/mem.h"
#include "proxy/report/peers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct peer *p, struct span bytes)
{
    if (p != NULL) {
        ASSERT(span_eq(p->key, bytes));
        ASSERT(p->labels.workload.len < 256 && p->labels.workload_namespace.len < 256);
        struct stats_workload labels = {0};
        if (peers_believe(&labels, p, SPAN("spiffe://cluster.local/ns/default/sa/a"))) {
            ASSERT(span_is(labels.workload_namespace, "default"));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = span_from(data, size);
    struct peers *peers = peers_new();
    look(peers_of_header(peers, all), all);
    ssize_t len = peers_frame_read(all);
    struct span any = span_from_offset(all, PEER_FRAME_HEAD);
    if (len >= 0 && any.len >= (size_t)len) {
        any = span_first(any, (size_t)len);
        const struct peer *p = peers_of_frame(peers, any);
        look(p, any);
        if (p != NULL) {
            struct arena arena;
            arena_init(&arena, 1024);
            const struct peer_facts facts = {.node_id = SPAN("n"), .self = &p->labels};
            const struct peer_self *self = peers_self_new(&arena, &facts);
            const struct peer *again =
                self->value.len > 0 ? peers_of_header(peers, self->value) : NULL;
            ASSERT(again == NULL || span_eq(again->labels.workload, p->labels.workload));
            arena_dispose(&arena);
        }
    }
    peers_free(peers);
    return 0;
}
