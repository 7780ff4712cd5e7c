/* Join tokens and what the CA has issued: /api/v1/tokens, /api/v1/certs.
 * In: api. Out: ca (answers come later, by its store). */
#include "base/mem.h"
#include "base/opt.h"

#include "ca/ca.h"
#include "control/api/api_parts.h"
#include "control/api/api_value.h"

#define CERTS_MAX 1000

/* An answer that is on its way back: outlives the call when nobody waits any more. */
struct waiting {
    struct api_call *call; /* NULL: the client is gone */
};

static void on_gone(struct api_call *c)
{
    struct waiting *w = c->state;
    w->call = NULL;
}

static struct waiting *wait_for(struct api_call *c)
{
    struct waiting *w = mem_new(struct waiting);
    w->call = c;
    c->state = w;
    api_wait(c, on_gone);
    return w;
}

/* The call to answer, or NULL; refused already when there is an error. */
static struct api_call *resume(struct waiting *w, const struct err *err)
{
    struct api_call *c = w->call;
    mem_free(w);
    if (c && err) {
        static const struct {
            int code;
            unsigned status, number;
        } rows[] = {{-ENOENT, 404, 3090}, {-ERR_CONFIG, 400, 3092}, {0, 503, 3091}};
        size_t i = 0;
        while (rows[i].code != 0 && rows[i].code != err->code) {
            i++;
        }
        api_refuse(c, rows[i].status, rows[i].number, NULL, "%s", err->text);
        return NULL;
    }
    return c;
}

/* ---- tokens ---- */

static struct doc_node *token_to_doc(struct arena *a, const struct ca_token *t)
{
    struct doc_node *to = doc_new_map(a);
    api_set_text(a, to, "id", t->id);
    api_set_text(a, to, "namespace", t->ns);
    api_set_text(a, to, "serviceAccount", t->sa);
    api_set_int(a, to, "usesLeft", t->uses_left);
    api_set_time_us(a, to, "created", t->created_s * 1000000);
    api_set_time_us(a, to, "expires", t->expires_s * 1000000);
    api_set_bool(a, to, "revoked", t->revoked);
    return to;
}

static void on_token(void *arg, struct span text, const struct ca_token *token,
                     const struct err *err)
{
    struct api_call *c = resume(arg, err);
    if (c) {
        struct doc_node *to = api_answer(c, "Token");
        api_set_text(c->arena, to, "token", text);
        api_set_text(c->arena, to, "pin", span_of(ca_pin(c->api->ca)));
        doc_set(c->arena, to, "item", token_to_doc(c->arena, token));
        api_reply(c, 201, to);
    }
}

static void create_token(struct api_call *c)
{
    struct doc_node *body = NULL;
    struct err err;
    struct ca_token_spec spec = {.ns = SPAN("default"), .sa = SPAN("default")};
    struct span ttl = SPAN_EMPTY;
    int64_t ttl_ms = 0;
    int code = doc_parse_json(c->arena, c->rq->body, "request", &body, &err);
    if (code == 0 && body->kind != DOC_MAP) {
        code = err_set(&err, -ERR_CONFIG, "the request is no JSON object");
    }
    code = code ? code : doc_read_text(body, "namespace", &spec.ns, &err);
    code = code ? code : doc_read_text(body, "serviceAccount", &spec.sa, &err);
    code = code ? code : doc_read_int(body, "uses", -1, 1000000, &spec.uses, &err);
    code = code ? code : doc_read_text(body, "ttl", &ttl, &err);
    if (code == 0 && ttl.at && opt_duration_ms(arena_cstr(c->arena, ttl), &ttl_ms) != 0) {
        code = err_set(&err, -ERR_CONFIG, "'ttl' is '%.*s'; want a duration such as 1h or 30m",
                       SPAN_ARG(span_first(ttl, 64)));
    }
    if (code == 0 && ttl.at && ttl_ms < 1000) {
        code = err_set(&err, -ERR_CONFIG, "'ttl' is '%.*s'; want 1s or more",
                       SPAN_ARG(span_first(ttl, 64)));
    }
    spec.ttl_s = ttl_ms / 1000;
    if (code != 0) {
        api_refuse(c, 400, 3092, NULL, "%s", err.text);
        return;
    }
    ca_token_create(c->api->ca, &spec, on_token, wait_for(c));
}

static void on_tokens(void *arg, const struct ca_token *tokens, size_t count, const struct err *err)
{
    struct api_call *c = resume(arg, err);
    if (c) {
        struct doc_node *to = api_list(c, "TokenList");
        for (size_t i = 0; i < count; i++) {
            doc_list_add(c->arena, doc_list_in(c->arena, to, "items"),
                         token_to_doc(c->arena, &tokens[i]));
        }
        api_reply(c, 200, to);
    }
}

static void list_tokens(struct api_call *c)
{
    ca_token_list(c->api->ca, on_tokens, wait_for(c));
}

static void on_revoked(void *arg, const struct err *err)
{
    struct api_call *c = resume(arg, err);
    if (c) {
        api_reply(c, 200, api_answer(c, "Done"));
    }
}

static void revoke_token(struct api_call *c)
{
    ca_token_revoke(c->api->ca, c->rest, on_revoked, wait_for(c));
}

/* ---- certificates ---- */

static void on_issued(void *arg, const struct ca_issued *rows, size_t count, const struct err *err)
{
    struct api_call *c = resume(arg, err);
    if (!c) {
        return;
    }
    struct doc_node *list = api_list(c, "CertificateList");
    for (size_t i = 0; i < count; i++) {
        struct doc_node *to = doc_new_map(c->arena);
        api_set_text(c->arena, to, "serial", rows[i].serial);
        api_set_text(c->arena, to, "identity", rows[i].identity);
        api_set_time_us(c->arena, to, "issued", rows[i].issued_s * 1000000);
        api_set_time_us(c->arena, to, "notBefore", rows[i].not_before_s * 1000000);
        api_set_time_us(c->arena, to, "notAfter", rows[i].not_after_s * 1000000);
        api_set_text(c->arena, to, "proof", rows[i].proof);
        api_set_text(c->arena, to, "peer", rows[i].peer);
        api_set_bool(c->arena, to, "revoked", rows[i].revoked);
        doc_list_add(c->arena, doc_list_in(c->arena, list, "items"), to);
    }
    api_reply(c, 200, list);
}

static void list_certs(struct api_call *c)
{
    int64_t most;
    struct span identity = api_param(c, "identity");
    if (api_number(c, "limit", 1, CERTS_MAX, 100, &most)) {
        ca_issued_list(c->api->ca, identity.at ? identity : SPAN_EMPTY, (size_t)most, on_issued,
                       wait_for(c));
    }
}

static void get_root(struct api_call *c)
{
    struct doc_node *to = api_answer(c, "TrustBundle");
    api_set_text(c->arena, to, "trustDomain", ca_trust_domain(c->api->ca));
    api_set_text(c->arena, to, "pin", span_of(ca_pin(c->api->ca)));
    api_set_text(c->arena, to, "rootsPem", ca_roots_pem(c->api->ca));
    api_reply(c, 200, to);
}

const struct api_route api_ca_routes[] = {
    {"GET", "/api/v1/tokens", API_OF_CA, list_tokens},
    {"POST", "/api/v1/tokens", API_WRITE | API_OF_CA, create_token},
    {"DELETE", "/api/v1/tokens/*", API_WRITE | API_OF_CA, revoke_token},
    {"GET", "/api/v1/certs", API_OF_CA, list_certs},
    {"GET", "/api/v1/roots", API_OF_CA, get_root},
    {NULL, NULL, 0, NULL},
};
