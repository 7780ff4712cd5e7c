/* HTTP/1 connections: a table of what a peer may send and what becomes of it, each row naming its rule;
 * then credit, early answers, timers, pipelines, upgrades. */
#include "http/h1_conn.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "unit/http/record.h"

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
    struct http_limits limits = limits_default;
    limits.head_bytes = limits.trailer_bytes = 1024;
    limits.fields = limits.trailer_fields = 20;
    record_init(&r, &(struct record_spec){.server = true, .reply = 200, .limits = &limits});
    for (size_t at = 0; at < k->bytes.len && !r.w.peer_eof; at += piece) {
        wire_send(&r.w, span_first(span_from_offset(k->bytes, at), piece));
    }
    wire_run(&r.w);
    if (strcmp(record_text(&r), k->want) != 0) {
        print_error("%s, pieces of %zu\n  sent %s\n  got  %s\n  want %s\n", k->rule, piece,
                    k->bytes.at, record_text(&r), k->want);
        wrong++;
    }
    const char *refused = strrchr(k->want, '?');
    if (refused && refused[1] >= '4' &&
        refused[1] <= '5') { /* the answer says so, the connection ends */
        char line[32];
        snprintf(line, sizeof(line), "HTTP/1.1 %.3s ", refused + 1);
        if (!strstr(record_got(&r), line)) {
            print_error("%s: no %s in %s\n", k->rule, line, record_got(&r));
            wrong++;
        }
        if (!strstr(record_got(&r), "connection: close\r\n") || !r.w.peer_eof) {
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
            record_init(&r, &(struct record_spec){.server = true, .reply = 200});
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

static void run_response(const struct response_case *k, size_t piece)
{
    struct record r;
    struct http_limits limits = limits_default;
    limits.head_bytes = limits.trailer_bytes = 1024;
    limits.fields = limits.trailer_fields = 20;
    record_init(&r, &(struct record_spec){.limits = &limits});
    record_ask(&r, k->method, true);
    for (size_t at = 0; at < k->bytes.len && !r.w.peer_eof; at += piece) {
        wire_send(&r.w, span_first(span_from_offset(k->bytes, at), piece));
    }
    if (k->ended && !r.w.peer_eof) {
        wire_send_end(&r.w);
    }
    wire_run(&r.w);
    if (strcmp(record_text(&r), k->want) != 0) {
        print_error("%s, pieces of %zu\n  sent %s\n  got  %s\n  want %s\n", k->rule, piece,
                    k->bytes.at, record_text(&r), k->want);
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

/* ---- what a table can not say ---- */

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static void server_init(struct record *r, unsigned reply, const struct http_limits *limits)
{
    record_init(r, &(struct record_spec){.server = true, .reply = reply, .limits = limits});
}

static void test_slow_head(void **state)
{
    UNUSED(state);
    struct record r;
    server_init(&r, 200, NULL);
    wire_send(&r.w, SPAN("GET / HT"));
    wire_advance(&r.w, 59000);
    wire_send(&r.w, SPAN("TP/1.1\r\n")); /* a trickle does not move the deadline */
    assert_non_null(r.w.conn);
    wire_advance(&r.w, 1500);
    assert_string_equal(record_text(&r), "?408");
    assert_non_null(strstr(record_got(&r), "HTTP/1.1 408 "));
    assert_true(r.w.peer_eof);
    wire_advance(&r.w, 3000);
    assert_null(r.w.conn);
    assert_int_equal(r.w.gone, HTTP_RESET_TIMEOUT);
    record_dispose(&r);
}

static void test_half_close(void **state)
{
    UNUSED(state);
    struct record r;
    server_init(&r, 0, NULL);
    wire_send(&r.w, SPAN(GET));
    wire_send_end(&r.w);
    wire_advance(&r.w, 5000);
    assert_string_equal(record_text(&r), "GET a /");
    assert_int_equal(http_stream_reply(r.stream, 200, SPAN("text/plain"), SPAN("late")), 0);
    wire_run(&r.w);
    assert_non_null(strstr(record_got(&r), "connection: close\r\n\r\nlate"));
    assert_string_equal(record_text(&r), "GET a /;");
    assert_null(r.w.conn);
    record_dispose(&r);
    server_init(&r, 0, NULL); /* no answer: taken for gone after a while */
    wire_send(&r.w, SPAN(GET));
    wire_send_end(&r.w);
    wire_advance(&r.w, 11000);
    assert_string_equal(record_text(&r), "GET a /!");
    assert_int_equal(r.w.gone, HTTP_RESET_PEER);
    record_dispose(&r);
}

/* A later request waits, bounded, until the earlier has been answered; then it runs. */
static void test_pipeline_waits(void **state)
{
    UNUSED(state);
    struct record r;
    server_init(&r, 0, NULL);
    for (unsigned i = 0; i < 5; i++) {
        wire_send(&r.w, SPAN(GET));
    }
    assert_string_equal(record_text(&r), "GET a /");
    char want[256] = "GET a /";
    for (unsigned i = 1; i < 5; i++) {
        http_stream_reply(r.stream, 204, SPAN_EMPTY, SPAN_EMPTY);
        wire_run(&r.w);
        snprintf(want + strlen(want), sizeof(want) - strlen(want), ";GET a /");
        assert_string_equal(record_text(&r), want);
    }
    record_dispose(&r);
}

/* Many requests in one read are answered over several turns, none lost. */
static void test_pipeline_many(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf all;
    server_init(&r, 204, NULL);
    buf_init(&all, 1u << 20);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(buf_append_span(&all, SPAN(GET)), 0);
    }
    wire_send(&r.w, buf_span(&all));
    wire_run(&r.w);
    assert_int_equal(r.closes, 1000);
    buf_dispose(&all);
    record_dispose(&r);
}

static void test_continue(void **state)
{
    UNUSED(state);
    struct record r;
    server_init(&r, 0, NULL);
    wire_send(
        &r.w,
        SPAN("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    assert_string_equal(record_text(&r), "POST a / #2 expect=100-continue");
    struct head h;
    head_init(&h, http_stream_arena(r.stream));
    h.status = 100;
    assert_int_equal(http_stream_head(r.stream, &h, false), 0);
    wire_run(&r.w);
    assert_string_equal(record_got(&r), "HTTP/1.1 100 Continue\r\n\r\n");
    wire_send(&r.w, SPAN("hi"));
    http_stream_reply(r.stream, 204, SPAN_EMPTY, SPAN_EMPTY);
    wire_run(&r.w);
    assert_non_null(r.w.conn); /* kept: the body came */
    wire_send(
        &r.w,
        SPAN("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    http_stream_reply(r.stream, 417, SPAN_EMPTY, SPAN_EMPTY);
    wire_run(&r.w);
    assert_non_null(
        strstr(record_got(&r), "connection: close")); /* body or next request? not ours to guess */
    assert_true(r.w.peer_eof);
    record_dispose(&r);
}

/* What nobody consumes stops the reading; what is consumed lets it go on. */
static void test_credit(void **state)
{
    UNUSED(state);
    struct record r;
    struct http_limits limits = limits_default;
    limits.stream_window = 1000;
    server_init(&r, 0, &limits);
    r.keep = SIZE_MAX;
    wire_send(&r.w, SPAN("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"));
    static char kilobyte[1024];
    for (unsigned i = 0; i < 100; i++) {
        wire_send(&r.w, span_from(kilobyte, sizeof(kilobyte)));
    }
    assert_int_equal(buf_len(&r.body), 1024);
    http_stream_consume(r.stream, 1024);
    wire_run(&r.w);
    assert_true(buf_len(&r.body) > 1024);
    assert_true(buf_len(&r.body) <= 1024 + LOOP_READ_BYTES);
    record_dispose(&r);
}

/* An early answer: the rest of the request is read and dropped, up to a limit, and the connection goes on. */
static void test_early_rest(void **state)
{
    UNUSED(state);
    struct record r;
    server_init(&r, 0, NULL);
    wire_send(&r.w, SPAN("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"));
    http_stream_reply(r.stream, 413, SPAN_EMPTY, SPAN_EMPTY);
    wire_run(&r.w);
    assert_string_equal(record_text(&r), "POST a /1 #5;");
    wire_send(&r.w, SPAN("lloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_string_equal(record_text(&r), "POST a /1 #5;GET a /2");
    http_stream_reply(r.stream, 204, SPAN_EMPTY, SPAN_EMPTY);
    wire_run(&r.w);
    wire_send(&r.w, SPAN("POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nhe"));
    http_stream_reply(r.stream, 413, SPAN_EMPTY, SPAN_EMPTY);
    wire_run(&r.w);
    static char lump[65536];
    for (unsigned i = 0; i < 10 && r.w.conn; i++) {
        wire_send(&r.w, span_from(lump, sizeof(lump)));
    }
    assert_null(r.w.conn);
    record_dispose(&r);
}

/* Head and body leave in one write; a head alone at the end of the turn. */
static void test_one_write(void **state)
{
    UNUSED(state);
    struct record r;
    server_init(&r, 200, NULL);
    wire_send(&r.w, SPAN(GET));
    assert_string_equal(
        record_got(&r),
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok");
    record_dispose(&r);
    server_init(&r, 0, NULL);
    wire_send(&r.w, SPAN(GET));
    struct head h;
    head_init(&h, http_stream_arena(r.stream));
    h.status = 200;
    assert_int_equal(http_stream_head(r.stream, &h, false), 0);
    assert_int_equal(buf_len(&r.w.got), 0);
    wire_drain(&r.w);
    assert_int_equal(buf_len(&r.w.got), 0); /* still waiting for data */
    wire_run(&r.w);
    assert_string_equal(record_got(&r), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    http_stream_data(r.stream, SPAN("hello"), false);
    http_stream_data(r.stream, SPAN_EMPTY, true);
    wire_run(&r.w);
    assert_non_null(strstr(record_got(&r), "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"));
    record_dispose(&r);
}

/* HTTP/1.0: no chunks, no interim answers; the end of the connection ends the body. */
static void test_http10(void **state)
{
    UNUSED(state);
    struct record r;
    server_init(&r, 0, NULL);
    wire_send(&r.w, SPAN("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    struct head h;
    head_init(&h, http_stream_arena(r.stream));
    h.status = 103;
    assert_int_equal(http_stream_head(r.stream, &h, false), 0);
    h.status = 200;
    assert_int_equal(http_stream_head(r.stream, &h, false), 0);
    http_stream_data(r.stream, SPAN("all"), true);
    wire_run(&r.w);
    assert_string_equal(record_got(&r), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall");
    assert_true(r.w.peer_eof);
    record_dispose(&r);
}

static void test_unsolicited(void **state)
{
    UNUSED(state);
    struct record r;
    record_init(&r, &(struct record_spec){.server = false});
    wire_send(&r.w, SPAN("HTTP/1.1 408 Too slow\r\n\r\n"));
    assert_null(r.w.conn);
    assert_int_equal(r.w.gone, HTTP_RESET_PROTO);
    record_dispose(&r);
}

/* The peer fails in each state: one close, one end, nothing left over. */
static void test_broken_in_each_state(void **state)
{
    UNUSED(state);
    static const char *const steps[] = {
        "",
        "GET / HT",
        GET,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        "CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\nxyz"};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        for (unsigned replies = 0; replies < 2; replies++) {
            struct record r;
            server_init(&r, replies ? 200 : 0, NULL);
            wire_send(&r.w, span_of(steps[i]));
            io_mem_break(r.w.ours, -ERR_RESET);
            wire_turn(&r.w);
            if (r.w.conn) { /* bytes wait for our answer, so it does not read: the answer finds out */
                http_stream_reply(r.stream, 200, SPAN_EMPTY, SPAN("ok"));
                wire_turn(&r.w);
            }
            assert_null(r.w.conn);
            assert_true(r.closes <= 1);
            assert_null(r.stream);
            record_dispose(&r);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),      cmocka_unit_test(test_requests_truncated),
        cmocka_unit_test(test_responses),     cmocka_unit_test(test_slow_head),
        cmocka_unit_test(test_half_close),    cmocka_unit_test(test_pipeline_waits),
        cmocka_unit_test(test_pipeline_many), cmocka_unit_test(test_continue),
        cmocka_unit_test(test_credit),        cmocka_unit_test(test_early_rest),
        cmocka_unit_test(test_one_write),     cmocka_unit_test(test_http10),
        cmocka_unit_test(test_unsolicited),   cmocka_unit_test(test_broken_in_each_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
