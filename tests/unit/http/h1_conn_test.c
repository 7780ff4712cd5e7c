/* HTTP/1 connections: a table of what a peer may send and what becomes of it, each row naming its rule;
 * then credit, early answers, timers, pipelines, upgrades. */
#include "http/h1_conn.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "unit/http/wire.h"

/* ---- a server that tells what it got, in one line ---- */

struct record {
    struct wire w;
    struct buf text; /* "GET a /path x=y body=..; ..." */
    struct buf body;
    struct http_stream *stream;
    unsigned reply; /* answers each request with this at its end; 0 = not */
    unsigned closes;
    enum http_reset close_why;
    bool granted; /* CONNECT or upgrade answered */
};

static void say(struct record *r, struct span s)
{
    assert_int_equal(buf_append_span(&r->text, s), 0);
}

static void say_head(struct record *r, const struct head *h)
{
    char number[32];
    if (h->status) {
        snprintf(number, sizeof(number), "%u", h->status);
        say(r, span_of(number));
    } else {
        say(r, h->method);
        say(r, SPAN(" "));
        say(r, h->authority);
        say(r, SPAN(" "));
        say(r, h->path);
    }
    if (h->content_length >= 0) {
        snprintf(number, sizeof(number), " #%lld", (long long)h->content_length);
        say(r, span_of(number));
    }
    if (h->upgrade.len > 0) {
        say(r, SPAN(" ^"));
        say(r, h->upgrade);
    }
}

static void say_fields(struct record *r, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        say(r, SPAN(" "));
        say(r, h->fields[i].name);
        say(r, SPAN("="));
        say(r, h->fields[i].value);
        assert_int_equal(h->known[i], head_known_of(h->fields[i].name));
    }
}

static void finish_message(struct record *r)
{
    if (buf_len(&r->body) > 0) {
        say(r, SPAN(" <"));
        say(r, buf_span(&r->body));
        say(r, SPAN(">"));
    }
    buf_reset(&r->body);
    if (r->reply != 0 && !r->granted) {
        http_stream_reply(r->stream, r->reply, SPAN("text/plain"),
                          r->reply == 204 ? SPAN_EMPTY : SPAN("ok")); /* may be over already */
    }
}

static void on_head(void *arg, struct head *h, bool end)
{
    struct record *r = arg;
    say_head(r, h);
    say_fields(r, h);
    if (end) {
        finish_message(r);
    } else if (r->reply == 200 && (h->method_id == METHOD_CONNECT || h->upgrade.len > 0) &&
               !h->status) {
        struct head answer;
        head_init(&answer, http_stream_arena(r->stream));
        answer.status = h->upgrade.len > 0 ? 101 : 200;
        answer.upgrade = h->upgrade;
        assert_int_equal(http_stream_head(r->stream, &answer, false), 0);
        r->granted = true;
    }
}

static void on_data(void *arg, struct span data, bool end)
{
    struct record *r = arg;
    assert_int_equal(buf_append_span(&r->body, data), 0);
    http_stream_consume(r->stream, data.len);
    if (end) {
        finish_message(r);
    }
    if (end && r->granted) {
        http_stream_data(r->stream, SPAN("bye"), true);
    }
}

static void on_trailers(void *arg, struct head *h)
{
    struct record *r = arg;
    say(r, SPAN(" +"));
    say_fields(r, h);
    finish_message(r);
}

static void on_close(void *arg, enum http_reset why)
{
    struct record *r = arg;
    r->closes++;
    r->close_why = why;
    r->granted = false;
    r->stream = NULL;
    say(r, why == HTTP_RESET_NONE ? SPAN(";") : SPAN("!"));
}

static const struct http_stream_events stream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_close = on_close,
};

static void on_open(void *arg, struct http_stream *s, const struct http_stream_events **ev,
                    void **stream_arg)
{
    struct record *r = arg;
    r->stream = s;
    *ev = &stream_events;
    *stream_arg = r;
}

static void on_bad(void *arg, unsigned status, const char *why)
{
    struct record *r = arg;
    char text[32];
    assert_non_null(why);
    buf_reset(&r->body);
    snprintf(text, sizeof(text), "?%u", status);
    say(r, span_of(text));
}

static void on_gone(void *arg, enum http_reset why)
{
    struct record *r = arg;
    r->w.conn = NULL;
    r->w.gone = why;
}

static const struct http_conn_events conn_events = {
    .on_open = on_open, .on_bad = on_bad, .on_gone = on_gone};

static void record_init(struct record *r, unsigned reply, const struct http_limits *limits,
                        size_t room)
{
    memset(r, 0, sizeof(*r));
    wire_init(&r->w, room);
    buf_init(&r->text, 1u << 20);
    buf_init(&r->body, 1u << 28);
    r->reply = reply;
    struct http_conn_spec spec = {
        .io = r->w.ours,
        .proto = HTTP_PROTO_1,
        .server = true,
        .limits = limits,
        .events = &conn_events,
        .arg = r,
        .scheme = SPAN("http"),
    };
    r->w.conn = http_conn_new_take(r->w.loop, &spec);
}

static void record_dispose(struct record *r)
{
    wire_dispose(&r->w);
    buf_dispose(&r->text);
    buf_dispose(&r->body);
}

static const char *text_of(struct buf *b)
{
    const char *text = buf_cstr(b);
    assert_non_null(text);
    return text;
}

/* ---- requests: the table ---- */

struct request_case {
    const char *rule;
    struct span bytes;
    const char *want; /* events; '?status' = refused */
};
struct response_case {
    const char *rule;
    const char *method;
    struct span bytes;
    const char *want; /* events; ';' closed in order, '!' broken */
    bool reusable;    /* the connection takes another request */
    bool ended;       /* the server ends its side after the bytes */
};
#define CASE(rule, bytes, want) {rule, {bytes, sizeof(bytes) - 1}, want}
#define H "Host: a\r\n"

#define ANSWER(rule, method, bytes, want, reusable) \
    {rule, method, {bytes, sizeof(bytes) - 1}, want, reusable, false}
#define ANSWER_END(rule, method, bytes, want) \
    {rule, method, {bytes, sizeof(bytes) - 1}, want, false, true}

static const struct request_case requests[] = {
#include "unit/http/h1_requests.inc"
};
static const struct response_case responses[] = {
#include "unit/http/h1_responses.inc"
};

static unsigned wrong; /* all rows are tried before the test fails */

static void run_request(const struct request_case *k, size_t piece)
{
    struct record r;
    struct http_limits limits = http_limits_default;
    limits.head_bytes = 1024;
    limits.fields = 20;
    record_init(&r, 200, &limits, WIRE_ROOM);
    for (size_t at = 0; at < k->bytes.len && !r.w.peer_eof; at += piece) {
        wire_send(&r.w, span_first(span_from_offset(k->bytes, at), piece));
    }
    wire_run(&r.w);
    if (strcmp(text_of(&r.text), k->want) != 0) {
        print_error("%s, pieces of %zu\n  sent %s\n  got  %s\n  want %s\n", k->rule, piece,
                    k->bytes.at, text_of(&r.text), k->want);
        wrong++;
    }
    const char *refused = strrchr(k->want, '?');
    if (refused && refused[1] >= '4' &&
        refused[1] <= '5') { /* the answer says so, the connection ends */
        char line[32];
        snprintf(line, sizeof(line), "HTTP/1.1 %.3s ", refused + 1);
        if (!strstr(text_of(&r.w.got), line)) {
            print_error("%s: no %s in %s\n", k->rule, line, text_of(&r.w.got));
            wrong++;
        }
        if (!strstr(text_of(&r.w.got), "connection: close\r\n") || !r.w.peer_eof) {
            print_error("%s: not closed\n", k->rule);
            wrong++;
        }
    }
    record_dispose(&r);
}

static void test_requests(void **state)
{
    UNUSED(state);
    static const size_t pieces[] = {1u << 20, 1, 7};
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
            run_request(&requests[i], pieces[p]);
        }
    }
    assert_int_equal(wrong, 0);
    assert_true(ARRAY_LEN(requests) + ARRAY_LEN(responses) >= 150);
}

/* Cut at each length, then the end of the stream: no crash, and no exchange that the whole does not have. */
static void test_requests_truncated(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        size_t step = requests[i].bytes.len > 200 ? 61 : 1;
        for (size_t n = 0; n < requests[i].bytes.len; n += step) {
            struct record r;
            record_init(&r, 200, NULL, WIRE_ROOM);
            wire_send(&r.w, span_first(requests[i].bytes, n));
            if (r.w.conn && !r.w.peer_eof) {
                wire_send_end(&r.w);
            }
            wire_advance(&r.w, 20000);
            assert_null(r.w.conn);
            record_dispose(&r);
        }
    }
}

/* ---- responses ---- */

static void client_init(struct record *r, const struct http_limits *limits)
{
    memset(r, 0, sizeof(*r));
    wire_init(&r->w, WIRE_ROOM);
    buf_init(&r->text, 1u << 20);
    buf_init(&r->body, 1u << 28);
    struct http_conn_spec spec = {
        .io = r->w.ours,
        .proto = HTTP_PROTO_1,
        .limits = limits,
        .events = &conn_events,
        .arg = r,
        .scheme = SPAN("http"),
    };
    r->w.conn = http_conn_new_take(r->w.loop, &spec);
}

static void client_ask(struct record *r, const char *method, bool end)
{
    r->stream = http_conn_request(r->w.conn, &stream_events, r);
    assert_non_null(r->stream);
    struct head head;
    head_init(&head, http_stream_arena(r->stream));
    bool upgrade = strcmp(method, "UPGRADE") == 0;
    head.method = span_of(upgrade ? "GET" : method);
    head.method_id = head_method_of(head.method);
    head.authority = SPAN("a:1");
    head.path = head.method_id == METHOD_CONNECT ? SPAN_EMPTY : SPAN("/");
    head.upgrade = upgrade ? SPAN("websocket") : SPAN_EMPTY;
    bool tunnel = upgrade || head.method_id == METHOD_CONNECT;
    assert_int_equal(http_stream_head(r->stream, &head, end && !tunnel), 0);
    wire_run(&r->w);
}

static void run_response(const struct response_case *k, size_t piece)
{
    struct record r;
    struct http_limits limits = http_limits_default;
    limits.head_bytes = 1024;
    limits.fields = 20;
    client_init(&r, &limits);
    client_ask(&r, k->method, true);
    for (size_t at = 0; at < k->bytes.len && !r.w.peer_eof; at += piece) {
        wire_send(&r.w, span_first(span_from_offset(k->bytes, at), piece));
    }
    if (k->ended && !r.w.peer_eof) {
        wire_send_end(&r.w);
    }
    wire_run(&r.w);
    if (strcmp(text_of(&r.text), k->want) != 0) {
        print_error("%s, pieces of %zu\n  sent %s\n  got  %s\n  want %s\n", k->rule, piece,
                    k->bytes.at, text_of(&r.text), k->want);
        wrong++;
    }
    bool reusable = r.w.conn && http_conn_room(r.w.conn) == 1;
    if (reusable != k->reusable) {
        print_error("%s: %sreusable: %s\n", k->rule, reusable ? "" : "not ", k->bytes.at);
        wrong++;
    }
    record_dispose(&r);
}

static void test_responses(void **state)
{
    UNUSED(state);
    static const size_t pieces[] = {1u << 20, 1, 7};
    for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
        for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
            run_response(&responses[i], pieces[p]);
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_truncated),
        cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
