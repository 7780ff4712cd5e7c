/* Any stream: what comes out parses, is the same when it is done again, and undone holds the same documents as before. */
#include "inject/manifest.h"

#define OUT_BYTES (16UL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_object(void *arg, const struct manifest_object *o)
{
    size_t *changed = arg;
    *changed += o->changed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_from(data, size);
    struct inject_settings settings;
    struct arena arena;
    struct buf once, twice;
    struct err err = {.code = 0};
    size_t changed = 0;
    struct manifest_spec spec = {.settings = &settings,
                                 .file = "fuzz",
                                 .namespace = SPAN("default"),
                                 .asked = true,
                                 .on_object = on_object,
                                 .arg = &changed};
    arena_init(&arena, 65536);
    buf_init(&once, OUT_BYTES);
    buf_init(&twice, OUT_BYTES);
    inject_settings_init(&settings, &arena);
    if (manifest_inject(&spec, text, &arena, &once, &err) == 0) {
        size_t before = changed;
        ASSERT(before > 0 || span_eq(buf_span(&once), text));
        int failed = manifest_inject(&spec, buf_span(&once), &arena, &twice, &err);
        ASSERT(failed == 0 && changed == before && span_eq(buf_span(&once), buf_span(&twice)));
        buf_reset(&twice);
        spec.undo = true;
        failed = manifest_inject(&spec, buf_span(&once), &arena, &twice, &err);
        ASSERT(failed == 0);
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    buf_dispose(&once);
    buf_dispose(&twice);
    arena_dispose(&arena);
    return 0;
}
