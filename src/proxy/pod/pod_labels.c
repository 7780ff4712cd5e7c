/* A pod's labels as the downward API writes them: see pod_labels.h.
 * In: the text of a file. Out: labels, to proxy_native. */
#include "proxy/pod/pod_labels.h"

#include "codec/hex.h"

struct quoted { /* what is left between the quotes, and what has been written */
    struct span rest;
    char *to;
    size_t len;
};

static char take(struct quoted *q)
{
    char c = q->rest.at[0];
    q->rest = span_from_offset(q->rest, 1);
    return c;
}

static void put_utf8(struct quoted *q, uint32_t c)
{
    if (c < 0x80) {
        q->to[q->len++] = (char)c;
    } else if (c < 0x800) {
        q->to[q->len++] = (char)(0xc0 | c >> 6);
        q->to[q->len++] = (char)(0x80 | (c & 0x3f));
    } else {
        if (c < 0x10000) {
            q->to[q->len++] = (char)(0xe0 | c >> 12);
        } else {
            q->to[q->len++] = (char)(0xf0 | c >> 18);
            q->to[q->len++] = (char)(0x80 | (c >> 12 & 0x3f));
        }
        q->to[q->len++] = (char)(0x80 | (c >> 6 & 0x3f));
        q->to[q->len++] = (char)(0x80 | (c & 0x3f));
    }
}

/* \xHH is a byte; \uHHHH and \UHHHHHHHH are characters. Never longer than what was read. */
static bool put_number(struct quoted *q, size_t digits)
{
    uint64_t value;
    if (q->rest.len < digits || !hex_to_u64(span_first(q->rest, digits), &value)) {
        return false;
    }
    q->rest = span_from_offset(q->rest, digits);
    if (digits == 2) {
        q->to[q->len++] = (char)value;
    } else if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
        return false;
    } else {
        put_utf8(q, (uint32_t)value);
    }
    return true;
}

static bool put_escape(struct quoted *q)
{
    static const char names[] = "abfnrtv\\\"", meant[] = "\a\b\f\n\r\t\v\\\"";
    if (q->rest.len == 0) {
        return false;
    }
    char c = take(q);
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    if (found != NULL) {
        q->to[q->len++] = meant[found - names];
        return true;
    }
    return c == 'x'   ? put_number(q, 2)
           : c == 'u' ? put_number(q, 4)
           : c == 'U' ? put_number(q, 8)
                      : false;
}

static bool unquote(struct span text, struct arena *arena, struct span *value)
{
    if (text.len < 2 || text.at[0] != '"' || text.at[text.len - 1] != '"') {
        return false;
    }
    struct quoted q = {.rest = span_from(text.at + 1, text.len - 2),
                       .to = arena_alloc(arena, text.len)};
    while (q.rest.len > 0) {
        char c = take(&q);
        if (c == '"' || (c == '\\' && !put_escape(&q))) {
            return false;
        }
        if (c != '\\') {
            q.to[q.len++] = c;
        }
    }
    *value = span_from(q.to, q.len);
    return true;
}

int pod_labels_next(struct span *rest, struct arena *arena, struct span *key, struct span *value,
                    struct err *err)
{
    struct span line = SPAN_EMPTY;
    while (rest->at != NULL && line.len == 0) {
        line = span_trim(span_cut(rest, '\n'));
    }
    if (line.len == 0) {
        return 0;
    }
    struct span text = line;
    *key = span_trim(span_cut(&text, '='));
    if (key->len == 0 || text.at == NULL || !unquote(span_trim(text), arena, value)) {
        return err_set(err, -ERR_CONFIG, "'%.*s' is no label; want key=\"value\"",
                       SPAN_ARG(span_first(line, 128)));
    }
    return 1;
}
