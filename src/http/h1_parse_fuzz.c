/* Heads, trailers and chunks from any bytes. What is accepted is written again and must be accepted again
 * with the same meaning: what we forward can not be read differently. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond) \
    if (!(cond)) {  \
        abort();    \
    }

static int parse(enum h1_block kind, struct head *h, char *block, size_t len, struct h1_framing *f,
                 struct h1_bad *bad)
{
    switch (kind) {
    case H1_REQUEST:
        return h1_parse_request(h, block, len, f, bad);
    case H1_RESPONSE:
        return h1_parse_response(h, block, len, METHOD_GET, true, f, bad);
    case H1_TRAILERS:
        break;
    }
    return h1_parse_trailers(h, block, len, bad);
}

static void check_head(const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        struct header field = h->fields[i];
        CHECK(field.name.len > 0);
        CHECK(span_find_byte(field.value, '\n') < 0 && span_find_byte(field.value, '\r') < 0);
        CHECK(span_find_byte(field.name, ':') < 0 && span_find_byte(field.name, ' ') < 0);
        CHECK(span_eq(field.value, span_trim(field.value)));
        CHECK(h->known[i] == head_known_of(field.name));
    }
}

/* Written again, it means the same. */
static void check_round(enum h1_block kind, struct arena *a, const struct head *h)
{
    struct head again;
    struct h1_framing f;
    struct h1_bad bad;
    struct h1_shape shape = {.request = kind == H1_REQUEST, .length = h->content_length};
    struct span out = h1_write_head(a, h, &shape);
    char *block = mem_dup(out.at, out.len);
    struct h1_scan scan = {0};
    struct http_limits limits = limits_default;
    limits.head_bytes *= 4;
    limits.trailer_bytes *= 4;
    limits.uri_bytes *= 4;
    limits.fields *= 2;
    limits.trailer_fields *= 2;
    CHECK(h1_parse_head_end(&scan, kind, out, &limits, &bad) == (ssize_t)out.len);
    head_init(&again, a);
    CHECK(parse(kind, &again, block, out.len, &f, &bad) == 0);
    CHECK(span_eq(again.method, h->method) && span_eq(again.path, h->path));
    CHECK(span_eq(again.authority, h->authority) && again.status == h->status);
    CHECK(again.count == h->count && again.content_length == h->content_length);
    for (size_t i = 0; i < h->count; i++) {
        CHECK(span_eq(again.fields[i].name, h->fields[i].name));
        CHECK(span_eq(again.fields[i].value, h->fields[i].value));
    }
    mem_free(block);
}

static void run_head(enum h1_block kind, struct span in)
{
    struct arena a;
    struct head h;
    struct h1_framing f = {0};
    struct h1_scan scan = {0};
    struct h1_bad bad = {0};
    arena_init(&a, 4096);
    ssize_t len = h1_parse_head_end(&scan, kind, in, &limits_default, &bad);
    CHECK(len <= (ssize_t)in.len);
    if (len > 0) {
        char *block = mem_dup(in.at, (size_t)len); /* exactly as long: a read past it is seen */
        head_init(&h, &a);
        if (parse(kind, &h, block, (size_t)len, &f, &bad) == 0) {
            check_head(&h);
            bool plain = h.http_minor == 1 && h.upgrade.len == 0 && h.status != 101;
            if (kind != H1_TRAILERS && plain && (kind == H1_RESPONSE || h.authority.len > 0)) {
                check_round(kind, &a, &h);
            }
        } else {
            CHECK(bad.why != NULL);
        }
        arena_dispose(&a);
        mem_free(block);
        return;
    }
    CHECK(len == 0 || bad.why != NULL);
    arena_dispose(&a);
}

/* In one piece and byte by byte: the same body. */
static void run_chunks(struct span in)
{
    struct h1_chunks whole = {0};
    struct h1_chunks parts = {0};
    struct h1_bad bad;
    struct span piece;
    size_t bytes[2] = {0, 0};
    struct span rest = in;
    enum h1_chunks_what last[2];
    while ((last[0] = h1_parse_chunks(&whole, &rest, &piece, &bad)) == H1_CHUNKS_DATA) {
        bytes[0] += piece.len;
    }
    last[1] = H1_CHUNKS_MORE;
    for (size_t i = 0; i < in.len && last[1] == H1_CHUNKS_MORE; i++) {
        struct span one = {in.at + i, 1};
        while ((last[1] = h1_parse_chunks(&parts, &one, &piece, &bad)) == H1_CHUNKS_DATA) {
            bytes[1] += piece.len;
        }
    }
    CHECK(last[0] == last[1] && bytes[0] == bytes[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct span in = span_from(data + 1, size - 1);
    if (data[0] % 4 == 3) {
        run_chunks(in);
    } else {
        run_head((enum h1_block)(data[0] % 4), in);
    }
    return 0;
}
