/* base/log: levels by area, both forms, no forged lines, the limiter. */
#include "base/log.c"

#include <fcntl.h>
#include <stdlib.h>

#include "unit/cm.h"

static int pipe_fds[2];
static int real_stderr;

static int catch_stderr(void **state)
{
    UNUSED(state);
    real_stderr = dup(STDERR_FILENO);
    return pipe2(pipe_fds, O_NONBLOCK) != 0 || real_stderr < 0;
}

/* What one call writes; at most one line. */
static const char *caught(enum log_level level, const char *area, const char *text)
{
    static char line[LOG_LINE_BYTES + 1];
    (void)dup2(pipe_fds[1], STDERR_FILENO);
    log_line(level, area, "%s", text);
    (void)dup2(real_stderr, STDERR_FILENO);
    ssize_t len = read(pipe_fds[0], line, sizeof(line) - 1);
    line[len > 0 ? len : 0] = '\0';
    return line;
}

static void obeys_levels(void **state)
{
    static const struct {
        const char *spec;
        int answer;
        const char *on; /* areas:levels that are on: first letters */
    } rows[] = {
        {"info", 0, "http:i xds:i"},
        {"warn,xds:debug", 0, "http:w xds:d"},
        {"http:error, xds:info", 0, "http:e xds:i"}, /* the default stays warn */
        {"nonsense", -ERR_CONFIG, "http:e xds:i"},
        {"debug,:info", -ERR_CONFIG, "http:e xds:i"},
        {"debug,http:", -ERR_CONFIG, "http:e xds:i"},
        {"", -ERR_CONFIG, "http:e xds:i"},
        {"trace", 0, "http:d xds:d"},
        {"warning,misc:off", 0, "http:w xds:w"},
        {"info", 0, "http:i xds:i"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char on[32];
        char highest[2] = "";
        assert_int_equal(log_set_levels(rows[i].spec), rows[i].answer);
        const char *const areas[] = {"http", "xds"};
        for (size_t a = 0; a < 2; a++) {
            for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
                if (log_is_on((enum log_level)level, areas[a])) {
                    highest[a] = "ewid"[level];
                }
            }
        }
        (void)snprintf(on, sizeof(on), "http:%c xds:%c", highest[0], highest[1]);
        assert_string_equal(on, rows[i].on);
    }
}

static void refuses_too_many_areas(void **state)
{
    UNUSED(state);
    char spec[1024] = "info";
    for (int i = 0; i < 40; i++) {
        size_t len = strlen(spec);
        (void)snprintf(spec + len, sizeof(spec) - len, ",area%d:debug", i);
    }
    assert_int_equal(log_set_levels(spec), -ERR_CONFIG);
    assert_false(log_is_on(LOG_DEBUG, "area0"));
    assert_int_equal(log_set_levels("info"), 0);
}

static void writes_both_forms(void **state)
{
    UNUSED(state);
    instant_fake_start(0, 1795430777123456);
    assert_string_equal(caught(LOG_WARN, "xds", "nack type=x"),
                        "2026-11-23T10:46:17.123456Z warn  xds nack type=x\n");
    assert_string_equal(caught(LOG_DEBUG, "xds", "hidden"), "");
    assert_string_equal(caught(LOG_INFO, "a", "x\ny\x1b[1m"),
                        "2026-11-23T10:46:17.123456Z info  a x\\x0ay\\x1b[1m\n");
    log_set_json(true);
    assert_string_equal(
        caught(LOG_ERROR, "a", "say \"hi\"\n\\"),
        "{\"time\":\"2026-11-23T10:46:17.123456Z\",\"level\":\"error\",\"scope\":\"a\","
        "\"msg\":\"say \\\"hi\\\"\\u000a\\\\\"}\n");
    assert_non_null(strstr(caught(LOG_ERROR, "a", "x\xff\xc3\xa9"), "x\\ufffd\xc3\xa9\"}"));
    char large[8000];
    memset(large, '\n', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    const char *line = caught(LOG_ERROR, "a", large);
    assert_true(strlen(line) <= LOG_LINE_BYTES);
    assert_true(span_ends(span_of(line), SPAN("\\u000a\"}\n"))); /* whole escapes, and the end */
    log_set_json(false);
    line = caught(LOG_ERROR, "a", large);
    assert_true(span_ends(span_of(line), SPAN("\\x0a\n")));
    instant_fake_stop();
}

static void limits_what_a_peer_can_trigger(void **state)
{
    UNUSED(state);
    struct log_limit limit = {.lines = 0};
    uint32_t dropped;
    for (int i = 0; i < 10; i++) {
        assert_true(log_limit_allows(&limit, 100, &dropped));
        assert_int_equal(dropped, 0);
    }
    for (int i = 0; i < 5; i++) {
        assert_false(log_limit_allows(&limit, 10099, &dropped));
    }
    assert_true(log_limit_allows(&limit, 10100, &dropped));
    assert_int_equal(dropped, 5);
    assert_true(log_limit_allows(&limit, 10101, &dropped));
    assert_int_equal(dropped, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(obeys_levels),
        cmocka_unit_test(refuses_too_many_areas),
        cmocka_unit_test(writes_both_forms),
        cmocka_unit_test(limits_what_a_peer_can_trigger),
    };
    return cmocka_run_group_tests(tests, catch_stderr, NULL);
}
