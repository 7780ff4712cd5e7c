/* sim: consistent hashing: the same header, cookie, query or address goes to the same endpoint. */
#include "sim/expect.h"

SIM_FILE

#define SIX "1 2 3 4 5 6"
#define RING "lb_policy: RING_HASH"
#define MAGLEV "lb_policy: MAGLEV"
#define HASH(policies) "cluster: a, hash_policy: [" policies "]"
#define BAD "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"

static void all_reply(const char *reply)
{
    for (unsigned n = 1; n <= 6; n++) {
        sim_origin(&s, n)->reply = reply;
    }
}

/* A request on a connection of its own: which origin got it. The client is in `last`. */
static struct sim_peer *last;
static unsigned where(const char *path, const char *fields)
{
    char text[512];
    unsigned before[7];
    for (unsigned n = 1; n <= 6; n++) {
        before[n] = sim_origin(&s, n)->requests;
    }
    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nhost: h\r\n%s\r\n", path, fields);
    last = sim_ask(&s, text);
    unsigned found = 0;
    for (unsigned n = 1; n <= 6; n++) {
        found = sim_origin(&s, n)->requests > before[n] ? n : found;
    }
    return found;
}

/* Keys 0 .. 39 in `pattern`: each goes where it went before; how many endpoints were used. */
static unsigned used(const char *path, const char *fields)
{
    unsigned seen = 0;
    for (unsigned key = 0; key < 40; key++) {
        char own_path[128];
        char own_fields[128];
        (void)snprintf(own_path, sizeof(own_path), "%s%s%u", path, fields[0] ? "&n=" : "", key);
        (void)snprintf(own_fields, sizeof(own_fields), "%s%u\r\n", fields, key);
        const char *f = fields[0] ? own_fields : "";
        unsigned first = where(own_path, f);
        sim_expect_no(last, "set-cookie");
        assert_int_equal(where(own_path, f), first);
        seen |= 1u << first;
    }
    return (unsigned)__builtin_popcount(seen);
}

CASE(the_same_key_goes_to_the_same_endpoint)
{
    static const struct {
        const char *cluster, *route, *path, *fields;
        bool spreads;
    } rows[] = {
        {RING, HASH("{header: {header_name: X-User}}"), "/?a=1", "x-user: ", true},
        {MAGLEV, HASH("{header: {header_name: X-User}}"), "/?a=1", "x-user: ", true},
        {RING, HASH("{query_parameter: {name: key}}"), "/?a=1&key=", "", true},
        {RING, HASH("{cookie: {name: c}}"), "/?a=1", "cookie: a=b; c=", true},
        {RING, HASH("{connection_properties: {source_ip: true}}"), "/?a=1", "x-user: ", false},
        {MAGLEV, HASH("{connection_properties: {source_ip: true}}"), "/?a=1", "x-user: ", false},
        /* the first says nothing, the second counts */
        {RING,
         HASH("{header: {header_name: none}, terminal: true}, {header: {header_name: x-user}}"),
         "/?a=1", "x-user: ", true},
        /* the first is enough */
        {RING,
         HASH(
             "{connection_properties: {source_ip: true}, terminal: true}, {header: {header_name: x-user}}"),
         "/?a=1", "x-user: ", false},
        /* one and the same twice does not become nothing */
        {RING, HASH("{header: {header_name: x-user}}, {header: {header_name: x-user}}"), "/?a=1",
         "x-user: ", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        BEGIN(.endpoints = SIX, .cluster = rows[i].cluster, .route = rows[i].route);
        all_reply(SIM_OK);
        unsigned count = used(rows[i].path, rows[i].fields);
        if (rows[i].spreads ? count < 4 : count != 1) {
            print_error("row %zu: %u endpoints\n", i, count);
            fail();
        }
        if (i + 1 < ARRAY_LEN(rows)) {
            sim_end(&s);
        }
    }
}

CASE(fields_in_any_order)
{
    BEGIN(.endpoints = SIX, .cluster = RING, .route = HASH("{header: {header_name: x-user}}"));
    all_reply(SIM_OK);
    for (unsigned key = 0; key < 20; key++) {
        char one[64];
        char two[64];
        (void)snprintf(one, sizeof(one), "x-user: a%u\r\nx-user: b\r\n", key);
        (void)snprintf(two, sizeof(two), "x-user: b\r\nx-user: a%u\r\n", key);
        assert_int_equal(where("/", one), where("/", two));
    }
}

CASE(without_a_key_it_is_any)
{
    BEGIN(.endpoints = SIX, .cluster = RING, .route = HASH("{header: {header_name: x-user}}"));
    all_reply(SIM_OK);
    unsigned seen = 0;
    for (int i = 0; i < 40; i++) {
        seen |= 1u << where("/", "");
    }
    assert_in_range(__builtin_popcount(seen), 4, 6);
}

/* The text between the quotes of what was set. */
static void take_cookie(char to[64])
{
    struct span have = sim_unseen(last);
    ssize_t at = span_find(have, SPAN("set-cookie: user=\""));
    assert_true(at >= 0);
    struct span value = span_first(span_from_offset(have, (size_t)at + 18), 16);
    (void)snprintf(to, 64, "cookie: user=\"%.*s\"\r\n", SPAN_ARG(value));
}

CASE(a_cookie_is_made_and_honoured)
{
    BEGIN(.endpoints = SIX, .cluster = RING,
          .route = HASH(
              "{cookie: {name: user, ttl: 60s, path: /p, attributes: [{name: SameSite, value: Lax}, "
              "{name: Secure}]}}"));
    all_reply(SIM_OK);
    for (int i = 0; i < 10; i++) {
        unsigned first = where("/", "");
        char cookie[64];
        take_cookie(cookie);
        sim_expect(last, "\"; Max-Age=60; Path=/p; SameSite=Lax; Secure; HttpOnly\r\n");
        for (int again = 0; again < 3; again++) {
            assert_int_equal(where("/", cookie), first);
            sim_expect_no(last, "set-cookie");
        }
    }
    (void)where("/", "cookie: user=\r\n"); /* empty is none */
    sim_expect(last, "set-cookie: user=\"");
}

CASE(cookies_without_an_age)
{
    BEGIN(.endpoints = SIX, .cluster = MAGLEV, .route = HASH("{cookie: {name: user, ttl: 0s}}"));
    all_reply(SIM_OK);
    unsigned first = where("/", "");
    char cookie[64];
    take_cookie(cookie);
    sim_expect(last, "\"; HttpOnly\r\n");
    assert_int_equal(where("/", cookie), first);
    CONFIG(.endpoints = SIX, .cluster = MAGLEV, .route = HASH("{cookie: {name: user}}"));
    assert_int_not_equal(where("/", ""), 0);
    sim_expect_no(last, "set-cookie");
}

CASE(a_terminal_policy_makes_the_cookie_needless)
{
    BEGIN(.endpoints = SIX, .cluster = RING,
          .route = HASH(
              "{header: {header_name: x-user}, terminal: true}, {cookie: {name: user, ttl: 60s}}"));
    all_reply(SIM_OK);
    assert_int_not_equal(where("/", "x-user: 1\r\n"), 0);
    sim_expect_no(last, "set-cookie");
    assert_int_not_equal(where("/", ""), 0);
    sim_expect(last, "set-cookie: user=");
}

CASE(who_is_ejected_loses_its_keys_and_gets_them_back)
{
    BEGIN(.endpoints = SIX,
          .cluster = RING
          ", outlier_detection: {consecutive_5xx: 2, max_ejection_percent: 67, interval: 1s, base_ejection_time: 5s}",
          .route = HASH("{header: {header_name: x-user}}"));
    all_reply(SIM_OK);
    unsigned home = where("/", "x-user: 1\r\n");
    sim_origin(&s, home)->reply = BAD;
    assert_int_equal(where("/", "x-user: 1\r\n"), home);
    assert_int_equal(where("/", "x-user: 1\r\n"), home); /* out */
    sim_origin(&s, home)->reply = SIM_OK;
    unsigned refuge = where("/", "x-user: 1\r\n");
    assert_int_not_equal(refuge, home);
    assert_int_equal(where("/", "x-user: 1\r\n"), refuge);
    sim_advance(&s, 6500);
    assert_int_equal(where("/", "x-user: 1\r\n"), home);
}

CASE(who_goes_from_the_configuration_gives_its_keys_away)
{
    BEGIN(.endpoints = "1 2 3", .cluster = MAGLEV,
          .route = HASH("{header: {header_name: x-user}}"));
    all_reply(SIM_OK);
    unsigned home = where("/", "x-user: 1\r\n");
    CONFIG(.endpoints = home == 1   ? "2 3"
                        : home == 2 ? "1 3"
                                    : "1 2",
           .cluster = MAGLEV, .route = HASH("{header: {header_name: x-user}}"));
    assert_int_not_equal(where("/", "x-user: 1\r\n"), home);
    CONFIG(.endpoints = "1 2 3", .cluster = MAGLEV,
           .route = HASH("{header: {header_name: x-user}}"));
    assert_int_equal(where("/", "x-user: 1\r\n"), home);
}

CASE(opaque_connections_by_their_source)
{
    BEGIN(.endpoints = SIX, .cluster = RING, .tcp = "cluster: a, hash_policy: [{source_ip: {}}]");
    unsigned used_by_all = 0;
    for (int i = 0; i < 20; i++) {
        sim_peer_close(sim_ask(&s, "hello"));
        sim_settle(&s);
    }
    for (unsigned n = 1; n <= 6; n++) {
        used_by_all += sim_origin(&s, n)->accepted > 0;
    }
    assert_int_equal(used_by_all, 1);
    struct err err = {0};
    assert_int_not_equal(
        sim_try_config(&s, &CONF(.tcp = "cluster: a, hash_policy: [{filter_state: {key: k}}]"),
                       &err),
        0);
    assert_non_null(strstr(err.text, "hash_policy 0: only source_ip is supported"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(the_same_key_goes_to_the_same_endpoint),
        RUN(fields_in_any_order),
        RUN(without_a_key_it_is_any),
        RUN(a_cookie_is_made_and_honoured),
        RUN(cookies_without_an_age),
        RUN(a_terminal_policy_makes_the_cookie_needless),
        RUN(who_is_ejected_loses_its_keys_and_gets_them_back),
        RUN(who_goes_from_the_configuration_gives_its_keys_away),
        RUN(opaque_connections_by_their_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
