/* One request, once: with credentials, over the present way.
 * In: kube_call, kube_stream. Out: http/http_client. Next: on_end, back in kube_call.c or kube_stream.c. */
#include "kube/kube_client_int.h"

static void release(struct kube_exchange *x)
{
    struct kube_way *way = x->way;
    x->running = false;
    x->way = NULL;
    if (way != NULL) {
        kube_client_way_put(x->client, way);
    }
}

static void end(struct kube_exchange *x, const struct err *err)
{
    release(x);
    x->events->on_end(x->arg, err);
}

/* ---- the answer ---- */

static void on_head(void *arg, struct head *head, bool is_last)
{
    struct kube_exchange *x = arg;
    if (head->status < 200) {
        return;
    }
    x->client->was_reached = true;
    x->head = head;
    x->complete = is_last;
    x->events->on_head(x->arg, head);
}

static void on_data(void *arg, struct span data, bool is_last)
{
    struct kube_exchange *x = arg;
    x->complete = is_last;
    if (data.len > 0) {
        x->events->on_data(x->arg, data);
    }
    if (x->stream != NULL && !x->holds) { /* it was not stopped */
        http_stream_consume(x->stream, data.len);
    }
}

static void on_trailers(void *arg, struct head *trailers)
{
    UNUSED(trailers);
    ((struct kube_exchange *)arg)->complete = true;
}

static int code_of(enum http_reset why)
{
    switch (why) {
    case HTTP_RESET_TIMEOUT:
        return -ETIMEDOUT;
    case HTTP_RESET_PROTO:
        return -ERR_PROTO;
    case HTTP_RESET_LIMIT:
        return -ERR_LIMIT;
    case HTTP_RESET_LOCAL:
        return -ECANCELED;
    case HTTP_RESET_NONE:
    case HTTP_RESET_PEER:
    case HTTP_RESET_REFUSED:
        break;
    }
    return -ECONNRESET;
}

static void on_close(void *arg, enum http_reset why)
{
    struct kube_exchange *x = arg;
    const char *rule = http_conn_why(http_stream_conn(x->stream));
    struct err err;
    x->stream = NULL;
    if (x->complete && x->head != NULL) {
        end(x, NULL);
        return;
    }
    x->may_have_run = why != HTTP_RESET_REFUSED;
    (void)err_set(&err, code_of(why), "the connection to '%.*s' broke: %s%s%s",
                  SPAN_ARG(x->client->origin), http_reset_name(why), rule != NULL ? ", " : "",
                  rule != NULL ? rule : "");
    end(x, &err);
}

static const struct http_stream_events stream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_close = on_close,
};

/* ---- the request ---- */

static bool has_field(const struct kube_exchange *x, struct span name)
{
    return header_find(x->fields, x->field_count, name) != NULL;
}

static int add_fields(const struct kube_exchange *x, struct head *head)
{
    const struct kube_client *c = x->client;
    const struct kube_conf *conf = c->conf;
    int code = 0;
    if (!has_field(x, SPAN("user-agent"))) {
        code = head_add(head, SPAN("user-agent"), c->user_agent);
    }
    if (code == 0 && !has_field(x, SPAN("accept"))) {
        code = head_add(head, SPAN("accept"), SPAN(KUBE_JSON));
    }
    if (code == 0 && x->body.len > 0 && !has_field(x, SPAN("content-type"))) {
        code = head_add(head, SPAN("content-type"),
                        span_of(x->content_type != NULL ? x->content_type : KUBE_JSON));
    }
    if (code == 0 && conf->impersonate.len > 0) {
        code = head_add(head, SPAN("impersonate-user"), conf->impersonate);
    }
    for (size_t i = 0; i < conf->impersonate_more_count && code == 0; i++) {
        code = head_add(head, conf->impersonate_more[i].name, conf->impersonate_more[i].value);
    }
    for (size_t i = 0; i < x->field_count && code == 0; i++) {
        code = head_add(head, x->fields[i].name, x->fields[i].value);
    }
    return code != 0 ? code : kube_credentials_put(&c->credentials, head);
}

static void send_request(struct kube_exchange *x)
{
    struct http_stream *s = x->stream;
    struct arena *arena = http_stream_arena(s);
    struct head head;
    head_init(&head, arena);
    head.method = span_of(x->method);
    head.method_id = head_method_of(head.method);
    head.scheme = http_client_scheme(x->way->http);
    head.authority = http_client_authority(x->way->http);
    head.path = span_of(arena_printf(arena, "%.*s%s", SPAN_ARG(x->client->prefix), x->path));
    if (x->body.len > 0) {
        head.content_length = (int64_t)x->body.len;
    } else if (head.method_id == METHOD_POST || head.method_id == METHOD_PUT) {
        head.content_length = 0;
    }
    if (add_fields(x, &head) != 0) {
        struct err err;
        (void)err_set(&err, -ERR_LIMIT, "too many request fields");
        x->stream = NULL;
        http_stream_reset(s, HTTP_RESET_LOCAL);
        end(x, &err);
        return;
    }
    x->may_have_run = true;
    if (http_stream_head(s, &head, x->body.len == 0) == 0 && x->body.len > 0) {
        (void)http_stream_data(s, x->body, true); /* on_close tells */
    }
}

/* A name that is not there, a firewall that says no: not to be taken for what the API says of an object. */
static bool is_of_answers(int code)
{
    return code == -ENOENT || code == -EEXIST || code == -ESTALE || code == -EACCES ||
           code == -EPERM || code == -ERR_LIMIT || code == -ERR_CONFIG || code == -EREMOTEIO;
}

static void on_stream(void *arg, struct http_stream *s, const struct err *err)
{
    struct kube_exchange *x = arg;
    x->wait = NULL;
    x->stream = s;
    if (s == NULL) {
        struct err why = *err;
        why.code = is_of_answers(why.code) ? -EHOSTUNREACH : why.code;
        end(x, &why);
        return;
    }
    send_request(x);
}

static void open_stream(struct kube_exchange *x)
{
    if (x->events->on_ready != NULL) {
        x->events->on_ready(x->arg);
    }
    x->generation = x->client->credentials.generation;
    x->way = kube_client_way_get(x->client);
    x->wait = http_client_open(x->way->http, &stream_events, x, on_stream);
}

static void on_credentials(struct kube_ticket *t, const struct err *err)
{
    struct kube_exchange *x = container_of(t, struct kube_exchange, ticket);
    if (err != NULL) {
        end(x, err);
        return;
    }
    open_stream(x);
}

const struct header *kube_exchange_fields(struct arena *arena, const struct header *fields,
                                          size_t count)
{
    struct header *kept = arena_array(arena, count + 1, sizeof(*kept));
    for (size_t i = 0; i < count; i++) {
        kept[i].name = arena_dup(arena, fields[i].name);
        kept[i].value = arena_dup(arena, fields[i].value);
    }
    return kept;
}

void kube_exchange_start(struct kube_exchange *x)
{
    struct err err;
    x->head = NULL;
    x->complete = false;
    x->may_have_run = false;
    x->running = true;
    x->ticket.on_ready = on_credentials;
    list_init(&x->ticket.node);
    int code = kube_credentials_get(&x->client->credentials, &x->ticket, &err);
    if (code == 0) {
        open_stream(x);
    } else if (code != -EAGAIN) {
        end(x, &err);
    }
}

void kube_exchange_consume(struct kube_exchange *x, size_t bytes)
{
    if (x->stream != NULL) {
        http_stream_consume(x->stream, bytes);
    }
}

void kube_exchange_stop(struct kube_exchange *x)
{
    if (!x->running) {
        return;
    }
    kube_credentials_cancel(&x->ticket);
    if (x->wait != NULL) {
        http_client_cancel(x->wait);
        x->wait = NULL;
    }
    if (x->stream != NULL) {
        http_stream_reset(x->stream, HTTP_RESET_LOCAL);
        x->stream = NULL;
    }
    x->head = NULL;
    release(x);
}
