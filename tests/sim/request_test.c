/* sim: requests that go well. */
#include "sim/expect.h"

static void plain_request(void **state)
{
    (void)state;
    struct sim s;
    sim_begin(&s, &(struct sim_conf){0});
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "HTTP/1.1 200 OK\r\n");
    sim_expect(c, "\r\n\r\nok");
    sim_expect_silence(c);
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o, "GET / HTTP/1.1\r\n");
    sim_expect_metric(&s, "envoy_cluster_upstream_rq_total", "cluster_name=a", 1);
    sim_expect_metric(&s, "envoy_http_downstream_rq_xx", "response_code_class=2", 1);
    sim_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
