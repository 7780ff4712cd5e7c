/* Signing requests: one call each.
 * In: http/grpc. Out: a certificate chain, or why not. */
#include "ca/csr_service.h"

#include "base/instant.h"
#include "base/mem.h"
#include "ca/authenticate.h"
#include "ca/ca_review.h"
#include "ca/ledger.h"
#include "http/grpc.h"
#include "proto/istio_ca.pb.h"

enum {
    CERTIFICATE_BYTES_MAX = 65536,
    READ_MS = 10000, /* for a request to come whole: it is one small message */
};

/* READING --half close--> PROVING --store--> WRITING --store--> gone, with an answer or a status. The last two count as busy. */
struct csr_call {
    struct list node; /* in the desk's calls */
    struct ca_desk *desk;
    struct grpc_stream *grpc;
    struct arena arena;
    bool has_request, is_busy;
    struct deadline read;
    struct csr *csr; /* owned */
    int64_t validity_s;
    struct authenticate_proof proof;
    struct identity wanted;     /* in csr */
    struct grant grant;         /* in WRITING */
    struct store_call *pending; /* TOKEN in PROVING, and WRITING */
    struct ledger_look look;    /* CERTIFICATE in PROVING */
    struct ca_review *review;   /* ACCOUNT in PROVING */
    struct span proof_text;     /* for the ledger; in the arena */
    char peer[ADDR_TEXT_BYTES];
};

/* ---- the end ---- */

static void call_free(void *obj)
{
    struct csr_call *c = obj;
    csr_free(c->csr);
    arena_dispose(&c->arena);
    mem_free(c);
}

static void retire(struct csr_call *c)
{
    store_call_forget(c->pending);
    ledger_look_stop(&c->look);
    ca_review_forget(c->review);
    deadline_disarm(&c->read);
    list_remove(&c->node);
    c->desk->busy_count -= c->is_busy;
    loop_bury(c->desk->loop, call_free, c);
}

static void refuse(struct csr_call *c, enum grpc_status status, const struct err *why)
{
    struct ca_desk *desk = c->desk;
    uint32_t dropped;
    if (log_limit_allows(&desk->refusals, loop_now_ms(desk->loop), &dropped)) {
        log_warn("ca", "request refused peer=%s status=%s why=\"%s\" not_told_before=%u", c->peer,
                 grpc_status_name(status), why->text, dropped);
    }
    bool is_theirs = status != GRPC_UNAVAILABLE && status != GRPC_INTERNAL;
    ca_count(desk->ca, is_theirs ? CA_REFUSED : CA_FAILED);
    grpc_finish(c->grpc, status, span_of(why->text));
    retire(c);
}

/* ---- signing ---- */

static int send_chain(struct csr_call *c, struct span leaf)
{
    const struct root *root = &c->desk->ca->root;
    size_t count = root->between_count + 2;
    struct span *chain = arena_array(&c->arena, count, sizeof(*chain));
    chain[0] = leaf;
    for (size_t i = 0; i < root->between_count; i++) {
        chain[i + 1] = root->between[i];
    }
    chain[count - 1] = root->roots_pem;
    struct pb_istio_ca_IstioCertificateResponse answer = {
        .cert_chain = {.at = chain, .count = (uint32_t)count},
    };
    return grpc_send(c->grpc,
                     pb_encode_in(&pb_istio_ca_IstioCertificateResponse_desc, &answer, &c->arena));
}

static void on_written(void *arg, const struct store_answer *a)
{
    struct csr_call *c = arg;
    struct err err;
    c->pending = NULL;
    if (a->code != 0) {
        (void)err_set(&err, a->code, "the ledger can not be written; nothing was issued");
        log_error("ca", "ledger not written why=\"%s\"", a->why);
        refuse(c, GRPC_UNAVAILABLE, &err);
        return;
    }
    struct issue_spec spec = {
        .spiffe_id = span_of(c->grant.spiffe_id),
        .not_before_s = c->grant.not_before_s,
        .not_after_s = c->grant.not_after_s,
    };
    memcpy(spec.serial, c->grant.serial, sizeof(spec.serial));
    struct buf leaf;
    buf_init(&leaf, CERTIFICATE_BYTES_MAX);
    int code = issue_request(c->desk->issuer, c->csr, &spec, &leaf, &err);
    if (code != 0) {
        buf_dispose(&leaf);
        log_error("ca", "can not sign why=\"%s\"", err.text);
        refuse(c, GRPC_INTERNAL, &err);
        return;
    }
    /* When the caller is gone, on_end has not come yet, and the answer is for nobody. */
    (void)send_chain(c, buf_span(&leaf));
    buf_dispose(&leaf);
    log_debug("ca", "issued identity=%s serial=%s proof=%.*s life_s=%lld peer=%s",
              c->grant.spiffe_id, c->grant.serial_hex, SPAN_ARG(c->proof_text),
              (long long)(spec.not_after_s - spec.not_before_s - GRANT_BACKDATE_S), c->peer);
    ca_count(c->desk->ca, CA_ISSUED);
    grpc_finish(c->grpc, GRPC_OK, SPAN_EMPTY);
    retire(c);
}

/* ---- proven ---- */

static void give(struct csr_call *c, struct span ns, struct span sa)
{
    struct err err;
    int code = grant_make(&c->desk->ca->rules, ns, sa, &c->wanted, c->validity_s, &c->grant, &err);
    if (code != 0) {
        refuse(c, GRPC_PERMISSION_DENIED, &err);
        return;
    }
    c->grant.not_after_s = i64_min(c->grant.not_after_s, issuer_not_after(c->desk->issuer));
    const struct ledger_entry entry = {
        .serial = span_of(c->grant.serial_hex),
        .identity = span_of(c->grant.spiffe_id),
        .not_before_s = c->grant.not_before_s,
        .not_after_s = c->grant.not_after_s,
        .proof = c->proof_text,
        .peer = span_of(c->peer),
    };
    c->pending = ledger_write(c->desk->port, &entry, on_written, c);
}

static void on_token(void *arg, const struct store_answer *a)
{
    struct csr_call *c = arg;
    struct err err;
    c->pending = NULL;
    if (a->code == -EACCES) {
        (void)err_set(&err, a->code,
                      "MESH3004 the join token is not for '%.*s/%.*s'; a certificate is given for "
                      "what was proven only",
                      SPAN_ARG(span_first(c->wanted.ns, 64)),
                      SPAN_ARG(span_first(c->wanted.sa, 64)));
        refuse(c, GRPC_PERMISSION_DENIED, &err);
    } else if (a->code == -ERR_DENIED) {
        log_info("ca", "token refused id=%s peer=%s why=\"%s\"", c->proof.token.id, c->peer,
                 a->why);
        (void)err_set(&err, a->code,
                      "MESH3003 the join token is not accepted: it is unknown, has ended, is used "
                      "up or was revoked; make a new one");
        refuse(c, GRPC_UNAUTHENTICATED, &err);
    } else if (a->code != 0) {
        (void)err_set(&err, a->code, "join tokens can not be read now");
        log_error("ca", "token not read why=\"%s\"", a->why);
        refuse(c, GRPC_UNAVAILABLE, &err);
    } else {
        struct span sa = a->tokens[0].identity;
        struct span ns = span_cut(&sa, '/');
        c->proof_text = span_of(arena_printf(&c->arena, "token:%s", c->proof.token.id));
        give(c, ns, sa);
    }
}

static void on_looked(void *arg, int code, const struct err *err)
{
    struct csr_call *c = arg;
    if (code == -ERR_DENIED) {
        refuse(c, GRPC_UNAUTHENTICATED, err);
    } else if (code != 0) {
        refuse(c, GRPC_UNAVAILABLE, err);
    } else {
        c->proof_text = span_of(arena_printf(&c->arena, "certificate:%s", c->proof.serial));
        give(c, c->proof.identity.ns, c->proof.identity.sa);
    }
}

static void on_reviewed(void *arg, const struct token_review_answer *a)
{
    struct csr_call *c = arg;
    struct err err;
    c->review = NULL;
    if (a->code == -ENOTSUP) {
        (void)err_set(&err, -ERR_DENIED,
                      "MESH3003 the authorization is no join token of this mesh; send 'Bearer "
                      "mesh1.<id>.<secret>' as 'mesh ca token create' printed it; %s",
                      a->why);
        refuse(c, GRPC_UNAUTHENTICATED, &err);
    } else if (a->code == -EACCES) {
        (void)err_set(&err, -ERR_DENIED, "MESH3052 the ServiceAccount token is not accepted: %s",
                      a->why);
        refuse(c, GRPC_UNAUTHENTICATED, &err);
    } else if (a->code != 0) {
        (void)err_set(&err, a->code, "MESH3053 the API server can not say whose token this is: %s",
                      a->why);
        refuse(c, GRPC_UNAVAILABLE, &err);
    } else {
        bool has_pod = a->pod.len > 0;
        c->proof_text = span_of(arena_printf(
            &c->arena, "serviceaccount:%.*s/%.*s%s%.*s", SPAN_ARG(span_first(a->namespace, 253)),
            SPAN_ARG(span_first(a->service_account, 253)), has_pod ? ":" : "",
            SPAN_ARG(span_first(a->pod, 253))));
        give(c, a->namespace, a->service_account);
    }
}

/* ---- the request ---- */

static const struct tls_peer *peer_of(struct csr_call *c)
{
    const struct io *io = http_conn_io(http_stream_conn(grpc_http(c->grpc)));
    return io_is_tls(io) ? io_tls_peer(io) : NULL;
}

static void prove(struct csr_call *c)
{
    struct ca_desk *desk = c->desk;
    const struct authenticate_call call = {
        .authorization = head_get(grpc_head(c->grpc), SPAN("authorization")),
        .peer = peer_of(c),
        .trust_domain = desk->ca->rules.trust_domain,
        .now_s = instant_wall_s(),
    };
    struct err err;
    if (authenticate_read(&call, &c->proof, &err) != 0) {
        refuse(c, GRPC_UNAUTHENTICATED, &err);
        return;
    }
    size_t count;
    const struct span *uris = csr_uris(c->csr, &count);
    if (grant_read_wish(uris, count, desk->ca->rules.trust_domain, desk->ca->rules.reserved,
                        &c->wanted, &err) != 0) {
        refuse(c, GRPC_PERMISSION_DENIED, &err);
        return;
    }
    if (c->proof.kind == AUTHENTICATE_CERTIFICATE) {
        c->look.on_known = on_looked;
        c->look.arg = c;
        ledger_look_start(&c->look, desk->port, span_of(c->proof.serial), c->proof.spiffe_id,
                          c->proof.not_before_s + GRANT_BACKDATE_S);
        return;
    }
    if (c->proof.kind == AUTHENTICATE_ACCOUNT) {
        c->review = ca_review_ask(desk, c->proof.jwt, on_reviewed, c);
        return;
    }
    struct span wanted = SPAN_EMPTY;
    if (c->wanted.ns.len > 0) {
        wanted = span_of(
            arena_printf(&c->arena, "%.*s/%.*s", SPAN_ARG(c->wanted.ns), SPAN_ARG(c->wanted.sa)));
    }
    c->pending = store_token_use(desk->port, span_of(c->proof.token.id), c->proof.token.hash,
                                 wanted, instant_wall_us(), on_token, c);
}

static void on_message(void *arg, struct span message)
{
    struct csr_call *c = arg;
    struct err err;
    const struct pb_istio_ca_IstioCertificateRequest *rq =
        c->has_request ? NULL
                       : pb_decode(&pb_istio_ca_IstioCertificateRequest_desc, &c->arena,
                                   arena_dup(&c->arena, message), &err);
    int code = 0;
    if (c->has_request) {
        code = err_set(&err, -ERR_PROTO, "a second request in one call");
    } else if (rq == NULL) {
        code = err.code;
    } else {
        c->has_request = true;
        c->validity_s = rq->validity_duration;
        code = csr_parse(&c->csr, rq->csr, &err);
    }
    if (code != 0) {
        refuse(c, GRPC_INVALID_ARGUMENT, &err);
    }
}

static void on_half_close(void *arg)
{
    struct csr_call *c = arg;
    struct err err;
    if (!c->has_request) {
        (void)err_set(&err, -ERR_PROTO, "the call ended without a request");
        refuse(c, GRPC_INVALID_ARGUMENT, &err);
        return;
    }
    if (c->desk->busy_count == CSR_SERVICE_BUSY_MAX) {
        (void)err_set(&err, -ERR_LIMIT, "too many signing requests at once; try again");
        refuse(c, GRPC_RESOURCE_EXHAUSTED, &err);
        return;
    }
    deadline_disarm(&c->read);
    c->is_busy = true;
    c->desk->busy_count++;
    prove(c);
}

static void on_late(struct deadline *d)
{
    struct err err;
    (void)err_set(&err, -ERR_TIMEOUT, "the request did not come within %d s", READ_MS / 1000);
    refuse(container_of(d, struct csr_call, read), GRPC_DEADLINE_EXCEEDED, &err);
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    UNUSED(status);
    UNUSED(message);
    retire(arg);
}

static const struct grpc_events call_events = {
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_end = on_end,
};

static void on_call(void *service, struct grpc_stream *g, const struct grpc_events **ev, void **arg)
{
    struct ca_desk *desk = service;
    struct csr_call *c = mem_new(struct csr_call);
    c->desk = desk;
    c->grpc = g;
    arena_init(&c->arena, 4096);
    list_push_back(&desk->calls, &c->node);
    deadline_init(&c->read, on_late);
    deadline_arm(&c->read, desk->loop, READ_MS);
    const struct io *io = http_conn_io(http_stream_conn(grpc_http(g)));
    addr_format(&io->peer, c->peer);
    *ev = &call_events;
    *arg = c;
    grpc_message_max(g, CSR_SERVICE_MESSAGE_MAX);
}

void csr_service_attach(struct ca_desk *desk, struct http_server *server)
{
    grpc_serve(server, PB_ISTIO_CA_ISTIO_CERTIFICATE_SERVICE_CREATE_CERTIFICATE_PATH, on_call,
               desk);
}

void csr_service_end(struct ca_desk *desk)
{
    LIST_EACH(node, next, &desk->calls) {
        struct csr_call *c = list_item(node, struct csr_call, node);
        grpc_finish(c->grpc, GRPC_UNAVAILABLE, SPAN("the certificate authority is going down"));
        retire(c);
    }
}
