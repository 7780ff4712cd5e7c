/* Any text: objects are read or told what is wrong with them, never neither. What is read keeps its place when it is
 * written as JSON and read again. */
#include "model/object.h"

#define OUT_BYTES (4UL << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct pass {
    bool again; /* what on_object gets was written by us */
    struct span key;
};

static void check_object(const struct object *o)
{
    ASSERT(o->spec != NULL && o->key.len > 0 && o->name.len > 0);
    ASSERT(object_kind_find(span_of(object_kinds[o->kind].kind)) >= 0);
}

static void on_again(void *arg, struct object *o)
{
    struct pass *pass = arg;
    check_object(o);
    ASSERT(span_eq(o->key, pass->key));
    pass->again = true;
    object_unref(o);
}

static void on_object(void *arg, struct object *o)
{
    struct pass pass = {.key = o->key};
    struct arena arena;
    struct findings findings;
    struct buf out;
    UNUSED(arg);
    check_object(o);
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    buf_init(&out, OUT_BYTES);
    if (doc_write_json(o->doc, false, &out) == 0) {
        size_t count = object_read_text(buf_span(&out), NULL, &findings, on_again, &pass);
        ASSERT(count == 1 && pass.again);
    }
    buf_dispose(&out);
    arena_dispose(&arena);
    object_unref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct findings findings;
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    (void)object_read_text(span_from(data, size), "fuzz", &findings, on_object, NULL);
    for (const struct finding *f = findings.first; f != NULL; f = f->next) {
        ASSERT(f->what.len > 0 && f->fix.len > 0);
        (void)finding_to_doc(f, &arena);
    }
    arena_dispose(&arena);
    return 0;
}
