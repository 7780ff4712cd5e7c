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
    struct http_limits limits = limits_default;
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

/* ---- floods: what costs the peer little must cost us little, and end ---- */

static void test_floods(void **state)
{
    UNUSED(state);
    static const struct {
        const char *name;
        const char *once;
        const char *again;
        unsigned times;
        bool ends;
        enum limit broke;
    } rows[] = {
        {"ping", "", "P", 3000, true, LIMIT_control_frames},
        {"settings", "", "S", 3000, true, LIMIT_control_frames},
        {"priority", "", "Y1 3", 3000, true, LIMIT_priority_frames},
        {"empty data", "H1 Q", "D1", 3000, true, LIMIT_empty_frames},
        {"padding alone", "H1 Q", "X0.8.1 020000", 3000, true, LIMIT_empty_frames},
        {"window updates", "H1 Q", "W0 1", 3000, true, LIMIT_window_frames},
        {"unknown frames", "", "X77.0.0 00", 3000, false, 0}, /* skipped by nghttp2, at no cost */
        {"continuation", "H1- Q", "C1- x=y", 3000, true, LIMIT_continuations},
        {"empty continuation", "H1- Q", "C1-", 3000, true, LIMIT_continuations},
        {"invalid heads", NULL, "H%u :method=GET", 2000, true, LIMIT_resets},
        {"resets", NULL, "H%u Q;R%u 8", 2000, true, LIMIT_resets},
        {"provoked resets", NULL, "H%u Q;W%u 2147483647", 2000, true, LIMIT_resets},
        {"ordinary requests", NULL, "H%ue Q", 3000, false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct record r;
        struct buf bytes;
        struct buf all; /* what the last turn brought */
        char frames[512];
        size_t most = 0;
        record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 204, NULL, 0});
        buf_init(&bytes, 1u << 24);
        buf_init(&all, 1u << 24);
        frames_write(&bytes, "M;S");
        frames_write(&bytes, rows[i].once ? rows[i].once : "");
        wire_send(&r.w, buf_span(&bytes));
        size_t before = mem_live_bytes();
        for (unsigned n = 0; n < rows[i].times && !r.w.peer_eof; n++) {
            char script[64];
            snprintf(script, sizeof(script), rows[i].again, 2 * n + 1, 2 * n + 1);
            buf_reset(&bytes);
            frames_write(&bytes, script);
            buf_reset(&all);
            wire_send(&r.w, buf_span(&bytes));
            assert_int_equal(buf_append_span(&all, buf_span(&r.w.got)), 0);
            buf_reset(&r.w.got);
            most = size_max(most, mem_live_bytes());
        }
        if (r.w.peer_eof != rows[i].ends) {
            fail_msg("%s: %s", rows[i].name, rows[i].ends ? "does not end" : "ends");
        }
        enum limit broke = r.w.conn ? http_conn_broke(r.w.conn) : LIMIT_NONE;
        if (broke != rows[i].broke) {
            fail_msg("%s: broke %s", rows[i].name, limits_rows[broke].name);
        }
        if (rows[i].ends && !strstr(frames_read(buf_span(&all), frames, sizeof(frames)), "G=11")) {
            fail_msg("%s: '%s' and no ENHANCE_YOUR_CALM", rows[i].name, frames);
        }
        buf_dispose(&all);
        if (most > before + (1u << 19)) {
            fail_msg("%s: %zu bytes", rows[i].name, most - before);
        }
        buf_dispose(&bytes);
        record_dispose(&r);
    }
}

/* A quiet connection that is kept alive: time pays for its PINGs. And one that cancels some of many requests. */
static void test_no_floods(void **state)
{
    UNUSED(state);
    static const char *const scripts[] = {"P;W0 1", "H%ue Q;H%ue Q;H%u Q;R%u 8"};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct record r;
        struct buf bytes;
        record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 204, NULL, 0});
        buf_init(&bytes, 1u << 24);
        frames_write(&bytes, "M;S");
        for (unsigned n = 0; n < 3000; n++) {
            char script[80];
            snprintf(script, sizeof(script), scripts[i], 6 * n + 1, 6 * n + 3, 6 * n + 5,
                     6 * n + 5);
            frames_write(&bytes, script);
            wire_send(&r.w, buf_span(&bytes));
            buf_reset(&bytes);
            buf_reset(&r.w.got);
            if (i == 0) {
                wire_advance(&r.w, 20);
            }
        }
        assert_non_null(r.w.conn);
        assert_false(r.w.peer_eof);
        buf_dispose(&bytes);
        record_dispose(&r);
    }
}

/* One who does not read our last frames does not keep the connection. */
static void test_unread_end(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf bytes;
    struct http_limits limits = limits_default;
    limits.write_ms = 1500;
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 0, &limits, 4096});
    buf_init(&bytes, 1u << 24);
    frames_write(&bytes, "M;S;H1 Q");
    wire_send(&r.w, buf_span(&bytes));
    for (unsigned n = 0; n < 30; n++) {
        buf_reset(&bytes);
        frames_write(&bytes, n < 29 ? "P;P;P;P;P;P;P;P;P;P" : "D0 x"); /* the end of it all */
        assert_int_equal(io_write(r.w.peer, buf_span(&bytes).at, buf_len(&bytes)), buf_len(&bytes));
        wire_turn(&r.w);
        assert_non_null(r.w.conn);
    }
    wire_advance(&r.w, 2000);
    assert_null(r.w.conn);
    buf_dispose(&bytes);
    record_dispose(&r);
}

/* PINGs from one who does not read the answers: they do not pile up. */
static void test_unread_answers(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf bytes;
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 204, NULL, 4096});
    buf_init(&bytes, 1u << 24);
    frames_write(&bytes, "M;S");
    wire_send(&r.w, buf_span(&bytes));
    size_t before = mem_live_bytes();
    buf_reset(&bytes);
    frames_write(&bytes, "P;P;P;P;P;P;P;P;P;P");
    for (unsigned n = 0; n < 3000 && r.w.conn; n++) {
        if (io_write(r.w.peer, buf_span(&bytes).at, buf_len(&bytes)) <= 0) {
            break;
        }
        wire_turn(&r.w);
    }
    assert_true(mem_live_bytes() < before + (1u << 18));
    wire_advance(&r.w, 2000);
    assert_null(r.w.conn);
    buf_dispose(&bytes);
    record_dispose(&r);
}

/* A head that is announced small on the wire and large when unpacked (HPACK references). */
static void test_hpack_bomb(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf bytes;
    struct buf block;
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 204, NULL, 0});
    buf_init(&bytes, 1u << 24);
    buf_init(&block, 1u << 20);
    frames_write(&bytes, "M;S");
    wire_send(&r.w, buf_span(&bytes));
    size_t before = mem_live_bytes();
    /* literal with indexing, name "x", value of 3900 bytes; then 12,000 references to it */
    assert_int_equal(buf_append(&block, "\x40\x01x\x7f\xbd\x1d", 6), 0);
    for (unsigned n = 0; n < 3900; n++) {
        assert_int_equal(buf_append_byte(&block, 'a'), 0);
    }
    for (unsigned n = 0; n < 12000; n++) {
        assert_int_equal(buf_append_byte(&block, (char)0xbe), 0);
    }
    buf_reset(&bytes);
    size_t len = buf_len(&block);
    char head[9] = {(char)(len >> 16), (char)(len >> 8), (char)len, 1, 5, 0, 0, 0, 1};
    assert_int_equal(buf_append(&bytes, head, 9), 0);
    assert_int_equal(buf_append_span(&bytes, buf_span(&block)), 0);
    wire_send(&r.w, buf_span(&bytes));
    assert_true(mem_live_bytes() < before + (1u << 18));
    assert_true(r.w.peer_eof); /* far above the limit: no mistake */
    buf_dispose(&bytes);
    buf_dispose(&block);
    record_dispose(&r);
}

static void test_cookie_crumbs(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf bytes;
    struct buf script;
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 204, NULL, 0});
    buf_init(&bytes, 1u << 24);
    buf_init(&script, 1u << 20);
    assert_int_equal(buf_printf(&script, "M;S;H1e Q"), 0);
    for (unsigned n = 0; n < 300; n++) {
        assert_int_equal(buf_printf(&script, "|cookie=c%u", n), 0);
    }
    size_t before = mem_live_bytes();
    frames_write(&bytes, buf_cstr(&script));
    wire_send(&r.w, buf_span(&bytes));
    assert_non_null(strstr(record_text(&r), "cookie=c0; c1; c2; "));
    assert_non_null(strstr(record_text(&r), "; c299;"));
    assert_true(mem_live_bytes() < before + (1u << 18));
    buf_dispose(&bytes);
    buf_dispose(&script);
    record_dispose(&r);
}

/* A preface, or a head, that does not come to its end. */
static void test_slow(void **state)
{
    UNUSED(state);
    static const char *const scripts[] = {"", "M", "M;S;H1- Q"};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        struct record r;
        struct buf bytes;
        record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 204, NULL, 0});
        buf_init(&bytes, 1000);
        frames_write(&bytes, scripts[i]);
        wire_send(&r.w, buf_span(&bytes));
        wire_run(&r.w);
        wire_advance(&r.w, 59000);
        assert_non_null(r.w.conn);
        wire_advance(&r.w, 2000);
        wire_advance(&r.w, 2000);
        assert_null(r.w.conn);
        assert_int_equal(r.w.gone, HTTP_RESET_TIMEOUT);
        buf_dispose(&bytes);
        record_dispose(&r);
    }
}

/* GOAWAY in two steps: all is served that came before the second; then the client may close first. */
static void test_drain_two_steps(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf bytes;
    char frames[256];
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 204, NULL, 0});
    buf_init(&bytes, 1000);
    frames_write(&bytes, "M;S");
    wire_send(&r.w, buf_span(&bytes));
    http_conn_drain(r.w.conn);
    wire_run(&r.w);
    buf_reset(&bytes);
    frames_write(&bytes, "H1e Q");
    wire_send(&r.w, buf_span(&bytes));
    assert_string_equal(frames_read(buf_span(&r.w.got), frames, sizeof(frames)), "G=0 H1e");
    assert_non_null(r.w.conn);
    wire_advance(&r.w, 1100);
    wire_run(&r.w);
    assert_string_equal(frames_read(buf_span(&r.w.got), frames, sizeof(frames)), "G=0 H1e G=0");
    assert_non_null(r.w.conn);
    wire_advance(&r.w, 1100);
    wire_run(&r.w);
    assert_null(r.w.conn);
    assert_int_equal(r.w.gone, HTTP_RESET_NONE);
    buf_dispose(&bytes);
    record_dispose(&r);
}

/* A peer that went without a word: asked once, and then its streams end. One that answers may be silent for ever. */
static void test_ping(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf bytes;
    struct http_limits limits = limits_default;
    limits.ping_ms = 5000;
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, false, 0, &limits, 0});
    buf_init(&bytes, 1000);
    frames_write(&bytes, "S");
    wire_send(&r.w, buf_span(&bytes));
    record_ask(&r, "GET", true);
    buf_reset(&bytes);
    frames_write(&bytes, "Pa");
    for (unsigned i = 0; i < 10; i++) {
        size_t before = buf_len(&r.w.got);
        wire_advance(&r.w, 4990);
        assert_int_equal(buf_len(&r.w.got), before);
        wire_advance(&r.w, 20);
        assert_int_equal(buf_len(&r.w.got), before + 17); /* the PING */
        wire_send(&r.w, buf_span(&bytes));
        assert_non_null(r.w.conn);
    }
    wire_advance(&r.w, 5010);
    wire_advance(&r.w, 4980);
    assert_non_null(r.w.conn);
    wire_advance(&r.w, 40);
    assert_null(r.w.conn);
    assert_int_equal(r.w.gone, HTTP_RESET_TIMEOUT);
    assert_int_equal(r.closes, 1);
    assert_int_equal(r.close_why, HTTP_RESET_TIMEOUT);
    buf_dispose(&bytes);
    record_dispose(&r);
}

static const struct io_ops *real_ops;
static unsigned writes;

static ssize_t counted_writev(struct io *io, const struct iovec *v, int n)
{
    writes++;
    return real_ops->writev(io, v, n);
}

/* Frames of all streams of a turn leave in one send: heads, bodies, acknowledgements, windows. */
static void test_one_send_a_turn(void **state)
{
    UNUSED(state);
    struct record r;
    struct buf bytes;
    char frames[1024];
    record_init(&r, &(struct record_spec){HTTP_PROTO_2, true, 200, NULL, 0});
    real_ops = r.w.ours->ops;
    struct io_ops counted = *real_ops;
    counted.writev = counted_writev;
    r.w.ours->ops = &counted;
    buf_init(&bytes, 1u << 24);
    frames_write(&bytes, "M;S;P");
    for (unsigned i = 1; i < 40; i += 2) {
        char one[32];
        snprintf(one, sizeof(one), "H%u Q;D%ue *2000", i, i);
        frames_write(&bytes, one);
    }
    wire_run(&r.w);
    buf_reset(&r.w.got);
    writes = 0;
    wire_send(&r.w, buf_span(&bytes));
    assert_int_equal(writes, 1);
    frames_read(buf_span(&r.w.got), frames, sizeof(frames));
    assert_non_null(strstr(frames, "H39 "));
    assert_non_null(strstr(frames, "D39e"));
    r.w.ours->ops = real_ops;
    buf_dispose(&bytes);
    record_dispose(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),   cmocka_unit_test(test_responses),
        cmocka_unit_test(test_floods),     cmocka_unit_test(test_unread_answers),
        cmocka_unit_test(test_hpack_bomb), cmocka_unit_test(test_cookie_crumbs),
        cmocka_unit_test(test_slow),       cmocka_unit_test(test_drain_two_steps),
        cmocka_unit_test(test_ping),       cmocka_unit_test(test_no_floods),
        cmocka_unit_test(test_unread_end), cmocka_unit_test(test_one_send_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
