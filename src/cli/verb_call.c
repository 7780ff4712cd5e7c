/* Asking control, and how it is said when that fails.
 * In: verbs. Out: http/http_client. */
#include <stdio.h>
#include <string.h>

#include "cli/verb_int.h"
#include "codec/doc.h"
#include "http/http_client.h"
#include "io/signals.h"
#include "mesh/codes.h"

#define ANSWER_MAX (64u << 20)

/* ---- errors ---- */

static void print_part(FILE *to, const char *name, struct span text)
{
    if (text.len > 0) {
        fprintf(to, "  %-7s %.*s\n", name, SPAN_ARG(text));
    }
}

static struct span text_of(const struct doc_node *map, const char *key)
{
    const struct doc_node *n = map && doc_is(map, DOC_MAP) ? doc_get(map, key) : NULL;
    return n && doc_is(n, DOC_TEXT) ? n->text : SPAN_EMPTY;
}

static void print_where(struct verb *v, FILE *to, const struct doc_node *where)
{
    if (!where || !doc_is(where, DOC_MAP)) {
        return;
    }
    struct span kind = text_of(where, "kind");
    struct span name = text_of(where, "name");
    struct span file = text_of(where, "file");
    const struct doc_node *line = doc_get(where, "line");
    const char *text = "";
    if (name.len > 0) {
        text = arena_printf(&v->arena, "%.*s %.*s/%.*s  ", SPAN_ARG(kind),
                            SPAN_ARG(text_of(where, "namespace")), SPAN_ARG(name));
    }
    text = arena_printf(&v->arena, "%s%.*s", text, SPAN_ARG(text_of(where, "path")));
    if (file.len > 0) {
        text = arena_printf(&v->arena, "%s  %.*s", text, SPAN_ARG(file));
        if (line && doc_is(line, DOC_INT) && line->integer > 0) {
            text = arena_printf(&v->arena, "%s:%lld", text, (long long)line->integer);
        }
    }
    print_part(to, "where", span_trim(span_of(text)));
}

/* `why` and `fix` are a text, or a list of texts or of {text, command}. */
static void print_list(FILE *to, const char *name, const struct doc_node *node)
{
    if (!node) {
        return;
    }
    if (doc_is(node, DOC_TEXT)) {
        print_part(to, name, node->text);
    }
    for (size_t i = 0; doc_is(node, DOC_LIST) && i < doc_count(node); i++) {
        const struct doc_node *one = doc_at(node, i);
        struct span text = doc_is(one, DOC_TEXT) ? one->text : text_of(one, "text");
        print_part(to, i == 0 ? name : "", text.len > 0 ? text : text_of(one, "command"));
    }
}

void verb_print_finding_to(struct verb *v, FILE *to, const struct doc_node *finding)
{
    struct span code = text_of(finding, "code");
    struct span severity = text_of(finding, "severity");
    bool is_warning = span_is(severity, "warning");
    enum table_tone tone = is_warning ? TONE_WARN : TONE_BAD;
    fprintf(to, "%s%s[%.*s]%s: %.*s\n", table_tone_on(v, tone), is_warning ? "warning" : "error",
            SPAN_ARG(code), table_tone_off(v, tone), SPAN_ARG(text_of(finding, "what")));
    print_where(v, to, doc_get(finding, "where"));
    print_list(to, "why", doc_get(finding, "why"));
    print_list(to, "fix", doc_get(finding, "fix"));
    if (code.len > 0) {
        fprintf(to, "  %-7s mesh explain %.*s\n", "more", SPAN_ARG(code));
    }
}

void verb_print_finding(struct verb *v, const struct doc_node *finding)
{
    verb_print_finding_to(v, stderr, finding);
}

static void print_error(struct verb *v, const struct doc_node *error)
{
    if (v->flags->output == OUTPUT_JSON || v->flags->output == OUTPUT_JSONL) {
        struct buf text;
        buf_init(&text, ANSWER_MAX);
        if (doc_write_json(error, v->flags->output == OUTPUT_JSON, &text) == 0) {
            fprintf(stderr, "%.*s\n", SPAN_ARG(span_trim(buf_span(&text))));
        }
        buf_dispose(&text);
    } else {
        verb_print_finding(v, error);
    }
}

int verb_fail(struct verb *v, int exit_code, unsigned code, const char *fix, const char *what, ...)
{
    char text[1024];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    const struct code_row *row = codes_find(code);
    struct doc_node *error = doc_new_map(&v->arena);
    struct arena *a = &v->arena;
    doc_set(a, error, "apiVersion", doc_cstr(a, "mesh/v1"));
    doc_set(a, error, "kind", doc_cstr(a, "Error"));
    doc_set(a, error, "code", doc_cstr(a, arena_printf(a, "MESH%04u", code)));
    doc_set(a, error, "severity",
            doc_cstr(a, codes_severity_name(row ? row->severity : CODE_ERROR)));
    doc_set(a, error, "what", doc_cstr(a, text));
    if (fix || row) {
        doc_list_add(a, doc_list_in(a, error, "fix"), doc_cstr(a, fix ? fix : row->remedy));
    }
    print_error(v, error);
    return exit_code;
}

/* ---- one call ---- */

struct calling {
    struct verb *verb;
    struct doc_node *answer;
    unsigned status; /* 0: no answer */
    struct err err;
};

static void on_answer(void *arg, const struct http_answer *a)
{
    struct calling *c = arg;
    if (a->err) {
        c->err = *a->err;
    } else {
        c->status = a->head->status;
        struct span body = arena_dup(&c->verb->arena, a->body);
        if (doc_parse_json(&c->verb->arena, body, "answer", &c->answer, &c->err) != 0) {
            c->status = 0;
        }
    }
    loop_stop(c->verb->loop);
}

static int exit_of(unsigned status)
{
    switch (status) {
    case 400:
    case 422:
        return EXIT_INVALID;
    case 401:
    case 403:
        return EXIT_FORBIDDEN;
    case 404:
        return EXIT_MISSING;
    case 409:
        return EXIT_NEGATIVE;
    case 504:
        return EXIT_TIMED_OUT;
    default:
        return EXIT_UNREACHABLE;
    }
}

static int unreachable(struct verb *v, const struct err *err)
{
    return verb_fail(v, EXIT_UNREACHABLE, 1001,
                     "mesh demo        starts a whole mesh; --addr names another control",
                     "control does not answer at %s: %s", v->target, err->text);
}

int verb_try(struct verb *v, const char *method, const char *path, struct span body,
             struct doc_node **out)
{
    struct calling calling = {.verb = v};
    static const struct header write = {.name = SPAN_INIT("x-mesh-write"), .value = SPAN_INIT("1")};
    int code = verb_connect(v);
    if (code == 0 && v->cluster) {
        code = verb_cluster_try(v, method, path, body, out, &calling.status);
        return code ? code : calling.status / 100 == 2 ? EXIT_DONE : exit_of(calling.status);
    }
    if (code != 0) {
        return code;
    }
    http_client_call(v->client, &(struct http_call){.method = span_of(method),
                                                    .path = span_of(path),
                                                    .fields = &write,
                                                    .field_count = strcmp(method, "GET") != 0,
                                                    .body = body,
                                                    .timeout_ms = v->flags->timeout_ms,
                                                    .body_max = ANSWER_MAX,
                                                    .on_answer = on_answer,
                                                    .arg = &calling});
    loop_run(v->loop);
    if (calling.status == 0) {
        return unreachable(v, &calling.err);
    }
    *out = calling.answer;
    return calling.status / 100 == 2 ? 0 : exit_of(calling.status);
}

int verb_send(struct verb *v, const char *method, const char *path, struct span body,
              struct doc_node **out)
{
    *out = NULL;
    int code = verb_try(v, method, path, body, out);
    if (code != 0 && *out) {
        print_error(v, *out);
    }
    return code;
}

int verb_get(struct verb *v, const char *path, struct doc_node **out)
{
    return verb_send(v, "GET", path, SPAN_EMPTY, out);
}

/* ---- a stream of events ---- */

struct streaming {
    struct verb *verb;
    const char *path;
    bool (*on_event)(void *arg, struct doc_node *event);
    void *arg;
    struct http_stream *stream;
    struct buf text; /* what is not yet a whole line */
    struct arena event;
    struct err err;
    int code;
    bool has_ended;
};

static void end_stream(struct streaming *s, int code)
{
    s->code = code;
    s->has_ended = true;
    loop_stop(s->verb->loop);
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct streaming *s = arg;
    if (head->status != 200 || end) {
        (void)err_set(&s->err, -ERR_PROTO, "it answered %u", head->status);
        end_stream(s, exit_of(head->status));
    }
}

/* Our own server sends each event as one "data:" line (http/sse). */
static void take_line(struct streaming *s, struct span line)
{
    struct doc_node *event = NULL;
    if (!span_starts(line, SPAN("data:"))) {
        return;
    }
    arena_reset(&s->event);
    struct span json = arena_dup(&s->event, span_trim(span_from_offset(line, 5)));
    struct err err;
    if (doc_parse_json(&s->event, json, "event", &event, &err) == 0 && s->on_event(s->arg, event)) {
        end_stream(s, EXIT_DONE);
    }
}

static void on_data(void *arg, struct span data, bool end)
{
    struct streaming *s = arg;
    http_stream_consume(s->stream, data.len);
    if (buf_append_span(&s->text, data) != 0) {
        buf_reset(&s->text); /* no event is so long */
    }
    for (ssize_t at; !s->has_ended && (at = span_find_byte(buf_span(&s->text), '\n')) >= 0;) {
        take_line(s, span_first(buf_span(&s->text), (size_t)at));
        buf_consume(&s->text, (size_t)at + 1);
    }
    if (end && !s->has_ended) {
        end_stream(s, EXIT_DONE);
    }
}

static void on_close(void *arg, enum http_reset why)
{
    struct streaming *s = arg;
    s->stream = NULL;
    if (why != HTTP_RESET_NONE && why != HTTP_RESET_LOCAL) {
        (void)err_set(&s->err, -ERR_RESET, "%s", http_reset_name(why));
        end_stream(s, EXIT_UNREACHABLE);
    }
}

static const struct http_stream_events stream_events = {
    .on_head = on_head, .on_data = on_data, .on_close = on_close};

static void on_stream(void *arg, struct http_stream *stream, const struct err *err)
{
    struct streaming *s = arg;
    if (!stream) {
        s->err = *err;
        end_stream(s, EXIT_UNREACHABLE);
        return;
    }
    s->stream = stream;
    struct head head;
    head_init(&head, http_stream_arena(stream));
    head.method = SPAN("GET");
    head.method_id = METHOD_GET;
    head.path = span_of(s->path);
    head.authority = http_client_authority(s->verb->client);
    head.scheme = http_client_scheme(s->verb->client);
    head.content_length = 0;
    http_stream_head(stream, &head, true);
}

static void on_interrupt(void *arg, int signo)
{
    UNUSED(signo);
    end_stream(arg, EXIT_DONE);
}

int verb_stream(struct verb *v, const char *path,
                bool (*on_event)(void *arg, struct doc_node *event), void *arg)
{
    static const int signos[] = {2 /* SIGINT */, 15 /* SIGTERM */, 0};
    struct streaming s = {.verb = v, .path = path, .on_event = on_event, .arg = arg};
    int code = verb_connect(v);
    if (code != 0 || v->cluster) {
        return code ? code : verb_cluster_stream(v, path, on_event, arg);
    }
    buf_init(&s.text, 1u << 20);
    arena_init(&s.event, 16384);
    struct signals *signals = signals_new(v->loop, signos, on_interrupt, &s);
    (void)http_client_open(v->client, &stream_events, &s, on_stream);
    loop_run(v->loop);
    if (s.stream) {
        http_stream_reset(s.stream, HTTP_RESET_LOCAL);
    }
    signals_free(signals);
    buf_dispose(&s.text);
    arena_dispose(&s.event);
    return s.err.code != 0 ? unreachable(v, &s.err) : s.code;
}
