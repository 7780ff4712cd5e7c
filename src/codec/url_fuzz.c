/* URLs: parts lie inside the input; normalising twice changes nothing; encoding is undone by decoding. */
#include "base/err.h"
#include "base/mem.h"
#include "codec/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct span part, struct span whole)
{
    return part.at == NULL || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

static void check_parts(const struct url *u, struct span text)
{
    ASSERT(is_inside(u->scheme, text) && is_inside(u->authority, text) &&
           is_inside(u->host, text) && is_inside(u->path, text) && is_inside(u->query, text));
    struct span name;
    struct span value;
    for (struct span rest = u->query; url_query_next(&rest, &name, &value);) {
        ASSERT(is_inside(name, text) && is_inside(value, text));
    }
}

static void check_normal(struct span path)
{
    for (unsigned steps = 0; steps < 8; steps++) {
        char *once = mem_alloc(path.len);
        char *twice = mem_alloc(path.len);
        ssize_t len = url_normalize_path(path, steps, once);
        if (len > 0) {
            ASSERT(once[0] == '/' && (size_t)len <= path.len);
            struct span normal = span_from(once, (size_t)len);
            ssize_t again = url_normalize_path(normal, steps, twice);
            /* A decoded "%25" would make a new escape: '%' is not unreserved, so it stays. */
            ASSERT(again > 0 && span_eq(normal, span_from(twice, (size_t)again)));
        }
        mem_free(once);
        mem_free(twice);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_from(data, size);
    struct url u;
    enum url_form form;
    struct buf encoded;
    struct buf decoded;
    if (url_parse(text, &u) == 0) {
        check_parts(&u, text);
    }
    for (int connect = 0; connect < 2; connect++) {
        if (url_parse_target(text, connect != 0, &form, &u) == 0) {
            check_parts(&u, text);
        }
    }
    check_normal(text);
    buf_init(&encoded, size * 3);
    buf_init(&decoded, size);
    int failed = url_encode(text, "/", &encoded);
    failed = failed ? failed : url_decode(buf_span(&encoded), false, &decoded);
    ASSERT(failed == 0 && span_eq(buf_span(&decoded), text));
    buf_reset(&decoded);
    failed = url_decode(text, true, &decoded);
    ASSERT(failed == 0 || failed == -ERR_PROTO);
    buf_dispose(&encoded);
    buf_dispose(&decoded);
    return 0;
}
