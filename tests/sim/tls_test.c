/* sim: mutual TLS on both sides: who is let in, what is told of them, and what happens when trust changes. */
#include "sim/expect.h"

#include "base/instant.h"
#include "support/test_pki.h"
#include "tls/io_tls.h"
#include "tls/tls.h"

SIM_FILE

enum who { WEB, FRONT, STRANGER, PEOPLE };
static struct test_pki *root, *other;
static struct test_cert certs[PEOPLE];
static char inbound[16384], inbound_other[16384], outbound[16384], outbound_wrong[16384];

static struct tls_ctx *context(bool server, enum who who)
{
    const struct tls_trust trust = {.roots_pem = test_pki_root(root)};
    struct tls_ctx_spec spec = {
        .server = server,
        .chain_pem = buf_span(&certs[who].chain),
        .key_pem = buf_span(&certs[who].key),
        .trust = &trust,
        .trust_count = 1,
        .peer_mode = TLS_PEER_REQUIRED,
        .sni = server ? SPAN_EMPTY : SPAN("web.ns"),
    };
    struct err err;
    struct tls_ctx *ctx;
    ASSERT(tls_ctx_new(&ctx, &spec, &err) == 0);
    return ctx;
}

static int shaken; /* code of the last handshake */

static void on_shaken(void *arg, struct io *io, int code, const char *why)
{
    struct sim_peer *p = arg;
    UNUSED(io);
    UNUSED(why);
    shaken = code;
    p->slow = false;
    if (code != 0) {
        sim_peer_close(p);
    }
}

static void on_event(void *arg, unsigned events)
{
    UNUSED(arg); /* sim_net reads by itself */
    UNUSED(events);
}

static void shake(struct sim_peer *p, bool server, enum who who)
{
    struct tls_ctx *ctx = context(server, who);
    struct io_tls_spec spec = {.lower = p->io, .ctx = ctx, .on_done = on_shaken, .arg = p};
    p->slow = true;
    p->io = io_tls_start_take(s.loop, &spec);
    io_set_owner(p->io, on_event, p);
    tls_ctx_put(ctx);
}

static struct sim_peer *connect_as(enum who who)
{
    struct sim_peer *c = sim_connect(&s);
    shake(c, false, who);
    sim_settle(&s);
    return c;
}

static void serve_as_web(struct sim_peer *p)
{
    shake(p, true, WEB);
}

static void serve_as_stranger(struct sim_peer *p)
{
    shake(p, true, STRANGER);
}

#define XFCC \
    "forward_client_cert_details: APPEND_FORWARD, set_current_client_cert_details: {uri: true}"

CASE(who_proves_itself_is_told)
{
    BEGIN(.chain = inbound, .hcm = XFCC, .listener = "traffic_direction: INBOUND",
          .log = "%DOWNSTREAM_PEER_URI_SAN%");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = connect_as(FRONT);
    assert_int_equal(shaken, 0);
    sim_send(&s, c,
             "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-client-cert: URI=spiffe://td/older\r\n\r\n");
    sim_expect(c, "HTTP/1.1 200");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect(o,
               "x-forwarded-client-cert: URI=spiffe://td/older,By=spiffe://td/ns/ns/sa/web;Hash=");
    sim_expect(o, ";URI=spiffe://td/ns/ns/sa/front\r\n");
    sim_expect_metric(
        &s, "istio_requests_total",
        "connection_security_policy=mutual_tls,source_principal=spiffe://td/ns/ns/sa/front", 1);
    assert_string_equal(sim_log(&s), "spiffe://td/ns/ns/sa/front\n");
}

/* A listener that wants them keeps what the client showed: PEM, as it may stand in quotes. */
CASE(the_certificate_itself_is_told)
{
    BEGIN(.chain = inbound,
          .hcm = "forward_client_cert_details: SANITIZE_SET, set_current_client_cert_details: "
                 "{subject: true, cert: true, chain: true, dns: true, uri: true}");
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = connect_as(FRONT);
    sim_send(&s, c,
             "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-client-cert: URI=spiffe://evil\r\n\r\n");
    sim_expect(c, "HTTP/1.1 200");
    struct sim_peer *o = sim_upstream(&s, 1);
    sim_expect_no(o, "evil");
    sim_expect_no(o, "-----BEGIN CERTIFICATE-----\n");
    sim_expect(o, "x-forwarded-client-cert: By=spiffe://td/ns/ns/sa/web;Hash=");
    sim_expect(o, ";Cert=\"-----BEGIN%20CERTIFICATE-----%0AMII");
    sim_expect(o, "-----END%20CERTIFICATE-----%0A\";Chain=\"-----BEGIN%20CERTIFICATE-----%0AMII");
    sim_expect(o, "-----END%20CERTIFICATE-----%0A\";Subject=\"");
    sim_expect(o, "\";URI=spiffe://td/ns/ns/sa/front\r\n");
}

CASE(strangers_and_plain_text_are_refused)
{
    BEGIN(.chain = inbound);
    struct sim_peer *c = connect_as(STRANGER);
    sim_advance(&s, 100);
    assert_true(c->io == NULL || c->ended);
    struct sim_peer *plain = sim_ask(&s, GET);
    sim_advance(&s, 100);
    assert_true(plain->ended);
    sim_expect_no(plain, "HTTP/1.1 200");
    assert_int_equal(sim_origin(&s, 1)->dials, 0);
    sim_expect_metric(&s, "envoy_listener_ssl_connection_error", NULL, 1);
    sim_expect_metric(&s, "envoy_listener_ssl_fail_verify_san", NULL, 1);
}

CASE(a_handshake_that_stands_still_is_given_up)
{
    BEGIN(.chain = inbound);
    struct sim_peer *c = sim_ask(&s, "\x16\x03\x01\x02");
    sim_advance(&s, 30000);
    assert_true(c->ended);
    sim_expect_metric(&s, "envoy_listener_downstream_cx_destroy", NULL, 1);
}

CASE(a_listener_goes_in_the_middle_of_a_handshake)
{
    BEGIN(.chain = inbound);
    struct sim_peer *c = sim_ask(&s, "\x16\x03\x01\x02");
    CONFIG(.no_listener = true);
    CONFIG(.chain = inbound);
    sim_settle(&s);
    assert_true(c->ended);
}

CASE(a_listener_changes_in_the_middle_of_a_handshake)
{
    BEGIN(.chain = inbound);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_connect(&s);
    shake(c, false, FRONT);
    (void)loop_turn(s.loop, false);
    CONFIG(.chain = inbound, .hcm = "server_name: other");
    sim_settle(&s);
    assert_int_equal(shaken, 0);
    sim_send(&s, c, GET);
    sim_expect(c, "server: other\r\n");
}

/* Mutual TLS becomes another's, or plain: who came in under the old rules does not stay. */
CASE(new_trust_ends_old_connections)
{
    BEGIN(.chain = inbound);
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = connect_as(FRONT);
    sim_send(&s, c, GET);
    sim_expect(c, "HTTP/1.1 200");
    CONFIG(.chain = inbound_other);
    sim_advance(&s, 10);
    assert_true(c->ended);
    connect_as(FRONT);
    sim_advance(&s, 10);
    sim_expect_metric(&s, "envoy_listener_ssl_fail_verify_san", NULL, 1);
}

CASE(mutual_tls_that_is_switched_on_ends_plain_connections)
{
    BEGIN();
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    CONFIG(.chain = inbound);
    sim_advance(&s, 10);
    assert_true(c->ended);
}

CASE(upstreams_are_who_they_must_be)
{
    BEGIN(.cluster = outbound);
    sim_origin(&s, 1)->on_accept = serve_as_web;
    sim_origin(&s, 1)->reply = SIM_OK;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_expect(c, "HTTP/1.1 200");
    sim_expect_metric(&s, "envoy_cluster_ssl_handshake", NULL, 1);
}

CASE(upstreams_that_are_others_get_nothing)
{
    static const char *const settings[] = {outbound_wrong, outbound};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (i > 0) {
            sim_end(&s);
        }
        BEGIN(.cluster = settings[i], .log = "%RESPONSE_FLAGS%",
              .route = "cluster: a, retry_policy: {retry_on: reset, num_retries: 1}");
        sim_origin(&s, 1)->on_accept = i == 0 ? serve_as_web : serve_as_stranger;
        sim_origin(&s, 1)->reply = SIM_OK;
        struct sim_peer *c = sim_ask(&s, GET);
        sim_advance(&s, 1000);
        sim_expect(c, "HTTP/1.1 503");
        assert_int_equal(sim_origin(&s, 1)->requests, 0);
        if (i == 0) {
            sim_expect_metric(&s, "envoy_cluster_ssl_fail_verify_san", NULL, 1);
        }
        assert_non_null(strstr(sim_log(&s), "UF"));
    }
}

CASE(a_silent_upstream_uses_up_the_time_to_connect)
{
    char cluster[17000];
    (void)snprintf(cluster, sizeof(cluster), "connect_timeout: 2s, %s", outbound);
    BEGIN(.cluster = cluster);
    sim_origin(&s, 1)->delay_ms = 500;
    struct sim_peer *c = sim_ask(&s, GET);
    sim_advance(&s, 1999);
    sim_expect_silence(c);
    sim_advance(&s, 1);
    sim_expect(c, "connection timeout");
}

static void escape(struct span pem, struct buf *to)
{
    for (size_t i = 0; i < pem.len; i++) {
        ASSERT((pem.at[i] == '\n' ? buf_append_span(to, SPAN("\\n"))
                                  : buf_append_byte(to, pem.at[i])) == 0);
    }
}

static void socket_text(char *to, size_t room, bool server, enum who who, struct test_pki *trust,
                        const char *allowed)
{
    struct buf b;
    buf_init(&b, 65536);
    int code = buf_printf(
        &b,
        "transport_socket: {name: tls, typed_config: {'@type': type.googleapis.com/envoy.extensions."
        "transport_sockets.tls.v3.%s, %s common_tls_context: {tls_certificates: [{certificate_chain: "
        "{inline_string: \"",
        server ? "DownstreamTlsContext" : "UpstreamTlsContext",
        server ? "require_client_certificate: true," : "sni: web.ns,");
    escape(buf_span(&certs[who].chain), &b);
    code = code ? code : buf_append_span(&b, SPAN("\"}, private_key: {inline_string: \""));
    escape(buf_span(&certs[who].key), &b);
    code = code ? code
                : buf_append_span(
                      &b, SPAN("\"}}], validation_context: {trusted_ca: {inline_string: \""));
    escape(test_pki_root(trust), &b);
    code = code ? code : buf_append_span(&b, SPAN("\"}"));
    if (allowed != NULL) {
        code =
            code ? code
                 : buf_printf(
                       &b,
                       ", match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: '%s'}}]",
                       allowed);
    }
    code = code ? code : buf_append_span(&b, SPAN("}}}}"));
    ASSERT(code == 0 && buf_len(&b) < room);
    memcpy(to, buf_span(&b).at, buf_len(&b));
    to[buf_len(&b)] = '\0';
    buf_dispose(&b);
}

/* The library keeps some memory from its first handshake on. */
static void warm_up(void)
{
    BEGIN(.chain = inbound);
    connect_as(FRONT);
    s.keeps_memory = true;
    sim_end(&s);
}

static int make_people(void **state)
{
    (void)state;
    struct err err;
    instant_fake_start(1000000000, INT64_C(1700000000000000)); /* as sim_begin */
    assert_int_equal(tls_init(&err), 0);
    root = test_pki_new("root", KEYPAIR_P256);
    other = test_pki_new("other", KEYPAIR_P256);
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = "spiffe://td/ns/ns/sa/web"}, &certs[WEB]);
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = "spiffe://td/ns/ns/sa/front"},
                   &certs[FRONT]);
    test_pki_issue(other, &(struct test_leaf){.spiffe_id = "spiffe://td/ns/ns/sa/web"},
                   &certs[STRANGER]);
    socket_text(inbound, sizeof(inbound), true, WEB, root, NULL);
    socket_text(inbound_other, sizeof(inbound_other), true, WEB, other, NULL);
    socket_text(outbound, sizeof(outbound), false, FRONT, root, "spiffe://td/ns/ns/sa/web");
    socket_text(outbound_wrong, sizeof(outbound_wrong), false, FRONT, root,
                "spiffe://td/ns/ns/sa/db");
    instant_fake_stop();
    warm_up();
    return 0;
}

static int drop_people(void **state)
{
    (void)state;
    for (int i = 0; i < PEOPLE; i++) {
        test_cert_dispose(&certs[i]);
    }
    test_pki_free(root);
    test_pki_free(other);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(who_proves_itself_is_told),
        RUN(the_certificate_itself_is_told),
        RUN(strangers_and_plain_text_are_refused),
        RUN(a_handshake_that_stands_still_is_given_up),
        RUN(a_listener_goes_in_the_middle_of_a_handshake),
        RUN(a_listener_changes_in_the_middle_of_a_handshake),
        RUN(new_trust_ends_old_connections),
        RUN(mutual_tls_that_is_switched_on_ends_plain_connections),
        RUN(upstreams_are_who_they_must_be),
        RUN(upstreams_that_are_others_get_nothing),
        RUN(a_silent_upstream_uses_up_the_time_to_connect),
    };
    return cmocka_run_group_tests(tests, make_people, drop_people);
}
