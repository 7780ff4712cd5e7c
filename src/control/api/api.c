/* What every path of the API shares: the table of routes, who may ask, answers and errors.
 * In: http_server. Out: handlers of the parts. Next: api_objects.c, api_apply.c and the others in api_parts.h. */
#include "control/api/api.h"

#include <stdarg.h>
#include <stdio.h>

#include "codec/ip.h"
#include "codec/url.h"
#include "control/api/api_parts.h"
#include "io/io.h"

#define ANSWER_MAX (256UL << 20) /* a list of everything in a large mesh has some tens of MiB */
#define JSON SPAN("application/json")

static const struct api_route *const parts[] = {
    api_objects_routes, api_apply_routes, api_status_routes, api_ca_routes,
    api_traffic_routes, api_authz_routes, api_tap_routes,    api_analyze_routes,
};

/* One path of one server. */
struct row {
    struct api *api;
    const struct api_route *route;
};

/* ---- parameters ---- */

struct span api_param(const struct api_call *c, const char *name)
{
    struct span raw = url_query_get(c->rq->query, span_of(name));
    if (raw.at == NULL) {
        return SPAN_EMPTY;
    }
    struct buf text;
    buf_init(&text, raw.len + 1);
    int code = url_decode(raw, true, &text);
    struct span value = code == 0 ? arena_dup(c->arena, buf_span(&text)) : SPAN_EMPTY;
    buf_dispose(&text);
    return value;
}

bool api_flag(const struct api_call *c, const char *name)
{
    struct span value = api_param(c, name);
    return value.at != NULL && (value.len == 0 || span_is(value, "true") || span_is(value, "1") ||
                                span_is(value, "All"));
}

bool api_number(struct api_call *c, const char *name, int64_t min, int64_t max, int64_t otherwise,
                int64_t *out)
{
    struct span value = api_param(c, name);
    *out = otherwise;
    if (value.at == NULL) {
        return true;
    }
    if (!span_to_i64(value, out) || *out < min || *out > max) {
        api_refuse(c, 400, 5014, NULL, "'%s' is '%.*s'; want a whole number from %lld to %lld",
                   name, SPAN_ARG(span_first(value, 64)), (long long)min, (long long)max);
        return false;
    }
    return true;
}

/* ---- answers ---- */

struct doc_node *api_answer(const struct api_call *c, const char *kind)
{
    struct doc_node *answer = doc_new_map(c->arena);
    doc_set_text(c->arena, answer, "apiVersion", SPAN("mesh/v1"));
    doc_set_text(c->arena, answer, "kind", span_of(kind));
    return answer;
}

struct doc_node *api_list(const struct api_call *c, const char *kind)
{
    struct doc_node *answer = api_answer(c, kind);
    doc_set(c->arena, answer, "items", doc_new_list(c->arena));
    doc_set(c->arena, answer, "warnings", doc_new_list(c->arena));
    return answer;
}

void api_reply(struct api_call *c, unsigned status, const struct doc_node *answer)
{
    struct buf text;
    c->on_gone = NULL; /* nothing is waited for any more */
    buf_init(&text, ANSWER_MAX);
    int code = doc_write_json(answer, api_flag(c, "pretty"), &text);
    code = code != 0 ? code : buf_append_byte(&text, '\n');
    if (code == 0) {
        (void)http_stream_reply(c->rq->stream, status, JSON,
                                buf_span(&text)); /* on_close follows a failure */
    } else {
        (void)http_stream_reply(
            c->rq->stream, 507, JSON,
            SPAN("{\"kind\":\"Error\",\"what\":\"the answer is too large\"}\n"));
    }
    buf_dispose(&text);
}

void api_refuse(struct api_call *c, unsigned status, unsigned code, const char *fix,
                const char *what, ...)
{
    char text[1024];
    struct findings list;
    va_list args;
    va_start(args, what);
    (void)vsnprintf(text, sizeof(text), what, args);
    va_end(args);
    findings_init(&list, c->arena);
    struct finding *f = finding_add(&list, code, NULL, "%s", text);
    f->severity = CODE_ERROR;
    f->fix = span_of(fix != NULL ? fix : codes_find(code)->remedy);
    struct doc_node *answer = api_answer(c, "Error");
    const struct doc_node *fields = finding_to_doc(f, c->arena);
    for (size_t i = 0; i < doc_count(fields); i++) {
        doc_set_span(c->arena, answer, fields->entries[i].key, fields->entries[i].value);
    }
    api_reply(c, status, answer);
}

/* ---- an answer that comes later ---- */

static void on_late_head(void *arg, struct head *head, bool end)
{
    UNUSED(arg); /* the head was there before we waited */
    UNUSED(head);
    UNUSED(end);
}

static void on_late_data(void *arg, struct span bytes, bool end)
{
    const struct api_call *c = arg;
    UNUSED(end);
    http_stream_consume(c->rq->stream, bytes.len);
}

static void on_late_close(void *arg, enum http_reset why)
{
    struct api_call *c = arg;
    UNUSED(why);
    if (c->on_gone != NULL) {
        c->on_gone(c);
    }
}

static const struct http_stream_events waiting = {
    .on_head = on_late_head, .on_data = on_late_data, .on_close = on_late_close};

void api_wait(struct api_call *c, void (*on_gone)(struct api_call *c))
{
    c->on_gone = on_gone;
    http_stream_set_events(c->rq->stream, &waiting, c);
}

/* ---- who may ask ---- */

static bool is_known_host(const struct api *api, struct span authority)
{
    struct span host;
    uint16_t port;
    struct ip ip;
    if (url_split_authority(authority, &host, &port) != 0) {
        return false;
    }
    /* An address can not be rebound to: a page whose origin is an address came from there. */
    if (ip_parse(host, &ip) == 0 || span_eq_nocase(host, SPAN("localhost")) ||
        span_ends_nocase(host, SPAN(".localhost"))) {
        return true;
    }
    for (size_t i = 0; i < api->host_count; i++) {
        if (span_eq_nocase(host, api->hosts[i])) {
            return true;
        }
    }
    return false;
}

/* In a time that tells nothing about the token. */
static bool shows_token(struct span shown, struct span token)
{
    unsigned difference = shown.len != token.len;
    for (size_t i = 0; i < token.len; i++) {
        difference |= (unsigned char)(token.at[i] ^ (i < shown.len ? shown.at[i] : 0));
    }
    return difference == 0;
}

/* True: the call was refused. Whoever can open the unix socket owns the mesh; TCP can be reached by every web page in a browser here. */
static bool is_refused(struct api_call *c, unsigned flags)
{
    const struct io *io = io_bottom(http_conn_io(http_stream_conn(c->rq->stream)));
    const struct head *head = c->rq->head;
    if (io->local.kind == ADDR_UNIX) {
        return false;
    }
    if (c->api->token.len > 0) {
        if (!shows_token(head_get(head, SPAN("x-mesh-token")), c->api->token)) {
            api_refuse(c, 401, 5100, NULL, "this control plane wants the header 'x-mesh-token'");
            return true;
        }
        return false;
    }
    if (!is_known_host(c->api, head->authority)) {
        api_refuse(c, 403, 5012, NULL, "'%.*s' is not a name of this control plane",
                   SPAN_ARG(span_first(head->authority, 256)));
        return true;
    }
    if ((flags & API_WRITE) != 0 && !span_is(head_get(head, SPAN("x-mesh-write")), "1")) {
        api_refuse(c, 403, 5013, NULL, "a write over TCP needs the header 'x-mesh-write: 1'");
        return true;
    }
    return false;
}

static bool is_missing(struct api_call *c, unsigned flags)
{
    const struct api *api = c->api;
    bool missing = ((flags & API_OF_CA) != 0 && api->ca == NULL) ||
                   ((flags & API_OF_INSIGHT) != 0 && api->insight == NULL) ||
                   ((flags & API_OF_TAPS) != 0 && api->taps == NULL);
    if (missing) {
        api_refuse(c, 503, 5001, NULL, "this part of control is not running");
    }
    return missing;
}

/* ---- routes ---- */

static struct api_call *new_call(struct api *api, const struct http_request *rq, struct span prefix)
{
    struct api_call *c = arena_new(http_stream_arena(rq->stream), struct api_call);
    c->api = api;
    c->rq = rq;
    c->arena = http_stream_arena(rq->stream);
    c->rest = span_from_offset(rq->path, prefix.len);
    return c;
}

static struct span prefix_of(const struct api_route *r)
{
    struct span path = span_of(r->path);
    return span_ends(path, SPAN("*")) ? span_first(path, path.len - 1) : path;
}

static void on_request(void *arg, const struct http_request *rq)
{
    const struct row *row = arg;
    struct api_call *c = new_call(row->api, rq, prefix_of(row->route));
    if (!is_refused(c, row->route->flags) && !is_missing(c, row->route->flags)) {
        row->route->handler(c);
    }
}

/* What no row answers: another method, or nothing at all. */
static void on_stranger(void *arg, const struct http_request *rq)
{
    struct api_call *c = new_call(arg, rq, SPAN_EMPTY);
    if (is_refused(c, 0)) {
        return;
    }
    const char *methods = NULL;
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        for (const struct api_route *r = parts[p]; r->methods != NULL; r++) {
            struct span prefix = prefix_of(r);
            bool fits = prefix.len < strlen(r->path) ? span_starts(rq->path, prefix)
                                                     : span_eq(rq->path, prefix);
            methods = fits ? r->methods : methods;
        }
    }
    if (methods != NULL) {
        api_refuse(c, 405, 5011, NULL, "%.*s is not for %.*s; it takes %s",
                   SPAN_ARG(span_first(rq->path, 256)), SPAN_ARG(span_first(rq->head->method, 16)),
                   methods);
    } else {
        api_refuse(c, 404, 5010, NULL, "there is no '%.*s'", SPAN_ARG(span_first(rq->path, 256)));
    }
}

static void on_live(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    (void)http_stream_reply(rq->stream, 200, SPAN("text/plain"),
                            SPAN("ok\n")); /* on_close follows a failure */
}

void api_attach(struct http_server *s, struct api *api)
{
    http_server_body_max(s, API_BODY_MAX);
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        for (const struct api_route *r = parts[p]; r->methods != NULL; r++) {
            struct row *row = http_server_keep(s, sizeof(*row));
            *row = (struct row){.api = api, .route = r};
            http_server_route(s, r->methods, r->path, (r->flags & API_STREAM) != 0, on_request,
                              row);
        }
    }
    http_server_route(s, "*", "/api/*", true, on_stranger, api);
    http_server_route(s, "GET", "/livez", true, on_live, api);
}
