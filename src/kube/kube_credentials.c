/* Who we are: the field that goes with each request, and when it has to be another.
 * In: struct kube_conf, token files, plugins. Out: Authorization. Next: kube_exchange.c. */
#include "kube/kube_credentials.h"

#include "base/buf.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "io/file.h"
#include "kube/kube_exec.h"

#define REREAD_MS 60000
#define TOKEN_BYTES_MAX (256u << 10)
#define SPARE_US 5000000 /* what ends so soon is not used any more */
#define FRESH_US 5000000 /* what was just given is used for so long */
#define FAILURE_MS 1000  /* a plugin that failed is not run again at once */
#define RENEWAL_MS 5000  /* nor one whose answers are refused */

/* ---- the field ---- */

static void set_authorization(struct kube_credentials *c, const char *scheme, struct span text)
{
    size_t len = strlen(scheme) + text.len;
    char *fresh = NULL;
    if (text.len > 0) {
        fresh = mem_alloc(len + 1);
        memcpy(fresh, scheme, strlen(scheme));
        memcpy(fresh + strlen(scheme), text.at, text.len);
        fresh[len] = '\0';
    }
    if (c->authorization != NULL) {
        mem_free_secret(c->authorization, strlen(c->authorization));
    }
    c->authorization = fresh;
    c->generation++;
}

static void set_basic(struct kube_credentials *c)
{
    const struct kube_conf *conf = c->conf;
    struct buf plain;
    buf_init(&plain, conf->username.len + conf->password.len + 1);
    int code = buf_append_span(&plain, conf->username);
    code = code != 0 ? code : buf_append_byte(&plain, ':');
    code = code != 0 ? code : buf_append_span(&plain, conf->password);
    ASSERT(code == 0); /* it was made for them */
    size_t room = base64_encoded_len(BASE64_STANDARD, buf_len(&plain));
    char *text = mem_alloc(room + 1);
    size_t len = base64_encode(BASE64_STANDARD, buf_span(&plain), text);
    set_authorization(c, "Basic ", span_from(text, len));
    mem_free_secret(text, room);
    buf_dispose(&plain);
}

/* Blanks and line ends around it are none of a token; what is left must fit into a field, else the span has no `at`. */
static struct span token_in(struct span text)
{
    if (text.at == NULL) {
        return SPAN_EMPTY;
    }
    while (text.len > 0 && (unsigned char)text.at[text.len - 1] <= ' ') {
        text.len--;
    }
    while (text.len > 0 && (unsigned char)text.at[0] <= ' ') {
        text.at++;
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > '~') {
            return SPAN_EMPTY;
        }
    }
    return text.len > 0 ? text : SPAN_EMPTY;
}

static bool is_same_token(const struct kube_credentials *c, struct span token)
{
    return c->authorization != NULL && span_is(token, c->authorization + strlen("Bearer "));
}

/* The file may be written anew at any time (a pod's token each hour): what was read before stays good meanwhile. */
static int read_token_file(struct kube_credentials *c, struct err *err)
{
    struct buf text;
    buf_init(&text, TOKEN_BYTES_MAX);
    int code = file_read(c->conf->token_file, &text, err);
    struct span token = token_in(buf_span(&text));
    if (code == 0 && token.at == NULL) {
        (void)err_set(err, -EACCES, "'%s' holds no token", c->conf->token_file);
        code = -EACCES;
    } else if (code == 0) {
        c->read_ms = loop_now_ms(c->loop);
        if (!is_same_token(c, token)) {
            set_authorization(c, "Bearer ", token);
        }
    } else {
        err->code = code = -EACCES;
    }
    buf_dispose(&text);
    return code;
}

static int get_from_file(struct kube_credentials *c, struct err *err)
{
    bool is_old = loop_now_ms(c->loop) - c->read_ms >= REREAD_MS;
    if (c->authorization != NULL && !is_old) {
        return 0;
    }
    int code = read_token_file(c, err);
    if (code != 0 && c->authorization != NULL) {
        log_warn("kube", "token file not read, the last token stays in use why=\"%s\"", err->text);
        c->read_ms = loop_now_ms(c->loop);
        return 0;
    }
    return code;
}

/* ---- the plugin ---- */

static void tell_all(struct kube_credentials *c, const struct err *err)
{
    struct list now; /* those who ask again are not told twice */
    list_init(&now);
    list_splice(&now, &c->waiting);
    struct list *node;
    while ((node = list_pop_front(&now)) != NULL) {
        struct kube_ticket *t = list_item(node, struct kube_ticket, node);
        t->on_ready(t, err);
    }
}

/* The certificate belongs to connections: another one means other connections. */
static int take_certificate(struct kube_credentials *c, const struct kube_exec_answer *a,
                            struct err *err)
{
    if (a->cert_pem.len == 0 || (c->certificate != NULL && span_is(a->cert_pem, c->certificate))) {
        return 0;
    }
    int code = c->on_certificate(c->arg, a->cert_pem, a->key_pem, err);
    if (code != 0) {
        err_prefix(err, "what the credential plugin '%s' gave", c->conf->exec->argv[0]);
        return err->code = -EACCES;
    }
    mem_free(c->certificate);
    c->certificate = mem_strndup(a->cert_pem.at, a->cert_pem.len);
    c->generation++;
    return 0;
}

static void on_plugin(void *arg, const struct kube_exec_answer *a, const struct err *err)
{
    struct kube_credentials *c = arg;
    struct span token = a != NULL ? token_in(a->token) : SPAN_EMPTY;
    struct err why;
    err_clear(&why);
    c->run = NULL;
    if (a == NULL) {
        why = *err;
    } else if (a->token.len > 0 && token.at == NULL) {
        (void)err_set(&why, -EACCES, "the credential plugin '%s' gave a token that is none",
                      c->conf->exec->argv[0]);
    } else if (take_certificate(c, a, &why) == 0) {
        if (token.len == 0 || !is_same_token(c, token)) {
            set_authorization(c, "Bearer ", token);
        }
        int64_t soonest = instant_wall_us() + SPARE_US + FRESH_US;
        c->good_until_us = i64_max(a->expires_us, soonest); /* whatever its clock says */
    }
    c->failure = why;
    if (why.code != 0) {
        c->failed_ms = loop_now_ms(c->loop);
    }
    tell_all(c, why.code != 0 ? &c->failure : NULL);
}

static int get_from_plugin(struct kube_credentials *c, struct kube_ticket *t, struct err *err)
{
    if (c->run == NULL) {
        if (c->good_until_us > instant_wall_us() + SPARE_US) {
            return 0;
        }
        if (c->failure.code != 0 && loop_now_ms(c->loop) - c->failed_ms < FAILURE_MS) {
            *err = c->failure;
            return err->code;
        }
        int code = kube_exec_start(&c->run, c->loop, c->conf, on_plugin, c, &c->failure);
        if (code != 0) {
            c->failed_ms = loop_now_ms(c->loop);
            *err = c->failure;
            return code;
        }
    }
    list_push_back(&c->waiting, &t->node);
    return -EAGAIN;
}

/* What the file says counts before a plugin, as in client-go. */
static bool has_plugin(const struct kube_credentials *c)
{
    const struct kube_conf *conf = c->conf;
    return conf->exec != NULL && conf->token.len == 0 && conf->token_file == NULL &&
           conf->username.len == 0;
}

/* ---- the way in ---- */

void kube_credentials_init(struct kube_credentials *c, struct loop *loop,
                           const struct kube_conf *conf)
{
    *c = (struct kube_credentials){.loop = loop, .conf = conf, .renewed_ms = -RENEWAL_MS};
    list_init(&c->waiting);
    struct span token = token_in(conf->token);
    if (conf->token_file == NULL && token.at != NULL) {
        set_authorization(c, "Bearer ", token);
    } else if (conf->token_file == NULL && conf->username.len > 0) {
        set_basic(c);
    }
}

void kube_credentials_dispose(struct kube_credentials *c)
{
    struct err err;
    (void)err_set(&err, -ECANCELED, "the client was closed");
    kube_exec_free(c->run);
    c->run = NULL;
    tell_all(c, &err);
    if (c->authorization != NULL) {
        mem_free_secret(c->authorization, strlen(c->authorization));
        c->authorization = NULL;
    }
    mem_free(c->certificate);
    c->certificate = NULL;
}

int kube_credentials_get(struct kube_credentials *c, struct kube_ticket *t, struct err *err)
{
    if (c->conf->token_file != NULL) {
        return get_from_file(c, err);
    }
    return has_plugin(c) ? get_from_plugin(c, t, err) : 0;
}

void kube_credentials_cancel(struct kube_ticket *t)
{
    list_remove(&t->node);
}

int kube_credentials_put(const struct kube_credentials *c, struct head *head)
{
    return c->authorization == NULL
               ? 0
               : head_add(head, SPAN("authorization"), span_of(c->authorization));
}

bool kube_credentials_renew(struct kube_credentials *c, uint64_t generation)
{
    struct err err;
    if (c->generation != generation) {
        return true; /* somebody else was faster */
    }
    if (c->conf->token_file != NULL) {
        return read_token_file(c, &err) == 0 && c->generation != generation;
    }
    int64_t now = loop_now_ms(c->loop);
    if (!has_plugin(c) || (c->run == NULL && now - c->renewed_ms < RENEWAL_MS)) {
        return false;
    }
    if (c->run == NULL) {
        c->renewed_ms = now;
        c->good_until_us = 0;
    }
    return true;
}

const char *kube_credentials_name(const struct kube_credentials *c, struct arena *arena)
{
    const struct kube_conf *conf = c->conf;
    if (conf->token_file != NULL) {
        return arena_printf(arena, "the token in '%s'", conf->token_file);
    }
    if (conf->token.len > 0) {
        return "the kubeconfig's token";
    }
    if (conf->username.len > 0) {
        return arena_printf(arena, "user name '%.*s' and its password", SPAN_ARG(conf->username));
    }
    if (conf->exec != NULL) {
        return arena_printf(arena, "what the credential plugin '%s' gives", conf->exec->argv[0]);
    }
    return conf->cert_pem.len > 0 ? "the kubeconfig's client certificate"
                                  : "requests without credentials: the kubeconfig has none";
}
