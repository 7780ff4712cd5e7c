/* xds/xds_file: what is read from a file, and when. */
#include "xds/xds_file.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"

static struct loop *loop;
static char folder[] = "/tmp/xds_file_test.XXXXXX";
static char path[64];
static char seen[1024];
static int reads;
static bool refuse;

static void put_file(const char *text, size_t len)
{
    char fresh[80];
    (void)snprintf(fresh, sizeof fresh, "%s/new", folder);
    FILE *f = fopen(fresh, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void put_text(const char *text)
{
    put_file(text, strlen(text));
}

static void note(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void note(const char *fmt, ...)
{
    size_t len = strlen(seen);
    va_list args;
    va_start(args, fmt);
    assert_true(vsnprintf(seen + len, sizeof seen - len, fmt, args) >= 0);
    va_end(args);
}

static int on_update(void *arg, const struct xds_update *u, struct err *err)
{
    UNUSED(arg);
    assert_true(u->full);
    note("%.*s:", SPAN_ARG(xds_short_type(u->type_url)));
    for (size_t i = 0; i < u->added_count; i++) {
        assert_true(u->added[i].version.len > 0);
        note(" %.*s", SPAN_ARG(u->added[i].name));
    }
    note("; ");
    return refuse ? err_set(err, -ERR_CONFIG, "refused") : 0;
}

static void on_read(void *arg, const struct err *why)
{
    UNUSED(arg);
    reads++;
    note("%s", why ? why->text : "read");
}

static const struct xds_file_events events = {on_update, on_read};

static int begin(void **state)
{
    UNUSED(state);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/x.yaml", folder);
    loop = loop_new(false);
    seen[0] = '\0';
    reads = 0;
    refuse = false;
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    loop_free(loop);
    (void)unlink(path); /* the folder must go, whatever the test left */
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

/* Until the file was read once more. */
static void wait_read(void)
{
    int before = reads;
    int64_t give_up = instant_mono_ms() + 10000;
    while (reads == before) {
        assert_true(instant_mono_ms() < give_up);
        (void)loop_turn(loop, true);
    }
}

#define TWO                                                                                 \
    "resources:\n"                                                                          \
    "- '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n"                      \
    "  name: a\n"                                                                           \
    "- '@type': type.googleapis.com/envoy.service.discovery.v3.Resource\n"                  \
    "  resource: {'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster, name: b}\n" \
    "- '@type': type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment\n"       \
    "  cluster_name: a\n"

static int open_file(struct xds_file **f, const char *only, struct err *err)
{
    struct xds_file_spec spec = {.path = path, .type_url = span_of(only)};
    err_clear(err);
    return xds_file_new(f, loop, &spec, &events, NULL, err);
}

static void saw(const char *want)
{
    assert_string_equal(seen, want);
    seen[0] = '\0';
}

static void test_yaml(void **state)
{
    UNUSED(state);
    struct xds_file *f;
    struct err err;
    put_text("version_info: '7'\n" TWO);
    assert_int_equal(open_file(&f, NULL, &err), 0);
    saw("Cluster: a b; ClusterLoadAssignment: a; ");
    /* what is no longer there is gone */
    put_text("resources:\n- '@type': " XDS_CLUSTER "\n  name: c\n");
    wait_read();
    saw("Cluster: c; ClusterLoadAssignment:; read");
    put_text("resources: 5\n");
    wait_read();
    assert_non_null(strstr(seen, "x.yaml:1: 'resources' is '5'; want a list"));
    seen[0] = '\0';
    refuse = true;
    put_text(TWO);
    wait_read();
    assert_non_null(strstr(seen, "Cluster: a b; "));
    assert_non_null(strstr(seen, "x.yaml: refused"));
    seen[0] = '\0';
    refuse = false;
    put_text("");
    wait_read();
    saw("Cluster:; ClusterLoadAssignment:; read");
    xds_file_free(f);
}

static void test_forms(void **state)
{
    UNUSED(state);
    struct xds_file *f;
    struct err err;
    (void)snprintf(path, sizeof path, "%s/x.json", folder);
    put_text("{\"resources\": [{\"@type\": \"" XDS_CLUSTER "\", \"name\": \"j\"}]}");
    assert_int_equal(open_file(&f, XDS_CLUSTER, &err), 0);
    saw("Cluster: j; ");
    xds_file_free(f);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/x.pb", folder);
    struct arena a;
    arena_init(&a, 1024);
    struct pb_protobuf_Any any = {.type_url = SPAN(XDS_CLUSTER), .value = SPAN("\x0a\x01p")};
    struct pb_discovery_DiscoveryResponse rs = {0};
    PB_ADD(&a, &rs.resources, &any);
    struct span wire = pb_encode_in(&pb_discovery_DiscoveryResponse_desc, &rs, &a);
    put_file(wire.at, wire.len);
    assert_int_equal(open_file(&f, XDS_CLUSTER, &err), 0);
    saw("Cluster: p; ");
    xds_file_free(f);
    put_file("\xff", 1);
    assert_int_equal(open_file(&f, NULL, &err), -ERR_PROTO);
    assert_non_null(strstr(err.text, "x.pb: envoy.service.discovery.v3.DiscoveryResponse: "));
    arena_dispose(&a);
}

static void test_refused(void **state)
{
    UNUSED(state);
    struct xds_file *f;
    struct err err;
    assert_int_equal(open_file(&f, NULL, &err), -ENOENT);
    put_text(TWO);
    assert_int_equal(open_file(&f, XDS_LISTENER, &err), -ERR_CONFIG);
    assert_non_null(
        strstr(err.text, "a resource is of type '" XDS_CLUSTER "'; want '" XDS_LISTENER));
    refuse = true;
    assert_int_equal(open_file(&f, NULL, &err), -ERR_CONFIG);
    put_text("resources: [{");
    assert_int_equal(open_file(&f, NULL, &err), -ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_yaml, begin, end),
        cmocka_unit_test_setup_teardown(test_forms, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
