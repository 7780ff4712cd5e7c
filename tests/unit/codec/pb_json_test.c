/* codec/pb_json: both ways, over the tables of pb_test.h and over real contracts. */
#include "codec/pb_json.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pb_test.h"
#include "proto/admin.pb.h"
#include "proto/cluster.pb.h"
#include "proto/core.pb.h"
#include "proto/listener.pb.h"
#include "proto/protobuf.pb.h"
#include "proto/tls.pb.h"
#include "proto/types.pb.h"

static struct arena arena;
static struct buf out;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    buf_init(&out, 1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_dispose(&arena);
    buf_dispose(&out);
    return 0;
}

static void *read_text(const struct pb_desc *desc, const char *text, struct err *err)
{
    struct doc_node *doc;
    int rc = doc_parse_yaml(&arena, span_of(text), "t.yaml", &doc, err);
    if (rc < 0) {
        return NULL;
    }
    return pb_json_read(&proto_types, desc, &arena, doc, err);
}

static const char *write_text(const struct pb_desc *desc, const void *msg, unsigned how)
{
    buf_reset(&out);
    assert_int_equal(pb_json_write(&proto_types, desc, msg, how, &out), 0);
    const char *text = buf_cstr(&out);
    assert_non_null(text);
    return text;
}

/* What is read from `text` is written as `want`, also after it went over the wire. */
static void check(const struct pb_desc *desc, const char *text, const char *want)
{
    struct err err;
    const void *msg = read_text(desc, text, &err);
    if (!msg) {
        fail_msg("%s: %s", text, err.text);
    }
    assert_string_equal(write_text(desc, msg, 0), want);
    struct span wire = pb_encode_in(desc, msg, &arena);
    msg = pb_decode(desc, &arena, wire, &err);
    assert_non_null(msg);
    assert_string_equal(write_text(desc, msg, 0), want);
}

static void test_scalars(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"{}", "{}"},
        {"f_double: 1.5", "{\"f_double\":1.5}"},
        {"f_double: 0.1", "{\"f_double\":0.1}"},
        {"f_double: 1e300", "{\"f_double\":1e+300}"},
        {"f_double: 5", "{\"f_double\":5}"},
        {"f_double: '2.5'", "{\"f_double\":2.5}"},
        {"f_double: 'NaN'", "{\"f_double\":\"NaN\"}"},
        {"f_double: '-Infinity'", "{\"f_double\":\"-Infinity\"}"},
        {"f_float: 0.1", "{\"f_float\":0.1}"},
        {"f_float: 3.4028235e38", "{\"f_float\":3.4028235e+38}"},
        {"f_int64: -9223372036854775808", "{\"f_int64\":\"-9223372036854775808\"}"},
        {"f_int64: '9223372036854775807'", "{\"f_int64\":\"9223372036854775807\"}"},
        {"f_uint64: '18446744073709551615'", "{\"f_uint64\":\"18446744073709551615\"}"},
        {"f_uint64: 1e3", "{\"f_uint64\":\"1000\"}"},
        {"f_int32: -2147483648", "{\"f_int32\":-2147483648}"},
        {"f_int32: 1.0", "{\"f_int32\":1}"},
        {"f_uint32: 4294967295", "{\"f_uint32\":4294967295}"},
        {"f_fixed32: 7", "{\"f_fixed32\":7}"},
        {"f_fixed64: 7", "{\"f_fixed64\":\"7\"}"},
        {"f_sfixed32: -7", "{\"f_sfixed32\":-7}"},
        {"f_sint64: -7", "{\"f_sint64\":\"-7\"}"},
        {"fInt32: 3", "{\"f_int32\":3}"},
        {"f_bool: true", "{\"f_bool\":true}"},
        {"f_bool: null", "{}"},
        {"f_string: \"a\\\"b\"", "{\"f_string\":\"a\\\"b\"}"},
        {"f_bytes: 'aGk='", "{\"f_bytes\":\"aGk=\"}"},
        {"f_bytes: 'aGk'", "{\"f_bytes\":\"aGk=\"}"},
        {"f_bytes: '-_-_'", "{\"f_bytes\":\"+/+/\"}"},
        {"f_bytes: '+/+/'", "{\"f_bytes\":\"+/+/\"}"},
        {"f_enum: GREEN", "{\"f_enum\":\"GREEN\"}"},
        {"f_enum: green", "{\"f_enum\":\"GREEN\"}"},
        {"f_enum: -1", "{\"f_enum\":\"BLUE\"}"},
        {"f_enum: 9", "{\"f_enum\":9}"},
        {"maybe: 0", "{\"maybe\":0}"},
        {"number: 0", "{\"number\":\"0\"}"},
        {"inner: {}", "{\"inner\":{}}"},
        {"f_message: {a: 1, inner: {a: 2}}", "{\"f_message\":{\"a\":1,\"inner\":{\"a\":2}}}"},
        {"ints: [1, 2]", "{\"ints\":[1,2]}"},
        {"texts: [a, '']", "{\"texts\":[\"a\",\"\"]}"},
        {"inners: [{}, {a: 1}]", "{\"inners\":[{},{\"a\":1}]}"},
        {"by_name: {b: {a: 1}, a: {}}", "{\"by_name\":{\"a\":{},\"b\":{\"a\":1}}}"},
        {"by_number: {2: x, -1: z}", "{\"by_number\":{\"-1\":\"z\",\"2\":\"x\"}}"},
        {"byNumber: {}", "{}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(&everything_desc, cases[i].text, cases[i].want);
    }
}

static void test_special(void **state)
{
    (void)state;
    static const struct {
        const struct pb_desc *desc;
        const char *text;
        const char *want;
    } cases[] = {
        {&pb_protobuf_Duration_desc, "1.5s", "\"1.500s\""},
        {&pb_protobuf_Duration_desc, "-0.000000001s", "\"-0.000000001s\""},
        {&pb_protobuf_Duration_desc, "3s", "\"3s\""},
        {&pb_protobuf_Duration_desc, "-3.25s", "\"-3.250s\""},
        {&pb_protobuf_Duration_desc, "315576000000s", "\"315576000000s\""},
        {&pb_protobuf_Timestamp_desc, "2026-01-31T12:00:00Z", "\"2026-01-31T12:00:00Z\""},
        {&pb_protobuf_Timestamp_desc, "'2026-01-31T12:00:00.000000001+01:00'",
         "\"2026-01-31T11:00:00.000000001Z\""},
        {&pb_protobuf_Timestamp_desc, "1969-12-31T23:59:59.9999999Z",
         "\"1969-12-31T23:59:59.999999900Z\""},
        {&pb_protobuf_UInt32Value_desc, "5", "5"},
        {&pb_protobuf_BoolValue_desc, "false", "false"},
        {&pb_protobuf_StringValue_desc, "''", "\"\""},
        {&pb_protobuf_Int64Value_desc, "5", "\"5\""},
        {&pb_protobuf_Empty_desc, "{}", "{}"},
        {&pb_protobuf_Struct_desc, "{a: 1, b: [null, x, true, {}], c: {d: 1.5}}",
         "{\"a\":1,\"b\":[null,\"x\",true,{}],\"c\":{\"d\":1.5}}"},
        {&pb_protobuf_Value_desc, "null", "null"},
        {&pb_protobuf_ListValue_desc, "[1, [2]]", "[1,[2]]"},
        {&pb_protobuf_Any_desc, "{}", "{}"},
        {&pb_protobuf_Any_desc,
         "{'@type': type.googleapis.com/google.protobuf.Duration, value: 1s}",
         "{\"@type\":\"type.googleapis.com/google.protobuf.Duration\",\"value\":\"1s\"}"},
        {&pb_protobuf_Any_desc, "{'@type': type.googleapis.com/google.protobuf.Empty}",
         "{\"@type\":\"type.googleapis.com/google.protobuf.Empty\"}"},
        {&pb_protobuf_Any_desc,
         "{name: x, '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster}",
         "{\"@type\":\"type.googleapis.com/envoy.config.cluster.v3.Cluster\",\"name\":\"x\"}"},
        {&pb_protobuf_Any_desc, "{'@type': type.googleapis.com/no.such.Thing, a: {b: [1]}}",
         "{\"@type\":\"type.googleapis.com/xds.type.v3.TypedStruct\","
         "\"type_url\":\"type.googleapis.com/no.such.Thing\",\"value\":{\"a\":{\"b\":[1]}}}"},
        {&pb_cluster_Cluster_desc, "{type: strict-dns}", "{\"type\":\"STRICT_DNS\"}"},
        {&pb_cluster_Cluster_desc,
         "{name: a, connectTimeout: 0.25s, type: STRICT_DNS, lb_policy: LEAST_REQUEST,"
         " circuit_breakers: {thresholds: [{max_connections: 3}]}}",
         "{\"name\":\"a\",\"type\":\"STRICT_DNS\",\"connect_timeout\":\"0.250s\","
         "\"lb_policy\":\"LEAST_REQUEST\","
         "\"circuit_breakers\":{\"thresholds\":[{\"max_connections\":3}]}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(cases[i].desc, cases[i].text, cases[i].want);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const struct pb_desc *desc;
        const char *text;
        const char *want;
    } cases[] = {
        {&pb_cluster_Cluster_desc, "name: a\nlb_polcy: RANDOM",
         "t.yaml:2: 'lb_polcy' is not a field of envoy.config.cluster.v3.Cluster; did you mean "
         "'lb_policy'?"},
        {&pb_cluster_Cluster_desc, "zzzzzzzzz: 1",
         "t.yaml:1: 'zzzzzzzzz' is not a field of envoy.config.cluster.v3.Cluster"},
        {&pb_cluster_Cluster_desc, "connect_timeout: 5",
         "t.yaml:1: 'connect_timeout' is '5'; want a duration in seconds, as in '1.5s'"},
        {&pb_cluster_Cluster_desc, "connect_timeout: 5.s",
         "t.yaml:1: 'connect_timeout' is '5.s'; want a duration in seconds, as in '1.5s'"},
        {&pb_cluster_Cluster_desc, "connect_timeout: 1.0000000001s",
         "t.yaml:1: 'connect_timeout' is '1.0000000001s'; want a duration in seconds, as in "
         "'1.5s'"},
        {&pb_cluster_Cluster_desc, "connect_timeout: 315576000001s",
         "t.yaml:1: 'connect_timeout' is '315576000001s'; want a duration in seconds, as in "
         "'1.5s'"},
        {&pb_cluster_Cluster_desc, "per_connection_buffer_limit_bytes: -1",
         "t.yaml:1: 'per_connection_buffer_limit_bytes' is '-1'; want a whole number of 32 bits, "
         "not negative"},
        {&pb_cluster_Cluster_desc, "dns_lookup_family: V5",
         "t.yaml:1: 'dns_lookup_family' is 'V5'; want AUTO, V4_ONLY, V6_ONLY, V4_PREFERRED or ALL"},
        {&pb_cluster_Cluster_desc, "name: 5", "t.yaml:1: 'name' is '5'; want text (quote it)"},
        {&pb_cluster_Cluster_desc, "health_checks: {}",
         "t.yaml:1: 'health_checks' is 'a map'; want a list"},
        {&pb_cluster_Cluster_desc, "health_checks: [null]",
         "t.yaml:1: 'health_checks' is 'null'; want no null in a list"},
        {&pb_cluster_Cluster_desc, "circuit_breakers: x",
         "t.yaml:1: 'circuit_breakers' is 'x'; want a map: "
         "envoy.config.cluster.v3.CircuitBreakers"},
        {&pb_cluster_Cluster_desc, "connect_timeout: 1s\nconnectTimeout: 2s",
         "t.yaml:2: 'connect_timeout' is set twice"},
        {&pb_core_Address_desc, "pipe: {path: x}\nsocket_address: {address: x}",
         "t.yaml:2: 'pipe' and 'socket_address' are both set; envoy.config.core.v3.Address wants "
         "one of them"},
        {&pb_protobuf_Any_desc, "{a: 1}",
         "t.yaml:1: '@type' is missing; want the type of what follows, as in "
         "'type.googleapis.com/envoy.config.cluster.v3.Cluster'"},
        {&pb_protobuf_Any_desc, "{'@type': type.googleapis.com/google.protobuf.Duration}",
         "t.yaml:1: 'value' is missing; google.protobuf.Duration has a form of its own"},
        {&pb_protobuf_Timestamp_desc, "yesterday",
         "t.yaml:1: 'google.protobuf.Timestamp' is 'yesterday'; want a time, as in "
         "'2026-01-31T12:00:00Z'"},
        {&everything_desc, "f_int32: 2147483648",
         "t.yaml:1: 'f_int32' is '2147483648'; want a whole number of 32 bits"},
        {&everything_desc, "f_int32: 1.5",
         "t.yaml:1: 'f_int32' is '1.5'; want a whole number of 32 bits"},
        {&everything_desc, "f_uint64: 18446744073709551616",
         "t.yaml:1: 'f_uint64' is '1.84467e+19'; want a whole number of 64 bits, not negative"},
        {&everything_desc, "f_float: 1e39",
         "t.yaml:1: 'f_float' is '1e+39'; want a number that fits a float"},
        {&everything_desc, "f_double: '0x10'", "t.yaml:1: 'f_double' is '0x10'; want a number"},
        {&everything_desc, "f_double: ''", "t.yaml:1: 'f_double' is ''; want a number"},
        {&everything_desc, "f_bytes: '*'", "t.yaml:1: 'f_bytes' is '*'; want base64"},
        {&everything_desc, "f_bool: 'true'", "t.yaml:1: 'f_bool' is 'true'; want true or false"},
        {&everything_desc, "by_number: {x: y}",
         "t.yaml:1: 'by_number' is 'x'; want a whole number of 32 bits"},
        {&everything_desc, "by_name: {x: null}",
         "t.yaml:1: 'by_name' is 'null'; want no null in a map"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        err_clear(&err);
        assert_null(read_text(cases[i].desc, cases[i].text, &err));
        assert_string_equal(err.text, cases[i].want);
        assert_int_equal(err.code, -ERR_CONFIG);
    }
}

static void test_depth(void **state)
{
    (void)state;
    struct doc_node *doc = doc_new_map(&arena);
    for (int i = 0; i < PB_DEPTH_MAX - 1; i++) {
        struct doc_node *outer = doc_new_map(&arena);
        (void)doc_set(&arena, outer, "inner", doc);
        doc = outer;
    }
    struct err err;
    struct inner *inner = pb_json_read(&proto_types, &inner_desc, &arena, doc, &err);
    assert_non_null(inner);
    assert_int_equal(pb_json_write(&proto_types, &inner_desc, inner, 0, &out), 0);
    struct inner above = {.inner = inner};
    assert_int_equal(pb_json_write(&proto_types, &inner_desc, &above, 0, &out), -ERR_LIMIT);
    struct doc_node *outer = doc_new_map(&arena);
    (void)doc_set(&arena, outer, "inner", doc);
    assert_null(pb_json_read(&proto_types, &inner_desc, &arena, outer, &err));
    assert_int_equal(err.code, -ERR_LIMIT);
    assert_string_equal(err.text, "deeper than PB_DEPTH_MAX");
}

/* Any in Any in Any: each is decoded by itself, yet the depth of all counts. */
static void test_any_depth(void **state)
{
    (void)state;
    struct pb_protobuf_Any any = {.type_url = SPAN(PB_PROTOBUF_EMPTY_URL)};
    for (int i = 0; i < PB_DEPTH_MAX + 10; i++) {
        struct span wire = pb_encode_in(&pb_protobuf_Any_desc, &any, &arena);
        any = (struct pb_protobuf_Any){.type_url = SPAN(PB_PROTOBUF_ANY_URL), .value = wire};
    }
    assert_int_equal(pb_json_write(&proto_types, &pb_protobuf_Any_desc, &any, 0, &out), -ERR_LIMIT);
}

static void test_any_raw(void **state)
{
    (void)state;
    struct pb_protobuf_Any any = {.type_url = SPAN("type.googleapis.com/no.such.Thing"),
                                  .value = SPAN("hi")};
    assert_string_equal(write_text(&pb_protobuf_Any_desc, &any, 0),
                        "{\"@type\":\"type.googleapis.com/no.such.Thing\",\"value\":\"aGk=\"}");
    any.type_url = SPAN(PB_CLUSTER_CLUSTER_URL);
    any.value = SPAN("\xff");
    assert_string_equal(
        write_text(&pb_protobuf_Any_desc, &any, 0),
        "{\"@type\":\"type.googleapis.com/envoy.config.cluster.v3.Cluster\",\"value\":\"/w==\"}");
}

static void test_styles(void **state)
{
    (void)state;
    struct err err;
    const void *msg =
        read_text(&everything_desc, "{ints: [1, 2], by_name: {x: {}}, maybe: 0}", &err);
    assert_non_null(msg);
    assert_string_equal(write_text(&everything_desc, msg, PB_JSON_CAMEL),
                        "{\"maybe\":0,\"ints\":[1,2],\"byName\":{\"x\":{}}}");
    assert_string_equal(write_text(&everything_desc, msg, PB_JSON_PRETTY),
                        "{\n \"maybe\": 0,\n \"ints\": [\n  1,\n  2\n ],\n"
                        " \"by_name\": {\n  \"x\": {}\n }\n}");
    struct inner inner = {0};
    assert_string_equal(write_text(&inner_desc, &inner, PB_JSON_DEFAULTS), "{\"a\":0}");
    struct everything none = {0};
    const char *all = write_text(&everything_desc, &none, PB_JSON_DEFAULTS);
    assert_non_null(strstr(all, "\"f_enum\":\"RED\""));
    assert_non_null(strstr(all, "\"texts\":[]"));
    assert_non_null(strstr(all, "\"by_name\":{}"));
    assert_null(strstr(all, "maybe"));
    assert_null(strstr(all, "\"number\""));
}

static void test_redact(void **state)
{
    (void)state;
    struct err err;
    const char *yaml = "name: x\n"
                       "tls_certificate:\n"
                       "  certificate_chain: {inline_string: PUBLIC}\n"
                       "  private_key: {inline_string: TOP, watched_directory: {path: TOP}}\n";
    const void *msg = read_text(&pb_tls_Secret_desc, yaml, &err);
    assert_non_null(msg);
    assert_string_equal(
        write_text(&pb_tls_Secret_desc, msg, PB_JSON_REDACT),
        "{\"name\":\"x\",\"tls_certificate\":{\"certificate_chain\":{\"inline_string\":\"PUBLIC\"},"
        "\"private_key\":{\"inline_string\":\"[redacted]\","
        "\"watched_directory\":{\"path\":\"[redacted]\"}}}}");
    /* inside an Any, and bytes */
    struct pb_admin_SecretsConfigDump_StaticSecret held = {
        .name = SPAN("x"),
        .secret =
            &(struct pb_protobuf_Any){.type_url = SPAN(PB_TLS_SECRET_URL),
                                      .value = pb_encode_in(&pb_tls_Secret_desc, msg, &arena)}};
    const char *text =
        write_text(&pb_admin_SecretsConfigDump_StaticSecret_desc, &held, PB_JSON_REDACT);
    assert_null(strstr(text, "TOP"));
    assert_non_null(strstr(text, "PUBLIC"));
    msg = read_text(&pb_tls_Secret_desc, "session_ticket_keys: {keys: [{inline_bytes: 'aGk='}]}",
                    &err);
    assert_string_equal(write_text(&pb_tls_Secret_desc, msg, PB_JSON_REDACT),
                        "{\"session_ticket_keys\":{\"keys\":"
                        "[{\"inline_bytes\":\"W3JlZGFjdGVkXQ==\"}]}}");
}

static void test_full(void **state)
{
    (void)state;
    struct err err;
    const void *msg = read_text(&everything_desc,
                                "{ints: [1], f_string: abc, f_bytes: aGk=,"
                                " by_name: {x: {a: 1}}, f_double: 1.5}",
                                &err);
    assert_non_null(msg);
    size_t len = strlen(write_text(&everything_desc, msg, PB_JSON_PRETTY));
    for (size_t room = 0; room < len; room++) {
        struct buf small;
        buf_init(&small, room);
        assert_int_equal(pb_json_write(&proto_types, &everything_desc, msg, PB_JSON_PRETTY, &small),
                         -ERR_LIMIT);
        buf_dispose(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scalars, begin, end),
        cmocka_unit_test_setup_teardown(test_special, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_depth, begin, end),
        cmocka_unit_test_setup_teardown(test_any_depth, begin, end),
        cmocka_unit_test_setup_teardown(test_any_raw, begin, end),
        cmocka_unit_test_setup_teardown(test_styles, begin, end),
        cmocka_unit_test_setup_teardown(test_redact, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
