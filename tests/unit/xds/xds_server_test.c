/* xds/xds_server and xds/xds_client together, over real gRPC on a socket of this machine. */
#include "xds/xds_server.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"
#include "xds/xds_client.h"

static struct {
    struct loop *loop;
    struct http_server *http;
    struct xds_server *xds;
    struct xds_client *client;
    char seen[2048]; /* by the client */
    char told[2048]; /* by the server */
    const char *version;
    struct xds_stream *stream;
    bool refuse_node;
    bool refuse_update;
} w;

static void note(char *to, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(char *to, const char *fmt, ...)
{
    size_t len = strlen(to);
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(to + len, sizeof w.seen - len, fmt, args);
    va_end(args);
    assert_true(more >= 0 && (size_t)more < sizeof w.seen - len);
}

static int on_update(void *arg, const struct xds_update *u, struct err *err)
{
    UNUSED(arg);
    note(w.seen, "%.*s", SPAN_ARG(xds_short_type(u->type_url)));
    for (size_t i = 0; i < u->added_count; i++) {
        note(w.seen, " +%.*s=%.*s", SPAN_ARG(u->added[i].name), SPAN_ARG(u->added[i].version));
    }
    for (size_t i = 0; i < u->removed_count; i++) {
        note(w.seen, " -%.*s", SPAN_ARG(u->removed[i]));
    }
    note(w.seen, "; ");
    return w.refuse_update ? err_set(err, -ERR_CONFIG, "no thanks") : 0;
}

static void on_state(void *arg, bool is_connected, const struct err *why)
{
    UNUSED(arg);
    note(w.seen, "%s%s; ", is_connected ? "up" : "down ", why ? why->text : "");
}

static int answer_all(struct xds_stream *s, struct span url)
{
    struct xds_resource r = {.name = SPAN("a"),
                             .version = span_of(w.version),
                             .type_url = url,
                             .value = SPAN("\x0a\x01"
                                           "a")};
    struct xds_answer answer = {.type_url = url,
                                .version = span_of(w.version),
                                .resources = &r,
                                .count = 1,
                                .is_complete = true};
    return xds_server_send(s, &answer);
}

static int on_open(void *arg, struct xds_stream *s, const struct pb_core_Node *node,
                   struct err *why)
{
    UNUSED(arg);
    assert_non_null(node);
    if (w.refuse_node) {
        return err_set(why, -ERR_DENIED, "not this node");
    }
    note(w.told, "open %.*s %s; ", SPAN_ARG(node->id), xds_server_protocol(s));
    w.stream = s;
    xds_server_set(s, &w);
    return 0;
}

static void on_ask(void *arg, struct xds_stream *s, const struct xds_ask *ask)
{
    UNUSED(arg);
    assert_ptr_equal(xds_server_get(s), &w);
    note(w.told, "%.*s%s%s%s%.*s; ", SPAN_ARG(xds_short_type(ask->type_url)),
         ask->is_first ? " first" : "", ask->is_ack ? " ack" : "", ask->is_nack ? " nack " : "",
         SPAN_ARG(ask->why));
    if (ask->wants_answer) {
        assert_true(answer_all(s, ask->type_url) >= 0);
    }
}

static void on_close(void *arg, struct xds_stream *s)
{
    UNUSED(arg);
    assert_ptr_equal(s, w.stream);
    w.stream = NULL;
    note(w.told, "close; ");
}

static const struct xds_server_events server_events = {
    .on_open = on_open, .on_ask = on_ask, .on_close = on_close};
static const struct xds_client_events client_events = {.on_update = on_update,
                                                       .on_state = on_state};

/* Turns the loop until `text` has come to be in `where`. */
static void wait_for(const char *where, const char *text)
{
    int64_t give_up = instant_mono_ms() + 10000;
    while (!strstr(where, text)) {
        if (instant_mono_ms() > give_up) {
            fail_msg("'%s' is not in '%s'; the client saw '%s'", text, where, w.seen);
        }
        (void)loop_turn(w.loop, true);
    }
}

static int begin(void **state)
{
    UNUSED(state);
    memset(&w, 0, sizeof w);
    w.version = "1";
    w.loop = loop_new(false);
    struct listener_spec where = {0};
    struct err err;
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(http_server_new(&w.http, w.loop, &where, NULL, &err), 0);
    w.xds = xds_server_new(w.loop, &server_events, NULL);
    xds_server_attach(w.xds, w.http);
    return 0;
}

static void connect_as(bool sotw)
{
    char addr[ADDR_TEXT_BYTES];
    char origin[ADDR_TEXT_BYTES + 8];
    (void)snprintf(origin, sizeof origin, "http://%s", addr_format(http_server_addr(w.http), addr));
    struct pb_core_Node node = {.id = SPAN("me")};
    struct xds_client_spec spec = {
        .http = {.origin = span_of(origin)}, .node = &node, .sotw = sotw};
    struct err err;
    assert_int_equal(xds_client_new(&w.client, w.loop, &spec, &client_events, NULL, &err), 0);
    xds_client_subscribe(w.client, SPAN(XDS_CLUSTER), XDS_WILDCARD);
    xds_client_start(w.client);
}

static int end(void **state)
{
    UNUSED(state);
    xds_client_free(w.client);
    http_server_free(w.http);
    for (int i = 0; i < 5; i++) {
        (void)loop_turn(w.loop, false);
    }
    xds_server_free(w.xds);
    loop_free(w.loop);
    return 0;
}

static void run(bool sotw, const char *removed)
{
    connect_as(sotw);
    wait_for(w.told, "Cluster ack; ");
    assert_string_equal(w.seen, "up; Cluster +a=1; ");
    assert_true(xds_client_is_connected(w.client));
    assert_int_equal(xds_server_count(w.xds), 1);
    assert_false(xds_server_is_busy(w.stream, SPAN(XDS_CLUSTER)));
    /* a push, refused */
    w.refuse_update = true;
    w.version = "2";
    assert_int_equal(answer_all(w.stream, SPAN(XDS_CLUSTER)), 1);
    assert_true(xds_server_is_busy(w.stream, SPAN(XDS_CLUSTER)));
    wait_for(w.told, "nack no thanks; ");
    w.refuse_update = false;
    /* by name */
    xds_client_subscribe(w.client, SPAN(XDS_ENDPOINTS), SPAN("a"));
    xds_client_subscribe(w.client, SPAN(XDS_ENDPOINTS), SPAN("b"));
    wait_for(w.seen, "ClusterLoadAssignment +a=2");
    wait_for(w.seen, removed);
    assert_true(xds_server_asks(w.stream, SPAN(XDS_ENDPOINTS), SPAN("b")));
    assert_false(xds_server_asks(w.stream, SPAN(XDS_ENDPOINTS), SPAN("c")));
    /* the server throws it out; it comes back and says what it has */
    w.seen[0] = w.told[0] = '\0';
    xds_server_close(w.stream, GRPC_UNAVAILABLE, SPAN("move on"));
    assert_null(w.stream);
    wait_for(w.seen, "move on");
    wait_for(w.told, "open me");
    wait_for(w.told, "ClusterLoadAssignment first; ");
}

static void test_delta(void **state)
{
    UNUSED(state);
    run(false, "-b; ");
    assert_non_null(strstr(w.told, "open me delta; "));
}

static void test_sotw(void **state)
{
    UNUSED(state);
    run(true, "");
    assert_non_null(strstr(w.told, "open me sotw; "));
}

static void test_refused_node(void **state)
{
    UNUSED(state);
    w.refuse_node = true;
    connect_as(false);
    wait_for(w.seen, "not this node");
    assert_string_equal(w.told, "");
    assert_int_equal(xds_server_count(w.xds), 0);
}

static void test_client_leaves(void **state)
{
    UNUSED(state);
    connect_as(false);
    wait_for(w.told, "Cluster ack; ");
    xds_client_free(w.client);
    w.client = NULL;
    wait_for(w.told, "close; ");
    assert_int_equal(xds_server_count(w.xds), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_delta, begin, end),
        cmocka_unit_test_setup_teardown(test_sotw, begin, end),
        cmocka_unit_test_setup_teardown(test_refused_node, begin, end),
        cmocka_unit_test_setup_teardown(test_client_leaves, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
