/* The step that carries gRPC-Web: a browser's call, whose trailers are a frame of the body and which may be in base64, becomes
 * gRPC for the service, and its answer gRPC-Web again.
 * Source: gRPC's PROTOCOL-WEB; Envoy's filter envoy.filters.http.grpc_web, with its answers to what is not gRPC: the status
 * stays, grpc-status and grpc-message are told. Where Envoy holds the head of such an answer back until its body has come, we
 * send it and tell by a frame of trailers.
 * It stands before the steps that may wait: the body has to find its filter. In: request/tracing. Next: request/routing. */
#include "codec/base64.h"
#include "http/grpc.h"
#include "proxy/request/steps.h"

#define TEXT_BYTES 8192 /* encoded or decoded at once, on the stack */
#define SAID_MAX 16384  /* of a body that is not gRPC, in grpc-message */
#define PREFIX_BYTES 5  /* of a frame: flags, length */
#define FLAG_TRAILERS 0x80

struct grpc_web {
    struct request *rq;
    struct body_filter up, back;
    bool text_back;
    char part[4]; /* of base64 that is not a whole quartet yet */
    size_t part_len;
    bool foreign; /* the answer is not gRPC: its body becomes a message */
    char *said;   /* in the arena */
    size_t said_len;
};

static bool is_type(struct span have, const char *type)
{
    struct span bare = span_trim(span_cut(&have, ';'));
    return span_eq_nocase(bare, span_of(type));
}

static bool is_text(struct span type)
{
    return is_type(type, "application/grpc-web-text") ||
           is_type(type, "application/grpc-web-text+proto");
}

static bool is_binary(struct span type)
{
    return is_type(type, "application/grpc-web") || is_type(type, "application/grpc-web+proto");
}

/* ---- towards the service: base64 off ---- */

/* Whole quartets; each padding ends a piece, for pieces may be padded wherever they were flushed. */
static int decode(struct body *b, struct span text)
{
    char bytes[TEXT_BYTES / 4 * 3 + 3];
    while (text.len > 0) {
        struct span piece = span_first(text, size_min(text.len, TEXT_BYTES));
        const char *pad = memchr(piece.at, '=', piece.len);
        if (pad != NULL) {
            piece = span_first(piece, ((size_t)(pad - piece.at) / 4 + 1) * 4);
        }
        ssize_t n = base64_decode(BASE64_STANDARD, piece, bytes);
        if (n < 0) {
            return -ERR_PROTO;
        }
        int code = body_emit(b, span_from(bytes, (size_t)n), false);
        if (code != 0) {
            return code;
        }
        text = span_from_offset(text, piece.len);
    }
    return 0;
}

static int push_up(struct body_filter *f, struct body *b, struct span data, bool end)
{
    struct grpc_web *w = container_of(f, struct grpc_web, up);
    if (w->part_len > 0) {
        size_t n = size_min(sizeof(w->part) - w->part_len, data.len);
        if (n > 0) {
            memcpy(w->part + w->part_len, data.at, n);
            w->part_len += n;
            data = span_from_offset(data, n);
        }
    }
    int code = 0;
    if (w->part_len == sizeof(w->part)) {
        w->part_len = 0;
        code = decode(b, span_from(w->part, sizeof(w->part)));
    }
    size_t whole = data.len / 4 * 4;
    code = code ? code : decode(b, span_first(data, whole));
    if (data.len > whole) {
        w->part_len = data.len - whole;
        memcpy(w->part, data.at + whole, w->part_len);
    }
    if (code == 0 && end) {
        code = w->part_len > 0 ? -ERR_PROTO : body_emit(b, SPAN_EMPTY, true);
    }
    return code;
}

/* ---- towards the client: base64 on, trailers into the body ---- */

static int emit_back(const struct grpc_web *w, struct body *b, struct span data, bool end)
{
    if (!w->text_back) {
        return body_emit(b, data, end);
    }
    char text[TEXT_BYTES];
    int code = 0;
    while (data.len > 0 && code == 0) {
        struct span piece = span_first(data, size_min(data.len, TEXT_BYTES / 4 * 3));
        data = span_from_offset(data, piece.len);
        size_t n = base64_encode(BASE64_STANDARD, piece, text);
        code = body_emit(b, span_from(text, n), end && data.len == 0);
        if (data.len == 0) {
            return code;
        }
    }
    return code != 0 ? code : end ? body_emit(b, SPAN_EMPTY, true) : 0;
}

static size_t put(char *to, size_t at, struct span text)
{
    if (text.len > 0) {
        memcpy(to + at, text.at, text.len);
    }
    return at + text.len;
}

/* The frame of trailers: "name:value" lines. It is the end. */
static int emit_trailers(const struct grpc_web *w, struct body *b, const struct header *fields,
                         size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += fields[i].name.len + fields[i].value.len + 3;
    }
    char *frame = arena_bytes(w->rq->arena, PREFIX_BYTES + len);
    frame[0] = (char)FLAG_TRAILERS;
    for (size_t i = 0; i < 4; i++) {
        frame[1 + i] = (char)(unsigned char)(len >> (24 - 8 * i));
    }
    size_t at = PREFIX_BYTES;
    for (size_t i = 0; i < count; i++) {
        at = put(frame, at, fields[i].name);
        at = put(frame, at, SPAN(":"));
        at = put(frame, at, fields[i].value);
        at = put(frame, at, SPAN("\r\n"));
    }
    return emit_back(w, b, span_from(frame, at), true);
}

static struct span status_text(const struct request *rq, unsigned http_status)
{
    return span_of(arena_printf(rq->arena, "%d", (int)grpc_status_of_http(http_status)));
}

static void keep_said(struct grpc_web *w, struct span data)
{
    if (w->said == NULL && data.len > 0) {
        w->said = arena_bytes(w->rq->arena, SAID_MAX);
    }
    w->said_len =
        put(w->said, w->said_len, span_first(data, size_min(data.len, SAID_MAX - w->said_len)));
}

static int tell_said(const struct grpc_web *w, struct body *b)
{
    struct header told[] = {
        {.name = SPAN("grpc-status"), .value = status_text(w->rq, w->rq->status)},
        {.name = SPAN("grpc-message"),
         .value = grpc_message_encode(w->rq->arena, span_from(w->said, w->said_len))},
    };
    return emit_trailers(w, b, told, w->said_len > 0 ? 2 : 1);
}

static int push_back(struct body_filter *f, struct body *b, struct span data, bool end)
{
    struct grpc_web *w = container_of(f, struct grpc_web, back);
    if (!w->foreign) {
        return emit_back(w, b, data, end);
    }
    keep_said(w, data);
    return end ? tell_said(w, b) : 0;
}

static int trailers_back(struct body_filter *f, struct body *b, struct head *trailers, bool *pass)
{
    const struct grpc_web *w = container_of(f, struct grpc_web, back);
    *pass = false;
    return w->foreign ? tell_said(w, b) : emit_trailers(w, b, trailers->fields, trailers->count);
}

/* ---- heads ---- */

static enum step_answer on_request(struct request *rq)
{
    if (LIKELY(!rq->conf->grpc_web)) {
        return STEP_NEXT;
    }
    struct head *h = rq->head;
    struct span type = head_get_known(h, HEAD_CONTENT_TYPE);
    bool text = is_text(type);
    if (!text && !is_binary(type)) {
        return STEP_NEXT;
    }
    struct grpc_web *w = arena_new(rq->arena, struct grpc_web);
    w->rq = rq;
    w->text_back = is_text(head_get(h, SPAN("accept")));
    w->up.push = push_up;
    w->back.push = push_back;
    w->back.trailers = trailers_back;
    rq->grpc_web = w;
    rq->is_grpc = true;
    if (text && !rq->request_ended) {
        rq->up.filter = &w->up;
    }
    h->content_length = rq->request_ended ? h->content_length : HEAD_LENGTH_UNKNOWN;
    int code = head_set_known(h, HEAD_CONTENT_TYPE, SPAN("application/grpc"));
    code = code ? code : head_set_known(h, HEAD_TE, SPAN("trailers"));
    if (code == 0 && head_get(h, SPAN("grpc-accept-encoding")).at == NULL) {
        code = head_add(h, SPAN("grpc-accept-encoding"), SPAN("identity"));
    }
    UNUSED(code); /* full of fields: the service will refuse it */
    return STEP_NEXT;
}

static struct span type_back(const struct grpc_web *w)
{
    return w->text_back ? SPAN("application/grpc-web-text+proto")
                        : SPAN("application/grpc-web+proto");
}

/* Envoy's Grpc::Common::isGrpcResponseHeaders, or gRPC-Web already. */
static bool is_grpc_answer(const struct request *rq, const struct head *h)
{
    if (rq->response_ended) {
        return head_get_known(h, HEAD_GRPC_STATUS).at != NULL;
    }
    struct span type = head_get_known(h, HEAD_CONTENT_TYPE);
    return h->status == 200 && (grpc_is_content_type(type) || is_binary(type));
}

static void on_response(struct request *rq, struct head *h)
{
    struct grpc_web *w = rq->grpc_web;
    if (LIKELY(w == NULL)) {
        return;
    }
    rq->status = h->status;
    w->foreign = !is_grpc_answer(rq, h);
    h->content_length = HEAD_LENGTH_UNKNOWN;
    int code = head_set_known(h, HEAD_CONTENT_TYPE, type_back(w));
    UNUSED(code); /* full of fields: the client will refuse it */
    if (!rq->response_ended || w->foreign) {
        rq->back.filter = &w->back;
    }
}

void grpc_web_reply(struct request *rq, struct head *h, const struct request_answer *a)
{
    struct span status = a->grpc_status > 0 ? span_of(arena_printf(rq->arena, "%d", a->grpc_status))
                                            : status_text(rq, a->status);
    rq->grpc_status = a->grpc_status > 0 ? a->grpc_status : (int)grpc_status_of_http(a->status);
    h->content_length = 0;
    int code = head_set_known(h, HEAD_CONTENT_TYPE, type_back(rq->grpc_web));
    code = code ? code : head_set_known(h, HEAD_GRPC_STATUS, status);
    if (code == 0 && a->body.len > 0) {
        code = head_set_known(h, HEAD_GRPC_MESSAGE, grpc_message_encode(rq->arena, a->body));
    }
    if (code == 0 && rq->down != NULL) {
        code = http_stream_head(rq->down, h, true);
    }
    UNUSED(code); /* a stream that is closing tells by on_close */
}

const struct step step_grpc_web = {
    .name = "grpc_web", .on_request = on_request, .on_response = on_response};
