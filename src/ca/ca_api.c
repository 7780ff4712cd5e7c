/* Tokens and ledger of a lone authority, over HTTP.
 * In: http_server. Out: ca.c. */
#include "ca/ca_api.h"

#include "base/mem.h"
#include "base/opt.h"
#include "codec/date.h"
#include "codec/doc.h"

enum { ANSWER_BYTES_MAX = 16 << 20, CERTS_MOST = 1000 };

/* A request that waits for the store. The client may go meanwhile: then `stream` is NULL. */
struct ca_api_wait {
    struct http_stream *stream;
    struct ca *ca;
    struct arena arena;
};

static void on_stream_close(void *arg, enum http_reset why)
{
    UNUSED(why);
    ((struct ca_api_wait *)arg)->stream = NULL;
}

static void on_stream_data(void *arg, struct span data, bool end)
{
    UNUSED(arg); /* the body is whole already */
    UNUSED(data);
    UNUSED(end);
}

static const struct http_stream_events wait_events = {.on_data = on_stream_data,
                                                      .on_close = on_stream_close};

static struct ca_api_wait *wait_new(struct ca *ca, const struct http_request *rq)
{
    struct ca_api_wait *w = mem_new(struct ca_api_wait);
    arena_init(&w->arena, 4096);
    w->stream = rq->stream;
    w->ca = ca;
    http_stream_set_events(rq->stream, &wait_events, w);
    return w;
}

static void wait_free(struct ca_api_wait *w)
{
    if (w->stream != NULL) {
        http_stream_set_events(w->stream, NULL, NULL);
    }
    arena_dispose(&w->arena);
    mem_free(w);
}

/* ---- answers ---- */

static struct doc_node *answer_new(struct arena *a, const char *kind)
{
    struct doc_node *to = doc_new_map(a);
    doc_set_text(a, to, "apiVersion", SPAN("mesh/v1"));
    doc_set_text(a, to, "kind", span_of(kind));
    return to;
}

static void reply(struct ca_api_wait *w, unsigned status, const struct doc_node *doc)
{
    struct buf text;
    buf_init(&text, ANSWER_BYTES_MAX);
    if (w->stream != NULL) {
        bool fits = doc_write_json(doc, false, &text) == 0 && buf_append_byte(&text, '\n') == 0;
        http_stream_reply(w->stream, fits ? status : 500, SPAN("application/json"),
                          fits ? buf_span(&text) : SPAN_EMPTY);
    }
    buf_dispose(&text);
    wait_free(w);
}

static void refuse(struct ca_api_wait *w, unsigned status, const struct err *err)
{
    struct doc_node *to = answer_new(&w->arena, "Error");
    unsigned code = status == 400 ? 3092 : status == 404 ? 3090 : 3091; /* mesh/codes.def */
    doc_set(&w->arena, to, "code",
            doc_text(&w->arena, span_of(arena_printf(&w->arena, "MESH%04u", code))));
    doc_set_text(&w->arena, to, "message", span_of(err->text));
    reply(w, status, to);
}

static void refuse_by_code(struct ca_api_wait *w, const struct err *err)
{
    refuse(w, err->code == -ERR_CONFIG ? 400 : err->code == -ENOENT ? 404 : 500, err);
}

static void set_time(struct arena *a, struct doc_node *to, const char *key, int64_t at_s)
{
    char text[DATE_TEXT_BYTES];
    date_format_rfc3339(at_s * 1000000, 0, text);
    doc_set_text(a, to, key, span_of(text));
}

/* ---- tokens ---- */

static struct doc_node *token_to_doc(struct arena *a, const struct ca_token *t)
{
    struct doc_node *to = doc_new_map(a);
    doc_set_text(a, to, "id", t->id);
    doc_set_text(a, to, "namespace", t->ns);
    doc_set_text(a, to, "serviceAccount", t->sa);
    doc_set(a, to, "usesLeft", doc_int(a, t->uses_left));
    set_time(a, to, "created", t->created_s);
    set_time(a, to, "expires", t->expires_s);
    doc_set(a, to, "revoked", doc_bool(a, t->revoked));
    return to;
}

static void on_token(void *arg, struct span text, const struct ca_token *token,
                     const struct err *err)
{
    struct ca_api_wait *w = arg;
    if (err != NULL) {
        refuse_by_code(w, err);
        return;
    }
    struct doc_node *to = answer_new(&w->arena, "Token");
    doc_set_text(&w->arena, to, "token", text);
    doc_set_text(&w->arena, to, "pin", span_of(ca_pin(w->ca)));
    doc_set(&w->arena, to, "item", token_to_doc(&w->arena, token));
    reply(w, 201, to);
}

static void create_token(void *arg, const struct http_request *rq)
{
    struct ca *ca = arg;
    struct ca_api_wait *w = wait_new(ca, rq);
    struct ca_token_spec spec = {.ns = SPAN("default"), .sa = SPAN("default")};
    struct doc_node *body = NULL;
    struct err err;
    struct span ttl = SPAN_EMPTY;
    int64_t ttl_ms = 0;
    int code = doc_parse_json(&w->arena, rq->body, "request", &body, &err);
    code = code ? code : doc_read_text(body, "namespace", &spec.ns, &err);
    code = code ? code : doc_read_text(body, "serviceAccount", &spec.sa, &err);
    code = code ? code : doc_read_int(body, "uses", -1, CA_TOKEN_USES_MAX, &spec.uses, &err);
    code = code ? code : doc_read_text(body, "ttl", &ttl, &err);
    if (code == 0 && ttl.len > 0 && opt_duration_ms(arena_cstr(&w->arena, ttl), &ttl_ms) != 0) {
        code = err_set(&err, -ERR_CONFIG, "'ttl' is '%.*s'; want a duration such as 1h or 30m",
                       SPAN_ARG(span_first(ttl, 64)));
    }
    if (code != 0) {
        refuse(w, 400, &err);
        return;
    }
    spec.ttl_s = ttl_ms / 1000;
    ca_token_create(ca, &spec, on_token, w);
}

static void on_tokens(void *arg, const struct ca_token *tokens, size_t count, const struct err *err)
{
    struct ca_api_wait *w = arg;
    if (err != NULL) {
        refuse_by_code(w, err);
        return;
    }
    struct doc_node *to = answer_new(&w->arena, "TokenList");
    struct doc_node *items = doc_list_in(&w->arena, to, "items");
    for (size_t i = 0; i < count; i++) {
        doc_list_add(&w->arena, items, token_to_doc(&w->arena, &tokens[i]));
    }
    reply(w, 200, to);
}

static void list_tokens(void *arg, const struct http_request *rq)
{
    ca_token_list(arg, on_tokens, wait_new(arg, rq));
}

static void on_done(void *arg, const struct err *err)
{
    struct ca_api_wait *w = arg;
    if (err != NULL) {
        refuse_by_code(w, err);
    } else {
        reply(w, 200, answer_new(&w->arena, "Done"));
    }
}

static void revoke_token(void *arg, const struct http_request *rq)
{
    struct span id = span_from_offset(rq->path, sizeof("/api/v1/tokens/") - 1);
    ca_token_revoke(arg, id, on_done, wait_new(arg, rq));
}

/* ---- certificates ---- */

static void on_issued(void *arg, const struct ca_issued *rows, size_t count, const struct err *err)
{
    struct ca_api_wait *w = arg;
    struct arena *a = &w->arena;
    if (err != NULL) {
        refuse_by_code(w, err);
        return;
    }
    struct doc_node *to = answer_new(a, "CertificateList");
    struct doc_node *items = doc_list_in(a, to, "items");
    for (size_t i = 0; i < count; i++) {
        struct doc_node *row = doc_list_add(a, items, doc_new_map(a));
        doc_set_text(a, row, "serial", rows[i].serial);
        doc_set_text(a, row, "identity", rows[i].identity);
        set_time(a, row, "issued", rows[i].issued_s);
        set_time(a, row, "notBefore", rows[i].not_before_s);
        set_time(a, row, "notAfter", rows[i].not_after_s);
        doc_set_text(a, row, "proof", rows[i].proof);
        doc_set_text(a, row, "peer", rows[i].peer);
        doc_set(a, row, "revoked", doc_bool(a, rows[i].revoked));
    }
    reply(w, 200, to);
}

static void list_certs(void *arg, const struct http_request *rq)
{
    ca_issued_list(arg, SPAN_EMPTY, CERTS_MOST, on_issued, wait_new(arg, rq));
}

static void revoke_cert(void *arg, const struct http_request *rq)
{
    struct ca_api_wait *w = wait_new(arg, rq);
    struct doc_node *body = NULL;
    struct err err;
    struct span what = SPAN_EMPTY;
    int code = doc_parse_json(&w->arena, rq->body, "request", &body, &err);
    code = code ? code : doc_read_text(body, "what", &what, &err);
    if (code != 0) {
        refuse(w, 400, &err);
        return;
    }
    ca_revoke(arg, what, on_done, w);
}

static void get_roots(void *arg, const struct http_request *rq)
{
    struct ca *ca = arg;
    struct ca_api_wait *w = wait_new(ca, rq);
    struct doc_node *to = answer_new(&w->arena, "TrustBundle");
    doc_set_text(&w->arena, to, "trustDomain", ca_trust_domain(ca));
    doc_set_text(&w->arena, to, "pin", span_of(ca_pin(ca)));
    doc_set_text(&w->arena, to, "rootsPem", ca_roots_pem(ca));
    reply(w, 200, to);
}

void ca_api_attach(struct ca *ca, struct http_server *server)
{
    http_server_route(server, "POST", "/api/v1/tokens", false, create_token, ca);
    http_server_route(server, "GET", "/api/v1/tokens", false, list_tokens, ca);
    http_server_route(server, "DELETE", "/api/v1/tokens/*", false, revoke_token, ca);
    http_server_route(server, "GET", "/api/v1/certs", false, list_certs, ca);
    http_server_route(server, "POST", "/api/v1/certs/revoke", false, revoke_cert, ca);
    http_server_route(server, "GET", "/api/v1/roots", false, get_roots, ca);
}
