/* Policies from wire bytes, asked with "PEER SNI PATH PORT\n" before them. The index decides as a scan does,
 * explained or not. */
#include "policy/rbac_int.h"
#include "proto/rbac.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct rbac *r, const struct traffic *tr, struct arena *scratch)
{
    struct rbac scanned = *r;
    scanned.index = NULL;
    struct explain ex = {.depth = 0};
    buf_init(&ex.text, 65536);
    struct rbac_answer got = rbac_check(r, tr, scratch, NULL);
    struct rbac_answer want = rbac_check(&scanned, tr, scratch, NULL);
    struct rbac_answer explained = rbac_check(r, tr, scratch, &ex);
    ASSERT(got.allowed == want.allowed && span_eq(got.policy, want.policy));
    ASSERT(got.allowed == explained.allowed && span_eq(got.policy, explained.policy));
    buf_dispose(&ex.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_from(data, size);
    struct err err = {.code = 0};
    if (size == 0) {
        return 0;
    }
    struct span first = span_cut(&rest, '\n');
    struct traffic tr = {.method = SPAN("GET"), .tls = true, .direct_ip = {.family = 4}};
    uint64_t port = 0;
    tr.principal = span_cut(&first, ' ');
    tr.sni = first.at ? span_cut(&first, ' ') : SPAN_EMPTY;
    tr.path = first.at ? span_cut(&first, ' ') : SPAN_EMPTY;
    if (!span_to_u64(first, &port)) {
        port = 0;
    }
    tr.destination_port = (uint16_t)port;
    struct header field = {SPAN("x-a"), tr.sni};
    tr.fields = &field;
    tr.field_count = 1;
    struct arena arena;
    struct arena scratch;
    arena_init(&arena, 16384);
    arena_init(&scratch, 4096);
    const void *config = pb_decode(&pb_rbac_RBAC_desc, &arena, rest, &err);
    for (unsigned opaque = 0; opaque < 2; opaque++) {
        struct rbac *r = NULL;
        if (config && rbac_compile(&r, &arena, config, opaque == 1, &err) == 0) {
            ask(r, &tr, &scratch);
        } else {
            ASSERT(err.code != 0 && err.text[0] != '\0');
        }
    }
    arena_dispose(&scratch);
    arena_dispose(&arena);
    return 0;
}
