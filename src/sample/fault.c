/* Misbehaviour in words. */
#include "sample/fault.h"

#include "base/opt.h"

#define DELAY_MAX_MS 600000

static int read_word(struct span name, struct span value, struct fault *f, struct err *err)
{
    uint64_t n = 0;
    char text[32];

    if (span_is(name, "status") && span_to_u64(value, &n) && n >= 400 && n <= 599) {
        f->status = (unsigned)n;
        return 0;
    }
    if (span_is(name, "share") && span_to_u64(value, &n) && n <= 100) {
        f->share = (unsigned)n;
        return 0;
    }
    if (span_is(name, "delay") &&
        opt_duration_ms(span_to_cstr(value, text, sizeof(text)), &f->delay_ms) == 0 &&
        f->delay_ms >= 0 && f->delay_ms <= DELAY_MAX_MS) {
        return 0;
    }
    return err_set(
        err, -ERR_CONFIG,
        "'%.*s=%.*s' is not understood; a fault is status=400..599, share=0..100 (percent) "
        "and delay=0s..10m",
        SPAN_ARG(name), SPAN_ARG(value));
}

int fault_parse(struct span text, char sep, struct fault *out, struct err *err)
{
    struct fault f = {.share = 100};
    struct span rest = text;

    while (rest.len > 0) {
        struct span value = span_trim(span_cut(&rest, sep));
        struct span name = span_cut(&value, '=');
        int code = read_word(name, value, &f, err);
        if (code < 0) {
            return code;
        }
    }
    if (f.status == 0 && f.delay_ms == 0) {
        f.share = 0;
    }
    *out = f;
    return 0;
}

bool fault_strikes(const struct fault *f, struct rng *rng)
{
    return f->share > 0 && rng_below(rng, 100) < f->share;
}

struct doc_node *fault_to_doc(const struct fault *f, struct arena *arena)
{
    struct doc_node *doc = doc_new_map(arena);
    doc_set(arena, doc, "status", doc_int(arena, f->status));
    doc_set(arena, doc, "delaySeconds", doc_double(arena, (double)f->delay_ms / 1000));
    doc_set(arena, doc, "share", doc_int(arena, f->share));
    return doc;
}
