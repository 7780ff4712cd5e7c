/* HTTP/2 connections: a table of raw frames that a peer may send and what becomes of them, each row naming
 * its rule; then credit, limits, drain. */
#include "http/h2_conn.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "unit/http/frames.h"
#include "unit/http/record.h"

struct frame_case {
    const char *rule;
    const char *script;
    const char *want;   /* events, as record.h */
    const char *frames; /* what we send, as frames.h */
};

static const struct frame_case requests[] = {
#include "unit/http/h2_requests.inc"
};
static const struct frame_case responses[] = {
#include "unit/http/h2_responses.inc"
};

static unsigned wrong; /* all rows are tried before the test fails */

static void run_case(const struct frame_case *k, bool server, size_t piece, size_t cut)
{
    struct record r;
    struct buf bytes;
    char frames[512];
    struct http_limits limits = http_limits_default;
    limits.head_bytes = 2048;
    limits.fields = 20;
    limits.streams = 3;
    limits.resets = 10;
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, server, 200, &limits, 0});
    buf_init(&bytes, 1u << 24);
    if (!server) {
        record_ask(&r, strncmp(k->rule, "CONNECT ", 8) == 0 ? "CONNECT" : "GET", true);
        buf_reset(&r.w.got);
        r.reply = 0;
    }
    if (k->script[0] != '!') {
        frames_write(&bytes, server ? "M;S" : "S");
    }
    frames_write(&bytes, k->script + (k->script[0] == '!'));
    struct span all = span_first(buf_span(&bytes), cut);
    for (size_t at = 0; at < all.len && !r.w.peer_eof; at += piece) {
        wire_send(&r.w, span_first(span_from_offset(all, at), piece));
    }
    wire_run(&r.w);
    if (cut < SIZE_MAX) {
        if (r.w.conn && !r.w.peer_eof) {
            wire_send_end(&r.w);
        }
        wire_advance(&r.w, 5000);
        assert_null(r.w.conn);
    } else {
        frames_read(buf_span(&r.w.got), frames, sizeof(frames));
        if (strcmp(record_text(&r), k->want) != 0 || strcmp(frames, k->frames) != 0) {
            print_error("%s, pieces of %zu\n  sent %s\n  got  %s  (%s)\n  want %s  (%s)\n", k->rule,
                        piece, k->script, record_text(&r), frames, k->want, k->frames);
            wrong++;
        }
    }
    buf_dispose(&bytes);
    record_dispose(&r);
}

static void run_table(const struct frame_case *rows, size_t count, bool server)
{
    wrong = 0;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].rule[0] != '~') { /* in one piece, ends are told after all begins */
            run_case(&rows[i], server, SIZE_MAX / 2, SIZE_MAX);
        }
        run_case(&rows[i], server, 1, SIZE_MAX);
        run_case(&rows[i], server, 7, SIZE_MAX);
    }
    assert_int_equal(wrong, 0);
    for (size_t i = 0; i < count; i++) {
        for (size_t cut = 0; cut < 400; cut += cut < 120 ? 1 : 13) {
            run_case(&rows[i], server, SIZE_MAX / 2, cut);
        }
    }
}

static void test_requests(void **state)
{
    UNUSED(state);
    run_table(requests, ARRAY_LEN(requests), true);
    assert_true(ARRAY_LEN(requests) + ARRAY_LEN(responses) >= 60);
}

static void test_responses(void **state)
{
    UNUSED(state);
    run_table(responses, ARRAY_LEN(responses), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
