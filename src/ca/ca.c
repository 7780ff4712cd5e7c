/* The authority: what it knows, and what its owner asks of the store.
 * In: ca_role.c, or control. Next: ca_server.c, ca_desk.c, csr_service.c. */
#include "ca/ca_int.h"

#include <stdio.h>

#include "base/instant.h"
#include "base/mem.h"
#include "ca/ca_review.h"
#include "ca/ledger.h"
#include "ca/token.h"
#include "mesh/names.h"

#define USES_ANY (INT64_C(1) << 60) /* the store counts down; it will not get there */

/* ---- what desks tell, by mail ---- */

struct ca_note {
    struct mail mail;
    enum ca_outcome outcome;
};

static void on_note(struct mail *mail, void *owner)
{
    struct ca *ca = owner;
    struct ca_note *note = container_of(mail, struct ca_note, mail);
    ca->numbers.issued += note->outcome == CA_ISSUED;
    ca->numbers.refused += note->outcome == CA_REFUSED;
    ca->numbers.failed += note->outcome == CA_FAILED;
    mem_free(note);
}

void ca_count(struct ca *ca, enum ca_outcome outcome)
{
    struct ca_note *note = mem_new(struct ca_note);
    note->mail.on_arrive = on_note;
    note->outcome = outcome;
    mailbox_post_take(ca->mailbox, &note->mail);
}

/* ---- what the owner asks of the store ---- */

struct ca_ask {
    struct list node; /* in ca's asks; freed with it if no answer has come by then */
    struct ca *ca;
    struct arena arena;
    struct loop_task fail; /* refused before the store was asked */
    struct err why;
    /* create */
    char text[TOKEN_TEXT_BYTES];
    struct store_token token;
    /* issued */
    struct ledger_revoked revoked;
    struct span identity;
    size_t most;
    /* who is told: one of them */
    ca_on_token on_token;
    ca_on_tokens on_tokens;
    ca_on_issued on_issued;
    ca_on_done on_done;
    void *arg;
};

static void ask_free(struct ca_ask *ask)
{
    loop_task_cancel(&ask->fail);
    list_remove(&ask->node);
    arena_dispose(&ask->arena);
    mem_free_secret(ask, sizeof(*ask));
}

static void ask_tell_failure(struct ca_ask *ask, const struct err *err)
{
    if (ask->on_token) {
        ask->on_token(ask->arg, SPAN_EMPTY, NULL, err);
    } else if (ask->on_tokens) {
        ask->on_tokens(ask->arg, NULL, 0, err);
    } else if (ask->on_issued) {
        ask->on_issued(ask->arg, NULL, 0, err);
    } else {
        ask->on_done(ask->arg, err);
    }
    ask_free(ask);
}

static void on_fail(struct loop_task *task)
{
    struct ca_ask *ask = container_of(task, struct ca_ask, fail);
    struct err why = ask->why;
    ask_tell_failure(ask, &why);
}

static struct ca_ask *ask_new(struct ca *ca, void *arg)
{
    struct ca_ask *ask = mem_new(struct ca_ask);
    ask->ca = ca;
    ask->arg = arg;
    arena_init(&ask->arena, 1024);
    loop_task_init(&ask->fail, on_fail);
    list_push_back(&ca->asks, &ask->node);
    return ask;
}

/* True when the store said no; `ask` is gone then. */
static bool ask_has_failed(struct ca_ask *ask, const struct store_answer *a)
{
    struct err err;
    if (a->code == 0) {
        return false;
    }
    (void)err_set(&err, a->code, "%s", a->why);
    ask_tell_failure(ask, &err);
    return true;
}

static struct ca_token token_of(const struct store_token *t)
{
    struct span sa = t->identity;
    struct span ns = span_cut(&sa, '/');
    return (struct ca_token){
        .id = t->id,
        .ns = ns,
        .sa = sa,
        .uses_left = t->uses_left > CA_TOKEN_USES_MAX ? -1 : t->uses_left,
        .created_s = t->created_us / 1000000,
        .expires_s = t->expires_us / 1000000,
        .revoked = t->revoked,
    };
}

static bool is_name(struct span s)
{
    char path[IDENTITY_BYTES_MAX];
    struct identity id;
    int len = snprintf(path, sizeof(path), "spiffe://x/ns/%.*s/sa/x", SPAN_ARG(s));
    return len > 0 && (size_t)len < sizeof(path) &&
           identity_parse(span_from(path, (size_t)len), &id) == 0 && span_eq(id.ns, s);
}

static int check_token(const struct ca *ca, const struct ca_token_spec *spec, struct err *err)
{
    bool any = span_is(spec->sa, "*");
    if (!is_name(spec->ns) || (!any && !is_name(spec->sa))) {
        return err_set(
            err, -ERR_CONFIG,
            "'%.*s/%.*s' is no namespace and service account; letters, digits, '-', '_', "
            "'.', and '*' for any service account",
            SPAN_ARG(span_first(spec->ns, 128)), SPAN_ARG(span_first(spec->sa, 128)));
    }
    struct identity own;
    if (identity_parse(ca->rules.reserved, &own) == 0 && span_eq(own.ns, spec->ns) &&
        span_eq(own.sa, spec->sa)) {
        return err_set(err, -ERR_CONFIG, "'%.*s/%.*s' is the control plane itself",
                       SPAN_ARG(spec->ns), SPAN_ARG(spec->sa));
    }
    if (spec->uses < -1 || spec->uses > CA_TOKEN_USES_MAX) {
        return err_set(err, -ERR_CONFIG, "uses is %lld; 1 to %d, or -1 for any number",
                       (long long)spec->uses, CA_TOKEN_USES_MAX);
    }
    if (spec->ttl_s < 0 || spec->ttl_s > CA_TOKEN_TTL_MAX_S) {
        return err_set(err, -ERR_CONFIG, "ttl is %lld s; 1 to %d", (long long)spec->ttl_s,
                       CA_TOKEN_TTL_MAX_S);
    }
    return 0;
}

static void on_token_created(void *arg, const struct store_answer *a)
{
    struct ca_ask *ask = arg;
    if (!ask_has_failed(ask, a)) {
        const struct ca_token token = token_of(&ask->token);
        ask->on_token(ask->arg, span_of(ask->text), &token, NULL);
        ask_free(ask);
    }
}

void ca_token_create(struct ca *ca, const struct ca_token_spec *spec, ca_on_token on_token,
                     void *arg)
{
    struct ca_ask *ask = ask_new(ca, arg);
    ask->on_token = on_token;
    if (check_token(ca, spec, &ask->why) != 0) {
        loop_task_add(ca->loop, &ask->fail);
        return;
    }
    struct token made;
    token_make(&made, ask->text);
    int64_t ttl_s = spec->ttl_s == 0 ? CA_TOKEN_TTL_S : spec->ttl_s;
    ask->token = (struct store_token){
        .id = arena_dup(&ask->arena, span_of(made.id)),
        .identity =
            span_of(arena_printf(&ask->arena, "%.*s/%.*s", SPAN_ARG(spec->ns), SPAN_ARG(spec->sa))),
        .uses_left = spec->uses == 0  ? 1
                     : spec->uses < 0 ? USES_ANY
                                      : spec->uses,
        .created_us = instant_wall_us(),
        .expires_us = instant_wall_us() + ttl_s * 1000000,
    };
    memcpy(ask->token.hash, made.hash, sizeof(made.hash));
    (void)store_token_create(ca->port, &ask->token, on_token_created, ask);
}

static void on_tokens_listed(void *arg, const struct store_answer *a)
{
    struct ca_ask *ask = arg;
    if (ask_has_failed(ask, a)) {
        return;
    }
    struct ca_token *rows = arena_array(&ask->arena, a->count + 1, sizeof(*rows));
    for (size_t i = 0; i < a->count; i++) {
        rows[i] = token_of(&a->tokens[i]);
    }
    ask->on_tokens(ask->arg, rows, a->count, NULL);
    ask_free(ask);
}

void ca_token_list(struct ca *ca, ca_on_tokens on_tokens, void *arg)
{
    struct ca_ask *ask = ask_new(ca, arg);
    ask->on_tokens = on_tokens;
    (void)store_token_list(ca->port, on_tokens_listed, ask);
}

static void on_done(void *arg, const struct store_answer *a)
{
    struct ca_ask *ask = arg;
    if (!ask_has_failed(ask, a)) {
        ask->on_done(ask->arg, NULL);
        ask_free(ask);
    }
}

void ca_token_revoke(struct ca *ca, struct span id, ca_on_done tell, void *arg)
{
    struct ca_ask *ask = ask_new(ca, arg);
    ask->on_done = tell;
    (void)store_token_revoke(ca->port, id, on_done, ask);
}

void ca_revoke(struct ca *ca, struct span what, ca_on_done tell, void *arg)
{
    struct ca_ask *ask = ask_new(ca, arg);
    ask->on_done = tell;
    struct identity id;
    if (what.len == 0 ||
        (!ledger_is_serial(what) && (identity_parse(what, &id) != 0 || id.ns.len == 0))) {
        (void)err_set(&ask->why, -ERR_CONFIG,
                      "'%.*s' is neither a serial (hex) nor a workload's SPIFFE ID",
                      SPAN_ARG(span_first(what, 128)));
        loop_task_add(ca->loop, &ask->fail);
        return;
    }
    (void)ledger_revoke(ca->port, what, on_done, ask);
}

/* ---- the ledger, with what was revoked ---- */

static void on_issued_listed(void *arg, const struct store_answer *a)
{
    struct ca_ask *ask = arg;
    if (ask_has_failed(ask, a)) {
        return;
    }
    struct ca_issued *rows = arena_array(&ask->arena, a->count + 1, sizeof(*rows));
    for (size_t i = 0; i < a->count; i++) {
        const struct store_issue *from = &a->issues[i];
        rows[i] = (struct ca_issued){
            .serial = from->serial,
            .identity = from->identity,
            .not_before_s = from->not_before_us / 1000000,
            .not_after_s = from->not_after_us / 1000000,
            .issued_s = from->issued_us / 1000000,
            .proof = from->proof,
            .peer = from->peer,
            .revoked = ledger_is_revoked(&ask->revoked, from),
        };
    }
    ask->on_issued(ask->arg, rows, a->count, NULL);
    ask_free(ask);
}

static void on_revoked_listed(void *arg, const struct store_answer *a)
{
    struct ca_ask *ask = arg;
    if (ask_has_failed(ask, a)) {
        return;
    }
    ledger_revoked_copy(&ask->revoked, &ask->arena, a);
    (void)store_ledger_list(ask->ca->port, ask->identity, 0, ask->most, on_issued_listed, ask);
}

void ca_issued_list(struct ca *ca, struct span identity, size_t most, ca_on_issued on_issued,
                    void *arg)
{
    struct ca_ask *ask = ask_new(ca, arg);
    ask->on_issued = on_issued;
    ask->identity = arena_dup(&ask->arena, identity);
    ask->most = most;
    (void)ledger_revoked_list(ca->port, on_revoked_listed, ask);
}

/* ---- life ---- */

struct span ca_trust_domain(const struct ca *ca)
{
    return ca->rules.trust_domain;
}

struct span ca_roots_pem(const struct ca *ca)
{
    return ca->root.roots_pem;
}

const char *ca_pin(const struct ca *ca)
{
    return ca->root.pin;
}

struct span ca_control_id(const struct ca *ca)
{
    return ca->rules.reserved;
}

void ca_numbers_read(const struct ca *ca, struct ca_numbers *to)
{
    *to = ca->numbers;
    to->root_not_after_s = ca->root.not_after_s;
}

static int set_names(struct ca *ca, const char *trust_domain, struct err *err)
{
    char id_text[IDENTITY_BYTES_MAX];
    struct identity id;
    int len = snprintf(id_text, sizeof(id_text), "spiffe://%s/ns/%s/sa/%s", trust_domain,
                       MESH_SYSTEM_NAMESPACE, MESH_CONTROL_ACCOUNT);
    if (len < 0 || (size_t)len >= sizeof(id_text) ||
        identity_parse(span_from(id_text, (size_t)len), &id) != 0 ||
        !span_is(id.trust_domain, trust_domain)) {
        return err_set(err, -ERR_CONFIG,
                       "trust domain '%.128s' is not allowed; lower-case letters, digits, '.', '-' "
                       "and '_'",
                       trust_domain);
    }
    ca->trust_domain = mem_strdup(trust_domain);
    ca->control_id = mem_strdup(id_text);
    return 0;
}

int ca_new(struct ca **out, const struct ca_spec *spec, struct err *err)
{
    struct ca *ca = mem_new(struct ca);
    int code = set_names(ca, spec->trust_domain ? spec->trust_domain : MESH_TRUST_DOMAIN, err);
    code = code ? code : root_load(&ca->root, spec->data_dir, span_of(ca->trust_domain), err);
    if (code != 0) {
        mem_free(ca->trust_domain);
        mem_free(ca->control_id);
        mem_free(ca);
        return err_prefix(err, "certificate authority");
    }
    ca->loop = spec->loop;
    ca->store = spec->store;
    int64_t life_s = spec->leaf_ttl_s > 0 ? spec->leaf_ttl_s : CA_LEAF_TTL_S;
    ca->rules = (struct grant_rules){
        .trust_domain = span_of(ca->trust_domain),
        .reserved = span_of(ca->control_id),
        .life_s = life_s,
        .life_max_s = i64_max(life_s, CA_LEAF_TTL_MAX_S),
    };
    list_init(&ca->asks);
    list_init(&ca->windows);
    list_init(&ca->reviews_now);
    ca->mailbox = mailbox_new(ca->loop, ca);
    ca->port = store_port_new(ca->store, ca->loop);
    log_info("ca", "%s root pin=%s trust_domain=%s leaf_life_s=%lld",
             ca->root.is_new ? "made a new" : "loaded the", ca->root.pin, ca->trust_domain,
             (long long)life_s);
    *out = ca;
    return 0;
}

void ca_free(struct ca *ca)
{
    if (ca == NULL) {
        return;
    }
    ca_set_reviews(ca, NULL);
    mailbox_free(ca->mailbox); /* the last notes come home, and may still write to the ledger */
    ca_windows_free(ca);
    store_port_free(ca->port);
    LIST_EACH(node, next, &ca->asks) {
        ask_free(list_item(node, struct ca_ask, node));
    }
    root_dispose(&ca->root);
    mem_free(ca->trust_domain);
    mem_free(ca->control_id);
    mem_free(ca);
}
