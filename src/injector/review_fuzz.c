/* Any text as an AdmissionReview: always an answer; what is patched is a pod that, injected once more, stays as it is. */
#include "codec/base64.h"
#include "codec/jsonpatch.h"
#include "injector/review.h"

#define OUT_BYTES (16UL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_patch(struct arena *arena, struct span request, const struct doc_node *patch)
{
    char *text = arena_bytes(arena, base64_decoded_max(patch->text.len));
    struct doc_node *asked = NULL, *ops = NULL, *pod = NULL;
    struct err err;
    ssize_t len = base64_decode(BASE64_STANDARD, patch->text, text);
    ASSERT(len > 0);
    int failed = doc_parse_json(arena, span_from(text, (size_t)len), "patch", &ops, &err);
    failed = failed ? failed : doc_parse_json(arena, request, "request", &asked, &err);
    ASSERT(failed == 0);
    const struct doc_node *before = doc_path(asked, "request.object");
    failed =
        doc_count(ops) > JSONPATCH_OPS_MAX ? 0 : jsonpatch_apply(arena, before, ops, &pod, &err);
    ASSERT(failed == 0 || failed == -ERR_LIMIT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span request = span_from(data, size);
    struct inject_settings settings;
    struct review_answer a;
    struct arena arena;
    struct buf body;
    struct err err;
    struct doc_node *answer = NULL;
    arena_init(&arena, 65536);
    buf_init(&body, OUT_BYTES);
    inject_settings_init(&settings, &arena);
    const struct review_spec spec = {.settings = &settings};
    if (review_answer(&spec, request, &arena, &body, &a) == 0 && a.outcome != REVIEW_BAD) {
        int failed = doc_parse_json(&arena, buf_span(&body), "answer", &answer, &err);
        ASSERT(failed == 0);
        const struct doc_node *patch = doc_path(answer, "response.patch");
        ASSERT((patch != NULL) == (a.outcome == REVIEW_INJECTED));
        if (patch) {
            check_patch(&arena, request, patch);
        }
    }
    buf_dispose(&body);
    arena_dispose(&arena);
    return 0;
}
