#ifndef SIM_EXPECT_H
#define SIM_EXPECT_H
/* What tests of simulations say: send and expect, with the place of the test in what fails. */
#include "unit/cm.h"

#include "base/mem.h"
#include "sim/h2_text.h"
#include "sim/world.h"
#include "unit/http/frames.h"

/* Sends and settles. */
static inline void sim_send(struct sim *s, struct sim_peer *p, const char *text)
{
    sim_peer_write(p, span_of(text));
    sim_settle(s);
}

/* HTTP/2 frames (unit/http/frames.h). */
static inline void sim_send_frames(struct sim *s, struct sim_peer *p, const char *script)
{
    struct buf b;
    buf_init(&b, 16u << 20);
    frames_write(&b, script);
    sim_peer_write(p, buf_span(&b));
    buf_dispose(&b);
    sim_settle(s);
}

/* A client that has sent this. */
static inline struct sim_peer *sim_ask(struct sim *s, const char *text)
{
    struct sim_peer *p = sim_connect(s);
    assert_non_null(p);
    sim_send(s, p, text);
    return p;
}

static inline struct span sim_unseen(const struct sim_peer *p)
{
    return span_from_offset(buf_span(&p->got), p->at);
}

/* `text` is in what the peer got and a test has not yet looked at; goes on behind it. */
#define sim_expect(p, text) sim_expect_at((p), (text), __FILE__, __LINE__)
static inline void sim_expect_at(struct sim_peer *p, const char *text, const char *file, int line)
{
    struct span have = sim_unseen(p);
    ssize_t at = span_find(have, span_of(text));
    if (at < 0) {
        print_error("%s:%d: want '%s' in '%.*s'\n", file, line, text, SPAN_ARG(have));
        fail();
    }
    p->at += (size_t)at + strlen(text);
}

/* `text` is nowhere in it. */
#define sim_expect_no(p, text) sim_expect_no_at((p), (text), __FILE__, __LINE__)
static inline void sim_expect_no_at(struct sim_peer *p, const char *text, const char *file,
                                    int line)
{
    struct span have = sim_unseen(p);
    if (span_find(have, span_of(text)) >= 0) {
        print_error("%s:%d: do not want '%s' in '%.*s'\n", file, line, text, SPAN_ARG(have));
        fail();
    }
}

/* Nothing more has come. */
#define sim_expect_silence(p) sim_expect_silence_at((p), __FILE__, __LINE__)
static inline void sim_expect_silence_at(struct sim_peer *p, const char *file, int line)
{
    struct span have = sim_unseen(p);
    if (have.len > 0 || p->ended) {
        print_error("%s:%d: want nothing, got '%.*s'%s\n", file, line, SPAN_ARG(have),
                    p->ended ? " and the end" : "");
        fail();
    }
}

/* The proxy has ended its direction, in order or by a reset. */
#define sim_expect_end(p) sim_expect_end_at((p), 0, __FILE__, __LINE__)
#define sim_expect_reset(p) sim_expect_end_at((p), -ERR_RESET, __FILE__, __LINE__)
static inline void sim_expect_end_at(struct sim_peer *p, int code, const char *file, int line)
{
    if (!p->ended || p->code != code) {
        print_error("%s:%d: want the end %d, got %s %d\n", file, line, code,
                    p->ended ? "end" : "no end", p->code);
        fail();
    }
}

/* The frames that a peer got, in frames_read's form; in the sim's memory. */
static inline const char *sim_frames(struct sim *s, const struct sim_peer *p, size_t from)
{
    return frames_read(span_from_offset(buf_span(&p->got), from), arena_bytes(&s->texts, 4096),
                       4096);
}

#define sim_expect_metric(s, name, labels, want) \
    assert_int_equal(sim_metric((s), (name), (labels)), (want))

/* The peer of the newest connection to 10.0.0.n. */
static inline struct sim_peer *sim_upstream(struct sim *s, unsigned n)
{
    struct sim_peer *p = sim_net_newest(sim_origin(s, n));
    assert_non_null(p);
    return p;
}

/* `text` is in the frames that the peer got (h2_text.h). */
#define sim_expect_frames(s, p, text) \
    sim_expect_frames_at((s), (p), (text), true, __FILE__, __LINE__)
#define sim_expect_no_frames(s, p, text) \
    sim_expect_frames_at((s), (p), (text), false, __FILE__, __LINE__)
static inline void sim_expect_frames_at(struct sim *s, const struct sim_peer *p, const char *text,
                                        bool want, const char *file, int line)
{
    const char *have = h2_text(&s->texts, buf_span(&p->got));
    if ((strstr(have, text) != NULL) != want) {
        print_error("%s:%d: %s '%s' in\n%s\n", file, line, want ? "want" : "do not want", text,
                    have);
        fail();
    }
}

/* An upstream that speaks HTTP/2. */
#define SIM_HTTP2                                                                                 \
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: " \
    "{'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "      \
    "explicit_http_config: {http2_protocol_options: {}}}}"

/* One simulation a file, ended after each case whatever came of it. */
#define SIM_FILE                      \
    static struct sim s;              \
    static int end_case(void **state) \
    {                                 \
        (void)state;                  \
        sim_end(&s);                  \
        return 0;                     \
    }
#define CASE(name) static void name(__attribute__((unused)) void **state)
#define RUN(name) cmocka_unit_test_teardown(name, end_case)
#define CONF(...) (__extension__(struct sim_conf){__VA_ARGS__})
#define BEGIN(...) sim_begin(&s, &CONF(__VA_ARGS__))
#define CONFIG(...) sim_config(&s, &CONF(__VA_ARGS__))

#define GET "GET / HTTP/1.1\r\nhost: h\r\n\r\n"
#endif
