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
    struct http_limits limits = http_limits_default;
    limits.head_bytes = 1024;
    limits.fields = 20;
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
    struct http_limits limits = http_limits_default;
    limits.head_bytes = 1024;
    limits.fields = 20;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_requests_truncated),
        cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
