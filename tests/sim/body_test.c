/* sim: slow readers stop senders, and memory stays bounded; long bodies arrive whole. */
#include "sim/expect.h"

SIM_FILE

#define LONG (4u << 20)
#define BOUND 700000 /* two io_mem of SIM_ROOM are counted in it */

static char block[65536];

/* Writes what is taken of `len` bytes. */
static size_t pour(struct sim_peer *p, size_t len)
{
    size_t sent = 0;
    memset(block, 'x', sizeof(block));
    for (int still = 0; sent < len && still < 3;) {
        ssize_t n = io_write(p->io, block, size_min(sizeof(block), len - sent));
        still = n > 0 ? 0 : still + 1;
        sent += n > 0 ? (size_t)n : 0;
        sim_settle(&s);
    }
    return sent;
}

CASE(a_slow_client_stops_the_upstream)
{
    BEGIN();
    struct sim_peer *c = sim_ask(&s, GET);
    struct sim_peer *o = sim_upstream(&s, 1);
    c->slow = true;
    size_t before = mem_live_bytes();
    sim_send(&s, o, "HTTP/1.1 200 OK\r\ncontent-length: 4194304\r\n\r\n");
    size_t sent = pour(o, LONG);
    assert_true(sent < BOUND);
    assert_true(mem_live_bytes() - before < 2 * BOUND);
    c->slow = false;
    sim_settle(&s);
    sent += pour(o, LONG - sent);
    assert_int_equal(sent, LONG);
    sim_expect(c, "\r\n\r\n");
    assert_int_equal(sim_unseen(c).len, LONG);
}

CASE(a_slow_upstream_stops_the_client)
{
    BEGIN(.route = "cluster: a, timeout: 0s");
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4194304\r\n\r\n");
    struct sim_peer *o = sim_upstream(&s, 1);
    o->slow = true;
    size_t before = mem_live_bytes();
    size_t sent = pour(c, LONG);
    assert_true(sent < 2 * BOUND);
    assert_true(mem_live_bytes() - before < 2 * BOUND);
    o->slow = false;
    sim_settle(&s);
    sent += pour(c, LONG - sent);
    assert_int_equal(sent, LONG);
    sim_expect(o, "\r\n\r\n");
    assert_int_equal(sim_unseen(o).len, LONG);
}

CASE(no_upstream_yet_stops_the_client)
{
    BEGIN(.cluster = "connect_timeout: 100s");
    sim_origin(&s, 1)->delay_ms = 5000;
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4194304\r\n\r\n");
    size_t before = mem_live_bytes();
    size_t sent = pour(c, LONG);
    assert_true(sent < BOUND);
    assert_true(mem_live_bytes() - before < BOUND);
    sim_advance(&s, 5000);
    sent += pour(c, LONG - sent);
    assert_int_equal(sent, LONG);
}

CASE(many_slow_clients_cost_little)
{
    BEGIN();
    enum { CLIENTS = 50 };
    struct sim_peer *c[CLIENTS];
    struct sim_origin *o = sim_origin(&s, 1);
    o->room = 16384;
    size_t before = mem_live_bytes();
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = sim_net_connect(s.net, SIM_LISTENER_ADDR, "192.0.2.9:999", 16384);
        c[i]->slow = true;
        sim_send(&s, c[i], GET);
        struct sim_peer *up = sim_upstream(&s, 1);
        sim_send(&s, up, "HTTP/1.1 200 OK\r\ncontent-length: 4194304\r\n\r\n");
        (void)pour(up, LONG);
    }
    size_t each = (mem_live_bytes() - before) / CLIENTS;
    assert_true(each < 400000);
    for (int i = 0; i < CLIENTS; i++) {
        sim_peer_abort(c[i]);
    }
    sim_settle(&s);
    sim_advance(&s, 5000);
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_active", NULL, 0);
}

CASE(an_idle_connection_costs_little)
{
    BEGIN();
    sim_origin(&s, 1)->reply = SIM_OK;
    sim_ask(&s, GET);
    sim_advance(&s, 2000);
    enum { CLIENTS = 100 };
    struct sim_peer *c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = sim_ask(&s, GET);
        sim_expect(c[i], "\r\n\r\nok");
        buf_release(&c[i]->got);
        c[i]->at = 0; /* the test's own */
    }
    sim_advance(&s, 2000);
    size_t with = mem_live_bytes();
    for (int i = 0; i < CLIENTS; i++) {
        sim_peer_close(c[i]);
    }
    sim_advance(&s, 2000);
    size_t each = (with - mem_live_bytes()) / CLIENTS;
    print_message("# an idle connection: %zu bytes (and two ends of io_mem in that)\n", each);
    assert_true(each < 4096);
}

CASE(an_early_answer_ends_an_upload)
{
    BEGIN();
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4194304\r\n\r\nabc");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_send(&s, o, "HTTP/1.1 413 no\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    sim_peer_close(o);
    sim_settle(&s);
    sim_expect(c, "HTTP/1.1 413");
    (void)pour(c, LONG);
    sim_advance(&s, 5000);
    assert_true(c->ended);
    sim_expect_metric(&s, "envoy_http_downstream_rq_active", NULL, 0);
}

CASE(a_denied_upload_is_not_read)
{
    BEGIN(.routes = "{match: {prefix: /}, direct_response: {status: 403}}");
    struct sim_peer *c =
        sim_ask(&s, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4194304\r\n\r\nabc");
    sim_expect(c, "HTTP/1.1 403");
    size_t before = mem_live_bytes();
    (void)pour(c, LONG);
    assert_true(mem_live_bytes() < before + BOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_slow_client_stops_the_upstream), RUN(a_slow_upstream_stops_the_client),
        RUN(no_upstream_yet_stops_the_client), RUN(many_slow_clients_cost_little),
        RUN(an_idle_connection_costs_little),  RUN(an_early_answer_ends_an_upload),
        RUN(a_denied_upload_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
