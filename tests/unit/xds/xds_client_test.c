/* xds/xds_client: streams that come and go, over a gRPC made of paper and the fake clock. The other end is
 * our own server's bookkeeping. */
#include "xds/xds_client.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"
#include "proto/discovery.pb.h"

struct http_client {
    char origin[32];
};

struct grpc_stream {
    const struct grpc_events *ev;
    void *arg;
};

static struct {
    struct grpc_stream stream; /* one at a time */
    bool is_up;
    int calls;
    int clients;
    char path[128];
    char origin[32];
    char token[32];
    char heard[512];
    struct xds_session *session;
    const struct xds_protocol *protocol;
    bool fail_sends;
} net;

static struct loop *loop;
static struct xds_client *client;
static char log_text[1024];
static bool refuse_updates;

static void note(char *to, size_t room, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void note(char *to, size_t room, const char *fmt, ...)
{
    size_t len = strlen(to);
    va_list args;
    va_start(args, fmt);
    assert_true(vsnprintf(to + len, room - len, fmt, args) >= 0);
    va_end(args);
}

/* ---- the paper ---- */

int http_client_new(struct http_client **out, struct loop *on, const struct http_client_spec *spec,
                    struct err *err)
{
    assert_ptr_equal(on, loop);
    assert_true(spec->http2);
    if (span_is(spec->origin, "bad")) {
        return err_set(err, -ERR_CONFIG, "bad origin");
    }
    *out = mem_new(struct http_client);
    (void)span_to_cstr(spec->origin, (*out)->origin, sizeof(*out)->origin);
    net.clients++;
    return 0;
}

void http_client_free(struct http_client *c)
{
    net.clients -= c != NULL;
    mem_free(c);
}

const char *grpc_status_name(enum grpc_status status)
{
    return status == GRPC_UNAVAILABLE ? "UNAVAILABLE" : "OTHER";
}

struct grpc_stream *grpc_call(struct http_client *c, const char *path, const struct header *fields,
                              size_t field_count, int64_t deadline_ms, const struct grpc_events *ev,
                              void *arg)
{
    assert_false(net.is_up);
    assert_int_equal(deadline_ms, 0);
    net.is_up = true;
    net.calls++;
    net.stream = (struct grpc_stream){.ev = ev, .arg = arg};
    (void)snprintf(net.path, sizeof net.path, "%s", path);
    (void)snprintf(net.origin, sizeof net.origin, "%s", c->origin);
    net.token[0] = '\0';
    if (field_count) {
        (void)span_to_cstr(fields[0].value, net.token, sizeof net.token);
    }
    xds_protocol_session_free(net.session);
    net.session = xds_protocol_session_new();
    return &net.stream;
}

int grpc_send(struct grpc_stream *g, struct span message)
{
    assert_ptr_equal(g, &net.stream);
    assert_true(net.is_up);
    if (net.fail_sends) {
        return -EPIPE;
    }
    struct xds_ask ask;
    struct err err;
    assert_int_equal(net.protocol->hear(net.session, message, &ask, &err), 0);
    note(net.heard, sizeof net.heard, "%.*s%s%s%s%s; ", SPAN_ARG(xds_short_type(ask.type_url)),
         ask.node ? " node" : "", ask.is_first ? " first" : "", ask.is_ack ? " ack" : "",
         ask.is_nack ? " nack" : "");
    return 0;
}

void grpc_cancel(struct grpc_stream *g)
{
    assert_ptr_equal(g, &net.stream);
    assert_true(net.is_up);
    net.is_up = false;
}

/* ---- what happens ---- */

static int on_update(void *arg, const struct xds_update *u, struct err *err)
{
    UNUSED(arg);
    note(log_text, sizeof log_text, "%.*s +%zu -%zu; ", SPAN_ARG(xds_short_type(u->type_url)),
         u->added_count, u->removed_count);
    return refuse_updates ? err_set(err, -ERR_CONFIG, "no") : 0;
}

static void on_state(void *arg, bool is_connected, const struct err *why)
{
    UNUSED(arg);
    note(log_text, sizeof log_text, "%s%s; ", is_connected ? "up" : "down ", why ? why->text : "");
}

static size_t on_metadata(void *arg, struct arena *arena, struct header *fields)
{
    UNUSED(arg);
    fields[0] = (struct header){SPAN("authorization"),
                                span_of(arena_printf(arena, "Bearer %d", net.calls + 1))};
    return 1;
}

static const struct xds_client_events events = {on_update, on_state, on_metadata};

static void turn(void)
{
    while (loop_turn(loop, false)) {
    }
}

static int begin(void **state)
{
    UNUSED(state);
    instant_fake_start(1000000000, 0);
    loop = loop_new(true);
    memset(&net, 0, sizeof net);
    net.protocol = &delta_protocol;
    log_text[0] = '\0';
    refuse_updates = false;
    struct pb_core_Node node = {.id = SPAN("n")};
    struct xds_client_spec spec = {.http = {.origin = SPAN("one")}, .node = &node};
    struct err err;
    assert_int_equal(xds_client_new(&client, loop, &spec, &events, NULL, &err), 0);
    xds_client_subscribe(client, SPAN(XDS_CLUSTER), XDS_WILDCARD);
    xds_client_start(client);
    turn();
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    xds_client_free(client);
    assert_int_equal(net.clients, 0);
    assert_false(net.is_up);
    xds_protocol_session_free(net.session);
    loop_free(loop);
    instant_fake_stop();
    return 0;
}

static void saw(const char *want)
{
    assert_string_equal(log_text, want);
    log_text[0] = '\0';
}

static void heard(const char *want)
{
    assert_string_equal(net.heard, want);
    net.heard[0] = '\0';
}

static void serve(const char *version)
{
    struct xds_resource r = {.name = SPAN("a"),
                             .version = span_of(version),
                             .type_url = SPAN(XDS_CLUSTER),
                             .value = SPAN("\x0a\x01"
                                           "a")};
    struct xds_answer answer = {
        .type_url = SPAN(XDS_CLUSTER), .resources = &r, .count = 1, .is_complete = true};
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(net.protocol->answer(net.session, &answer, &out), 1);
    net.stream.ev->on_message(net.stream.arg, buf_span(&out));
    buf_dispose(&out);
    turn();
}

static void hang_up_server(void)
{
    net.is_up = false;
    net.stream.ev->on_end(net.stream.arg, GRPC_UNAVAILABLE, SPAN("gone"));
}

/* Milliseconds until the next attempt, which is then made. */
static int64_t attempt(void)
{
    int calls = net.calls;
    int64_t after = loop_next_due_ms(loop);
    assert_true(after > 0);
    instant_fake_advance(after * 1000000);
    turn();
    assert_int_equal(net.calls, calls + 1);
    return after;
}

static void test_life(void **state)
{
    UNUSED(state);
    assert_string_equal(net.path, "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
                                  "DeltaAggregatedResources");
    assert_string_equal(net.token, "Bearer 1");
    heard("Cluster node first; ");
    assert_false(xds_client_is_connected(client));
    net.stream.ev->on_head(net.stream.arg, NULL);
    assert_true(xds_client_is_connected(client));
    serve("1");
    saw("up; Cluster +1 -0; ");
    heard("Cluster ack; ");
    refuse_updates = true;
    serve("2");
    saw("Cluster +1 -0; ");
    heard("Cluster nack; ");
    /* many changes in a turn are one request */
    xds_client_subscribe(client, SPAN(XDS_ENDPOINTS), SPAN("a"));
    xds_client_subscribe(client, SPAN(XDS_ENDPOINTS), SPAN("b"));
    heard("");
    turn();
    heard("ClusterLoadAssignment first; ");
}

static void test_reconnect(void **state)
{
    UNUSED(state);
    net.stream.ev->on_head(net.stream.arg, NULL);
    serve("1");
    log_text[0] = net.heard[0] = '\0';
    hang_up_server();
    saw("down UNAVAILABLE: gone; ");
    xds_client_subscribe(client, SPAN(XDS_SECRET), SPAN("s")); /* meanwhile */
    int64_t longest = XDS_CLIENT_BACKOFF_MIN_MS;
    for (int i = 0; i < 10; i++) {
        int64_t after = attempt();
        assert_true(after >= longest / 2 && after <= longest + 1);
        longest = i64_min(longest * 2, XDS_CLIENT_BACKOFF_MAX_MS);
        heard("Cluster node first; Secret first; ");
        hang_up_server();
    }
    assert_string_equal(net.token, "Bearer 11");
    /* a response ends the series */
    (void)attempt();
    serve("2");
    hang_up_server();
    assert_true(attempt() <= XDS_CLIENT_BACKOFF_MIN_MS + 1);
}

/* What the server says is nonsense: we leave, and come back later. */
static void test_nonsense(void **state)
{
    UNUSED(state);
    net.stream.ev->on_message(net.stream.arg, SPAN("\xff"));
    assert_false(net.is_up);
    assert_non_null(strstr(log_text, "down envoy.service.discovery.v3.DeltaDiscoveryResponse"));
    (void)attempt();
}

static void test_new_address(void **state)
{
    UNUSED(state);
    struct err err;
    struct http_client_spec http = {.origin = SPAN("bad")};
    assert_int_equal(xds_client_set_http(client, &http, true, &err), -ERR_CONFIG);
    assert_true(net.is_up);
    http.origin = SPAN("two");
    assert_int_equal(xds_client_set_http(client, &http, false, &err), 0);
    assert_true(net.is_up);
    http.origin = SPAN("three");
    assert_int_equal(xds_client_set_http(client, &http, false, &err), 0);
    hang_up_server();
    (void)attempt();
    assert_string_equal(net.origin, "three");
    http.origin = SPAN("four");
    net.heard[0] = '\0';
    assert_int_equal(xds_client_set_http(client, &http, true, &err), 0);
    assert_true(net.is_up);
    assert_string_equal(net.origin, "four");
    turn();
    heard("Cluster node first; ");
    assert_int_equal(net.clients, 1);
}

static void test_failing_send(void **state)
{
    UNUSED(state);
    net.fail_sends = true;
    xds_client_subscribe(client, SPAN(XDS_SECRET), SPAN("s"));
    turn();
    hang_up_server();
    net.fail_sends = false;
    net.heard[0] = '\0';
    (void)attempt();
    heard("Cluster node first; Secret first; ");
    /* a limit is told in the log and changes nothing */
    for (int i = 0; i < XDS_TYPES_MAX + 2; i++) {
        char url[16];
        int len = snprintf(url, sizeof url, "x.%d", i);
        xds_client_subscribe(client, span_from(url, (size_t)len), SPAN("s"));
    }
    xds_client_unsubscribe(client, SPAN("no.such"), SPAN("s"));
    turn();
    assert_true(net.is_up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, begin, end),
        cmocka_unit_test_setup_teardown(test_reconnect, begin, end),
        cmocka_unit_test_setup_teardown(test_nonsense, begin, end),
        cmocka_unit_test_setup_teardown(test_new_address, begin, end),
        cmocka_unit_test_setup_teardown(test_failing_send, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
