/* Our contracts and their codec against protoc: it reads every .proto of ours, understands what we write,
 * and what it writes we understand. Needs protoc; runs in the top folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../codec/pb_test.h"
#include "base/mem.h"
#include "codec/pb_json.h"
#include "proto/types.pb.h"

static struct arena arena;
static char folder[] = "/tmp/types_test.XXXXXX";

static const char *in_folder(const char *name)
{
    return arena_printf(&arena, "%s/%s", folder, name);
}

static int begin(void **state)
{
    UNUSED(state);
    arena_init(&arena, 65536);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    (void)unlink(in_folder("in"));
    (void)unlink(in_folder("out"));
    (void)unlink(in_folder("err"));
    assert_int_equal(rmdir(folder), 0);
    arena_dispose(&arena);
    return 0;
}

static struct span read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t room = 1 << 22;
    char *to = arena_bytes(&arena, room);
    size_t len = fread(to, 1, room - 1, f);
    assert_true(len < room - 1);
    (void)fclose(f);
    to[len] = '\0';
    return span_from(to, len);
}

/* Runs protoc over `in`; what it prints. */
static struct span protoc(const char *what, const char *type, struct span in)
{
    FILE *f = fopen(in_folder("in"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(in.at, 1, in.len, f), in.len);
    assert_int_equal(fclose(f), 0);
    const char *flag = strcmp(what, "encode") == 0 ? " --deterministic_output" : "";
    const char *command =
        arena_printf(&arena,
                     "protoc -Isrc/proto -Itests/unit/codec --%s=%s%s src/proto/*.proto "
                     "tests/unit/codec/pb_test.proto < %s > %s 2> %s",
                     what, type, flag, in_folder("in"), in_folder("out"), in_folder("err"));
    int rc = system(command); /* NOLINT: our own words */
    if (!WIFEXITED(rc) || WEXITSTATUS(rc) != 0) {
        fail_msg("%s: %s", command, read_file(in_folder("err")).at);
    }
    return read_file(in_folder("out"));
}

/* Through protoc's text form and back: the very same bytes. */
static void check(const struct pb_desc *desc, const void *msg, const char *must_say)
{
    struct span wire = pb_encode_in(desc, msg, &arena);
    assert_non_null(wire.at);
    struct span text = protoc("decode", desc->name, wire);
    if (must_say && !strstr(text.at, must_say)) {
        fail_msg("'%s' is not in %s", must_say, text.at);
    }
    struct span again = protoc("encode", desc->name, text);
    assert_int_equal(again.len, wire.len);
    assert_memory_equal(again.at, wire.at, wire.len);
    struct err err;
    const void *back = pb_decode(desc, &arena, again, &err);
    if (!back) {
        fail_msg("%s", err.text);
    }
    assert_true(pb_equal(desc, msg, back));
}

/* ---- every field of a type, to a depth ---- */

struct filler {
    unsigned seed;
    unsigned choice; /* which member of each oneof */
    int left;        /* messages still to be made */
};

static void *fill(struct filler *f, const struct pb_desc *desc, int depth);

static void fill_number(struct filler *f, const struct pb_field *field, char *at)
{
    f->seed++;
    int64_t value = (int64_t)(f->seed * 2654435761u) * (f->seed % 3 == 0 ? 1000003 : 1);
    double wide = (double)f->seed / 4;
    float narrow = (float)wide;
    bool yes = true;
    int32_t known = 0;
    switch (field->kind) {
    case PB_DOUBLE:
        memcpy(at, &wide, 8);
        return;
    case PB_FLOAT:
        memcpy(at, &narrow, 4);
        return;
    case PB_BOOL:
        memcpy(at, &yes, sizeof yes);
        return;
    case PB_ENUM:
        known = field->type.enumeration->values[f->seed % field->type.enumeration->count].number;
        memcpy(at, &known, 4);
        return;
    default:
        memcpy(at, &value, pb_kind_bytes(field->kind));
        return;
    }
}

static void fill_one(struct filler *f, const struct pb_field *field, char *at, int depth)
{
    if (field->kind == PB_MESSAGE) {
        void *inner = fill(f, field->type.message, depth + 1);
        memcpy(at, &inner, sizeof inner);
    } else if (field->kind == PB_STRING || field->kind == PB_BYTES) {
        struct span text = span_of(arena_printf(&arena, "%s \xc3\xa9 %u", field->name, ++f->seed));
        memcpy(at, &text, sizeof text);
    } else {
        fill_number(f, field, at);
    }
}

/* Of a oneof one member is set: the first, or further ones as `choice` grows. */
static bool is_chosen(const struct filler *f, const struct pb_desc *desc,
                      const struct pb_field *field)
{
    unsigned members = 0;
    unsigned mine = 0;
    for (uint16_t i = 0; i < desc->count; i++) {
        const struct pb_field *other = &desc->fields[i];
        if (other->label == PB_ONEOF && other->presence == field->presence) {
            mine = other == field ? members : mine;
            members++;
        }
    }
    return mine == f->choice % members;
}

static void *fill(struct filler *f, const struct pb_desc *desc, int depth)
{
    char *msg = arena_zalloc(&arena, desc->bytes);
    bool is_leaf = depth >= 4 || --f->left < 0;
    for (uint16_t i = 0; i < desc->count; i++) {
        const struct pb_field *field = &desc->fields[i];
        if ((is_leaf && field->kind == PB_MESSAGE) ||
            (field->label == PB_ONEOF && !is_chosen(f, desc, field))) {
            continue;
        }
        char *at = msg + field->offset;
        bool yes = true;
        int32_t number = (int32_t)field->number;
        if (field->label == PB_OPTIONAL) {
            memcpy(msg + field->presence, &yes, sizeof yes);
        } else if (field->label == PB_ONEOF) {
            memcpy(msg + field->presence, &number, sizeof number);
        } else if (field->label >= PB_REPEATED) {
            fill_one(f, field, pb_list_add(&arena, at, pb_kind_bytes(field->kind)), depth);
            at = pb_list_add(&arena, at, pb_kind_bytes(field->kind));
        }
        fill_one(f, field, at, depth);
    }
    return msg;
}

static void test_every_kind(void **state)
{
    UNUSED(state);
    for (unsigned choice = 0; choice < 3; choice++) {
        struct filler f = {.choice = choice, .left = 200};
        check(&everything_desc, fill(&f, &everything_desc, 0), "f_sint64: ");
    }
}

static void test_every_field(void **state)
{
    UNUSED(state);
    static const char *const types[] = {
        "envoy.config.bootstrap.v3.Bootstrap",
        "envoy.config.cluster.v3.Cluster",
        "envoy.config.listener.v3.Listener",
        "envoy.config.route.v3.RouteConfiguration",
        "envoy.config.endpoint.v3.ClusterLoadAssignment",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "envoy.extensions.transport_sockets.tls.v3.Secret",
        "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "envoy.service.discovery.v3.DeltaDiscoveryResponse",
        "envoy.service.discovery.v3.DiscoveryRequest",
        "envoy.admin.v3.ServerInfo",
        "google.protobuf.Struct",
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const struct pb_desc *desc = pb_find(&proto_types, span_of(types[i]));
        assert_non_null(desc);
        for (unsigned choice = 0; choice < 2; choice++) {
            struct filler f = {.choice = choice, .left = 300};
            check(desc, fill(&f, desc, 0), NULL);
            arena_reset(&arena);
        }
    }
}

/* A configuration as people write it, by name, against protoc's idea of the numbers. */
static void test_yaml(void **state)
{
    UNUSED(state);
    static const struct {
        const char *type;
        const char *yaml;
        const char *must_say;
    } cases[] = {
        {"envoy.config.cluster.v3.Cluster",
         "{name: a, type: EDS, connect_timeout: 1.25s, lb_policy: LEAST_REQUEST,"
         " least_request_lb_config: {choice_count: 3}, eds_cluster_config: {eds_config: {ads: {},"
         " resource_api_version: V3}}}",
         "least_request_lb_config {\n  choice_count {\n    value: 3\n"},
        {"envoy.config.core.v3.Metadata", "{filterMetadata: {istio: {a: [1, x, null]}}}",
         "string_value: \"x\""},
        {"envoy.config.route.v3.RouteMatch",
         "{prefix: /, headers: [{name: a, string_match: {exact: b}}]}", "exact: \"b\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_node *doc;
        struct err err;
        const struct pb_desc *desc = pb_find(&proto_types, span_of(cases[i].type));
        assert_int_equal(doc_parse_yaml(&arena, span_of(cases[i].yaml), "t", &doc, &err), 0);
        const void *msg = pb_json_read(&proto_types, desc, &arena, doc, &err);
        if (!msg) {
            fail_msg("%s", err.text);
        }
        check(desc, msg, cases[i].must_say);
    }
}

/* What protoc encodes and we do not know comes out again, and protoc knows it still. */
static void test_unknown(void **state)
{
    UNUSED(state);
    struct span wire = protoc("encode", "test.Everything",
                              SPAN("f_int64: -5 f_string: 'x' inners { a: 7 } maybe: 0"));
    struct err err;
    const struct pb_desc *empty = pb_find(&proto_types, SPAN("google.protobuf.Empty"));
    void *msg = pb_decode(empty, &arena, wire, &err);
    assert_non_null(msg);
    struct span again = pb_encode_in(empty, msg, &arena);
    assert_true(span_eq(again, wire));
    struct span text = protoc("decode", "test.Everything", again);
    assert_string_equal(text.at, "f_int64: -5\nf_string: \"x\"\nmaybe: 0\ninners {\n  a: 7\n}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_kind, begin, end),
        cmocka_unit_test_setup_teardown(test_every_field, begin, end),
        cmocka_unit_test_setup_teardown(test_yaml, begin, end),
        cmocka_unit_test_setup_teardown(test_unknown, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
