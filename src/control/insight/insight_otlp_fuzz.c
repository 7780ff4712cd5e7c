/* Fuzz target of control/insight: any bytes as a report, by any of three proxies, at times that move on; then every
 * question is asked. Whatever comes, it does not crash, and answers are finite. */
#include "base/arena.h"
#include "control/insight/insight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask_all(struct insight *in, int64_t now_us)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct insight_edge *edges;
    struct insight_workload *workloads;
    for (int window_s = 60; window_s <= 86400; window_s *= 38) {
        size_t n = insight_edges(in, now_us, window_s, window_s, &arena, &edges);
        for (size_t i = 0; i < n; i++) {
            ASSERT(edges[i].numbers.rps >= 0 && edges[i].numbers.success <= 1);
            (void)insight_shares(in, now_us, window_s, edges[i].service_host, &arena, &workloads);
        }
        (void)insight_workloads(in, now_us, window_s, window_s, &arena, &workloads);
    }
    arena_dispose(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct span identities[] = {
        SPAN_INIT(""),
        SPAN_INIT("spiffe://cluster.local/ns/default/sa/reviews"),
        SPAN_INIT("spiffe://cluster.local/ns/default/sa/productpage"),
    };
    struct insight *in = insight_new();
    struct span rest = span_from(data, size);
    int64_t now_us = 1700000000000000;
    /* The input is cut into reports by a length in the first two bytes of each. */
    for (unsigned round = 0; rest.len > 2; round++) {
        size_t len = (unsigned char)rest.at[0] | (size_t)(unsigned char)rest.at[1] << 8;
        struct span report = span_first(span_from_offset(rest, 2), len);
        struct err err;
        int rc = insight_take(in, report, identities[round % ARRAY_LEN(identities)], now_us, &err);
        ASSERT(rc == 0 || rc == -ERR_PROTO || rc == -ERR_DENIED || rc == -ERR_LIMIT);
        rest = span_from_offset(rest, 2 + report.len);
        now_us += (int64_t)700000 << (round % 16);
    }
    ask_all(in, now_us);
    insight_free(in);
    return 0;
}
