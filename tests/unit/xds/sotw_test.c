/* xds/sotw: sequences of messages between our two ends, and with strangers. */
#include "xds/sotw.c"

#include "xds_pair.h"

static void test_wildcard(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &sotw_protocol, XDS_CLUSTER);
    pair_put(&p, "a", "1");
    pair_put(&p, "b", "1");
    pair_subscribe(&p, "*");
    pair_run(&p, "v1");
    pair_saw(&p, "full Cluster: +a=v1 +b=v1; ");
    pair_heard(&p, "node first ; ack ; ");
    assert_false(pair_push(&p, "v1"));
    pair_put(&p, "b", "2");
    assert_true(pair_push(&p, "v2")); /* all again */
    assert_true(xds_protocol_is_waiting(p.server, span_of(p.url)));
    pair_run(&p, "v2");
    assert_false(xds_protocol_is_waiting(p.server, span_of(p.url)));
    pair_saw(&p, "full Cluster: +a=v2 +b=v2; ");
    pair_remove(&p, "a");
    assert_true(pair_push(&p, "v3"));
    pair_run(&p, "v3");
    pair_saw(&p, "full Cluster: +b=v3; ");
    pair_reconnect(&p);
    pair_heard(&p, "ack ; ack ; ");
    pair_run(&p, "v3");
    pair_saw(&p, "full Cluster: +b=v3; ");
    pair_heard(&p, "node first ; ack ; ");
    pair_end(&p);
}

static void test_names(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &sotw_protocol, XDS_ENDPOINTS);
    pair_put(&p, "a", "1");
    pair_put(&p, "b", "1");
    pair_subscribe(&p, "a");
    pair_subscribe(&p, "nobody");
    pair_run(&p, "v1");
    pair_saw(&p, "ClusterLoadAssignment: +a=v1; ");
    assert_false(pair_push(&p, "v1"));
    pair_subscribe(&p, "b");
    pair_run(&p, "v1");
    pair_saw(&p, "ClusterLoadAssignment: +b=v1; "); /* only what is new */
    pair_unsubscribe(&p, "a");
    pair_unsubscribe(&p, "b");
    pair_unsubscribe(&p, "nobody");
    pair_run(&p, "v1");
    pair_put(&p, "a", "2");
    assert_false(pair_push(&p, "v2")); /* an empty list is nobody now, not all */
    pair_subscribe(&p, "a");
    pair_run(&p, "v2");
    pair_saw(&p, "ClusterLoadAssignment: +a=v2; ");
    pair_end(&p);
}

static void test_full_by_name(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &sotw_protocol, XDS_LISTENER);
    pair_put(&p, "a", "1");
    pair_put(&p, "b", "1");
    pair_put(&p, "c", "1");
    pair_subscribe(&p, "a");
    pair_run(&p, "v1");
    pair_saw(&p, "full Listener: +a=v1; ");
    pair_subscribe(&p, "b");
    pair_run(&p, "v1");
    pair_saw(&p, "full Listener: +a=v1 +b=v1; ");
    pair_put(&p, "c", "2");
    assert_false(pair_push(&p, "v2")); /* not ours */
    pair_subscribe(&p, "*");
    pair_run(&p, "v2");
    pair_saw(&p, "full Listener: +a=v2 +b=v2 +c=v2; ");
    pair_end(&p);
}

static void test_nack(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &sotw_protocol, XDS_CLUSTER);
    pair_put(&p, "a", "1");
    pair_subscribe(&p, "*");
    p.refuse = true;
    pair_run(&p, "v1");
    pair_saw(&p, "full Cluster: +a=v1 refused; ");
    pair_heard(&p, "node first ; nack not today; ");
    assert_false(pair_push(&p, "v1"));
    p.refuse = false;
    pair_put(&p, "a", "2");
    assert_true(pair_push(&p, "v2"));
    pair_run(&p, "v2");
    pair_saw(&p, "full Cluster: +a=v2; ");
    pair_heard(&p, "ack ; ");
    pair_end(&p);
}

/* What goes over the wire when something is refused: the last good version with the new nonce. */
static void test_versions(void **state)
{
    (void)state;
    struct pair p;
    struct err err;
    pair_begin(&p, &sotw_protocol, XDS_CLUSTER);
    pair_subscribe(&p, "*");
    pair_run(&p, "v1"); /* nonce 1 */
    p.refuse = true;
    pair_put(&p, "a", "1");
    assert_true(pair_push(&p, "v2")); /* nonce 2 */
    buf_reset(&p.wire);
    assert_int_equal(sotw_next(p.client, &p.wire), 1);
    const struct pb_discovery_DiscoveryRequest *rq =
        pb_decode(&pb_discovery_DiscoveryRequest_desc, &p.arena, buf_span(&p.wire), &err);
    assert_non_null(rq);
    assert_true(span_is(rq->version_info, "v1"));
    assert_true(span_is(rq->response_nonce, "2"));
    assert_true(span_is(rq->error_detail->message, "not today"));
    assert_int_equal(rq->error_detail->code, 3);
    assert_int_equal(rq->resource_names.count, 0);
    assert_null(rq->node);
    /* a new stream: the version is told, the nonce is not */
    pair_reconnect(&p);
    buf_reset(&p.wire);
    assert_int_equal(sotw_next(p.client, &p.wire), 1);
    rq = pb_decode(&pb_discovery_DiscoveryRequest_desc, &p.arena, buf_span(&p.wire), &err);
    assert_non_null(rq);
    assert_true(span_is(rq->version_info, "v1"));
    assert_int_equal(rq->response_nonce.len, 0);
    assert_true(span_is(rq->node->id, "me"));
    pair_end(&p);
}

static void test_stale(void **state)
{
    (void)state;
    struct pair p;
    struct err err;
    struct xds_ask ask;
    pair_begin(&p, &sotw_protocol, XDS_ENDPOINTS);
    pair_put(&p, "a", "1");
    pair_subscribe(&p, "a");
    pair_run(&p, "v1");
    struct pb_discovery_DiscoveryRequest rq = {.type_url = span_of(p.url),
                                               .response_nonce = SPAN("77")};
    PB_ADD(&p.arena, &rq.resource_names, SPAN("b"));
    struct span wire = pb_encode_in(&pb_discovery_DiscoveryRequest_desc, &rq, &p.arena);
    assert_int_equal(sotw_hear(p.server, wire, &ask, &err), 0);
    assert_false(ask.wants_answer);
    assert_true(xds_protocol_asks(p.server, span_of(p.url), SPAN("a")));
    assert_false(xds_protocol_asks(p.server, span_of(p.url), SPAN("b")));
    pair_end(&p);
}

/* Resources in an envelope, and others that are not ours to take. */
static void test_responses(void **state)
{
    (void)state;
    struct pair p;
    struct err err;
    pair_begin(&p, &sotw_protocol, XDS_ENDPOINTS);
    pair_subscribe(&p, "z");
    pair_run(&p, "v0");
    p.seen[0] = '\0';
    struct pb_protobuf_Any inner = {.type_url = SPAN(XDS_ENDPOINTS), .value = SPAN("\x0a\x01z")};
    struct pb_discovery_Resource held = {.resource = &inner};
    struct pb_discovery_Resource beat = {.name = SPAN("z")};
    struct pb_protobuf_Any all[] = {
        {.type_url = SPAN(PB_DISCOVERY_RESOURCE_URL),
         .value = pb_encode_in(&pb_discovery_Resource_desc, &held, &p.arena)},
        {.type_url = SPAN(PB_DISCOVERY_RESOURCE_URL),
         .value = pb_encode_in(&pb_discovery_Resource_desc, &beat, &p.arena)},
        {.type_url = SPAN(XDS_ENDPOINTS), .value = SPAN("\x0a\x01y")},
        {.type_url = SPAN(XDS_SECRET), .value = SPAN("\x0a\x01z")},
    };
    struct pb_discovery_DiscoveryResponse rs = {
        .type_url = SPAN(XDS_ENDPOINTS), .version_info = SPAN("v5"), .nonce = SPAN("n")};
    for (size_t i = 0; i < 3; i++) {
        PB_ADD(&p.arena, &rs.resources, &all[i]);
    }
    struct span wire = pb_encode_in(&pb_discovery_DiscoveryResponse_desc, &rs, &p.arena);
    assert_int_equal(sotw_receive(p.client, wire, &err), 0);
    pair_saw(&p, "ClusterLoadAssignment: +z=v5; ");
    PB_ADD(&p.arena, &rs.resources, &all[3]);
    wire = pb_encode_in(&pb_discovery_DiscoveryResponse_desc, &rs, &p.arena);
    assert_int_equal(sotw_receive(p.client, wire, &err), -ERR_CONFIG);
    assert_string_equal(err.text, "resource 'z' is of type '" XDS_SECRET "'");
    all[0].value = SPAN("\xff");
    wire = pb_encode_in(&pb_discovery_DiscoveryResponse_desc, &rs, &p.arena);
    assert_int_equal(sotw_receive(p.client, wire, &err), -ERR_CONFIG);
    assert_int_equal(sotw_receive(p.client, SPAN("\xff"), &err), -ERR_PROTO);
    pair_saw(&p, "");
    pair_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wildcard),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_full_by_name), cmocka_unit_test(test_nack),
        cmocka_unit_test(test_versions),     cmocka_unit_test(test_stale),
        cmocka_unit_test(test_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
