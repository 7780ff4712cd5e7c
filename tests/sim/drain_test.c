/* sim: a worker that goes away. */
#include "sim/expect.h"

SIM_FILE

CASE(new_requests_end_their_connections)
{
    BEGIN();
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect_no(c, "connection: close");
    sim_drain(&s, false);
    assert_true(sim_net_is_listening(s.net, SIM_LISTENER_ADDR));
    assert_false(c->ended);
    sim_send(&s, c, GET);
    sim_expect(c, "connection: close\r\n");
    sim_expect_end(c);
    struct sim_peer *late = sim_ask(&s, GET); /* balancers may not know yet */
    sim_expect(late, "connection: close\r\n");
    sim_expect_end(late);
}

CASE(what_runs_is_finished)
{
    BEGIN();
    struct sim_peer *idle = sim_ask(&s, GET);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    struct sim_peer *c = sim_ask(&s, GET);
    sim_drain(&s, true);
    sim_expect_end(idle);
    sim_peer_close(idle);
    assert_null(sim_connect(&s));
    sim_advance(&s, 5000);
    assert_false(s.idle);
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "connection: close\r\n");
    sim_expect(c, "\r\nok");
    sim_expect_end(c);
    sim_peer_close(c);
    sim_advance(&s, 200);
    assert_true(s.idle);
}

CASE(the_idle_are_told_at_once)
{
    BEGIN();
    sim_drain(&s, true);
    assert_true(s.idle);
}

CASE(http2_says_goaway_twice)
{
    BEGIN();
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    sim_send_frames(&s, c, "M;S;H1e Q");
    assert_string_equal(sim_frames(&s, c, 0), "H1 D1e");
    size_t seen = buf_len(&c->got);
    sim_drain(&s, true);
    assert_string_equal(sim_frames(&s, c, seen), "G=0");
    sim_send_frames(&s, c, "H3e Q"); /* was on its way */
    assert_string_equal(sim_frames(&s, c, seen), "G=0 H3 D3e");
    sim_advance(&s, 1000);
    assert_string_equal(sim_frames(&s, c, seen), "G=0 H3 D3e G=0");
    sim_expect_end(c);
    sim_peer_close(c);
    sim_advance(&s, 200);
    assert_true(s.idle);
}

CASE(opaque_connections_go_on)
{
    BEGIN(.tcp = "cluster: a");
    struct sim_peer *c = sim_ask(&s, "a");
    sim_drain(&s, true);
    sim_send(&s, c, "b");
    sim_expect(sim_upstream(&s, 1), "ab");
    sim_advance(&s, 1000);
    assert_false(s.idle);
    sim_peer_close(c);
    sim_peer_close(sim_upstream(&s, 1));
    sim_advance(&s, 200);
    assert_true(s.idle);
}

CASE(connections_that_still_sniff_hold_it)
{
    BEGIN(.listener =
              "listener_filters: [{name: envoy.filters.listener.http_inspector, typed_config: {'@type': "
              "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector}}], "
              "listener_filters_timeout: 5s");
    struct sim_peer *c = sim_ask(&s, "GET");
    sim_drain(&s, true);
    sim_advance(&s, 300);
    assert_false(s.idle);
    sim_send(&s, c, " / HTTP/1.1\r\nhost: h\r\n\r\n");
    sim_send(&s, sim_upstream(&s, 1), SIM_OK);
    sim_expect(c, "connection: close\r\n");
    sim_expect_end(c);
    sim_peer_close(c);
    sim_advance(&s, 200);
    assert_true(s.idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(new_requests_end_their_connections), RUN(what_runs_is_finished),
        RUN(the_idle_are_told_at_once),          RUN(http2_says_goaway_twice),
        RUN(opaque_connections_go_on),           RUN(connections_that_still_sniff_hold_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
