/* PEM blocks. */
#include "codec/pem.h"

#include "codec/base64.h"

#define LINE_CHARS 64
#define LABEL_BYTES_MAX 64
#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"

/* Cuts a line off; its end may be CR LF; blanks at its end are dropped. */
static struct span cut_line(struct span *rest)
{
    struct span line = span_cut(rest, '\n');
    while (line.len > 0 && (line.at[line.len - 1] == '\r' || line.at[line.len - 1] == ' ' ||
                            line.at[line.len - 1] == '\t')) {
        line.len--;
    }
    return line;
}

/* RFC 7468 section 3: "any printable ASCII except hyphen-minus", words joined by a space or a hyphen. */
static bool is_label(struct span label)
{
    for (size_t i = 0; i < label.len; i++) {
        if (label.at[i] < ' ' || label.at[i] > '~') {
            return false;
        }
    }
    return true;
}

/* The label of a boundary line, or a NULL span. */
static struct span boundary_label(struct span line, struct span intro)
{
    struct span none = SPAN_EMPTY;
    size_t around = intro.len + strlen(DASHES);
    if (!span_starts(line, intro) || !span_ends(line, SPAN(DASHES)) || line.len < around ||
        line.len - around > LABEL_BYTES_MAX) {
        return none;
    }
    struct span label = span_from(line.at + intro.len, line.len - around);
    return is_label(label) ? label : none;
}

static int decode_body(struct span body, struct arena *arena, struct pem_block *out,
                       struct err *err)
{
    char *digits = arena_bytes(arena, body.len + 1);
    size_t len = 0;
    while (body.at != NULL) {
        struct span line = span_trim(cut_line(&body));
        if (span_find_byte(line, ':') >= 0) {
            return err_set(err, -ERR_PROTO,
                           "pem: '%.*s' block has headers; encrypted keys are not read",
                           SPAN_ARG(out->label));
        }
        if (line.len > 0) {
            memcpy(digits + len, line.at, line.len);
            len += line.len;
        }
    }
    char *der = arena_bytes(arena, base64_decoded_max(len));
    ssize_t der_len = base64_decode(BASE64_STANDARD, span_from(digits, len), der);
    if (der_len <= 0) {
        return err_set(err, -ERR_PROTO, "pem: '%.*s' block is not base64", SPAN_ARG(out->label));
    }
    out->der = span_from(der, (size_t)der_len);
    return 0;
}

int pem_next(struct span *rest, struct arena *arena, struct pem_block *out, struct err *err)
{
    struct span at = *rest;
    struct span line = SPAN_EMPTY;
    while (at.at != NULL) {
        *rest = at;
        line = cut_line(&at);
        if (span_starts(line, SPAN(BEGIN))) {
            break;
        }
    }
    if (!span_starts(line, SPAN(BEGIN))) {
        *rest = SPAN_EMPTY;
        return 0;
    }
    *out = (struct pem_block){.label = boundary_label(line, SPAN(BEGIN))};
    if (out->label.at == NULL) {
        return err_set(err, -ERR_PROTO, "pem: BEGIN line is broken");
    }
    struct span body = at;
    while (at.at != NULL) {
        line = cut_line(&at);
        if (!span_starts(line, SPAN(DASHES))) {
            continue;
        }
        if (!span_eq(boundary_label(line, SPAN(END)), out->label)) {
            break;
        }
        out->text = span_from(rest->at, (size_t)(line.at + line.len - rest->at));
        body.len = (size_t)(line.at - body.at);
        int failed = decode_body(body, arena, out, err);
        if (failed == 0) {
            *rest = at;
        }
        return failed == 0 ? 1 : failed;
    }
    return err_set(err, -ERR_PROTO, "pem: '%.*s' block has no END line", SPAN_ARG(out->label));
}

int pem_write(struct span label, struct span der, struct buf *out)
{
    char line[LINE_CHARS];
    int failed = buf_printf(out, BEGIN "%.*s" DASHES "\n", SPAN_ARG(label));
    while (der.len > 0 && failed == 0) {
        struct span part = span_first(der, LINE_CHARS / 4 * 3);
        size_t len = base64_encode(BASE64_STANDARD, part, line);
        failed = buf_printf(out, "%.*s\n", (int)len, line);
        der = span_from_offset(der, part.len);
    }
    return failed ? failed : buf_printf(out, END "%.*s" DASHES "\n", SPAN_ARG(label));
}
