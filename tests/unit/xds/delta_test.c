/* xds/delta: sequences of messages between our two ends, and with strangers. */
#include "xds/delta.c"

#include "xds_pair.h"

static void test_wildcard(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &delta_protocol, XDS_CLUSTER);
    pair_put(&p, "a", "1");
    pair_put(&p, "b", "1");
    pair_subscribe(&p, "*");
    pair_run(&p, "v1");
    pair_saw(&p, "Cluster: +a=1 +b=1; ");
    pair_heard(&p, "node first ; ack ; ");
    assert_false(pair_push(&p, "v1"));
    pair_put(&p, "b", "2");
    assert_true(pair_push(&p, "v2"));
    assert_true(xds_protocol_is_waiting(p.server, span_of(p.url)));
    pair_run(&p, "v2");
    assert_false(xds_protocol_is_waiting(p.server, span_of(p.url)));
    pair_saw(&p, "Cluster: +b=2; ");
    pair_remove(&p, "a");
    assert_true(pair_push(&p, "v3"));
    pair_run(&p, "v3");
    pair_saw(&p, "Cluster: -a; ");
    /* a new server is told what is there; only the difference comes */
    pair_put(&p, "c", "1");
    pair_remove(&p, "b");
    pair_reconnect(&p);
    pair_heard(&p, "ack ; ack ; ");
    pair_run(&p, "v4");
    pair_saw(&p, "Cluster: +c=1 -b; ");
    pair_heard(&p, "node first ; ack ; ");
    pair_end(&p);
}

/* What the consumer has from elsewhere is told like what was received: only the difference comes. */
static void test_held_before(void **state)
{
    (void)state;
    static const char *const types[] = {XDS_CLUSTER, XDS_ENDPOINTS};
    for (size_t i = 0; i < 2; i++) {
        const struct xds_resource had[] = {
            {.name = SPAN("same"), .version = SPAN("1")},
            {.name = SPAN("gone"), .version = SPAN("1")},
            {.name = SPAN("old"), .version = SPAN("1")},
            {.name = SPAN("bare"), .version = SPAN_EMPTY},
        };
        struct pair p;
        pair_begin(&p, &delta_protocol, types[i]);
        pair_put(&p, "same", "1");
        pair_put(&p, "old", "2");
        pair_put(&p, "bare", "1");
        if (i == 0) {
            pair_subscribe(&p, "*");
        } else {
            for (size_t k = 0; k < ARRAY_LEN(had); k++) {
                pair_subscribe(&p, had[k].name.at);
            }
        }
        const struct xds_update u = {
            .type_url = span_of(types[i]), .added = had, .added_count = ARRAY_LEN(had)};
        xds_protocol_hold(p.client, &u);
        pair_run(&p, "v1");
        pair_saw(&p, i == 0 ? "Cluster: +old=2 +bare=1 -gone; "
                            : "ClusterLoadAssignment: +old=2 +bare=1 -gone; ");
        pair_end(&p);
    }
}

static void test_empty_wildcard(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &delta_protocol, XDS_LISTENER);
    pair_subscribe(&p, "*");
    pair_run(&p, "v1");
    pair_saw(&p, "Listener:; "); /* that there are none is an answer */
    assert_false(pair_push(&p, "v1"));
    pair_end(&p);
}

static void test_names(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &delta_protocol, XDS_ENDPOINTS);
    pair_put(&p, "a", "1");
    pair_put(&p, "b", "1");
    pair_subscribe(&p, "a");
    pair_subscribe(&p, "nobody");
    pair_run(&p, "v1");
    pair_saw(&p, "ClusterLoadAssignment: +a=1 -nobody; ");
    assert_false(pair_push(&p, "v1"));
    /* it comes to be */
    pair_put(&p, "nobody", "1");
    assert_true(pair_push(&p, "v2"));
    pair_saw(&p, "ClusterLoadAssignment: +nobody=1; ");
    pair_subscribe(&p, "b");
    pair_unsubscribe(&p, "a");
    pair_run(&p, "v2");
    pair_saw(&p, "ClusterLoadAssignment: +b=1; ");
    assert_false(xds_protocol_asks(p.server, span_of(p.url), SPAN("a")));
    assert_true(xds_protocol_asks(p.server, span_of(p.url), SPAN("b")));
    /* given up and asked for again before anybody heard of it */
    pair_unsubscribe(&p, "b");
    pair_subscribe(&p, "b");
    pair_run(&p, "v2");
    pair_saw(&p, "ClusterLoadAssignment: +b=1; ");
    /* a name asked for and given up in one turn is never told */
    p.said[0] = '\0';
    pair_subscribe(&p, "x");
    pair_unsubscribe(&p, "x");
    pair_run(&p, "v2");
    pair_saw(&p, "");
    /* after a reconnect only what is new comes */
    pair_reconnect(&p);
    pair_put(&p, "b", "9");
    pair_run(&p, "v3");
    pair_saw(&p, "ClusterLoadAssignment: +b=9; ");
    pair_end(&p);
}

static void test_wildcard_and_names(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &delta_protocol, XDS_CLUSTER);
    pair_put(&p, "a", "1");
    pair_subscribe(&p, "*");
    pair_subscribe(&p, "a");
    pair_run(&p, "v1");
    pair_saw(&p, "Cluster: +a=1; ");
    pair_unsubscribe(&p, "a"); /* still there by the wildcard, and told so */
    pair_run(&p, "v1");
    pair_saw(&p, "Cluster: +a=1; ");
    pair_subscribe(&p, "a");
    pair_run(&p, "v1");
    pair_saw(&p, "Cluster: +a=1; ");
    pair_put(&p, "b", "1");
    pair_unsubscribe(&p, "*");
    pair_run(&p, "v1");
    assert_false(pair_push(&p, "v2"));
    pair_saw(&p, "");
    assert_false(xds_protocol_asks(p.server, span_of(p.url), SPAN("b")));
    pair_end(&p);
}

static void test_nack(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &delta_protocol, XDS_CLUSTER);
    pair_put(&p, "a", "1");
    pair_subscribe(&p, "*");
    p.refuse = true;
    pair_run(&p, "v1");
    pair_saw(&p, "Cluster: +a=1 refused; ");
    pair_heard(&p, "node first ; nack not today; ");
    assert_false(pair_push(&p, "v1")); /* the same again would not help */
    p.refuse = false;
    pair_put(&p, "a", "2");
    assert_true(pair_push(&p, "v2"));
    pair_run(&p, "v2");
    pair_saw(&p, "Cluster: +a=2; ");
    /* what was refused is not held: a new server sends it all */
    p.refuse = true;
    pair_put(&p, "a", "3");
    assert_true(pair_push(&p, "v3"));
    p.refuse = false;
    pair_reconnect(&p);
    p.seen[0] = '\0';
    pair_run(&p, "v3");
    pair_saw(&p, "Cluster: +a=3; ");
    pair_end(&p);
}

static void test_partial(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &delta_protocol, XDS_ENDPOINTS);
    pair_put(&p, "a", "1");
    pair_put(&p, "b", "1");
    pair_subscribe(&p, "a");
    pair_subscribe(&p, "b");
    pair_run(&p, "v1");
    p.seen[0] = '\0';
    pair_put(&p, "a", "2");
    struct span gone[] = {SPAN("b"), SPAN("c")};
    struct xds_answer answer = {.type_url = span_of(p.url),
                                .version = SPAN("v2"),
                                .resources = pair_world(&p),
                                .count = 1,
                                .gone = gone,
                                .gone_count = 2};
    buf_reset(&p.wire);
    assert_int_equal(delta_answer(p.server, &answer, &p.wire), 1);
    struct err err;
    assert_int_equal(delta_receive(p.client, buf_span(&p.wire), &err), 0);
    pair_saw(&p, "ClusterLoadAssignment: +a=2 -b; ");
    pair_end(&p);
}

/* A response built by hand. */
static struct span response(struct pair *p, const char *type, const char *name,
                            const char *any_type, const char *removed)
{
    struct pb_protobuf_Any any = {.type_url = span_of(any_type), .value = SPAN("\x0a\x01z")};
    struct pb_discovery_Resource r = {
        .name = span_of(name), .version = SPAN("7"), .resource = &any};
    r.resource = any_type ? &any : NULL;
    struct pb_discovery_DeltaDiscoveryResponse rs = {.type_url = span_of(type), .nonce = SPAN("n")};
    PB_ADD(&p->arena, &rs.resources, &r);
    if (removed) {
        PB_ADD(&p->arena, &rs.removed_resources, span_of(removed));
    }
    return pb_encode_in(&pb_discovery_DeltaDiscoveryResponse_desc, &rs, &p->arena);
}

static void test_strange_responses(void **state)
{
    (void)state;
    struct pair p;
    struct err err;
    pair_begin(&p, &delta_protocol, XDS_CLUSTER);
    pair_subscribe(&p, "z");
    /* before we asked, or of another type: nothing to us */
    assert_int_equal(
        delta_receive(p.client, response(&p, XDS_CLUSTER, "z", XDS_CLUSTER, NULL), &err), 0);
    pair_saw(&p, "");
    pair_run(&p, "v");
    p.seen[0] = '\0';
    assert_int_equal(delta_receive(p.client, response(&p, XDS_SECRET, "z", XDS_SECRET, NULL), &err),
                     0);
    pair_saw(&p, "");
    /* not what we want, and gone what we never had */
    assert_int_equal(
        delta_receive(p.client, response(&p, XDS_CLUSTER, "y", XDS_CLUSTER, "x"), &err), 0);
    pair_saw(&p, "Cluster:; ");
    /* without a name: that of the message */
    assert_int_equal(
        delta_receive(p.client, response(&p, XDS_CLUSTER, "", XDS_CLUSTER, NULL), &err), 0);
    pair_saw(&p, "Cluster: +z=7; ");
    /* a heartbeat */
    assert_int_equal(delta_receive(p.client, response(&p, XDS_CLUSTER, "z", NULL, NULL), &err), 0);
    pair_saw(&p, "Cluster:; ");
    /* another type inside: refused before the consumer sees it */
    assert_int_equal(
        delta_receive(p.client, response(&p, XDS_CLUSTER, "z", XDS_SECRET, NULL), &err),
        -ERR_CONFIG);
    assert_string_equal(err.text, "resource 'z' is of type '" XDS_SECRET "'");
    pair_saw(&p, "");
    /* not a message */
    assert_int_equal(delta_receive(p.client, SPAN("\xff"), &err), -ERR_PROTO);
    pair_end(&p);
}

static void test_strange_requests(void **state)
{
    (void)state;
    struct xds_session *s = xds_protocol_session_new();
    struct xds_ask ask;
    struct err err;
    assert_int_equal(delta_hear(s, SPAN("\xff"), &ask, &err), -ERR_PROTO);
    assert_int_equal(delta_hear(s, SPAN_EMPTY, &ask, &err), -ERR_LIMIT); /* no type */
    struct arena a;
    arena_init(&a, 4096);
    struct buf out;
    buf_init(&out, 1024);
    int rc = 0;
    for (int i = 0; i <= XDS_TYPES_MAX; i++) {
        assert_int_equal(rc, 0);
        struct pb_discovery_DeltaDiscoveryRequest rq = {
            .type_url = span_of(arena_printf(&a, "t%d", i)), .response_nonce = SPAN("old")};
        rc = delta_hear(s, pb_encode_in(&pb_discovery_DeltaDiscoveryRequest_desc, &rq, &a), &ask,
                        &err);
        assert_false(ask.is_ack);
    }
    assert_int_equal(rc, -ERR_LIMIT);
    /* an answer that does not fit */
    struct xds_answer answer = {.type_url = SPAN("t0"), .is_complete = true};
    struct buf none;
    buf_init(&none, 0);
    assert_int_equal(delta_answer(s, &answer, &none), -ERR_LIMIT);
    answer.type_url = SPAN("unheard");
    assert_int_equal(delta_answer(s, &answer, &out), 0);
    buf_dispose(&none);
    buf_dispose(&out);
    arena_dispose(&a);
    xds_protocol_session_free(s);
}

static void count_names(void *arg, struct span name)
{
    (void)name;
    ++*(int *)arg;
}

static void test_each(void **state)
{
    (void)state;
    struct pair p;
    pair_begin(&p, &delta_protocol, XDS_SECRET);
    pair_subscribe(&p, "a");
    pair_subscribe(&p, "*"); /* of a type without the implicit form: by its name */
    pair_run(&p, "v");
    int count = 0;
    xds_protocol_each(p.server, span_of(p.url), count_names, &count);
    assert_int_equal(count, 2);
    pair_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wildcard),
        cmocka_unit_test(test_held_before),
        cmocka_unit_test(test_empty_wildcard),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wildcard_and_names),
        cmocka_unit_test(test_nack),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_strange_responses),
        cmocka_unit_test(test_strange_requests),
        cmocka_unit_test(test_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
